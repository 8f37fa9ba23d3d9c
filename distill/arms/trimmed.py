"""Trimmed: the teacher, or another arm, with the vocabulary that the pool uses and no more. Nothing is learnt."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from distill.arms.quantised import derived_card
from distill.arms.sources import source_card
from distill.errors import DataError
from distill.plugins import ArmContext, arm
from distill.spec import Part
from distill.store import TEACHER, ModelCard

if TYPE_CHECKING:
    from distill.engine.loading import LoadedClassifier
    from distill.types import Ints


class TrimmedOptions(Part):
    """What is trimmed."""

    of: str = Field(TEACHER, description="'teacher', or the name of an arm of this run.")


@arm(
    "trimmed",
    "The teacher, or an arm, with the vocabulary of the pool alone; nothing is trained.",
    TrimmedOptions,
)
def trimmed(context: ArmContext, options: Any) -> ModelCard:
    """Trim and save.

    Raises:
        DataError: there is no pool to count tokens in.
        ModelError: the source was not made, or its tokenizer or embeddings cannot be trimmed.
    """
    from distill.engine.loading import load_classifier, save_classifier
    from distill.engine.trim import trim, used_ids

    rows = context.examples.part("pool")
    if not len(rows):
        raise DataError("There is no pool whose tokens could be kept.", hint="Give split.pool a share.")
    source = source_card(context, options.of)
    began = time.monotonic()
    tokens = context.stage.spec.signals.max_tokens
    loaded = load_classifier(str(source.model_dir), context.examples.labels)
    made = trim(loaded, used_ids(loaded, rows.texts, rows.pairs, tokens))
    save_classifier(made.loaded, context.folder / "model")
    seconds = round(time.monotonic() - began, 3)
    lost = lost_tokens(context, loaded, made.kept, tokens)
    share = lost["test_tokens_lost"] / max(1, lost["test_tokens"])
    note = f"{len(made.kept):,} of {len(loaded.tokenizer):,} tokens are kept; {100 * share:.1f} % of the test's tokens are not among them."
    return derived_card(
        context,
        source,
        context.folder / "model",
        options.of,
        notes=(note,),
        extra={"vocabulary": len(made.kept), "vocabulary_before": len(loaded.tokenizer), "made_in": seconds, **lost},
    )


def lost_tokens(context: ArmContext, loaded: LoadedClassifier, kept: Ints, max_tokens: int) -> dict[str, int]:
    """How many of the test's tokens, in the full vocabulary, were not kept, and in how many texts there is one. Nothing is chosen by it."""
    from distill.engine.encode import encode

    test = context.examples.part("test")
    encoded = encode(loaded.tokenizer, test.texts, test.pairs, max_tokens)
    gone = ~np.isin(encoded.ids, kept)
    sums = np.concatenate([[0], np.cumsum(gone)])
    texts = int((sums[encoded.offsets[1:]] > sums[encoded.offsets[:-1]]).sum())
    facts = {"test_tokens": len(gone), "test_tokens_lost": int(gone.sum()), "test_texts": len(test)}
    return {**facts, "test_texts_touched": texts}
