"""The pairs of sentences behind the gender gap: both texts, what every arm says of them, and which pairs to look at first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from auditor.bias.scoring import Scorer
from auditor.check import AuditInput
from distill.errors import DataError
from distill.store import TEACHER, Run
from distill.types import Floats, Ints

CHECKS = {"gender_bias": "sentence of our own", "gender_swaps": "test row, swapped"}
Which = Literal["student only", "largest gaps", "all"]


class Pairs(ABC):
    """Pairs of sentences and what every arm makes of them; a language model's stand in ``auditor.bias.lm_pairs``."""

    frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frame)

    @property
    @abstractmethod
    def arms(self) -> tuple[str, ...]:
        """Names of the models that were asked."""

    @abstractmethod
    def gap(self, arm: str) -> Floats:
        """Score of the text about a woman minus that of the text about a man, shape [pairs]."""

    @abstractmethod
    def apart(self, arm: str) -> np.ndarray:
        """Where ``arm`` tells the two sides apart as its teacher does not, shape [pairs]."""

    def chosen(self, which: Which, arm: str, source: str | None = None) -> Ints:
        """Positions of the pairs to show: those where only ``arm`` and not the teacher differs (largest gap first), the largest gaps of
        ``arm``, or all in their order; of one source where one is given."""
        inside = np.ones(len(self), dtype=bool) if source is None else (self.frame["source"] == source).to_numpy()
        if which == "student only":
            inside &= self.apart(arm)
        found = np.flatnonzero(inside)
        if which == "all":
            return found
        return found[np.argsort(-np.abs(self.gap(arm)[found]), kind="stable")]

    def position(self, pair_id: str) -> int:
        """Where the pair with this id stands; raises DataError when there is none."""
        found = np.flatnonzero((self.frame["pair_id"] == pair_id).to_numpy())
        if not len(found):
            raise DataError("This run has no such pair of sentences.", hint="Go back to all pairs.")
        return int(found[0])


@dataclass(frozen=True)
class PairView(Pairs):
    """All pairs of a run.

    Attributes:
        frame: pair_id (item id of the side about a woman), female, male, source (a value of CHECKS), about (occupation, emotion or
            event; the row id of a swapped test row).
        labels: label names in the order of the probabilities; ``positive`` is the index of the class the gap is about.
        probs: for each arm the probabilities [pairs, 2, k], first of the text about a woman; mean over seeds, each scaled on dev.
    """

    frame: pd.DataFrame
    labels: tuple[str, ...]
    positive: int
    probs: dict[str, Floats]

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the models that were asked."""
        return tuple(self.probs)

    def gap(self, arm: str) -> Floats:
        """Probability of the positive class, woman minus man, shape [pairs]."""
        return np.asarray(self.probs[arm][:, 0, self.positive] - self.probs[arm][:, 1, self.positive])

    def flipped(self, arm: str) -> np.ndarray:
        """Where the most probable label differs between the two texts, shape [pairs]."""
        answers = self.probs[arm].argmax(axis=-1)
        return np.asarray(answers[:, 0] != answers[:, 1])

    def apart(self, arm: str) -> np.ndarray:
        """Where the arm's label flips and the teacher's does not."""
        found = self.flipped(arm)
        return found & ~self.flipped(TEACHER) if TEACHER in self.probs else found


def pairs_view(run: Run) -> PairView:
    """The pairs of all checks that asked for some, from items.parquet and the predictions; models are not needed.

    Raises:
        DataError: no positive class was chosen.
        StoreError: a file is torn.
    """
    audit = AuditInput(run)
    frames: list[pd.DataFrame] = []
    probs: dict[str, list[Floats]] = {}
    scorer = Scorer(audit, "")
    positive = scorer.positive
    scaled = {arm: np.mean(scorer.probabilities(arm), axis=0) for arm in scorer.arms} if len(audit.items) else {}
    for check, source in CHECKS.items():
        items = Scorer(audit, check).items
        if items.empty:
            continue
        # both checks name a pair's two sides one after the other
        items = items.assign(number=items.groupby("gender").cumcount())
        sides = [items[items["gender"] == gender].set_index("number") for gender in ("female", "male")]
        women, men = sides[0], sides[1].loc[sides[0].index]
        about = women["word"] if check == "gender_bias" else women["row_id"]
        frames.append(
            pd.DataFrame(
                {
                    "pair_id": women["item_id"].to_numpy(dtype=object),
                    "female": women["text"].to_numpy(dtype=object),
                    "male": men["text"].to_numpy(dtype=object),
                    "source": source,
                    "about": about.astype(str).to_numpy(dtype=object),
                }
            )
        )
        places = np.stack([side["position"].to_numpy(dtype=np.int64) for side in (women, men)], axis=1)
        for arm, values in scaled.items():
            probs.setdefault(arm, []).append(values[places])
    empty = pd.DataFrame({name: [] for name in ("pair_id", "female", "male", "source", "about")})
    frame = pd.concat(frames, ignore_index=True) if frames else empty
    return PairView(frame, audit.labels, positive, {arm: np.concatenate(parts) for arm, parts in probs.items()})
