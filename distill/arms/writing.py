"""What the arms of language models share: where a student starts, what it learns, and what its card says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from distill.arms.making import student_card, wanted_layers
from distill.errors import DataError, ModelError
from distill.plugins import ArmContext
from distill.signals import seeded_order
from distill.spec import Part, TrainingSpec
from distill.store import ModelCard
from distill.token_signals import TokenSignal, iterate

if TYPE_CHECKING:
    from distill.engine.causal_loading import LoadedCausal
    from distill.engine.token_lesson import Taught, TokenLesson
    from distill.engine.train_causal import Recipe


class WriterOptions(Part):
    """What every arm that trains a language model can choose."""

    lora_rank: int = Field(
        0, ge=0, le=512, description="Train adapters of this rank (LoRA) only; 0 trains all weights."
    )
    lora_alpha: int = Field(0, ge=0, description="Scale of the adapters; twice the rank when 0.")


class SoftOptions(WriterOptions):
    """What an arm that learns distributions over tokens can choose."""

    other_tokenizer: Literal["refuse", "sequence"] = Field(
        "refuse", description="What to do where the student has another tokenizer: refuse, or learn the text alone."
    )


@dataclass(frozen=True)
class Start:
    """A student before training, and whether distributions over the teacher's tokens mean anything to it."""

    loaded: LoadedCausal
    same_tokens: bool
    note: str = ""


def starting_writer(context: ArmContext, *, other_tokenizer: Literal["refuse", "sequence"] = "sequence") -> Start:
    """Layers of the teacher, or a checkpoint; its tokens are compared with the teacher's one by one.

    Raises:
        ModelError: there is no model of the teacher to pick layers from, it cannot be loaded, or the tokenizers differ and
            ``other_tokenizer`` is 'refuse'.
        SpecError: layers that the teacher does not have.
    """
    from distill.engine.causal_loading import load_causal, resolve_causal
    from distill.engine.layers import pick_layers
    from distill.engine.vocabulary import difference

    if context.student.init == "layers":
        if not context.teacher.model_dir:
            raise ModelError(
                "A student from the teacher's layers needs the teacher's model, and it is elsewhere.",
                hint="Set student.init to 'checkpoint' and name a directory or hub id.",
            )
        return Start(pick_layers(load_causal(context.teacher.model_dir), wanted_layers(context)), True)
    stage = context.stage
    loaded = load_causal(resolve_causal(str(context.student.checkpoint), stage.cache, stage.monitor))
    # a teacher behind an endpoint has no model here, but its tokenizer may be
    tokens = context.teacher.model_dir or context.teacher.extra.get("tokenizer_dir")
    if not tokens:
        return Start(loaded, False)
    from transformers import AutoTokenizer

    teacher = AutoTokenizer.from_pretrained(tokens, local_files_only=True, trust_remote_code=False)
    differs = difference(teacher, loaded.tokenizer)
    if differs is None:
        return Start(loaded, True)
    if other_tokenizer == "refuse":
        raise ModelError(
            f"Teacher and student of '{context.arm.name}' do not share a vocabulary: {differs}.",
            hint="Take a student with the teacher's tokenizer, or set other_tokenizer to 'sequence' to learn from the text alone.",
        )
    return Start(loaded, False, f"Learnt from the text alone (sequence-level): {differs}.")


def signals_of(folder: Path, names: Sequence[str]) -> dict[str, TokenSignal]:
    """The token signals of answers, by 'CONTENT/SAMPLE'; what has none is not there."""
    wanted = set(names)
    found: dict[str, TokenSignal] = {}
    for path in sorted(folder.glob("*.parquet")):
        for signal in iterate(path):
            if signal.row_id in wanted and len(signal.answer_ids):
                found.setdefault(signal.row_id, signal)
    return found


def answers_to_learn(context: ArmContext, loaded: LoadedCausal, *, soft: bool) -> tuple[list[Taught], list[str]]:
    """What an arm learns from the run's answers, and sentences about what is left out.

    Empty answers teach nothing. A person's edit is learnt as text; so is an answer without log-probabilities.
    """
    lesson = context.lesson
    if lesson is None or lesson.frame.empty:
        raise DataError("There are no answers to learn from.", hint="Give split.pool a share.")
    frame = lesson.frame
    kept = frame[frame["answer"].str.strip() != ""]
    notes = [f"{len(frame) - len(kept):,} empty answers were left out."] if len(kept) < len(frame) else []
    limit = context.training.max_texts
    if limit is not None and limit < len(kept):
        chosen = np.sort(seeded_order(list(kept["row_id"]), context.seed)[:limit])
        kept = kept.iloc[chosen]
    taught = taught_rows(context, loaded, kept, lesson.signals, soft=soft)
    texts = sum(not one.soft for one in taught)
    if soft and texts:
        notes.append(
            f"{texts:,} of {len(taught):,} answers were learnt as text: edited, without log-probabilities, or with tokens unknown to the student."
        )
    return taught, notes


