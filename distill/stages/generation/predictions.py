"""Stage 'predictions' of language models: answers to dev and test prompts, measures on the teacher's answers, likelihoods of the checks' items.

Everything is in float32. The teacher comes first; its states at the tokens of its answers are kept in memory, so an arm is compared with
its whole distribution for the price of one more product with its head.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from distill.errors import ModelError
from distill.files import digest_of, file_digest
from distill.monitor import Within
from distill.plugins import StageContext
from distill.signals import library_versions
from distill.spec import GenerationSpec
from distill.stages.data import examples_digest
from distill.stages.frame import Outcome, once
from distill.stages.predictions import guarded, items_frame, seed_of, skipped
from distill.store import TEACHER, ModelCard, SetName
from distill.teachers.base import open_writer
from distill.types import read_frame, write_frame
from distill.writing import AnswerCache, Question

if TYPE_CHECKING:
    from distill.engine.language_model import LanguageModel
    from distill.engine.score import Forced, KnownStates

PRECISION: Final = "fp32"
PARTS: Final = ("dev", "test")


@dataclass
class Asked:
    """The distinct prompts of dev and test, and what the teacher answered.

    Attributes:
        ids: content ids, in order; ``texts`` the prompts.
        rows: for each set its row ids and the position of each row's prompt.
        greedy: the asking at temperature 0.
        answers: token ids of the teacher's answers in its own tokens; None where it is elsewhere.
        written: the teacher's answers as text.
        finish: of each.
        known: the teacher's states there; None where it is elsewhere or not needed.
        tokenizer: the teacher's; None where it is elsewhere.
    """

    ids: list[str]
    texts: list[str]
    rows: dict[SetName, tuple[list[str], list[int]]]
    greedy: GenerationSpec
    answers: list[Any] | None = None
    written: list[str] = field(default_factory=list)
    finish: list[str] = field(default_factory=list)
    known: KnownStates | None = None
    tokenizer: Any = None


def run_predictions(context: StageContext) -> Outcome:
    """Write predictions/NAME/SEED.SET.parquet for teacher and candidates; see /GENERATION in docs/SCHEMA.md for the columns.

    Raises:
        ModelError: teacher or candidate answers with something that is not a number.
    """
    examples = context.run.examples
    key = {
        "rows": examples_digest(examples),
        "items": file_digest(context.run.folder / "items.parquet") if len(items_frame(context)) else "",
        "asking": _greedy(context.spec.asking).model_dump(mode="json"),
        "versions": library_versions(),
    }
    cards = [context.run.teacher, *context.run.cards()]
    digest = digest_of({**key, "models": [[card.name, card.seed, card.weights_digest] for card in cards]})
    outputs = [
        context.run.prediction_path(card.name, seed_of(card), "test") for card in cards if not skipped(context, card)
    ]
    once(context, "predictions", digest, lambda: _predict_all(context, cards, key), outputs)
    return "done"


def _greedy(asking: GenerationSpec) -> GenerationSpec:
    return asking.model_copy(update={"temperature": 0.0, "top_p": 1.0, "samples": 1, "top_k_signals": 1})


def _asked(context: StageContext) -> Asked:
    examples = context.run.examples
    frames = {part: examples.part(part).frame for part in PARTS}
    distinct: dict[str, str] = {}
    for frame in frames.values():
        distinct |= dict(zip(frame["content_id"], frame["text"], strict=True))
    place = {name: index for index, name in enumerate(distinct)}
    rows: dict[SetName, tuple[list[str], list[int]]] = {
        part: (list(frame["row_id"]), [place[name] for name in frame["content_id"]])  # type: ignore[misc]
        for part, frame in frames.items()
        if len(frame)
    }
    return Asked(list(distinct), list(distinct.values()), rows, _greedy(context.spec.asking))


def _predict_all(context: StageContext, cards: list[ModelCard], key: dict[str, Any]) -> dict[str, Any]:
    asked, items = _asked(context), items_frame(context)
    each = 2 * len(asked.texts) + len(items)
    total, reused, seconds = len(cards) * each, 0, {}
    context.monitor.restart()
    for number, card in enumerate(cards):
        stage = f"predictions-{card.name}-{seed_of(card)}"
        digest = digest_of({**key, "teacher": context.run.teacher.weights_digest, "model": card.weights_digest})
        path = context.run.prediction_path(card.name, seed_of(card), "test")
        done = context.run.stage_done(stage, digest) and path.exists()
        waiting = [later for later in cards[number + 1 :] if not skipped(context, later)]
        note = f"{card.name}, seed {card.seed}" if card.seed is not None else card.name
        monitor = Within(context.monitor, number * each, total, unit="texts", note=note)
        if card.name == TEACHER and waiting and done:
            _remember(context, card, asked, monitor)
        if done:
            reused += 1
            continue
        began = time.monotonic()
        if guarded(context, card, lambda c=card, m=monitor: _predict(context, c, asked, items, m)):  # type: ignore[misc]
            seconds[f"{card.name}/{seed_of(card)}"] = round(time.monotonic() - began, 3)
            context.run.finish_stage(stage, digest)
        context.monitor.progress((number + 1) * each, total, unit="texts")
    return {
        "texts": len(asked.texts),
        "items": len(items),
        "models": len(cards),
        "reused": reused,
        "model_seconds": seconds,
    }


def _remember(context: StageContext, card: ModelCard, asked: Asked, monitor: Within) -> None:
    """Take the teacher's answers from its files, and its states anew: a resumed run goes on with them."""
    frames = [read_frame(context.run.prediction_path(TEACHER, 0, part)) for part in PARTS if part in asked.rows]
    together = pd.concat(frames, ignore_index=True)
    by_row = {row: place for ids, places in asked.rows.values() for row, place in zip(ids, places, strict=True)}
    found = {by_row[row]: index for index, row in enumerate(together["row_id"])}
    order = [found[place] for place in range(len(asked.texts))]
    asked.written = [str(together["answer"].iloc[index]) for index in order]
    asked.finish = [str(together["finish"].iloc[index]) for index in order]
    if card.model_dir:
        asked.answers = [np.asarray(together["answer_ids"].iloc[index], dtype=np.int32) for index in order]
        _keep_states(_model(card), asked, monitor)


