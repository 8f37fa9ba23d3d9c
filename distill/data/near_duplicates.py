"""Texts that say nearly the same on both sides of a split, found by MinHash and confirmed by their exact Jaccard similarity.

A text is the set of its 5-character shingles (case and white space evened out), which needs no notion of words and so serves
every language. Signatures are the MinHash of Broder (1997); bands of them are compared as in Indyk and Motwani's locality-sensitive
hashing. Written with numpy over all texts at once: one Python object per text, as datasketch makes, costs five times as much.
For sentence pairs both sentences must be alike: two questions about one passage are not duplicates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.types import Floats, Ints

SHINGLE = 5
PERMUTATIONS = 128
RECALL = 0.9999  # least chance that a pair right at the threshold becomes a candidate
_SLACK = 0.15  # four standard deviations of an estimate from 126 values at 0.8; worse candidates are not worth the exact count
_CHUNK = 1_000_000  # characters hashed at a time
_PAIR_CHUNK = 200_000
_PAD = "\x02" * (SHINGLE - 1)
_SPACE = re.compile(r"\s+")
UInts = npt.NDArray[np.uint64]
Hashes = npt.NDArray[np.uint32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Match:
    """Two texts that are alike: position among the kept ones, position among the others, Jaccard similarity."""

    kept: int
    other: int
    similarity: float


def find_matches(
    kept: Sequence[tuple[str, str | None]],
    others: Sequence[tuple[str, str | None]],
    threshold: float,
    progress: Progress | None = None,
) -> list[Match]:
    """For each text of ``others`` that is alike to one of ``kept``, one such match.

    Args:
        kept: texts (and second texts) of the side that stays as it is, such as the test.
        others: those of the side that may not repeat them.
        threshold: Jaccard similarity from which two texts count as the same.
        progress: called with texts done and texts in all.

    Returns:
        Matches by position in ``others``, at most one each.
    """
    if not len(kept) or not len(others):
        return []
    everything = [*kept, *others]
    signatures = _signatures(everything, progress)
    best = np.full(len(others), -1, dtype=np.int64)
    score = np.zeros(len(others))
    bands, rows = band_shape(threshold)
    for band in range(bands):
        keys = _band_key(signatures[:, band * rows : (band + 1) * rows])
        open_rows = np.flatnonzero(best < 0)
        for left, right in _candidates(keys[: len(kept)], keys[len(kept) :][open_rows]):
            right = open_rows[right]
            still = best[right] < 0
            left, right = left[still], right[still]
            left, right, exact = _alike(everything, signatures, left, right + len(kept), threshold)
            # the best of several matches: assignment in ascending order leaves the last
            order = np.argsort(exact, kind="stable")
            best[right[order] - len(kept)] = left[order]
            score[right[order] - len(kept)] = exact[order]
    return [Match(int(best[row]), int(row), float(score[row])) for row in np.flatnonzero(best >= 0)]


def near_copies(texts: Sequence[tuple[str, str | None]], threshold: float) -> Ints:
    """For each text the position of the first of its group, shape [n]; texts that are alike, directly or by others, form a group.

    In every band the texts with one key are compared with the first of them and with their neighbour, so a group of m costs m
    comparisons and not m²; a pair that is parted in one band meets in another.
    """
    if len(texts) < 2:
        return np.arange(len(texts), dtype=np.int64)
    signatures = _signatures(texts, None)
    bands, rows = band_shape(threshold)
    found: list[Ints] = []
    for band in range(bands):
        keys = _band_key(signatures[:, band * rows : (band + 1) * rows])
        order = np.argsort(keys, kind="stable").astype(np.int64)
        same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        heads = np.concatenate([[0], np.flatnonzero(keys[order][1:] != keys[order][:-1]) + 1])
        first = order[heads[np.searchsorted(heads, same, "right") - 1]]
        found += [np.stack([order[same], order[same + 1]]), np.stack([first, order[same + 1]])]
    left, right = np.unique(np.sort(np.concatenate(found, axis=1), axis=0), axis=1)
    left, right, _ = _alike(texts, signatures, left, right, threshold)
    return _first_of_group(len(texts), left, right)


def _alike(
    texts: Sequence[tuple[str, str | None]], signatures: Hashes, left: Ints, right: Ints, threshold: float
) -> tuple[Ints, Ints, Floats]:
    """Those of the pairs (left, right) that are alike, with their exact similarity; hopeless ones are told by their signatures."""
    near = (signatures[left] == signatures[right]).mean(axis=1) >= threshold - _SLACK
    left, right = left[near], right[near]
    if not len(left):
        return left, right, np.zeros(0)
    exact = _jaccard(texts, left, right)
    hit = exact >= threshold - 1e-12
    return left[hit], right[hit], exact[hit]


def _first_of_group(n: int, left: Ints, right: Ints) -> Ints:
    """Union-find over links, the smaller position being the root."""
    root = list(range(n))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        first, second = sorted((find(one), find(other)))
        root[second] = first
    return np.array([find(place) for place in range(n)], dtype=np.int64)


def band_shape(threshold: float) -> tuple[int, int]:
    """(bands, rows per band): the longest band with which a pair at ``threshold`` is still found with RECALL.

    The chance of a candidate is 1 − (1 − sʳ)ᵇ at similarity s (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4).
    """
    for rows in range(PERMUTATIONS, 1, -1):
        bands = PERMUTATIONS // rows
        if 1 - (1 - threshold**rows) ** bands >= RECALL:
            return bands, rows
    return PERMUTATIONS, 1


def _even(text: str) -> str:
    return _SPACE.sub(" ", text.casefold()).strip()


def _mix(values: UInts) -> UInts:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): neighbouring inputs give unrelated outputs."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _shingles(texts: Sequence[str], salt: int) -> tuple[UInts, Ints]:
    """Hash of every shingle of every text, one after the other, and how many each text has (at least one)."""
    evened = [_even(text) for text in texts]
    lengths = np.fromiter((max(1, len(text)) for text in evened), dtype=np.int64, count=len(evened))
    joined = "".join(_PAD + (text or "\x02") for text in evened)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    window = np.zeros(len(codes) - SHINGLE + 1, dtype=np.uint64)
    for offset in range(SHINGLE):
        # a code point has 21 bits: an odd multiplier keeps the five apart, the mixing then spreads them
        window = window * np.uint64(0x9E3779B97F4A7C15) + codes[offset : len(codes) - SHINGLE + 1 + offset]
    starts = np.arange(lengths.sum(), dtype=np.int64) + np.repeat(np.arange(len(texts)) * (SHINGLE - 1), lengths)
    return _mix(window[starts] + np.uint64(salt)), lengths


def _chunks(texts: Sequence[tuple[str, str | None]]) -> Iterator[tuple[int, int]]:
    """Ranges of texts with about _CHUNK characters each."""
    start = size = 0
    for index, (text, pair) in enumerate(texts):
        size += len(text) + len(pair or "") + 1
        if size >= _CHUNK:
            yield start, index + 1
            start, size = index + 1, 0
    if start < len(texts):
        yield start, len(texts)


def _sets(texts: Sequence[tuple[str, str | None]]) -> tuple[UInts, Ints]:
    """Shingles of text and second text together, those of the second salted, and how many each row has."""
    first, n_first = _shingles([text for text, _ in texts], 0)
    if all(pair is None for _, pair in texts):
        return first, n_first
    second, n_second = _shingles([pair or "" for _, pair in texts], 1)
    owner = np.concatenate([np.repeat(np.arange(len(texts)), n_first), np.repeat(np.arange(len(texts)), n_second)])
    return np.concatenate([first, second])[np.argsort(owner, kind="stable")], n_first + n_second


def _signatures(texts: Sequence[tuple[str, str | None]], progress: Progress | None) -> Hashes:
    """MinHash signatures, shape [n, PERMUTATIONS]. Multiply-shift hashes (Dietzfelbinger 1997) stand in for permutations."""
    rng = np.random.default_rng(20_231)
    factors = rng.integers(1, 2**64, PERMUTATIONS, dtype=np.uint64) | np.uint64(1)
    out = np.empty((len(texts), PERMUTATIONS), dtype=np.uint32)
    for start, stop in _chunks(texts):
        hashes, counts = _sets(texts[start:stop])
        edges = np.concatenate([[0], np.cumsum(counts)[:-1]])
        for index, factor in enumerate(factors):
            shifted = ((hashes * factor) >> np.uint64(32)).astype(np.uint32)
            out[start:stop, index] = np.minimum.reduceat(shifted, edges)
        if progress:
            progress(stop, len(texts))
    return out


def _band_key(band: Hashes) -> UInts:
    key = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        key = _mix(key + column.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    return key


def _candidates(kept: UInts, others: UInts) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of positions with equal keys, some _PAIR_CHUNK at a time."""
    order = np.argsort(kept, kind="stable")
    ordered = kept[order]
    low = np.searchsorted(ordered, others, "left")
    width = np.searchsorted(ordered, others, "right") - low
    rows = np.flatnonzero(width)
    # the first candidate of every row, then the second …: most rows are settled early and then cost nothing more
    start = 0
    while len(rows):
        step = max(1, _PAIR_CHUNK // len(rows))
        take = np.minimum(width[rows] - start, step)
        right = np.repeat(rows, take)
        inner = np.arange(take.sum()) - np.repeat(np.cumsum(take) - take, take)
        yield order[np.repeat(low[rows], take) + start + inner], right
        start += step
        rows = rows[width[rows] > start]


def _jaccard(texts: Sequence[tuple[str, str | None]], left: Ints, right: Ints) -> Floats:
    """Exact Jaccard similarity of row pairs, shape [m]; of sentence pairs the smaller of the two."""
    used, inverse = np.unique(np.concatenate([left, right]), return_inverse=True)
    chosen = [texts[row] for row in used]
    a, b = inverse[: len(left)], inverse[len(left) :]
    score = _overlap([text for text, _ in chosen], a, b)
    if any(pair is not None for _, pair in chosen):
        score = np.minimum(score, _overlap([pair or "" for _, pair in chosen], a, b))
    return score


def _overlap(texts: Sequence[str], left: Ints, right: Ints) -> Floats:
    from scipy.sparse import csr_array

    hashes, counts = _shingles(texts, 0)
    columns = np.unique(hashes, return_inverse=True)[1]
    owner = np.repeat(np.arange(len(texts)), counts)
    keys = np.unique(owner * (int(columns.max()) + 1) + columns)
    rows, cols = np.divmod(keys, int(columns.max()) + 1)
    matrix: Any = csr_array(
        (np.ones(len(rows), dtype=np.int32), (rows, cols)), shape=(len(texts), int(columns.max()) + 1)
    )
    sizes = np.bincount(rows, minlength=len(texts))
    shared = np.empty(len(left), dtype=np.float64)
    for start in range(0, len(left), 20_000):
        part = slice(start, start + 20_000)
        shared[part] = np.asarray(matrix[left[part]].multiply(matrix[right[part]]).sum(axis=1)).ravel()
    return shared / (sizes[left] + sizes[right] - shared)
