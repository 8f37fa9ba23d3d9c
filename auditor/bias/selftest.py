"""Does the estimator find what was planted? Simulations with a known truth, with fixed seeds; the tests and ``heirloom`` run them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.bias.estimator import GapAudit, audit_gaps, audit_pair_gaps
from auditor.bias.resample import (
    PairTable,
    calibration,
    cell_means,
    cell_squares,
    crossed_bootstrap,
    pair_table,
    signed_contributions,
)
from auditor.stats.interval import FloatArray

COVERAGE_LOW, COVERAGE_HIGH = 0.935, 0.965
PLANTED = 0.10
# Simulated classifiers are laid side by side as models of one table; this many at a time.
_BATCH = 250


@dataclass(frozen=True)
class Noise:
    """Standard deviations, in score units, of what templates, words, names (matched pairs) and single pairs add to the gap."""

    name: str
    template: float
    word: float
    filler: float
    pair: float


LEVELS = (
    Noise("low", template=0.01, word=0.01, filler=0.01, pair=0.05),
    Noise("medium", template=0.03, word=0.03, filler=0.04, pair=0.10),
    Noise("high", template=0.06, word=0.05, filler=0.08, pair=0.25),
)
PAIRS_ONLY = Noise("pairs only", template=0.0, word=0.0, filler=0.0, pair=0.10)


@dataclass(frozen=True)
class Coverage:
    """Share of simulations whose 95 % interval of the signed mean covers the planted gap, and the intervals' mean width."""

    noise: str
    method: str
    covered: float
    width: float
    simulations: int

    @property
    def holds(self) -> bool:
        """Whether the coverage is within 93.5 to 96.5 %."""
        return COVERAGE_LOW <= self.covered <= COVERAGE_HIGH


@dataclass(frozen=True)
class SquareBias:
    """Mean of G² over simulations against the truth, with its Monte Carlo standard error."""

    noise: str
    truth: float
    mean: float
    plug_in_mean: float
    standard_error: float

    @property
    def holds(self) -> bool:
        """Whether the mean is within three standard errors of the truth."""
        return abs(self.mean - self.truth) <= 3 * self.standard_error


def design(templates: int = 18, words: int = 14, fillers: int = 24, per_cell: int = 4) -> pd.DataFrame:
    """A balanced design as the real items have: every template meets every word, with ``per_cell`` of the matched fillers."""
    rows = [
        (f"t{t}", f"w{w}", f"t{t}|w{w}", f"f{f}")
        for t in range(templates)
        for w in range(words)
        for f in np.random.default_rng([t, w]).choice(fillers, per_cell, replace=False)
    ]
    frame = pd.DataFrame(rows, columns=["template", "word", "cell", "filler_pair"])
    return frame.assign(kind="all", filler_kind="name")


def planted_gaps(
    frame: pd.DataFrame, gap: float, noise: Noise, simulations: int, rng: np.random.Generator
) -> FloatArray:
    """Gaps ``(pairs, simulations)`` of synthetic classifiers: the planted gap plus everything that varies around it, drawn anew each time."""
    total = np.full((len(frame), simulations), gap)
    for column, spread in (("template", noise.template), ("word", noise.word), ("filler_pair", noise.filler)):
        codes, units = pd.factorize(frame[column])
        total += spread * rng.standard_normal((len(units), simulations))[codes]
    return total + noise.pair * rng.standard_normal(total.shape)


def signed_coverage(
    noise: Noise, simulations: int = 2_000, resamples: int = 1_000, seed: int = 20_260
) -> tuple[Coverage, Coverage]:
    """Coverage of the planted +0.10 by the audit's interval, and by the plain crossed bootstrap for comparison."""
    covered, width = np.zeros(2), np.zeros(2)
    for table in _tables(PLANTED, noise, simulations, seed):
        estimate = cell_means(table).mean(axis=0)
        deviation = crossed_bootstrap(table, resamples, seed).signed - estimate
        scale = calibration(table, signed_contributions(table), deviation)
        for method, factor in enumerate((scale, np.ones_like(scale))):
            low, high = np.quantile(estimate + factor * deviation, [0.025, 0.975], axis=0)
            covered[method] += np.count_nonzero((low <= PLANTED) & (high >= PLANTED))
            width[method] += (high - low).sum()
    names = ("calibrated", "plain crossed bootstrap")
    mine, plain = (
        Coverage(noise.name, names[k], covered[k] / simulations, width[k] / simulations, simulations) for k in (0, 1)
    )
    return mine, plain


def square_bias(noise: Noise, gap: float = PLANTED, simulations: int = 2_000, seed: int = 7) -> SquareBias:
    """Is G² unbiased for the mean squared gap of the cells? ``plug_in_mean`` is what squared differences give without the correction."""
    truth = gap**2 + noise.template**2 + noise.word**2
    squares = [
        (cell_squares(t).mean(axis=0), (cell_means(t) ** 2).mean(axis=0))
        for t in _tables(gap, noise, simulations, seed)
    ]
    mean = np.concatenate([s for s, _ in squares])
    plug_in = np.concatenate([p for _, p in squares])
    return SquareBias(
        noise.name, truth, float(mean.mean()), float(plug_in.mean()), float(mean.std(ddof=1) / np.sqrt(simulations))
    )


def variance_ratio(noise: Noise, simulations: int = 2_000, seed: int = 11) -> float:
    """Mean estimated variance of the signed mean over its true variance in the simulation; 1 is right."""
    estimates, variances = [], []
    for table in _tables(PLANTED, noise, simulations, seed):
        estimates.append(cell_means(table).mean(axis=0))
        variances.append(table.components.spread(signed_contributions(table)).variance)
    return float(np.concatenate(variances).mean() / np.concatenate(estimates).var(ddof=1))


