"""A student of an earlier run as the teacher: distilling again. It is named by run, arm and seed, so a moved workspace still finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from distill.errors import ModelError
from distill.plugins import StageContext, Teacher, teacher
from distill.spec import Part
from distill.store import ModelCard, Run
from distill.teachers.base import ModelTeacher, teacher_card

KIND = "student"


class StudentOptions(Part):
    """Which student."""

    run: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{2,80}$", description="Run id; it lies in the same workspace.")
    arm: str = Field(pattern=r"^[0-9A-Za-z_-]+$", description="Arm of that run.")
    seed: int = Field(description="Seed of that arm.")


@teacher(KIND, "A student of an earlier run: distil again.", StudentOptions)
def student(context: StageContext, options: Any) -> Teacher:
    """The student's model with its licence, id and generation.

    Raises:
        ModelError: the earlier run is gone or is this one, or the student has no model.
    """
    if options.run == context.run.id:
        raise ModelError("A run cannot be taught by its own student.", hint="Name an earlier run.")
    card = student_card(context.run.folder.parent, options)
    known: dict[str, Any] = {"id": f"{options.run}/{options.arm}/{options.seed}", "licence": card.licence}
    made = teacher_card(Path(str(card.model_dir)), KIND, labels=context.run.examples.labels, **known)
    return ModelTeacher(made, context.spec.signals)


def student_card(runs: Path, options: StudentOptions) -> ModelCard:
    """The card of the student among ``runs``, its model directory there; raises ModelError when the run or the model is missing."""
    earlier = Run(runs / options.run)
    if not (earlier.folder / "spec.yaml").exists():
        raise ModelError(
            f"The run {options.run}, whose student is the teacher here, is not in this workspace.",
            hint="Restore it, or use the kind 'checkpoint' with the model's directory.",
        )
    card = next((c for c in earlier.cards() if (c.name, c.seed) == (options.arm, options.seed)), None)
    if card is None or not card.model_dir or not (Path(card.model_dir) / "config.json").exists():
        raise ModelError(
            f"Run {options.run} has no model of the arm '{options.arm}', seed {options.seed}.",
            hint="Finish that run, or name an arm and seed that it made.",
        )
    return card
