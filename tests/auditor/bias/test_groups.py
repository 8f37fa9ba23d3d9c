"""Groups through MetricFrame, against fairlearn's own functions and sklearn on the binarised task."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fairlearn.metrics import (
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equal_opportunity_ratio,
    equalized_odds_difference,
    equalized_odds_ratio,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, recall_score

from auditor.bias.groups import MISSING, REST, audit_groups, cross_groups, positive_class, tidy_groups
from distill.errors import DataError

CLASSES = ["neg", "neu", "pos"]


def _draw(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return y, np.where(rng.random(n) < 0.7, y, rng.integers(0, 3, n)), rng.choice(["a", "b", "c"], n)


@given(st.integers(0, 10_000), st.sampled_from(CLASSES))
@settings(max_examples=15, deadline=None)
def test_parity_is_fairlearns_on_the_chosen_class(seed: int, positive: str) -> None:
    y, p, g = _draw(seed)
    found = audit_groups(y, p, tidy_groups("g", g), CLASSES, positive)
    good = CLASSES.index(positive)
    task = {"y_true": (y == good).astype(int), "y_pred": (p == good).astype(int), "sensitive_features": g}
    oracles = (
        (demographic_parity_difference, demographic_parity_ratio),
        (equalized_odds_difference, equalized_odds_ratio),
        (equal_opportunity_difference, equal_opportunity_ratio),
    )
    for parity, (difference, ratio) in zip(found.parity, oracles, strict=True):
        assert parity.difference.value == pytest.approx(difference(**task))
        assert parity.ratio.value == pytest.approx(ratio(**task))
        assert parity.difference.low <= parity.difference.value <= parity.difference.high
        assert parity.ratio.low <= parity.ratio.value <= parity.ratio.high


def test_quality_is_sklearns_in_each_group() -> None:
    y, p, g = _draw(1)
    found = audit_groups(y, p, tidy_groups("g", g), CLASSES, "pos")
    assert sum(row.n for row in found.rows) == len(y)
    for row in found.rows:
        inside = g == row.group
        assert row.measures["accuracy"] == pytest.approx(accuracy_score(y[inside], p[inside]))
        recalls = recall_score(y[inside], p[inside], labels=[0, 1, 2], average=None)
        assert [row.measures[f"recall: {c}"] for c in CLASSES] == pytest.approx(list(recalls))


def test_four_fifths_and_small_cells() -> None:
    group = np.array(["a"] * 100 + ["b"] * 100 + ["tiny"] * 5)
    predicted = np.concatenate([[1] * 50 + [0] * 50, [1] * 39 + [0] * 61, [1] * 5])
    found = audit_groups(np.ones(205, dtype=int), predicted, tidy_groups("g", group), ["no", "yes"], "yes")
    rows = {row.group: row for row in found.rows}
    assert rows["b"].impact.value == pytest.approx(0.78)
    assert (
        rows["b"].impact.low < 0.78 < 0.8 < rows["b"].impact.high
    )  # of a hundred rows 0.78 is not surely below four fifths
    assert not rows["b"].below_four_fifths
    assert not rows["a"].below_four_fifths
    assert rows["tiny"].small
    assert rows["tiny"].impact.value == pytest.approx(2.0)
    assert found.parity[0].difference.value == pytest.approx(0.61)
    assert found.parity_large[0].difference.value == pytest.approx(0.11)
    assert any("fewer than 30 rows" in note for note in found.notes)
    assert math.isnan(rows["a"].false_positive_rate.value)


def test_four_fifths_is_surely_broken_by_many_rows() -> None:
    group = np.repeat(np.array(["a", "b"]), 2_000)
    predicted = np.concatenate([np.arange(2_000) % 2, np.arange(2_000) % 4 == 0]).astype(int)
    found = audit_groups(np.ones(4_000, dtype=int), predicted, tidy_groups("g", group), ["no", "yes"], "yes")
    rows = {row.group: row for row in found.rows}
    assert rows["b"].below_four_fifths and not rows["a"].below_four_fifths
    assert rows["a"].impact.high == 1


def test_missing_many_and_single_values() -> None:
    missing = tidy_groups("g", ["a", None, " ", float("nan"), "b"])
    assert missing.values.tolist() == ["a", MISSING, MISSING, MISSING, "b"]
    assert missing.notes == (f"3 of 5 rows have no value and stand as '{MISSING}'.",)
    many = tidy_groups("zip", np.repeat(np.arange(5_000), 2), most=20)
    assert len(set(many.values)) == 21
    assert REST in set(many.values)
    assert many.notes[0].startswith("5,000 values")
    one = tidy_groups("g", ["a", "a"])
    assert one.skipped == "the column 'g' has one value only ('a'), so there is nothing to compare"
    skipped = audit_groups([0, 1], [0, 1], one, CLASSES, "pos")
    assert skipped.skipped == one.skipped
    assert skipped.rows == ()
    assert tidy_groups("g", []).skipped == "there are no rows"


def test_intersections() -> None:
    both = cross_groups(tidy_groups("sex", ["f", "m", "f"]), tidy_groups("age", [1, 2, None]))
    assert both.name == "sex × age"
    assert both.values.tolist() == ["f × 1", "m × 2", f"f × {MISSING}"]
    with pytest.raises(DataError, match="different lengths"):
        cross_groups(tidy_groups("a", [1]), tidy_groups("b", [1, 2]))


def test_the_positive_class_is_never_guessed() -> None:
    assert positive_class(CLASSES, "neu") == 1
    with pytest.raises(DataError, match="none was chosen"):
        positive_class(CLASSES, None)
    with pytest.raises(DataError, match="'great' is not a label"):
        positive_class(CLASSES, "great")
    with pytest.raises(DataError, match="2, 3 and 2 rows"):
        audit_groups([0, 1], [0, 1, 2], tidy_groups("g", ["a", "b"]), CLASSES, "pos")


def test_several_seeds_give_the_mean_of_their_rates_on_the_rows_there_are() -> None:
    rng = np.random.default_rng(4)
    y, p = rng.integers(0, 3, 400), rng.integers(0, 3, (3, 400))
    column = tidy_groups("g", rng.choice(np.array(["a", "b"], dtype=object), 400))
    together = audit_groups(y, p, column, ("x", "y", "z"), "z")
    alone = [audit_groups(y, seed, column, ("x", "y", "z"), "z") for seed in p]
    for number, row in enumerate(together.rows):
        each = [one.rows[number] for one in alone]
        assert row.n == each[0].n
        for rate in ("selection_rate", "true_positive_rate", "false_positive_rate"):
            assert getattr(row, rate).value == pytest.approx(np.mean([getattr(e, rate).value for e in each]))
            assert getattr(row, rate).width == pytest.approx(np.mean([getattr(e, rate).width for e in each]), rel=0.1)
