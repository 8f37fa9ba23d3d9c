"""What a training learns from: rows, their targets and weights, and twins whose logits are drawn together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill.engine.encode import Encoded
from distill.errors import DataError
from distill.types import Floats, Ints


@dataclass(frozen=True)
class Twins:
    """Counterfactual logit pairing: a second text for some of the rows, whose logits should be those of the first.

    Attributes:
        texts: the twin of each training text, None where it has none, length n.
        strength: weight of the penalty, in the unit of the loss.
    """

    texts: Sequence[str | None]
    strength: float


@dataclass(frozen=True)
class Pairing:
    """The twins' texts, for each row the place of its twin behind the n rows (−1: none), and the penalty's weight."""

    texts: tuple[str, ...]
    place: Ints
    strength: float


@dataclass(frozen=True)
class Lesson:
    """What is learnt: n rows and behind them their twins, tokenised; targets [n, k]; weights [n] or None."""

    encoded: Encoded
    targets: Floats
    weights: Floats | None
    pairing: Pairing

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def lengths(self) -> Ints:
        """Tokens of each row, shape [n]."""
        return self.encoded.lengths[: len(self)]

    def digest_into(self, digest: Any) -> None:
        """Add all that decides the result."""
        digest.update(self.encoded.ids.tobytes() + self.encoded.offsets.tobytes() + self.targets.tobytes())
        if self.weights is not None:
            digest.update(b"weights" + self.weights.tobytes())
        if self.pairing.texts:
            digest.update(f"twins {self.pairing.strength!r}".encode() + self.pairing.place.tobytes())


def pairing_of(twins: Twins | None, pairs: Sequence[str | None] | None, chosen: Ints) -> Pairing:
    """The twins of the rows that were chosen for training.

    Raises:
        DataError: the rows are sentence pairs, for which no twin is defined.
    """
    place = np.full(len(chosen), -1, dtype=np.int64)
    if twins is None or twins.strength == 0:
        return Pairing((), place, 0.0)
    if pairs is not None:
        raise DataError("Twins are for single texts.", hint="Leave logit pairing out for sentence pairs.")
    texts = [twins.texts[row] for row in chosen.tolist()]
    have = np.flatnonzero([text is not None for text in texts])
    place[have] = len(chosen) + np.arange(len(have))
    return Pairing(tuple(text for text in texts if text is not None), place, twins.strength)
