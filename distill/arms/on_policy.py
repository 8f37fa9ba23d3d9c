"""On-policy distillation: for a share of the batches the student writes the answers itself and the teacher says what it thinks of each token.

Generalised knowledge distillation (Agarwal et al. 2024, "On-Policy Distillation of Language Models: Learning from Self-Generated
Mistakes", algorithm 1): what the student meets in training is then what it meets when it writes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from distill.arms.writing import WriterOptions, answers_to_learn, starting_writer, train_writer
from distill.errors import ModelError
from distill.plugins import GENERATION, ArmContext, arm
from distill.store import ModelCard
from distill.teachers.base import resolved_precision

if TYPE_CHECKING:
    from distill.engine.llama import CausalForward
    from distill.engine.token_lesson import Taught


class OnPolicyOptions(WriterOptions):
    """How often the student writes itself, and the divergence."""

    share: float = Field(
        0.5, ge=0, le=1, description="λ: share of the batches whose answers the student writes itself."
    )
    divergence: Literal["forward", "reverse", "jsd"] = "jsd"
    beta: float = Field(
        0.5, gt=0, lt=1, description="Of the Jensen-Shannon divergence: share of the teacher in the middle."
    )
    temperature: float = Field(1.0, gt=0, le=5, description="At which the student writes.")


@arm(
    "on_policy",
    "The student writes a share of the answers itself; the teacher scores them token by token (GKD).",
    OnPolicyOptions,
    needs={"signals", "seeds", "teacher_model"},
    tasks=GENERATION,
)
def on_policy(context: ArmContext, options: Any) -> ModelCard:
    """Train on the teacher's answers and on the student's own.

    Raises:
        ModelError: the student has another vocabulary than the teacher: its tokens cannot be scored.
    """
    from distill.engine.train_causal import Recipe

    start = starting_writer(context, other_tokenizer="refuse")
    if not start.same_tokens:
        raise ModelError("On-policy distillation needs the teacher's model on this machine.", hint="Use 'sequence'.")
    taught, notes = answers_to_learn(context, start.loaded, soft=True)
    name = f"on_policy {options.share!r} {options.temperature!r} {context.stage.spec.asking.max_new_tokens}"
    recipe = Recipe(options.divergence, options.beta, _writes_itself(context, options, start.loaded.ends), name)
    extra = {"divergence": options.divergence, "on_policy_share": options.share}
    return train_writer(context, start, taught, context.training, recipe, options, soft=True, notes=notes, extra=extra)


def _writes_itself(
    context: ArmContext, options: OnPolicyOptions, ends: tuple[int, ...]
) -> Callable[[CausalForward, list[Taught], int], list[Taught]]:
    """Replaces a batch by the student's own answers to its prompts, scored by the teacher; by chance of λ, from seed and step alone."""
    from distill.engine import generator
    from distill.engine.generate import Asking, write_answers
    from distill.engine.language_model import LanguageModel
    from distill.engine.sampling import uniforms
    from distill.engine.score import answer_states, top_of
    from distill.engine.token_lesson import Taught

    stage, asking = context.stage, context.stage.spec.asking
    teacher = LanguageModel(str(context.teacher.model_dir), resolved_precision(stage.spec.signals.precision))
    k = min(asking.top_k_signals, teacher.vocabulary)

    def replace(student: CausalForward, batch: list[Taught], step: int) -> list[Taught]:
        if generator(context.seed, step, 0x0B).random() >= options.share:
            return batch
        student.model.eval()
        student.forget_head()  # its weights have moved since the last time
        how = Asking(asking.max_new_tokens, ends, len(batch), options.temperature)
        draws = [uniforms(context.seed, f"{step}", row, asking.max_new_tokens) for row in range(len(batch))]
        prompts = [one.prompt for one in batch]
        answers = [answer.ids for answer in write_answers(student, prompts, how, draws)]
        stage.monitor.check()
        states = answer_states(teacher, prompts, answers)
        scored = [top_of(teacher, one, k) for one in states]
        student.model.train()
        return [
            Taught(prompt, np.asarray(ids), *said) for prompt, ids, said in zip(prompts, answers, scored, strict=True)
        ]

    return replace