def _model(card: ModelCard) -> LanguageModel:
    from distill.engine.language_model import LanguageModel

    return LanguageModel(str(card.model_dir), PRECISION)


def _keep_states(model: LanguageModel, asked: Asked, monitor: Within) -> None:
    from distill.engine.score import KnownStates, answer_states

    assert asked.answers is not None
    prompts = model.prompts(asked.texts, asked.greedy).ids
    states = answer_states(model, prompts, asked.answers, lambda done: monitor.progress(len(prompts) + done, None))
    head = model.forward.float_head
    # a model whose logits are more than a product with the head gives its logits as states
    asked.known = KnownStates(states, model.forward.head.weight.float() if head is None else head)
    asked.tokenizer = model.tokenizer


def _predict(context: StageContext, card: ModelCard, asked: Asked, items: pd.DataFrame, monitor: Within) -> None:
    if card.model_dir is None:
        _from_elsewhere(context, card, asked, monitor)
        return
    model = _model(card)
    answers, texts, finish = _answers(model, asked.texts, asked.greedy, monitor)
    if card.name == TEACHER:
        asked.answers, asked.written, asked.finish = answers, texts, finish
        _keep_states(model, asked, monitor)
        measures, forced_ids = _own(model, asked), answers
    else:
        measures, forced_ids = _forced(model, asked, monitor)
    frame = _frame(answers, texts, finish, measures)
    if card.name == TEACHER:
        frame["token_text"] = [[model.tokenizer.decode([int(token)]) for token in ids] for ids in forced_ids]
        frame["answer_ids"] = [ids.tolist() for ids in answers]
    _write_sets(context, card, asked, frame)
    if len(items):
        path = context.run.prediction_path(card.name, seed_of(card), "items")
        write_frame(path, _items(model, items, context.spec.asking, monitor, 2 * len(asked.texts)))


def _write_sets(context: StageContext, card: ModelCard, asked: Asked, frame: pd.DataFrame) -> None:
    for part, (ids, places) in asked.rows.items():
        chosen = frame.iloc[places].reset_index(drop=True)
        chosen.insert(0, "row_id", ids)
        write_frame(context.run.prediction_path(card.name, seed_of(card), part), chosen)


def _answers(
    model: LanguageModel, texts: Sequence[str], asking: GenerationSpec, monitor: Within
) -> tuple[list[Any], list[str], list[str]]:
    """Greedy answers: token ids, text, how they ended."""
    from distill.engine.generate import Asking, write_answers

    prompts = model.prompts(texts, asking)
    how = Asking(asking.max_new_tokens, model.ends, asking.batch_size)
    answers = write_answers(
        model.forward, prompts.ids, how, None, lambda done, tokens: monitor.progress(done, None, note="")
    )
    written = model.texts([answer.ids for answer in answers])
    finish = ["empty" if not text else str(answer.finish) for answer, text in zip(answers, written, strict=True)]
    return [answer.ids for answer in answers], written, finish


def _own(model: LanguageModel, asked: Asked) -> list[Forced]:
    """The teacher on its own answers: divergence 0, agreement everywhere."""
    from distill.engine.score import Forced, forced

    assert asked.known is not None and asked.answers is not None
    measured = forced(model, asked.known.states, asked.answers, None)
    return [
        Forced(np.zeros_like(one.logprob), np.ones(len(one.logprob), dtype=np.bool_), one.logprob) for one in measured
    ]


