"""Fine-tuned on a budget of human labels: several of these arms draw the data-efficiency curve. Smaller budgets lie inside larger ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from distill.arms.making import one_hot, train_student
from distill.errors import DataError
from distill.plugins import ArmContext, arm
from distill.spec import Part
from distill.store import ModelCard
from distill.teachers.fine_tuned import labelled_rows

if TYPE_CHECKING:
    from distill.engine.loading import LoadedClassifier

KIND = "label_budget"


class LabelBudgetOptions(Part):
    """How many labels people would have to give."""

    labels: int = Field(100, ge=2, description="Human labels of the train split to learn from, drawn by the seed.")


@arm(
    KIND,
    "The same student fine-tuned on a budget of human labels.",
    LabelBudgetOptions,
    needs={"human_labels", "seeds"},
)
def label_budget(context: ArmContext, options: Any) -> ModelCard:
    """Train on the first ``labels`` rows of a seeded order; the best weights are chosen by people's labels on dev.

    Raises:
        DataError: the budget is larger than the labels there are, or its rows have one label only.
    """
    rows = labelled_rows(context.examples)
    if options.labels > len(rows):
        raise DataError(
            f"A budget of {options.labels:,} human labels is more than the {len(rows):,} there are.",
            hint="Lower 'labels', or raise data.split.teacher_train.",
        )
    order = np.random.default_rng([context.seed, 0x1B]).permutation(len(rows))
    chosen = rows.take(np.sort(order[: options.labels]).astype(np.int64))
    if len(np.unique(chosen.y)) < 2:
        raise DataError(
            f"The {options.labels} rows drawn with seed {context.seed} all have one label.", hint="Raise the budget."
        )
    start, base = _untaught(context)
    known = (
        "" if start else " It starts from layers of a teacher that knows the task, so it needs fewer than from scratch."
    )
    update = {"temperature": 1.0, "hard_label_weight": 0.0, "max_texts": None}
    return train_student(
        context,
        chosen,
        one_hot(chosen.y, len(rows.labels)),
        context.training.model_copy(update=update),
        context.examples.part("dev").y,
        start=start,
        human_labels=len(chosen),
        notes=(f"Learnt from {len(chosen):,} human labels; dev labels chose its best weights.{known}",),
        extra={"generation": int(context.teacher.extra.get("generation", 0)), **base},
    )


def _untaught(context: ArmContext) -> tuple[LoadedClassifier | None, dict[str, str]]:
    """The student's layers as they were before the teacher learnt the task, where Heirloom taught it: else a budget of 60 labels would
    profit from the thousands behind the teacher. None where the student starts elsewhere or the teacher came as it is."""
    teacher = context.stage.spec.teacher
    if context.student.init != "layers" or teacher.kind != "fine_tuned":
        return None, {}
    from distill.engine.layers import pick_layers
    from distill.engine.loading import load_classifier

    base = str(teacher.options["base"])
    loaded = load_classifier(
        base, context.examples.labels, revision=teacher.options.get("revision"), new_head=True, seed=context.seed
    )
    return pick_layers(loaded, context.student.layers), {"base_weights": base}