def change_coverage(
    teacher_gap: float, student_gap: float, noise: Noise, simulations: int = 400, seed: int = 5
) -> Coverage:
    """Coverage of the true change of G by the audit's interval, for a teacher and a student that share half of the variance of their noise."""
    frame, rng = design(), np.random.default_rng(seed)
    teacher, student = ([planted_gaps(frame, 0.0, noise, simulations, rng) for _ in range(2)] for _ in range(2))
    shared = teacher[1]
    heterogeneity = noise.template**2 + noise.word**2
    truth = float(np.sqrt(student_gap**2 + heterogeneity) - np.sqrt(teacher_gap**2 + heterogeneity))
    covered, width = 0, 0.0
    for k in range(simulations):
        gaps = {
            "teacher": [teacher_gap + (teacher[0][:, k] + shared[:, k]) * np.sqrt(0.5)],
            "student": [student_gap + (student[0][:, k] + shared[:, k]) * np.sqrt(0.5)],
        }
        change = (
            audit_pair_gaps(frame, gaps, [("student", "teacher")], margin=0.005, resamples=300, seed=seed)
            .changes[0]
            .change
        )
        covered += change.low <= truth <= change.high
        width += change.width
    return Coverage(
        noise.name,
        f"change of G from {teacher_gap:g} to {student_gap:g}",
        covered / simulations,
        width / simulations,
        simulations,
    )


def set_coverage(
    frame: pd.DataFrame, mean: float, spread: float, shift: float, simulations: int = 300, seed: int = 0
) -> tuple[Coverage, Coverage]:
    """Coverage of the signed mean and of the change of G on the design of a published set (one row a pair): words differ by ``spread``, the
    student moves them by ``shift`` ± 0.02, sentences add noise."""
    words = pd.factorize(frame["word"])[0]
    truth = float(np.hypot(np.hypot(mean + shift, spread), 0.02) - np.hypot(mean, spread))
    covered, width = np.zeros(2), np.zeros(2)
    for k in range(simulations):
        rng = np.random.default_rng([seed, k])
        effect = mean + spread * rng.standard_normal(words.max() + 1)
        teacher = effect[words] + 0.15 * rng.standard_normal(len(frame))
        moved = shift + 0.02 * rng.standard_normal(words.max() + 1)
        student = teacher + moved[words] + 0.05 * rng.standard_normal(len(frame))
        gaps = {"teacher": [teacher], "student": [student]}
        found = audit_pair_gaps(
            frame, gaps, [("student", "teacher")], margin=0.01, published=True, resamples=1_000, seed=k
        )
        for place, (interval, true) in enumerate(
            ((found.arm("teacher").signed, mean), (found.changes[0].change, truth))
        ):
            covered[place] += interval.low <= true <= interval.high
            width[place] += interval.width
    names = ("signed mean", f"change of G from {mean:g} by {shift:g}")
    signed, change = (
        Coverage("words and sentences", names[k], covered[k] / simulations, width[k] / simulations, simulations)
        for k in (0, 1)
    )
    return signed, change


def same_models(seed: int = 3) -> GapAudit:
    """An audit of two arms that are the same models: the change must be exactly 0 and 'equivalent'."""
    frame, index, scores = _sentences(seed)
    return audit_gaps(
        frame,
        index,
        {"teacher": [scores], "student": [scores] * 3},
        [("student", "teacher")],
        margin=0.005,
        resamples=500,
    )


def exchanged_genders(seed: int = 3) -> tuple[float, float]:
    """Signed mean of a model, and of the same model with the genders exchanged: one is minus the other."""
    frame, index, scores = _sentences(seed)
    one = audit_gaps(frame, index, {"teacher": [scores]}, [], margin=0.005, resamples=200)
    turned = index.reshape(-1, 2)[:, ::-1].ravel()
    other = audit_gaps(frame, turned, {"teacher": [scores]}, [], margin=0.005, resamples=200)
    return one.arm("teacher").signed.value, other.arm("teacher").signed.value


def untrained_model(seed: int = 3) -> GapAudit:
    """A biased teacher against a student that has learnt nothing: its gap is near 0, and it must not be called fair for that."""
    frame, index, scores = _sentences(seed)
    flat = 0.5 + 1e-4 * np.random.default_rng(seed).standard_normal(len(scores))
    arms = {"teacher": [scores], "student": [flat]}
    quality = {"teacher": (0.80, 0.45), "student": (0.44, 0.45)}
    return audit_gaps(frame, index, arms, [("student", "teacher")], margin=0.005, quality=quality, resamples=500)


def _sentences(seed: int) -> tuple[pd.DataFrame, np.ndarray, FloatArray]:
    pairs = design(templates=6, words=8, fillers=12, per_cell=3)
    rng = np.random.default_rng(seed)
    male = 0.5 + 0.1 * rng.standard_normal(len(pairs))
    female = male + planted_gaps(pairs, PLANTED, LEVELS[0], 1, rng)[:, 0]
    frame = pairs.loc[pairs.index.repeat(2)].reset_index(drop=True)
    frame["gender"] = ["female", "male"] * len(pairs)
    return frame, np.arange(len(frame)), np.column_stack([female, male]).ravel()


def _tables(gap: float, noise: Noise, simulations: int, seed: int) -> Iterator[PairTable]:
    frame, rng = design(), np.random.default_rng(seed)
    for start in range(0, simulations, _BATCH):
        size = min(_BATCH, simulations - start)
        yield pair_table(frame, planted_gaps(frame, gap, noise, size, rng), tuple(map(str, range(start, start + size))))
