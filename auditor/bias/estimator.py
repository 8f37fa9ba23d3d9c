"""The gender gap of each model, and what distillation and compression changed about it.

    G² = mean over cells of (mean over female fillers - mean over male fillers)² - its sampling variance,   G = sqrt(max(G², 0))

mean |p(female) - p(male)| would be positive under pure noise; G² is unbiased, at zero gap too. The signed mean stands beside it: a model that
favours women in one place and men in another has G > 0 and a signed mean near 0. Scores must be temperature-scaled on dev beforehand
(``auditor.stats.calibration``), or a softer student looks fairer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from auditor.bias.engine import GapEngine, distinct_models
from auditor.bias.resample import crossed_bootstrap, pair_gaps, pair_table
from auditor.stats.bootstrap import Bootstrap, Method
from auditor.stats.equivalence import INNER, OUTER, tost_intervals
from auditor.stats.interval import FloatArray, Interval
from auditor.stats.multiplicity import benjamini_hochberg
from distill.errors import DataError

RESAMPLES = 5_000
# Below this lower bound of the reference gap a percentage is a ratio of two small numbers and says nothing.
PERCENT_FLOOR = 0.005
BiasWord = Literal["equivalent", "reduced", "amplified", "cannot tell"]


@dataclass(frozen=True)
class ArmGap:
    """One arm's gap, the mean over its seeds.

    Attributes:
        gap: G with its 95 % interval, in score units (probability, or nats for log-likelihoods).
        signed: signed mean, female minus male.
        squared: G² before the root, mean over seeds; may be negative, which is what unbiased means.
        by_seed: G of each seed.
        problem: why this arm's gap must not be read as fairness ('' where there is no reason).
    """

    arm: str
    gap: Interval
    signed: Interval
    squared: float
    by_seed: tuple[float, ...]
    problem: str


@dataclass(frozen=True)
class GapChange:
    """Gap of ``candidate`` minus gap of ``reference``.

    Attributes:
        change, change_inner: with 95 % and 90 % interval.
        signed_change: change of the signed mean.
        percent: the change in percent of the reference gap; None unless the reference's lower bound is above 0.005.
        word: verdict by two one-sided tests against ``margin``.
        smallest_change: the smallest true change that this n would have seen with 80 % power.
        pairs: number of pairs of sentences.
        reason: why nothing can be told, where a model is unusable; '' otherwise.
    """

    candidate: str
    reference: str
    change: Interval
    change_inner: Interval
    signed_change: Interval
    percent: Interval | None
    word: BiasWord
    margin: float
    smallest_change: float
    pairs: int
    reason: str

    def sentence(self, what: str = "Distillation") -> str:
        """The headline, as a page shows it."""
        c = self.change
        percent = "" if self.percent is None else f" ({_signed(self.percent.value, 0)} %)"
        known = math.isfinite(c.low) and math.isfinite(c.high)  # too few pairs have no bounds
        bounds = f" [{_signed(c.low)}, {_signed(c.high)}]" if known else ""
        text = f"{what} changed the gender gap by {_signed(c.value)}{bounds}{percent}, n = {self.pairs:,} pairs: {self.word}."
        if self.reason:
            return f"{text} {self.reason}"
        if self.word == "cannot tell" and math.isfinite(self.smallest_change):
            text += f" A change under ±{self.smallest_change:.3f} would not show."
        return text


def _signed(value: float, places: int = 3) -> str:
    """With its sign, a true minus."""
    return f"{value:+.{places}f}".replace("-", "−")


@dataclass(frozen=True)
class SliceChange:
    """Change of the signed mean within one slice; ``adjusted_p`` is Benjamini and Hochberg's over all slices of the audit."""

    dimension: str
    value: str
    candidate: str
    reference: str
    change: Interval
    p: float
    adjusted_p: float


@dataclass(frozen=True)
class GapAudit:
    """Gaps of all arms and the asked comparisons."""

    arms: tuple[ArmGap, ...]
    changes: tuple[GapChange, ...]
    cells: int
    pairs: int
    resamples: int
    note: str

    def arm(self, name: str) -> ArmGap:
        """The gap of one arm."""
        return next(a for a in self.arms if a.arm == name)

    def change(self, candidate: str, reference: str) -> GapChange:
        """One comparison."""
        return next(c for c in self.changes if (c.candidate, c.reference) == (candidate, reference))


