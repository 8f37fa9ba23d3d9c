"""What the bias checks share: the positive class, the language, scores that are temperature-scaled on dev, and who is better than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from auditor.bias.groups import positive_class
from auditor.check import AuditInput
from auditor.items import answered, check_items
from auditor.stats.calibration import apply_temperature, fit_temperature
from auditor.stats.proportions import wilson
from distill.errors import DataError
from distill.gender.lexicon import Lexicon, load_lexicon
from distill.spec import Part, RunSpec
from distill.store import TEACHER
from distill.types import Examples, Floats, Ints


class LexiconOptions(Part):
    """Which words are used."""

    extra: tuple[str, ...] = Field(
        (), description="Files or folders with further templates, names, occupations or swaps."
    )
    resamples: int = Field(5_000, ge=200)


def lexicon_of(spec: RunSpec, options: LexiconOptions) -> Lexicon:
    """The words for the run's language.

    Raises:
        DataError: the spec states no language (it is not guessed), or there are no words for it.
    """
    if spec.data.language is None:
        raise DataError(
            "The language of the texts is not stated.", hint="Set data.language, such as 'en'; it is not guessed."
        )
    return load_lexicon(spec.data.language, [Path(path) for path in options.extra])


def nothing() -> pd.DataFrame:
    """No items: the check will say why."""
    return pd.DataFrame({"text": [], "pair": []})


@dataclass(frozen=True)
class Scorer:
    """Scores of every arm on the sentences of one check.

    Attributes:
        audit: the run.
        check: whose items.
    """

    audit: AuditInput
    check: str

    @cached_property
    def positive(self) -> int:
        """Index of the class that the user calls positive; raises DataError when none was chosen."""
        return positive_class(self.audit.labels, self.audit.spec.data.positive)

    @cached_property
    def items(self) -> pd.DataFrame:
        """The check's items with their own columns and ``position`` in the arrays."""
        return check_items(self.audit.items, self.check)

    @cached_property
    def arms(self) -> list[str]:
        """Teacher and arms whose every seed has predictions for the items."""
        return answered(self.audit)

    def probabilities(self, arm: str) -> list[Floats]:
        """Probabilities ``(items, k)`` of each seed, temperature-scaled on dev so that a softer student does not look fairer.

        Rows with NaN stay NaN: the model is then left out with that reason.
        """
        scaled = []
        for seed in self.audit.seeds(arm):
            raw = np.asarray(self.audit.signal(arm, seed, "items").probs, dtype=np.float64)
            fine = np.isfinite(raw).all(axis=1)
            out = np.full_like(raw, np.nan)
            out[fine] = apply_temperature(raw[fine], self._temperature(arm, seed))
            scaled.append(out)
        return scaled

    def scores(self, arm: str) -> list[Floats]:
        """Probability of the positive class for each item ``(items,)``, of each seed."""
        return [p[:, self.positive] for p in self.probabilities(arm)]

    def _temperature(self, arm: str, seed: int) -> float:
        """Fitted on dev's human labels; without any, on the teacher's labels of dev; 1 without dev predictions."""
        run, dev = self.audit.run, self.audit.dev
        if not run.prediction_path(arm, seed, "dev").exists() or not len(dev):
            return 1.0
        probs, y = self.audit.signal(arm, seed, "dev").probs, dev.y
        if not (y >= 0).any():
            y = self.audit.signal(TEACHER, 0, "dev").argmax
        known = (y >= 0) & np.isfinite(probs).all(axis=1)
        return fit_temperature(probs[known], y[known]).value if known.any() else 1.0

    def quality(self) -> dict[str, tuple[float, float]]:
        """For each arm the lower bound of its accuracy and what guessing the commonest class reaches; empty without human labels."""
        known = self.audit.labelled
        if not known.any():
            return {}
        y: Ints = self.audit.y[known]
        chance = float(np.bincount(y).max() / y.size)
        return {arm: (self._least_accuracy(arm, y, known), chance) for arm in self.arms}

    def _least_accuracy(self, arm: str, y: Ints, known: np.ndarray) -> float:
        hits = (self.audit.probs(arm)[:, known].argmax(axis=-1) == y).mean(axis=1)
        return float(wilson(round(float(hits.min()) * y.size), y.size).low)


def single_texts(examples: Examples) -> bool:
    """True when the task has one text a row; sentences of our own say nothing to a model of text pairs."""
    return examples.pairs is None


def comparisons(candidate: str, control: str | None, arms: Sequence[str]) -> list[tuple[str, str]]:
    """(candidate, reference) of every comparison: each arm with the teacher, and the candidate with its control."""
    pairs = [(arm, TEACHER) for arm in arms if arm != TEACHER] if TEACHER in arms else []
    if control in arms and candidate in arms and control != candidate:
        pairs.append((candidate, str(control)))
    return pairs
