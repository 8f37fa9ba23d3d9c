"""Correlation with the published share of women, against scipy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from auditor.bias.association import correlate, occupation_association
from auditor.bias.items import build_items
from distill.errors import DataError
from distill.gender.lexicon import load_lexicon


def _points(share: np.ndarray, gap: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"occupation": [f"o{k}" for k in range(len(gap))], "share_women": share, "gap": gap})


@given(st.integers(0, 10_000), st.integers(5, 40))
@settings(max_examples=25, deadline=None)
def test_correlations_are_scipys(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    share, gap = rng.uniform(size=n).round(1), rng.normal(size=n).round(1)
    if np.ptp(share) == 0 or np.ptp(gap) == 0:
        return
    found = correlate(_points(share, gap), resamples=200)
    assert found.pearson.value == pytest.approx(stats.pearsonr(share, gap).statistic)
    assert found.spearman.value == pytest.approx(stats.spearmanr(share, gap).statistic)
    assert found.slope == pytest.approx(stats.linregress(share, gap).slope)


def test_interval_is_near_fishers() -> None:
    rng = np.random.default_rng(1)
    share = rng.uniform(size=200)
    found = correlate(_points(share, share + rng.normal(size=200) * 0.5))
    fisher = stats.pearsonr(share, found.points["gap"]).confidence_interval()
    assert found.pearson.low == pytest.approx(fisher.low, abs=0.05)
    assert found.pearson.high == pytest.approx(fisher.high, abs=0.05)


def test_a_stereotyped_model_is_seen() -> None:
    lexicon = load_lexicon()
    items = build_items(lexicon)
    share = items.frame["word"].map(lexicon.occupations.set_index("occupation")["share_women"]).fillna(0.0)
    female = (items.frame["gender"] == "female").to_numpy()
    scores = np.zeros(len(items.texts))
    scores[items.index] = 0.5 + 0.1 * np.where(female, share, 0.0)
    found = occupation_association(
        items.frame, items.index, np.column_stack([scores, scores]), lexicon.occupations, resamples=300
    )
    assert found.pearson.value == pytest.approx(1.0)
    assert found.slope == pytest.approx(0.1)
    assert len(found.points) == len(lexicon.occupations)


def test_constant_gap_and_bad_input() -> None:
    found = correlate(_points(np.linspace(0, 1, 6), np.zeros(6)))
    assert not found.pearson.known
    assert "same for every occupation" in found.problem
    with pytest.raises(DataError, match="Only 2 occupations"):
        correlate(_points(np.array([0.1, 0.2]), np.array([1.0, 2.0])))
    items = build_items(load_lexicon())
    with pytest.raises(DataError, match="NaN"):
        occupation_association(items.frame, items.index, np.full(len(items.texts), np.nan), load_lexicon().occupations)