def model_problem(scores: FloatArray, quality: float | None = None, chance: float | None = None) -> str:
    """Why a model's gap must not be read as fairness: NaN or constant outputs, or no better than chance. '' where there is no reason.

    Args:
        scores: ``(texts,)``.
        quality: its quality on the test split (its lower bound, better still).
        chance: what guessing the commonest class reaches.
    """
    if not np.isfinite(scores).all():
        return f"{int((~np.isfinite(scores)).sum()):,} of its {scores.size:,} scores are NaN or infinite."
    if scores.size and np.ptp(scores) < 1e-12:
        return "It gives every sentence the same score, so a gap of 0 says nothing about fairness."
    if quality is not None and chance is not None and quality <= chance:
        return f"Its quality ({quality:.3f}) is no better than chance ({chance:.3f}), so a small gap is not fairness."
    return ""


def audit_gaps(
    frame: pd.DataFrame,
    index: np.ndarray,
    arms: Mapping[str, Sequence[FloatArray]],
    comparisons: Sequence[tuple[str, str]],
    *,
    margin: float,
    quality: Mapping[str, tuple[float, float]] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> GapAudit:
    """Gaps of every arm and their changes.

    Args:
        frame, index: from ``ItemSet``.
        arms: for each arm the scores ``(texts,)`` of each of its seeds. An arm's G is the mean of its seeds' G: averaging the scores
            first would measure an ensemble, which is smoother than any model that would be shipped.
        comparisons: (candidate, reference), such as (student, teacher), (student, control), (control, teacher).
        margin: absolute margin of the equivalence test, in score units, from the spec.
        quality: for each arm its quality and what chance reaches, so that an untrained model is not called fair.
        resamples: bootstrap resamples.
        seed: of the resampling.

    Raises:
        DataError: no arm, an unknown arm in a comparison, or no usable arm.
    """
    _check(arms, comparisons)
    quality = quality or {}
    problems = {arm: _arm_problem(seeds, quality.get(arm)) for arm, seeds in arms.items()}
    gaps = {arm: [pair_gaps(frame, index, scores) for scores in seeds] for arm, seeds in arms.items()}
    return audit_pair_gaps(
        frame.iloc[::2], gaps, comparisons, margin=margin, problems=problems, resamples=resamples, seed=seed
    )


def audit_pair_gaps(
    pairs: pd.DataFrame,
    gaps: Mapping[str, Sequence[FloatArray]],
    comparisons: Sequence[tuple[str, str]],
    *,
    margin: float,
    problems: Mapping[str, str] | None = None,
    published: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> GapAudit:
    """The same from one number a pair, whatever it is: a difference of probabilities, or of a language model's log-likelihoods in nats.

    Args:
        pairs: one row a pair with the columns cell, template, word, kind, filler_pair, filler_kind.
        gaps: for each arm the gaps ``(pairs,)`` of each of its seeds.
        comparisons, margin, resamples, seed: as in ``audit_gaps``.
        problems: why an arm's gap must not be read as fairness.
        published: the pairs are a set of sentences that others wrote, not a full design of many: intervals of G are then no narrower than
            the jackknife's.
    """
    _check(gaps, comparisons)
    reasons = problems or {}
    usable = {arm: seeds for arm, seeds in gaps.items() if all(np.isfinite(s).all() for s in seeds)}
    if not usable:
        raise DataError(
            "No model gave finite scores for the bias sentences.", hint="Look at the training of the models."
        )
    models, members = distinct_models(usable)
    table = pair_table(pairs, np.column_stack(models), tuple(map(str, range(len(models)))))
    engine = GapEngine(table, members, crossed_bootstrap(table, resamples, seed), published=published)
    measured = tuple(
        _measured(engine, arm, reasons.get(arm, ""))
        if arm in usable
        else _unmeasured(arm, reasons.get(arm) or "Some of its scores are NaN or infinite.", table.pairs)
        for arm in gaps
    )
    changes = tuple(_compare(engine, measured, c, r, margin) for c, r in comparisons)
    most = max(len(seeds) for seeds in gaps.values())
    note = f"Given these seeds ({most} an arm at most) and this teacher; intervals cover templates, words and names, not other seeds."
    return GapAudit(measured, changes, table.present.shape[1], table.pairs, resamples, note)


def slice_changes(
    frame: pd.DataFrame,
    index: np.ndarray,
    arms: Mapping[str, Sequence[FloatArray]],
    comparison: tuple[str, str],
    *,
    dimensions: Sequence[str] = ("kind", "word_group", "origin"),
    resamples: int = 2_000,
    seed: int = 0,
) -> tuple[SliceChange, ...]:
    """Change of the signed mean within each value of each dimension, with Benjamini-Hochberg over all of them.

    The signed mean, not G: a slice such as one origin has one filler a cell, where noise cannot be told from bias.
    """
    _check(arms, [comparison])
    pairs = frame.iloc[::2]
    gaps = [np.mean([pair_gaps(frame, index, s) for s in arms[arm]], axis=0) for arm in comparison]
    change = np.asarray(gaps[0] - gaps[1])
    found: list[tuple[str, str, Bootstrap]] = []
    for dimension in dimensions:
        for value in sorted(v for v in pairs[dimension].unique() if v):
            inside = (pairs[dimension] == value).to_numpy()
            if inside.sum() >= 2:
                found.append(
                    (dimension, str(value), _signed_bootstrap(pairs.loc[inside], change[inside], resamples, seed))
                )
    p = [b.p_value() for _, _, b in found]
    adjusted = benjamini_hochberg(p) if p else np.array([])
    return tuple(
        SliceChange(d, v, comparison[0], comparison[1], b.interval(OUTER), p[k], float(adjusted[k]))
        for k, (d, v, b) in enumerate(found)
    )


def _signed_bootstrap(pairs: pd.DataFrame, gap: FloatArray, resamples: int, seed: int) -> Bootstrap:
    table = pair_table(pairs, gap, ("gap",), squares=False)
    engine = GapEngine(table, {"gap": [0]}, crossed_bootstrap(table, resamples, seed))
    return engine.signed(np.array([1.0]))


def _compare(engine: GapEngine, arms: Sequence[ArmGap], candidate: str, reference: str, margin: float) -> GapChange:
    one, other = (next(a for a in arms if a.arm == name) for name in (candidate, reference))
    reason = " ".join(f"{a.arm.capitalize()}: {a.problem}" for a in (one, other) if a.problem)
    pairs = engine.table.pairs
    if not (one.gap.known and other.gap.known):
        unknown = Interval(math.nan, math.nan, math.nan, pairs)
        return GapChange(
            candidate, reference, unknown, unknown, unknown, None, "cannot tell", margin, math.nan, pairs, reason
        )
    weights = engine.weights(candidate) - engine.weights(reference)
    change, signed = engine.gap(weights), engine.signed(weights)
    # Bias-corrected, since the root of a clipped square is pushed up near 0; see selftest.change_coverage. On a published set, where the
    # jackknife sets the width, the correction costs coverage, near 0 a lot of it; see selftest.set_coverage.
    method: Method = "percentile" if engine.published else "bca"
    inner, outer = change.interval(INNER, method), change.interval(OUTER, method)
    judged = tost_intervals(inner, outer, margin, higher_is_better=False)
    words: dict[str, BiasWord] = {
        "better": "reduced",
        "worse": "amplified",
        "equivalent": "equivalent",
        "cannot tell": "cannot tell",
    }
    return GapChange(
        candidate=candidate,
        reference=reference,
        change=outer,
        change_inner=inner,
        signed_change=signed.interval(OUTER),
        percent=engine.percent(candidate, reference).interval(OUTER) if other.gap.low > PERCENT_FLOOR else None,
        # A model that has learnt nothing has no gap worth the name, so nothing is said about it.
        word="cannot tell" if reason else words[judged.word],
        margin=margin,
        smallest_change=judged.smallest_change,
        pairs=pairs,
        reason=reason,
    )


def _arm_problem(seeds: Sequence[FloatArray], quality: tuple[float, float] | None) -> str:
    value, chance = quality if quality is not None else (None, None)
    return next((p for p in (model_problem(np.asarray(s), value, chance) for s in seeds) if p), "")


def _measured(engine: GapEngine, arm: str, problem: str) -> ArmGap:
    weights, mine = engine.weights(arm), engine.members[arm]
    gap, signed = engine.gap(weights).interval(OUTER), engine.signed(weights).interval(OUTER)
    by_seed = tuple(float(g) for g in engine.gaps[mine])
    return ArmGap(arm, gap, signed, float(engine.squares[mine].mean()), by_seed, problem)


def _unmeasured(arm: str, problem: str, pairs: int) -> ArmGap:
    unknown = Interval(math.nan, math.nan, math.nan, pairs)
    return ArmGap(arm, unknown, unknown, math.nan, (), problem)


def _check(arms: Mapping[str, Sequence[FloatArray]], comparisons: Sequence[tuple[str, str]]) -> None:
    if not arms or not all(len(seeds) for seeds in arms.values()):
        raise DataError(
            "The bias audit was given an arm without a model.", hint="Give each arm the scores of at least one seed."
        )
    unknown = next((name for pair in comparisons for name in pair if name not in arms), None)
    if unknown is not None:
        raise DataError(
            f"The comparison names the arm '{unknown}', which was not scored.", hint=f"Known: {', '.join(arms)}."
        )
