"""What the checks of language models share: sums over the tokens of the teacher's answers, and resampling of prompts, paired over all arms.

A figure a token is a ratio: the sum over all tokens of all prompts by their number. Tokens of one answer are not independent, so prompts
are resampled, and rows with the same prompt together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.check import AuditInput
from auditor.comparing import equivalence_detail
from auditor.measuring import affordable, measured
from auditor.stats.bootstrap import Bootstrap, ResampledMeans, resample_means
from auditor.stats.equivalence import tost
from auditor.types import Measure
from distill.errors import DataError
from distill.store import TEACHER, SetName
from distill.types import Floats, Strings

FEWEST = 2  # prompts: below that there is nothing to resample


def column(audit: AuditInput, arm: str, name: str, part: SetName = "test") -> Floats:
    """One number a row from an arm's predictions, shape [seeds, n]; NaN where the file says nothing."""
    return np.stack([_numbers(audit.outputs(arm, seed, part), name) for seed in audit.seeds(arm)])


def _numbers(frame: Any, name: str) -> Floats:
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    return np.asarray(frame[name].to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def answers(audit: AuditInput, arm: str) -> list[list[str]]:
    """What each seed of an arm wrote to the test prompts."""
    return [["" if text is None else str(text) for text in audit.outputs(arm, s)["answer"]] for s in audit.seeds(arm)]


def spoilt_writers(audit: AuditInput) -> dict[str, str]:
    """A sentence for each arm whose measures are not numbers: it is left out."""
    said = {}
    for arm in audit.arms:
        values = np.stack([column(audit, arm, name) for name in ("forced_tokens", "agree_sum", "nll_sum")])
        bad = int((~np.isfinite(values)).any(axis=(0, 1)).sum())
        if bad:
            said[arm] = f"The measures of '{arm}' hold NaN in {bad} of {len(audit.test)} prompts."
    return said


def usable_writers(audit: AuditInput) -> list[str]:
    """Arms whose test measures are numbers throughout."""
    spoilt = spoilt_writers(audit)
    return [arm for arm in audit.arms if arm not in spoilt]


def prompts(audit: AuditInput) -> Strings:
    """The prompt that each test row asks, by content, shape [n]: the cluster of a bootstrap."""
    return audit.test.frame["content_id"].to_numpy(dtype=object)


def asked_again(audit: AuditInput, keep: npt.NDArray[np.bool_]) -> Strings | None:
    """The prompts of the kept rows as clusters of a share's interval; None where each prompt stands once, so that rows are independent."""
    mine = prompts(audit)[keep]
    return mine if FEWEST <= len(set(mine)) < len(mine) else None


@dataclass(frozen=True, eq=False)
class Resampled:
    """Numerators and denominators of several figures over the same prompts, resampled together.

    Attributes:
        means: their means; one row a name.
        rows: where each name stands.
    """

    means: ResampledMeans
    rows: Mapping[str, int]

    def ratio(self, name: str, by: str) -> Bootstrap:
        """Sum of ``name`` over the sum of ``by``."""
        i, j = self.rows[name], self.rows[by]
        return self.means.statistic(lambda m: m[..., i] / m[..., j])

    def of(self, function: Callable[[Callable[[str], Any]], Any]) -> Bootstrap:
        """Any function of the means: it gets a look-up from a name to the means, shape (…)."""
        return self.means.statistic(lambda m: np.asarray(function(lambda name: m[..., self.rows[name]])))


def resampled(audit: AuditInput, values: Mapping[str, Floats], keep: npt.NDArray[np.bool_] | None = None) -> Resampled:
    """Resample the test prompts.

    Args:
        values: for each name its numbers, shape [n] or [seeds, n] (averaged over seeds first), finite.
        keep: rows of a slice, shape [n].

    Raises:
        DataError: fewer than two prompts.
    """
    keep = np.ones(len(audit.test), dtype=np.bool_) if keep is None else keep
    clusters = prompts(audit)[keep]
    if len(set(clusters)) < FEWEST:
        raise DataError("There are fewer than two test prompts.", hint="Give split.test more rows.")
    table = np.stack([np.atleast_2d(value)[:, keep].mean(axis=0) for value in values.values()])
    settings = audit.spec.audit
    means = resample_means(
        table, clusters=clusters, resamples=affordable(settings.resamples, len(clusters)), seed=settings.seed
    )
    return Resampled(means, {name: index for index, name in enumerate(values)})


def compared(
    name: str, change: Bootstrap, arm: str, versus: str, margin: float, *, higher_is_better: bool = True, **more: Any
) -> Measure:
    """A paired change with its equivalence verdict in ``detail``."""
    verdict = tost(change, margin, higher_is_better=higher_is_better)
    detail = {**equivalence_detail(verdict), **more.pop("detail", {})}
    return measured(name, verdict.outer, arm, versus=versus, higher_is_better=higher_is_better, detail=detail, **more)


def commonest_share(pieces: Sequence[Sequence[str]]) -> float:
    """What always choosing the commonest token would reach, from the tokens of each answer; nan where they are not known."""
    counts: dict[str, int] = {}
    for answer in pieces:
        for piece in answer:
            counts[piece] = counts.get(piece, 0) + 1
    total = sum(counts.values())
    return max(counts.values()) / total if total else math.nan


def teacher_tokens(audit: AuditInput) -> list[list[str]]:
    """The decoded tokens of the teacher's test answers; empty lists where it counts its own tokens elsewhere."""
    frame = audit.outputs(TEACHER, 0)
    if "token_text" not in frame.columns:
        return [[] for _ in range(len(frame))]
    return [[] if pieces is None else [str(piece) for piece in pieces] for pieces in frame["token_text"]]


def answer_length(audit: AuditInput) -> float:
    """Mean tokens of the teacher's test answers, at least 1: the answer that speed-ups speak of."""
    if not audit.seeds(TEACHER):
        return 1.0
    return max(1.0, float(audit.outputs(TEACHER, 0)["answer_tokens"].mean()))
