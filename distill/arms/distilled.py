"""The distilled student: it learns the teacher's whole distribution, softened."""

from __future__ import annotations

from typing import Any

from distill.arms.making import agreement_target, train_student
from distill.plugins import ArmContext, arm
from distill.store import ModelCard


@arm("distilled", "Student trained on the teacher's soft targets.", needs={"signals", "seeds"})
def distilled(context: ArmContext, options: Any) -> ModelCard:
    """Train on the synthetic labels' probabilities at the temperature of the training options."""
    return train_student(context, context.pool, context.signal.probs, context.training, agreement_target(context))
