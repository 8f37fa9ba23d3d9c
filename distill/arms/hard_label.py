"""The control: same student, same texts, same seeds, but the teacher's first choice alone. What is left over is distillation."""

from __future__ import annotations

from typing import Any

from distill.arms.making import agreement_target, one_hot, train_student
from distill.plugins import ArmContext, arm
from distill.store import ModelCard


@arm(
    "hard_label",
    "The same student trained on the teacher's first choice alone (the control).",
    needs={"signals", "seeds"},
)
def hard_label(context: ArmContext, options: Any) -> ModelCard:
    """Train on one-hot rows at temperature 1, which is cross-entropy."""
    training = context.training.model_copy(update={"temperature": 1.0, "hard_label_weight": 0.0})
    targets = one_hot(context.signal.argmax, len(context.examples.labels))
    return train_student(context, context.pool, targets, training, agreement_target(context))
