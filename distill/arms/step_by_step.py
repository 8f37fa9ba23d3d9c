"""Step by step: the student learns the teacher's answers and, as a second task under another prompt, the reasons it gives for them.

Hsieh et al. 2023, "Distilling Step-by-Step!": two prefixed tasks, weighted. Here the answer's prefix is the empty one, so at inference
the student is asked as every other arm is, for the answer alone, and pays nothing for what it learnt beside it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field

from distill.arms.writing import SoftOptions, answers_to_learn, starting_writer, text_rows, train_writer
from distill.plugins import GENERATION, ArmContext, arm
from distill.store import ModelCard
from distill.teachers.base import open_writer
from distill.types import content_id
from distill.writing import AnswerCache, Question

if TYPE_CHECKING:
    from distill.engine.causal_loading import LoadedCausal
    from distill.engine.token_lesson import Taught


class StepByStepOptions(SoftOptions):
    """How reasons are asked for, and how much they count."""

    instruction: str = Field(
        "Explain step by step how you find the answer, then give it.",
        min_length=1,
        description="Put behind the prompt to ask for reasons: the second task's prefix.",
    )
    weight: float = Field(
        0.5, gt=0, le=10, description="How much a token of the reasons counts beside one of an answer."
    )
    soft: bool = Field(True, description="Learn the teacher's distributions; else its text alone, as in the paper.")


@arm(
    "step_by_step",
    "The student learns the teacher's answers and its reasons as two tasks; it is asked for the answer alone.",
    StepByStepOptions,
    needs={"signals", "seeds"},
    tasks=GENERATION,
)
def step_by_step(context: ArmContext, options: Any) -> ModelCard:
    """Ask the teacher for reasons (once, cached), train on both tasks.

    Raises:
        ModelError: the student has another vocabulary than the teacher, and is not to learn the text alone.
    """
    from distill.engine.train_causal import Recipe

    start = starting_writer(context, other_tokenizer=options.other_tokenizer if options.soft else "sequence")
    soft = options.soft and start.same_tokens
    taught, notes = answers_to_learn(context, start.loaded, soft=soft)
    reasons = _reasons(context, start.loaded, options, soft=soft)
    training = context.training if soft else context.training.model_copy(update={"temperature": 1.0})
    extra = {"reasons": len(reasons), "reasons_weight": options.weight}
    return train_writer(
        context, start, [*taught, *reasons], training, Recipe(), options, soft=soft, notes=notes, extra=extra
    )


def _reasons(context: ArmContext, loaded: LoadedCausal, options: StepByStepOptions, *, soft: bool) -> list[Taught]:
    """The teacher's reasons for the prompts of the lesson, weighted."""
    from distill.engine.token_lesson import Taught

    stage, lesson = context.stage, context.lesson
    assert lesson is not None
    asking = stage.spec.asking.model_copy(update={"samples": 1})
    texts = [f"{text}\n\n{options.instruction}" for text in lesson.frame["text"].drop_duplicates()]
    if context.training.max_texts is not None:
        texts = texts[: context.training.max_texts]
    writer = open_writer(stage)
    questions = [Question(content_id(text), text) for text in texts]
    answers = AnswerCache(stage.cache, writer.key(asking)).ask(questions, writer, asking, stage.monitor).written
    kept = [(text, one) for text, one in zip(texts, answers, strict=True) if one.text.strip()]
    if soft and all(one.signal is not None for _, one in kept):
        rows = []
        for _, one in kept:
            signal = one.signal
            assert signal is not None
            rows.append(
                Taught(signal.prompt_ids, signal.answer_ids, signal.topk_ids, signal.topk_logprobs, signal.tail)
            )
        return [replace(row, weight=options.weight) for row in rows]
    return text_rows(
        context,
        loaded,
        [text for text, _ in kept],
        [one.text for _, one in kept],
        [one.finish for _, one in kept],
        options.weight,
    )
