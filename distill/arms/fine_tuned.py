"""The same student fine-tuned on human labels: would people's labels have done without the teacher?"""

from __future__ import annotations

from typing import Any

from distill.arms.making import one_hot, train_student
from distill.plugins import ArmContext, arm
from distill.store import ModelCard
from distill.teachers.fine_tuned import labelled_rows


@arm(
    "fine_tuned",
    "The same student trained on people's labels instead of the teacher's.",
    needs={"human_labels", "seeds"},
)
def fine_tuned(context: ArmContext, options: Any) -> ModelCard:
    """Train on the labelled rows of the train split; the best weights are chosen by people's labels on dev."""
    rows = labelled_rows(context.examples)
    training = context.training.model_copy(update={"temperature": 1.0, "hard_label_weight": 0.0})
    used = min(len(rows), training.max_texts or len(rows))
    return train_student(
        context,
        rows,
        one_hot(rows.y, len(rows.labels)),
        training,
        context.examples.part("dev").y,
        human_labels=used,
        notes=(f"Learnt from {used:,} human labels.",),
        extra={"generation": int(context.teacher.extra.get("generation", 0))},
    )
