"""The control: same student, same prompts, same seeds, but the teacher's text alone. What is left over is token-level distillation."""

from __future__ import annotations

from typing import Any

from distill.arms.writing import WriterOptions, answers_to_learn, starting_writer, train_writer
from distill.plugins import GENERATION, ArmContext, arm
from distill.store import ModelCard


@arm(
    "sequence",
    "The same student trained on the teacher's text alone (the control).",
    WriterOptions,
    needs={"signals", "seeds"},
    tasks=GENERATION,
)
def sequence(context: ArmContext, options: Any) -> ModelCard:
    """Sequence-level distillation (Kim and Rush 2016): cross-entropy on the tokens of the answers, temperature 1."""
    from distill.engine.train_causal import Recipe

    training = context.training.model_copy(update={"temperature": 1.0, "hard_label_weight": 0.0})
    start = starting_writer(context)
    taught, notes = answers_to_learn(context, start.loaded, soft=False)
    return train_writer(context, start, taught, training, Recipe(), options, soft=False, notes=notes)
