"""The distilled language model: it learns the teacher's distribution over each next token of its answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from distill.arms.writing import SoftOptions, answers_to_learn, starting_writer, train_writer
from distill.plugins import GENERATION, ArmContext, arm
from distill.store import ModelCard


class TokenKlOptions(SoftOptions):
    """Which divergence between teacher and student."""

    divergence: Literal["forward", "reverse", "jsd"] = Field(
        "forward",
        description="KL(teacher ‖ student), KL(student ‖ teacher), or the Jensen-Shannon divergence between them.",
    )
    beta: float = Field(
        0.5, gt=0, lt=1, description="Of the Jensen-Shannon divergence: share of the teacher in the middle."
    )


@arm(
    "token_kl",
    "Student trained on the teacher's distribution over each next token.",
    TokenKlOptions,
    needs={"signals", "seeds"},
    tasks=GENERATION,
)
def token_kl(context: ArmContext, options: Any) -> ModelCard:
    """Train on the token signals of the answers, at the temperature of the training options.

    Raises:
        ModelError: the student has another vocabulary than the teacher.
    """
    from distill.engine.train_causal import Recipe

    start = starting_writer(context, other_tokenizer=options.other_tokenizer)
    taught, notes = answers_to_learn(context, start.loaded, soft=start.same_tokens)
    recipe = Recipe(options.divergence, options.beta)
    extra = {"divergence": options.divergence, **({"beta": options.beta} if options.divergence == "jsd" else {})}
    return train_writer(
        context, start, taught, context.training, recipe, options, soft=start.same_tokens, notes=notes, extra=extra
    )
