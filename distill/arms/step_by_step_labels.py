"""Step by step for classification: beside the soft targets the student learns what the teacher's reasons are made of.

A language model is told a text and the teacher's label and asked for the reason (once, cached). The student reads the text twice: as it is, for the
label, and behind a prefix, for the reason (see :mod:`distill.engine.reasons`). It is asked for the label alone, so inference pays nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import Field

from distill.arms.making import agreement_target, starting_student, train_student
from distill.errors import DataError, ModelError, SpecError
from distill.plugins import GENERATION, TEACHERS, ArmContext, StageContext, arm
from distill.signals import seeded_order
from distill.spec import GenerationSpec, Part, TeacherSpec
from distill.store import ModelCard
from distill.teachers.base import open_writer
from distill.types import content_id
from distill.writing import AnswerCache, Question

_TEXT, _LABEL = "{text}", "{label}"
# architectures whose label is read from the first position, which is what the second task needs
_FIRST = frozenset(
    {"bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "mpnet", "deberta", "deberta-v2", "albert"}
)


class StepByStepLabelsOptions(Part):
    """Who gives reasons, how they are asked for, and how much they count."""

    writer: TeacherSpec = Field(
        TeacherSpec(kind="local_lm", options={"source": "pack:smollm2"}),
        description="The language model that gives reasons: a kind of teacher of the task 'generation', and its options.",
    )
    instruction: str = Field(
        f'Text: "{_TEXT}"\nThis text was labelled "{_LABEL}". In one short sentence, say what in the text is the reason.',
        description=f"How a reason is asked for; {_TEXT} and {_LABEL} stand for the text and for the teacher's label.",
    )
    prefix: str = Field(
        "why: ", min_length=1, description="Put before a text when the student reads it for its reason."
    )
    weight: float = Field(0.1, gt=0, le=10, description="How much the reasons' loss counts beside that of the labels.")
    texts: int = Field(500, ge=1, description="How many texts of the pool a reason is asked for.")
    max_new_tokens: int = Field(32, ge=1, le=512, description="Length of a reason at most.")


@arm(
    "step_by_step_labels",
    "The student learns the teacher's soft targets and, as a second task, its reasons; it is asked for the label alone.",
    StepByStepLabelsOptions,
    needs={"signals", "seeds"},
)
def step_by_step_labels(context: ArmContext, options: Any) -> ModelCard:
    """Ask for reasons, train on both tasks.

    Raises:
        SpecError: the writer is no language model, or the instruction does not hold the text.
        DataError: the pool's rows are pairs.
        ModelError: the student's architecture has no first position to read from, or no reason was given.
    """
    from distill.engine.reasons import Reasons

    if context.pool.pairs is not None:
        raise DataError(f"'{context.arm.name}' is for single texts, and the pool has two a row.", hint="Leave it out.")
    start = starting_student(context)
    architecture = start.model.config.model_type
    if architecture not in _FIRST:
        raise ModelError(
            f"'{context.arm.name}' needs an encoder that reads its label from the first position, and the student is a {architecture}.",
            hint=f"Take a student of one of: {', '.join(sorted(_FIRST))}.",
        )
    told = _reasons(context, options)
    given = sum(reason is not None for reason in told)
    if not given:
        raise ModelError(
            f"The language model gave no reason for any of {min(options.texts, len(told)):,} texts.",
            hint="Try another instruction or another writer.",
        )
    return train_student(
        context,
        context.pool,
        context.signal.probs,
        context.training,
        agreement_target(context),
        start=start,
        reasons=Reasons(told, options.prefix, options.weight),
        notes=(f"Learnt {given:,} reasons beside {len(told):,} labels; the reasons are not asked for at inference.",),
        extra={"reasons": given, "reasons_weight": options.weight, "reasons_from": str(options.writer.kind)},
    )


def _reasons(context: ArmContext, options: StepByStepLabelsOptions) -> list[str | None]:
    """For each pool row the reason for its label, None where none was asked for or given."""
    if _TEXT not in options.instruction:
        raise SpecError(
            f"The instruction of '{context.arm.name}' does not say where the text goes.",
            hint=f"Put {_TEXT} (and {_LABEL}) into it.",
        )
    pool, labels = context.pool, context.examples.labels
    chosen = np.sort(seeded_order(list(pool.ids), context.stage.spec.data.split.seed)[: options.texts]).tolist()
    said = context.signal.argmax
    prompts = {
        row: options.instruction.replace(_LABEL, labels[int(said[row])]).replace(_TEXT, pool.texts[row])
        for row in chosen
    }
    distinct = list(dict.fromkeys(prompts.values()))
    asking = GenerationSpec(max_new_tokens=options.max_new_tokens, temperature=0.0, top_k_signals=1)
    stage = _stage_of_writer(context, options.writer)
    writer = open_writer(stage)
    questions = [Question(content_id(text), text) for text in distinct]
    written = AnswerCache(stage.cache, writer.key(asking)).ask(questions, writer, asking, stage.monitor).written
    by_prompt = {text: one.text.strip() or None for text, one in zip(distinct, written, strict=True)}
    return [by_prompt[prompts[row]] if row in prompts else None for row in range(len(pool))]


def _stage_of_writer(context: ArmContext, writer: TeacherSpec) -> StageContext:
    """The stage as the writer sees it: itself in the place of the run's teacher."""
    able = [entry.name for entry in TEACHERS if entry.tasks.issuperset(GENERATION)]
    if writer.kind not in able:
        raise SpecError(
            f"'{writer.kind}' is no language model that could give reasons.", hint=f"One of: {', '.join(able)}."
        )
    stage = context.stage
    return replace(stage, spec=stage.spec.model_copy(update={"teacher": writer}))
