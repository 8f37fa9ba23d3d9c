"""The gap estimator against the textbook, against planted truths, and on bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.bias import selftest
from auditor.bias.estimator import audit_gaps, audit_pair_gaps, model_problem, slice_changes
from auditor.bias.items import build_items
from auditor.bias.resample import (
    calibration,
    cell_means,
    cell_squares,
    crossed_bootstrap,
    pair_gaps,
    pair_table,
    signed_contributions,
    squared_contributions,
)
from auditor.stats.interval import Interval
from distill.errors import DataError
from distill.gender.lexicon import load_lexicon


def _table(seed: int, models: int = 2, per_cell: int = 3) -> tuple[pd.DataFrame, np.ndarray]:
    frame = selftest.design(templates=4, words=5, fillers=8, per_cell=per_cell)
    return frame, np.random.default_rng(seed).normal(0.02, 0.1, (len(frame), models))


@given(st.integers(0, 10_000), st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_squares_are_the_issue_formula(seed: int, per_cell: int) -> None:
    """(difference of means)² minus its sampling variance s²/n, cell by cell."""
    frame, gaps = _table(seed, per_cell=per_cell)
    table = pair_table(frame, gaps, ("a", "b"))
    expected = [
        [g.mean() ** 2 - g.var(ddof=1) / len(g) for g in gaps[(frame["cell"] == cell).to_numpy()].T]
        for cell in pd.unique(frame["cell"])
    ]
    np.testing.assert_allclose(cell_squares(table), expected, atol=1e-12)
    np.testing.assert_allclose(cell_means(table).mean(axis=0), gaps.mean(axis=0), atol=1e-12)


def test_a_resample_is_what_a_loop_gives() -> None:
    """The vectorised crossed bootstrap against the definition, one resample at a time."""
    frame, gaps = _table(1, models=1, per_cell=4)
    table = pair_table(frame, gaps, ("a",))
    draws = crossed_bootstrap(table, 3, seed=9)
    rng = np.random.default_rng(9)
    counts = [rng.multinomial(k, np.full(k, 1 / k), size=3) for k in (4, 5, 8)]
    for r in range(3):
        t, w, f = (c[r] for c in counts)
        squares, means, weights, square_weights = [], [], [], []
        for cell in range(20):
            here = np.flatnonzero(table.present[:, cell])
            d, v = table.values[here, cell, 0], f[here].astype(float)
            weight = float(t[table.template[cell]] * w[table.word[cell]])
            pairs = [(v[i] * v[j], d[i] * d[j]) for i in range(4) for j in range(4) if i != j]
            mass = sum(p for p, _ in pairs)
            if mass > 0:
                squares.append(weight * sum(p * x for p, x in pairs) / mass)
                square_weights.append(weight)
            if v.sum() > 0:
                means.append(weight * (v @ d) / v.sum())
                weights.append(weight)
        assert draws.signed[r, 0] == pytest.approx(sum(means) / sum(weights))
        assert draws.squared[r, 0] == pytest.approx(sum(squares) / sum(square_weights))


def test_resampled_squares_centre_on_the_estimate() -> None:
    frame, gaps = _table(2, models=1, per_cell=5)
    table = pair_table(frame, gaps, ("a",))
    estimate = float(cell_squares(table).mean())
    plug_in = float((cell_means(table) ** 2).mean())
    centre = float(crossed_bootstrap(table, 4_000, seed=1).squared.mean())
    assert abs(centre - estimate) < 0.3 * abs(plug_in - estimate)


def test_contributions_sum_to_nothing_and_scale_with_the_scores() -> None:
    frame, gaps = _table(3)
    table, tenfold = (pair_table(frame, factor * gaps, ("a", "b")) for factor in (1, 10))
    for contributions, power in ((signed_contributions, 10.0), (squared_contributions, 100.0)):
        one, ten = contributions(table), contributions(tenfold)
        np.testing.assert_allclose(one.sum(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(ten, power * one, rtol=1e-9, atol=1e-15)
        variance = [t.components.spread(c).variance for t, c in ((table, one), (tenfold, ten))]
        np.testing.assert_allclose(variance[1], power**2 * variance[0], rtol=1e-9)


def test_a_filler_that_meets_a_cell_twice_counts_once() -> None:
    frame, gaps = _table(4)
    twice = pd.concat([frame, frame])
    same = pair_table(twice, np.vstack([gaps, gaps]), ("a", "b"))
    np.testing.assert_allclose(cell_squares(same), cell_squares(pair_table(frame, gaps, ("a", "b"))))
    assert same.pairs == 2 * len(frame)


def test_identical_models_change_by_exactly_nothing() -> None:
    change = selftest.same_models().changes[0]
    assert (change.change.value, change.change.low, change.change.high) == (0.0, 0.0, 0.0)
    assert change.word == "equivalent"
    assert change.percent is not None
    assert change.percent.value == 0.0


def test_exchanging_the_genders_flips_the_sign() -> None:
    one, other = selftest.exchanged_genders()
    assert one == pytest.approx(selftest.PLANTED, abs=0.03)
    assert other == pytest.approx(-one, abs=1e-12)


def test_an_untrained_model_is_not_called_fair() -> None:
    audit = selftest.untrained_model()
    assert audit.arm("student").gap.value < 0.01
    assert "no better than chance" in audit.arm("student").problem
    assert audit.changes[0].word == "cannot tell"
    assert "no better than chance" in audit.changes[0].sentence()


@pytest.mark.parametrize("noise", selftest.LEVELS, ids=lambda n: n.name)
def test_coverage_of_the_planted_gap(noise: selftest.Noise) -> None:
    """2,000 simulations; the plain crossed bootstrap is beside it, and is why the interval is calibrated."""
    mine, plain = selftest.signed_coverage(noise, simulations=2_000, resamples=500)
    assert mine.simulations == 2_000
    assert mine.holds, mine
    assert abs(mine.covered - 0.95) < abs(plain.covered - 0.95)


@pytest.mark.parametrize("noise", [*selftest.LEVELS, selftest.PAIRS_ONLY], ids=lambda n: n.name)
@pytest.mark.parametrize("gap", [0.0, selftest.PLANTED])
def test_squared_gap_is_unbiased(noise: selftest.Noise, gap: float) -> None:
    quiet = noise if gap else replace(noise, template=0.0, word=0.0)
    found = selftest.square_bias(quiet, gap, simulations=1_000)
    assert found.holds, found
    assert found.plug_in_mean - found.truth > 6 * found.standard_error


@pytest.mark.slow
def test_coverage_of_the_change_of_the_gap() -> None:
    for teacher, student in ((0.0, 0.0), (0.02, 0.03), (0.10, 0.08)):
        found = selftest.change_coverage(teacher, student, selftest.LEVELS[0])
        assert 0.91 <= found.covered <= 0.985, found


def test_amplified_and_reduced() -> None:
    frame = selftest.design()
    rng = np.random.default_rng(0)
    quiet = selftest.Noise("quiet", 0.002, 0.002, 0.002, 0.01)
    low, high = (selftest.planted_gaps(frame, gap, quiet, 1, rng)[:, 0] for gap in (0.02, 0.06))
    audit = audit_pair_gaps(frame, {"a": [low], "b": [high]}, [("b", "a"), ("a", "b")], margin=0.005, resamples=500)
    up, down = audit.changes
    assert (up.word, down.word) == ("amplified", "reduced")
    assert up.change.value == pytest.approx(0.04, abs=0.01)
    assert up.percent is not None
    assert up.percent.low > 0
    assert audit.arm("a").gap.low > 0
    assert up.sentence().startswith("Distillation changed the gender gap by +0.0")
    assert down.sentence().startswith("Distillation changed the gender gap by −0.0")
    unknown = replace(down, change=Interval(down.change.value, float("nan"), float("nan"), down.pairs))
    assert "nan" not in unknown.sentence() and " [" not in unknown.sentence()


def test_no_percentage_of_a_gap_that_may_be_nothing() -> None:
    frame = selftest.design(templates=6)
    rng = np.random.default_rng(1)
    noise = selftest.Noise("n", 0.0, 0.0, 0.0, 0.05)
    one, other = (selftest.planted_gaps(frame, 0.0, noise, 1, rng)[:, 0] for _ in range(2))
    change = audit_pair_gaps(frame, {"a": [one], "b": [other]}, [("b", "a")], margin=1e-4, resamples=500).changes[0]
    assert change.percent is None
    assert change.word == "cannot tell"
    assert "would not show" in change.sentence()


def test_an_arm_is_the_mean_of_its_seeds() -> None:
    frame, gaps = _table(5, models=3)
    audit = audit_pair_gaps(frame, {"arm": list(gaps.T)}, [], margin=0.01, resamples=200)
    arm = audit.arm("arm")
    assert arm.gap.value == pytest.approx(np.mean(arm.by_seed))
    assert arm.signed.value == pytest.approx(gaps.mean())


def test_bad_models_are_named_and_not_measured() -> None:
    items = build_items(load_lexicon())
    good = np.random.default_rng(0).uniform(size=len(items.texts))
    broken, flat = good.copy(), np.full(len(good), 0.3)
    broken[3] = np.nan
    arms = {"teacher": [good], "broken": [broken], "flat": [flat]}
    audit = audit_gaps(
        items.frame, items.index, arms, [("broken", "teacher"), ("flat", "teacher")], margin=0.01, resamples=200
    )
    assert "NaN" in audit.arm("broken").problem
    assert not audit.arm("broken").gap.known
    assert "same score" in audit.arm("flat").problem
    assert [c.word for c in audit.changes] == ["cannot tell", "cannot tell"]
    with pytest.raises(DataError, match="No model gave finite scores"):
        audit_gaps(items.frame, items.index, {"broken": [broken]}, [], margin=0.01)
    with pytest.raises(DataError, match="'nobody'"):
        audit_gaps(items.frame, items.index, {"teacher": [good]}, [("nobody", "teacher")], margin=0.01)
    with pytest.raises(DataError, match="without a model"):
        audit_gaps(items.frame, items.index, {"teacher": []}, [], margin=0.01)


def test_model_problem() -> None:
    assert model_problem(np.array([0.1, 0.2]), 0.8, 0.5) == ""
    assert "NaN" in model_problem(np.array([0.1, np.inf]))
    assert "no better than chance" in model_problem(np.array([0.1, 0.2]), 0.5, 0.5)


def test_frames_that_are_not_in_pairs_are_refused() -> None:
    frame = pd.DataFrame({"gender": ["male", "female"]})
    with pytest.raises(DataError, match="not in pairs"):
        pair_gaps(frame, [0, 1], np.zeros(2))
    single = selftest.design(per_cell=1)
    with pytest.raises(DataError, match="No cell has two pairs"):
        pair_table(single, np.zeros(len(single)), ("a",))


def test_slices_find_the_planted_one_and_adjust() -> None:
    items = build_items(load_lexicon())
    rng = np.random.default_rng(0)
    base = rng.uniform(0.4, 0.6, len(items.texts))
    shifted = base + rng.normal(0, 0.01, len(base))
    joy = (items.frame["word_group"] == "joy") & (items.frame["gender"] == "female")
    shifted[items.index[joy.to_numpy()]] += 0.1
    found = slice_changes(items.frame, items.index, {"s": [shifted], "t": [base]}, ("s", "t"), resamples=1_000)
    by_value = {s.value: s for s in found}
    assert by_value["joy"].change.value == pytest.approx(0.1, abs=0.02)
    assert by_value["joy"].adjusted_p < 0.05
    assert by_value["anger"].adjusted_p > 0.05
    assert all(s.adjusted_p >= s.p for s in found)


def test_calibration_of_nothing_is_nothing() -> None:
    frame, gaps = _table(6, models=1)
    table = pair_table(frame, np.zeros_like(gaps), ("a",))
    assert calibration(table, signed_contributions(table), np.zeros((10, 1)))[0] == 0.0