def taught_rows(
    context: ArmContext, loaded: LoadedCausal, frame: pd.DataFrame, folder: Path, *, soft: bool, weight: float = 1.0
) -> list[Taught]:
    """Rows of an answer frame as what an engine learns from; with ``soft`` the distributions where they are known."""
    from distill.engine.token_lesson import Taught

    names = [f"{content}/{sample}" for content, sample in zip(frame["content_id"], frame["sample"], strict=True)]
    same = soft or context.student.init == "layers"
    signals = signals_of(folder, names) if same else {}
    rows_of = int(loaded.model.get_input_embeddings().weight.shape[0])
    as_text = [
        place
        for place, (name, corrected) in enumerate(zip(names, frame["corrected"], strict=True))
        if corrected or name not in signals or not _within(signals[name], rows_of)
    ]
    rows = frame.iloc[as_text]
    written = text_rows(context, loaded, list(rows["text"]), list(rows["answer"]), list(rows["finish"]), weight)
    texts = dict(zip(as_text, written, strict=True))
    taught = []
    for place, name in enumerate(names):
        if place in texts:
            taught.append(texts[place])
            continue
        signal = signals[name]
        one = Taught(signal.prompt_ids, signal.answer_ids, signal.topk_ids, signal.topk_logprobs, signal.tail, weight)
        taught.append(one if soft else replace(one, topk_ids=None, topk_logprobs=None, tail=None))
    return taught


def _within(signal: TokenSignal, rows: int) -> bool:
    """Whether the student has a row for every token of a signal: a teacher of the same family may be padded to more of them."""
    most = max(int(part.max()) if part.size else 0 for part in (signal.answer_ids, signal.topk_ids))
    return most < rows


def text_rows(
    context: ArmContext,
    loaded: LoadedCausal,
    prompts: Sequence[str],
    answers: Sequence[str],
    finish: Sequence[str],
    weight: float = 1.0,
) -> list[Taught]:
    """Prompts and answers that are known as text, in the student's own tokens; an answer that was not cut gets its end token."""
    from distill.engine.chat import render
    from distill.engine.token_lesson import Taught

    if not len(prompts):
        return []
    asking = context.stage.spec.asking
    limit = max(1, min(asking.max_prompt_tokens, loaded.context - asking.max_new_tokens))
    rendered = render(loaded.tokenizer, list(prompts), asking.system, limit)
    coded = loaded.tokenizer(list(answers), add_special_tokens=False, return_attention_mask=False, verbose=False)
    end = [loaded.tokenizer.eos_token_id] if loaded.tokenizer.eos_token_id is not None else []
    rows = []
    for prompt, ids, how in zip(rendered.ids, coded["input_ids"], finish, strict=True):
        whole = [*ids, *([] if how == "length" else end)]
        rows.append(Taught(prompt, np.asarray(whole, dtype=np.int32), weight=weight))
    return rows


def dev_lesson(context: ArmContext, loaded: LoadedCausal, *, soft: bool) -> TokenLesson | None:
    """The teacher's answers on dev prompts; None where there are none."""
    from distill.engine.token_lesson import TokenLesson

    lesson = context.lesson
    if lesson is None or lesson.dev.empty:
        return None
    frame = lesson.dev[lesson.dev["answer"].str.strip() != ""]
    return TokenLesson(taught_rows(context, loaded, frame, lesson.dev_signals, soft=soft), loaded.context)


def train_writer(
    context: ArmContext,
    start: Start,
    taught: Sequence[Taught],
    training: TrainingSpec,
    recipe: Recipe,
    options: WriterOptions,
    *,
    soft: bool,
    notes: Sequence[str] = (),
    extra: dict[str, Any] | None = None,
) -> ModelCard:
    """Train, save, describe."""
    from distill.engine.adapters import merged, with_adapters
    from distill.engine.loading import save_classifier
    from distill.engine.token_lesson import TokenLesson
    from distill.engine.train_causal import train_causal

    loaded = start.loaded
    if options.lora_rank:
        loaded = with_adapters(loaded, options.lora_rank, options.lora_alpha or 2 * options.lora_rank, context.seed)
    lesson = TokenLesson(taught, loaded.context)
    result = train_causal(
        loaded,
        lesson,
        training,
        recipe,
        seed=context.seed,
        dev=dev_lesson(context, loaded, soft=soft),
        arm=context.arm.name,
        folder=context.folder,
        monitor=context.stage.monitor,
    )
    trained = merged(result.loaded) if options.lora_rank else result.loaded
    save_classifier(replace(trained, licence=loaded.licence), context.folder / "model")
    facts = {
        "steps": result.steps,
        "best_dev_loss": result.best_dev_loss,
        "texts_seen": result.texts_seen,
        "tokens_seen": result.tokens_seen,
        "temperature": training.temperature,
        "level": "token" if soft else "sequence",
        **(extra or {}),
    }
    return writer_card(
        context,
        trained_on=len(lesson),
        train_seconds=round(result.seconds, 3),
        epochs_run=round(result.epochs_run, 4),
        notes=tuple(note for note in (start.note, *notes) if note),
        extra=facts,
    )


def writer_card(context: ArmContext, *, distilled: bool = True, **known: Any) -> ModelCard:
    """See :func:`distill.arms.making.student_card`."""
    return student_card(context, distilled=distilled, **known)