def _forced(model: LanguageModel, asked: Asked, monitor: Within) -> tuple[list[Forced], list[Any]]:
    """An arm on the teacher's answers; in its own tokens, without a divergence, where the teacher's tokens are others."""
    from distill.engine.score import answer_states, forced
    from distill.engine.vocabulary import difference

    shared = asked.known is not None and difference(asked.tokenizer, model.tokenizer) is None
    answers = asked.answers if shared and asked.answers is not None else _retokenised(model, asked)
    prompts = model.prompts(asked.texts, asked.greedy).ids
    states = answer_states(model, prompts, answers, lambda done: monitor.progress(len(prompts) + done, None))
    return forced(model, states, answers, asked.known if shared else None), answers


def _retokenised(model: LanguageModel, asked: Asked) -> list[Any]:
    coded = model.tokenizer(asked.written, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    end = [model.tokenizer.eos_token_id] if model.tokenizer.eos_token_id is not None else []
    rows = []
    for ids, finish in zip(coded, asked.finish, strict=True):
        whole = [*ids, *([] if finish == "length" else end)] or [0]
        rows.append(np.asarray(whole, dtype=np.int32))
    return rows


def _frame(answers: list[Any], texts: list[str], finish: list[str], measures: list[Forced]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "answer": texts,
            "answer_tokens": np.array([len(ids) for ids in answers], dtype=np.int64),
            "finish": finish,
            "forced_tokens": np.array([len(one.logprob) for one in measures], dtype=np.int64),
            "kl_sum": np.array([float(one.kl.sum(dtype=np.float64)) for one in measures]),
            "agree_sum": np.array([int(one.agrees.sum()) for one in measures], dtype=np.int64),
            "nll_sum": np.array([-float(one.logprob.sum(dtype=np.float64)) for one in measures]),
            "token_p": [np.exp(one.logprob).astype(np.float32) for one in measures],
            "token_kl": [one.kl.astype(np.float32) for one in measures],
        }
    )


def _from_elsewhere(context: StageContext, card: ModelCard, asked: Asked, monitor: Within) -> None:
    """A teacher behind an endpoint: its answers at temperature 0. It cannot be asked for the likelihood of given texts."""
    if card.name != TEACHER:
        raise ModelError(f"'{card.name}' has no model to answer with.", hint="Resume the run to make it again.")
    writer = open_writer(context)
    questions = [Question(name, text) for name, text in zip(asked.ids, asked.texts, strict=True)]
    cache = AnswerCache(context.cache, writer.key(asked.greedy))
    answers = cache.ask(questions, writer, asked.greedy, monitor).written
    asked.written, asked.finish = [one.text for one in answers], [one.finish for one in answers]
    tokens = np.array([one.tokens for one in answers], dtype=np.int64)
    nothing: list[list[float]] = [[] for _ in answers]
    frame = pd.DataFrame(
        {
            "answer": asked.written,
            "answer_tokens": tokens,
            "finish": asked.finish,
            "forced_tokens": tokens,
            "kl_sum": 0.0,
            "agree_sum": tokens,
            "nll_sum": [np.nan if one.logprob is None else -one.logprob * one.tokens for one in answers],
            "token_p": nothing,
            "token_kl": nothing,
            "token_text": [[] for _ in answers],
        }
    )
    _write_sets(context, card, asked, frame)
    context.monitor.note("The teacher is elsewhere: it answers no items, and arms are held against its text.")


def _items(
    model: LanguageModel, items: pd.DataFrame, asking: GenerationSpec, monitor: Within, done: int
) -> pd.DataFrame:
    """Log-likelihood of each item's continuation, or an answer where the item asks for one."""
    from distill.engine.score import log_likelihoods

    meta = [json.loads(text) if isinstance(text, str) else {} for text in items.get("meta", [None] * len(items))]
    wants = np.array([bool(one.get("generate")) for one in meta], dtype=np.bool_)
    contexts, continuations = list(items["text"]), [pair if isinstance(pair, str) else "" for pair in items["pair"]]
    scored = np.flatnonzero(~wants)
    likelihoods = log_likelihoods(
        model,
        [contexts[row] for row in scored],
        [continuations[row] for row in scored],
        lambda count: monitor.progress(done + count, None),
    )
    n = len(items)
    loglik, tokens, greedy = np.full(n, np.nan), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_)
    for row, one in zip(scored, likelihoods, strict=True):
        loglik[row], tokens[row], greedy[row] = one.loglik, one.tokens, one.greedy
    frame = pd.DataFrame(
        {
            "item_id": items["item_id"].to_numpy(dtype=object),
            "loglik": loglik,
            "tokens": tokens,
            "bytes": np.array([len(text.encode("utf-8", "replace")) for text in continuations], dtype=np.int64),
            "greedy": greedy,
        }
    )
    answers = np.full(n, None, dtype=object)
    asked = np.flatnonzero(wants)
    if len(asked):
        _, texts, _ = _answers(model, [contexts[row] for row in asked], _greedy(asking), monitor)
        answers[asked] = texts
    frame["answer"] = answers
    return frame
