"""Label-gender association and amplification, against direct transcriptions of the papers and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats.contingency import association

from auditor.bias.ledger import corrected_cramers_v, counts, directional_amplification, ledger, zhao_amplification
from distill.errors import DataError

CLASSES = ["neg", "neu", "pos"]


def _draw(seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, n), rng.integers(0, 3, n), rng.integers(0, 3, n)


def _zhao(g: np.ndarray, y: np.ndarray, p: np.ndarray) -> float:
    total = 0.0
    for a in (0, 1):
        for o in range(3):
            before, after = ((g[labels == o] == a).mean() for labels in (y, p))
            total += after - before if before > 1 / 2 else 0.0
    return total / 3


def _directional(g: np.ndarray, y: np.ndarray, p: np.ndarray) -> float:
    terms = []
    for a in (0, 1):
        for t in range(3):
            delta = (p[g == a] == t).mean() - (y[g == a] == t).mean()
            leans = ((g == a) & (y == t)).mean() > (g == a).mean() * (y == t).mean()
            terms.append(delta if leans else -delta)
    return float(np.mean(terms))


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_amplifications_are_the_papers(seed: int) -> None:
    g, y, p = _draw(seed)
    table = counts(g, y, p, 3)
    assert zhao_amplification(table) == pytest.approx(_zhao(g, y, p))
    assert directional_amplification(table) == pytest.approx(_directional(g, y, p))
    assert zhao_amplification(counts(g, y, y, 3)) == 0
    assert directional_amplification(counts(g, y, y, 3)) == 0


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_corrected_v_is_bergsmas_from_scipys_plain_v(seed: int) -> None:
    g, y, _ = _draw(seed)
    y = np.where(np.random.default_rng(seed).random(len(y)) < 0.3, g, y)
    table = np.stack([np.bincount(y[g == a], minlength=3) for a in (0, 1)])
    n, phi2 = table.sum(), association(table, method="cramer") ** 2
    corrected = max(phi2 - 2 / (n - 1), 0)
    rows = 2 - 1 / (n - 1)
    assert corrected_cramers_v(table) == pytest.approx(np.sqrt(corrected / (rows - 1)))


def test_ledger_follows_the_flow() -> None:
    rng = np.random.default_rng(0)
    n = 4_000
    gender = rng.choice(["female", "male", "none"], n, p=[0.4, 0.4, 0.2])
    people = np.where((gender == "female") & (rng.random(n) < 0.1), 0, rng.integers(0, 3, n))
    student = np.where((gender == "female") & (rng.random(n) < 0.2), 0, people)
    lines = ledger(
        {"people": people, "teacher": people, "student": np.stack([student] * 3)}, gender, CLASSES, resamples=500
    )
    first, teacher, last = lines
    assert first.zhao is None
    assert first.growth is None
    assert teacher.growth is not None
    assert (teacher.growth.low, teacher.growth.value, teacher.growth.high) == (0, 0, 0)  # the same labels, paired
    assert last.growth is not None
    assert last.growth.value == pytest.approx(last.association.value - teacher.association.value)
    assert 0 < last.growth.low < last.growth.value < last.growth.high
    assert first.n + first.dropped == n
    assert teacher.directional is not None
    assert teacher.directional.value == 0
    assert last.reference == "teacher"
    assert last.directional is not None
    assert last.directional.low > 0
    assert last.association.low > first.association.value
    assert last.gaps["neg"].low > 0
    assert sum(g.value for g in last.gaps.values()) == pytest.approx(0, abs=1e-12)


def test_interval_of_a_gap_is_near_the_normal_one() -> None:
    rng = np.random.default_rng(3)
    gender = np.repeat(["female", "male"], 1_000)
    labels = rng.integers(0, 2, 2_000)
    gap = ledger({"people": labels}, gender, ["a", "b"])[0].gaps["a"]
    shares = [(labels[gender == g] == 0).mean() for g in ("female", "male")]
    error = np.sqrt(sum(s * (1 - s) / 1_000 for s in shares))
    assert gap.value == pytest.approx(shares[0] - shares[1])
    assert gap.width == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_bad_input() -> None:
    labels = np.array([0, 1, 2])
    with pytest.raises(DataError, match="needs both genders, and only 'female'"):
        ledger({"people": labels}, ["female"] * 3, CLASSES)
    with pytest.raises(DataError, match="no row is in the data"):
        ledger({"people": labels}, ["none"] * 3, CLASSES)
    with pytest.raises(DataError, match="3 rows and the group column 2"):
        ledger({"people": labels}, ["female", "male"], CLASSES)
    with pytest.raises(DataError, match="not class numbers from 0 to 1"):
        ledger({"people": labels}, ["female", "male", "male"], CLASSES[:2])
    with pytest.raises(DataError, match="measured from 'x'"):
        ledger({"people": labels}, ["female", "male", "male"], CLASSES, references={"people": "x"})
