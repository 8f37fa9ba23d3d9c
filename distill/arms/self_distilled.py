"""Self-distillation: a student as large as its teacher learns from the teacher's own signals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from distill.arms.distilled import DistilledOptions, distilled
from distill.errors import ModelError
from distill.plugins import ArmContext, arm
from distill.spec import StudentSpec
from distill.store import ModelCard


@arm(
    "self_distilled",
    "Student with all of the teacher's layers, trained on its soft targets.",
    DistilledOptions,
    needs={"signals", "seeds", "teacher_model"},
)
def self_distilled(context: ArmContext, options: Any) -> ModelCard:
    """Train as the arm 'distilled' does, from all of the teacher's layers; raises ModelError where their number is unknown."""
    layers = context.teacher.layers
    if not layers:
        raise ModelError(
            "It is not known how many layers the teacher has.", hint="Use the arm 'distilled' and name the layers."
        )
    return distilled(replace(context, student=StudentSpec(layers=layers)), options)
