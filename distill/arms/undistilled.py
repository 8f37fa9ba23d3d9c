"""The undistilled student: the teacher's picked layers under the teacher's head, nothing learnt. What cutting alone costs."""

from __future__ import annotations

from typing import Any

from distill.arms.making import starting_student, student_card
from distill.arms.writing import starting_writer
from distill.errors import ModelError
from distill.plugins import BOTH, ArmContext, arm
from distill.store import ModelCard


@arm(
    "undistilled",
    "The teacher's picked layers and its head, without any further training.",
    needs={"teacher_model"},
    tasks=BOTH,
)
def undistilled(context: ArmContext, options: Any) -> ModelCard:
    """Pick the layers and save them; raises ModelError for a student that starts from a checkpoint."""
    from distill.engine.loading import save_classifier

    if context.student.init != "layers":
        raise ModelError(
            "A student that starts from a checkpoint has no head of the teacher's, so 'undistilled' says nothing.",
            hint="Leave this arm out, or set student.init to 'layers'.",
        )
    written = context.lesson is not None
    save_classifier(starting_writer(context).loaded if written else starting_student(context), context.folder / "model")
    return student_card(context, distilled=False, notes=("Not trained: layers and head are the teacher's.",))
