"""Pairs as a table of fillers by cells, the unbiased gap of each cell, and the resampling that is crossed over templates, words and names.

A gap is one number a pair: the score of the sentence about a woman minus the score of the same sentence about a man. Scores may be
probabilities or log-likelihoods; nothing here depends on which.

Two things differ from the textbook, and ``selftest.signed_coverage`` shows by simulation why:

- In a resample, a squared gap is estimated by a U-statistic over *different* fillers. The textbook plug-in counts a filler that was drawn
  twice as two, which adds the sampling variance to every resampled square, so its distribution does not centre on the estimate.
- A crossed bootstrap counts noise that belongs to single pairs up to seven times with three crossed factors (Owen, "The pigeonhole
  bootstrap", Annals of Applied Statistics 2007), and with a dozen templates it is too narrow. Deviations are therefore scaled to the
  variance that the components of the noise give (see components.py), times t / z with Satterthwaite's degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from auditor.bias.components import Components
from auditor.stats.interval import FloatArray, IntArray
from distill.errors import DataError

# Numbers held at once while resampling: 64 MB of doubles.
_CHUNK = 8_000_000


@dataclass(frozen=True, eq=False)
class PairTable:
    """Gaps as ``values (fillers, cells, models)``, zero where ``present (fillers, cells)`` is 0.

    A filler that meets a cell more than once (in two wordings, say) counts once, with its mean: its repeats are not independent.
    ``template``, ``word``, ``kind`` give a code a cell, ``filler_stratum`` a code a filler; ``kind_of_*`` a kind a code.
    ``pairs`` is the number of pairs of sentences behind the table.
    """

    values: FloatArray
    present: FloatArray
    template: IntArray
    word: IntArray
    kind: IntArray
    filler_stratum: IntArray
    pairs: int
    models: tuple[str, ...]

    @cached_property
    def fillers_per_cell(self) -> FloatArray:
        counts: FloatArray = self.present.sum(axis=0)
        return counts

    @cached_property
    def where(self) -> tuple[IntArray, IntArray]:
        """Filler and cell of each filled place."""
        filler, cell = np.nonzero(self.present)
        return filler, cell

    @cached_property
    def plain(self) -> bool:
        """Whether every word is one cell, as in sets of sentences without templates."""
        return len(np.unique(self.word)) == len(self.word)

    @cached_property
    def components(self) -> Components:
        """Variance components of a mean over cells; templates, words, fillers and cells are drawn, kinds are not."""
        filler, cell = self.where
        strata = self.kind[cell] * (int(self.filler_stratum.max()) + 1) + self.filler_stratum[filler]
        # without templates a word and its cell are one thing: two factors would share its variance, and count its degrees twice
        words = () if self.plain else (self.template[cell], self.word[cell])
        factors = (*words, filler, cell)
        return Components(
            factors,
            np.unique(strata, return_inverse=True)[1],
            1 / (self.fillers_per_cell[cell] * self.present.shape[1]),
        )


def pair_gaps(frame: pd.DataFrame, index: npt.ArrayLike, scores: npt.ArrayLike) -> FloatArray:
    """Female minus male score of each pair.

    Args:
        frame: ``ItemSet.frame``: rows 2k and 2k + 1 are the female and the male item of pair k.
        index: for each row the position of its text in the scores.
        scores: ``(texts,)`` or ``(texts, models)``: one number a distinct text.

    Returns:
        ``(pairs,)`` or ``(pairs, models)``.
    """
    genders = frame["gender"].to_numpy()
    if len(genders) % 2 or not ((genders[::2] == "female").all() and (genders[1::2] == "male").all()):
        raise DataError(
            "The bias items are not in pairs of a female and a male sentence.",
            hint="Use the frame as build_items returns it.",
        )
    by_row = np.asarray(scores, dtype=np.float64)[np.asarray(index)]
    gaps: FloatArray = by_row[::2] - by_row[1::2]
    return gaps


def pair_table(frame: pd.DataFrame, gaps: npt.ArrayLike, models: tuple[str, ...], *, squares: bool = True) -> PairTable:
    """Lay gaps out by filler and cell.

    Args:
        frame: one row a pair with the columns cell, template, word, kind, filler_pair, filler_kind (``ItemSet.frame[::2]`` will do).
        gaps: ``(pairs, models)``.
        squares: whether squared gaps will be asked for, which need two fillers in some cell.

    Raises:
        DataError: gaps that are not numbers, or no cell with two fillers (noise could not be told from bias).
    """
    gap = np.asarray(gaps, dtype=np.float64)
    if gap.ndim == 1:
        gap = gap[:, None]
    if gap.shape != (len(frame), len(models)):
        raise DataError(
            f"There are gaps of shape {gap.shape} for {len(frame)} pairs and {len(models)} models.",
            hint="One gap a pair and model.",
        )
    bad = ~np.isfinite(gap).all(axis=0)
    if bad.any():
        raise DataError(
            f"The scores of the model '{models[int(bad.argmax())]}' hold NaN or infinite values.",
            hint="Leave the model out, or look at its training.",
        )
    cell, cells = pd.factorize(frame["cell"])
    filler, fillers = pd.factorize(frame["filler_pair"])
    first = ~pd.Series(cell).duplicated().to_numpy()
    of_cell = frame.loc[first]
    kind = pd.factorize(of_cell["kind"])[0]
    # A word that stands in two kinds is two words: 'short' of a flight is not 'short' of a person.
    word = pd.factorize(of_cell["kind"].astype(str) + "|" + of_cell["word"].astype(str))[0]
    template = pd.factorize(of_cell["kind"].astype(str) + "|" + of_cell["template"].astype(str))[0]
    stratum = pd.factorize(frame.loc[~pd.Series(filler).duplicated().to_numpy(), "filler_kind"])[0]
    count = np.zeros((len(fillers), len(cells)))
    values = np.zeros((len(fillers), len(cells), gap.shape[1]))
    np.add.at(count, (filler, cell), 1.0)
    np.add.at(values, (filler, cell), gap)
    values /= np.maximum(count, 1.0)[:, :, None]
    present = (count > 0).astype(np.float64)
    if squares and not (present.sum(axis=0) >= 2).any():
        raise DataError(
            "No cell has two pairs, so noise cannot be told from bias.", hint="Add first names or noun phrases."
        )
    return PairTable(values, present, template, word, kind, stratum, len(frame), models)


def cell_means(table: PairTable) -> FloatArray:
    """Difference of the means over female and over male fillers, ``(cells, models)``."""
    means: FloatArray = table.values.sum(axis=0) / table.fillers_per_cell[:, None]
    return means


def cell_squares(table: PairTable) -> FloatArray:
    """Unbiased estimate of each cell's squared gap, ``(cells, models)``; nan in a cell with one filler.

    (mean D)² minus its sampling variance s²/n, where D are the gaps of the n pairs of the cell. Written as the mean of the products of two
    different gaps, which is the same number. Fillers are matched in pairs that share wording and origin, so the variance is that of the
    paired difference: s²_female/n + s²_male/n would also count what the two sides share, and make G² too small.
    """
    n = table.fillers_per_cell[:, None]
    total = table.values.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares: FloatArray = np.where(n >= 2, (total**2 - (table.values**2).sum(axis=0)) / (n * (n - 1)), np.nan)
    return squares


@dataclass(frozen=True, eq=False)
class Draws:
    """Resampled statistics: ``squared`` is G² and ``signed`` the signed mean, both ``(resamples, models)``."""

    squared: FloatArray
    signed: FloatArray


def crossed_bootstrap(table: PairTable, resamples: int, seed: int) -> Draws:
    """Draw templates and words (within their kind) and fillers (names apart from noun phrases) with replacement, all at once.

    A pair's weight is the product of how often its template, its word and its filler were drawn; all models see the same draws.
    """
    rng = np.random.default_rng(seed)
    fillers, cells, models = table.values.shape
    template = _counts(_strata(table.template, table.kind), resamples, rng)
    word = _counts(_strata(table.word, table.kind), resamples, rng)
    filler = _counts(table.filler_stratum, resamples, rng)
    flat = table.values.reshape(fillers, cells * models)
    flat_squared = flat**2
    squared = np.empty((resamples, models))
    signed = np.empty((resamples, models))
    step = max(1, _CHUNK // (cells * models))
    for start in range(0, resamples, step):
        part = slice(start, min(start + step, resamples))
        w = filler[part]
        cell = template[part][:, table.template] * word[part][:, table.word]
        mass = w @ table.present
        # Products of two different fillers: all products minus each filler with itself.
        pairs = mass**2 - w**2 @ table.present
        total = (w @ flat).reshape(len(w), cells, models)
        products = total**2 - (w**2 @ flat_squared).reshape(total.shape)
        for weight, size, what, out in (
            (cell * (pairs > 0), pairs, products, squared),
            (cell * (mass > 0), mass, total, signed),
        ):
            scaled = np.divide(weight, size, out=np.zeros_like(size), where=size > 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                out[part] = np.einsum("rc,rcm->rm", scaled, what) / weight.sum(axis=1)[:, None]
    return Draws(squared, signed)


def calibration(table: PairTable, contributions: FloatArray, deviations: FloatArray) -> FloatArray:
    """What crossed-bootstrap deviations ``(resamples, columns)`` are multiplied by, ``(columns,)``: see the head of this file.

    0 where nothing varies, as between two identical models.
    """
    spread = np.sqrt(np.nanmean(deviations**2, axis=0))
    noise = table.components.spread(contributions)
    target = np.sqrt(noise.variance) * noise.widening()
    scale: FloatArray = np.divide(target, spread, out=np.zeros_like(spread), where=spread > 1e-15)
    return scale


def jackknife_squares(table: PairTable) -> FloatArray:
    """G² of each model without one word, ``(words, models)``."""
    return _without_a_word(table, cell_squares(table))


def jackknife_means(table: PairTable) -> FloatArray:
    """The signed mean of each model without one word, ``(words, models)``."""
    return _without_a_word(table, cell_means(table))


def _without_a_word(table: PairTable, cells: FloatArray) -> FloatArray:
    known, there = np.where(np.isfinite(cells), cells, 0.0), np.isfinite(cells).astype(np.float64)
    sums, counts = (np.zeros((int(table.word.max()) + 1, known.shape[1])) for _ in range(2))
    np.add.at(sums, table.word, known)
    np.add.at(counts, table.word, there)
    with np.errstate(divide="ignore", invalid="ignore"):
        without: FloatArray = (known.sum(axis=0) - sums) / (there.sum(axis=0) - counts)
    return without


def signed_contributions(table: PairTable) -> FloatArray:
    """What each pair adds to the signed mean, ``(entries, models)``; entries are the filled places of the table, row by row."""
    return table.components.centred(table.values[table.where])


def squared_contributions(table: PairTable) -> FloatArray:
    """What each pair adds to G², ``(entries, models)``: its cell's squared gap, and twice its own pull on it."""
    squares = cell_squares(table)
    known = np.where(np.isfinite(squares), squares, 0.0)
    filler, cell = table.where
    mine = table.values[filler, cell]
    others = (table.values.sum(axis=0)[cell] - mine) / (np.maximum(table.fillers_per_cell, 2.0) - 1)[cell, None]
    return table.components.centred(2 * mine * others - known[cell])


def _strata(codes: IntArray, kinds: IntArray) -> IntArray:
    """The kind of each code (a template or a word belongs to one kind)."""
    strata = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    strata[codes] = kinds
    return strata


def _counts(strata: IntArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """How often each unit is drawn, ``(resamples, units)``; as many draws in a stratum as it has units."""
    counts = np.zeros((resamples, len(strata)))
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        counts[:, inside] = rng.multinomial(len(inside), np.full(len(inside), 1 / len(inside)), size=resamples)
    return counts
