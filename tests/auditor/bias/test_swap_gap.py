"""The gap on swapped rows."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.bias.swap_gap import swap_gap
from distill.errors import DataError


def test_swap_gap() -> None:
    female, male = np.array([0.6, 0.4, 0.5]), np.array([0.5, 0.5, 0.5])
    gap = swap_gap(female, male, (np.array([1, 0, 1]), np.array([1, 1, 1])), resamples=500)
    assert gap.signed[0] == pytest.approx(0.0)
    assert gap.absolute == pytest.approx(0.2 / 3)
    assert gap.flipped == pytest.approx(1 / 3)
    with pytest.raises(DataError, match="no swapped rows"):
        swap_gap(np.array([]), np.array([]))
    with pytest.raises(DataError, match="NaN"):
        swap_gap(np.array([np.nan]), np.array([0.0]))
