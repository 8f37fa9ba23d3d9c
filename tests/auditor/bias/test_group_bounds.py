"""Intervals of gaps between groups: simulated coverage, where percentiles have none, and what they do at the edges."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from auditor.bias import group_bounds
from auditor.bias.group_bounds import impact_ratios, largest_difference, smallest_ratio

CASES = [
    ([0.5, 0.5], [200, 200]),
    ([0.5, 0.4], [200, 200]),
    ([0.05, 0.05], [60, 60]),
    ([0.5, 0.5, 0.5, 0.35], [100] * 4),
    ([0.3] * 6, [80] * 6),
]


@pytest.mark.slow
@pytest.mark.parametrize(("rates", "rows"), CASES)
def test_coverage(rates: list[float], rows: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """400 simulations: difference, ratio and impact ratio hold the truth; a percentile interval of no difference never does."""
    monkeypatch.setattr(group_bounds, "DRAWS", 500)
    rng, truth, n = np.random.default_rng(1), np.array(rates), np.array(rows)
    held = np.zeros(3)
    for number in range(400):
        seen = rng.binomial(n, truth) / n
        gap, ratio = largest_difference([(seen, n)], number), smallest_ratio([(seen, n)], number)
        last = impact_ratios(seen, n, np.ones(n.size, dtype=bool), number)[-1]
        assert gap.low <= gap.value <= gap.high
        held += [
            gap.low <= np.ptp(truth) <= gap.high,
            not ratio.known or ratio.low <= truth.min() / truth.max() <= ratio.high,
            not last.known or last.low <= truth[-1] / truth.max() <= last.high,
        ]
    assert (held / 400 >= 0.90).all(), held / 400


def test_a_large_gap_is_sure_and_none_is_not() -> None:
    sure = largest_difference([([0.6, 0.3], [500, 500])], 0)
    assert 0 < sure.low < 0.3 < sure.high
    assert largest_difference([([0.5, 0.52], [50, 50])], 0).low == 0
    assert smallest_ratio([([0.5, 0.52], [50, 50])], 0).high == pytest.approx(1)


def test_both_rates_of_equalised_odds_count() -> None:
    tpr, fpr = ([0.8, 0.8], [300, 300]), ([0.1, 0.4], [300, 300])
    assert largest_difference([tpr, fpr], 0).value == pytest.approx(0.3)
    assert smallest_ratio([tpr, fpr], 0).value == pytest.approx(0.25)


def test_unknown_rates_and_groups_in_which_nobody_is_chosen() -> None:
    assert math.isnan(largest_difference([([0.5, math.nan], [10, 0])], 0).value)
    assert math.isnan(smallest_ratio([([0.0, 0.0], [10, 10])], 0).value)
    never = impact_ratios([0.0, 0.5], [40, 40], [True, True], 0)[0]
    assert never.value == 0 and 0 < never.high < 0.8
    few = impact_ratios([0.0, 0.5], [4, 40], [False, True], 0)[0]
    assert few.high > 0.8  # four rows exclude nothing
    assert math.isnan(impact_ratios([0.2, math.nan], [40, 0], [True, True], 0)[1].value)


def test_it_costs_the_same_for_a_million_rows() -> None:
    rates, rows = np.linspace(0.2, 0.6, 21), np.full(21, 1_000_000)
    started = time.process_time()
    largest_difference([(rates, rows), (rates, rows)], 0)
    impact_ratios(rates, rows, rows > 0, 0)
    assert time.process_time() - started < 2
