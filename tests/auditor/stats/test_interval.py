"""The checks at the door: every function of the library refuses the same bad input with a sentence."""

import math
import pkgutil
import subprocess
import sys

import numpy as np
import pytest

import auditor.stats
from auditor.stats.interval import Interval, as_labels, as_probabilities, as_values


def test_interval_knows_its_width_and_what_it_holds() -> None:
    interval = Interval(0.5, 0.4, 0.7, 10)
    assert interval.width == pytest.approx(0.3)
    assert 0.4 in interval and 0.71 not in interval
    assert interval.known
    assert not Interval(0.5, math.nan, 0.7, 10).known
    assert Interval(0.5, 0.4, math.inf, 10).known


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0.5], "whole numbers"),
        ([math.nan], "whole numbers"),
        ([3], "between 0 and 2"),
        ([-1], "between 0 and 2"),
        (["a"], "indices"),
    ],
)
def test_labels_that_are_not_indices_are_refused(labels: list[object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        as_labels(np.array(labels), 3)


def test_labels_may_come_as_floats_or_truth_values() -> None:
    assert as_labels([1.0, 0.0], 2).tolist() == [1, 0]
    assert as_labels([True, False], 2).tolist() == [1, 0]
    assert as_labels([], 2).shape == (0,)


@pytest.mark.parametrize(
    ("probabilities", "sentence"),
    [
        ([[0.5, math.nan]], "NaN"),
        ([[1.5, -0.5]], "negative"),
        ([[0.5, 0.4]], "sum to 1"),
        ([0.5, 0.5], "shape"),
        ([[1.0]], "shape"),
    ],
)
def test_probabilities_that_are_none_are_refused(probabilities: list[object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        as_probabilities(probabilities)  # type: ignore[arg-type]


def test_rows_that_miss_one_by_half_precision_are_rescaled() -> None:
    assert as_probabilities([[0.5, 0.497]]).sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf]])
def test_values_must_be_there_and_finite(values: list[float]) -> None:
    with pytest.raises(ValueError):
        as_values(values)


def test_importing_the_library_loads_numpy_alone() -> None:
    heavy = "{'scipy', 'pandas', 'sklearn', 'statsmodels', 'torch', 'evaluate'}"
    modules = ", ".join(f"auditor.stats.{one.name}" for one in pkgutil.iter_modules(auditor.stats.__path__))
    code = f"import sys, {modules}; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
