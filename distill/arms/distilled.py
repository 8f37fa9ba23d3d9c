"""The distilled student: it learns the teacher's whole distribution, softened; on request with something done against gender bias."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from distill.arms.making import agreement_target, train_student
from distill.arms.richer import RicherOptions, prepare
from distill.mitigation import make_lesson
from distill.monitor import Stretched
from distill.plugins import ArmContext, arm
from distill.store import ModelCard


class DistilledOptions(RicherOptions):
    """How the student learns, beside the training options."""


@arm("distilled", "Student trained on the teacher's soft targets.", DistilledOptions, needs={"signals", "seeds"})
def distilled(context: ArmContext, options: Any) -> ModelCard:
    """Train on the synthetic labels' probabilities at the temperature of the training options, and on inner states where they are asked for."""
    lesson = make_lesson(context, options)
    if len(lesson.rows) != len(context.pool):
        stretched = Stretched(context.stage.monitor, len(context.pool) / len(lesson.rows))
        context = replace(context, stage=replace(context.stage, monitor=stretched))
    extra = {} if options.mitigation == "none" else {"mitigation": options.mitigation, "strength": options.strength}
    ready = prepare(context, options, lesson)
    return train_student(
        context,
        lesson.rows,
        lesson.targets,
        context.training,
        agreement_target(context),
        weights=lesson.weights,
        twins=lesson.twins,
        pairing=options.strength,
        start=ready.start,
        hidden=ready.hidden,
        notes=(*lesson.notes, *ready.notes),
        extra={**extra, **ready.extra},
    )
