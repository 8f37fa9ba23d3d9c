"""Adjusted p values against statsmodels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from auditor.stats.multiplicity import benjamini_hochberg, holm

families = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)  # statsmodels takes 50 ms and more for one family
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_equals_statsmodels(p: list[float]) -> None:
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


@given(families)
def test_benjamini_hochberg_equals_statsmodels(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1], abs=1e-12)


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_a_test_that_was_not_made_is_no_member(adjust: object) -> None:
    assert callable(adjust)
    with_nan = adjust([0.01, math.nan, 0.04])
    assert math.isnan(with_nan[1])
    assert with_nan[[0, 2]] == pytest.approx(adjust([0.01, 0.04]))
    assert adjust([]).shape == (0,)
    assert np.isnan(adjust([math.nan])).all()
    for bad in ([1.2], [-0.1], [[0.1]]):
        with pytest.raises(ValueError):
            adjust(bad)
