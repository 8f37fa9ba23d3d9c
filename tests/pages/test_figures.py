from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.types import Measure
from pages.ui import figures, words

FLOATS = st.floats(-1e9, 1e9).filter(lambda x: x == 0 or abs(x) > 1e-6)


@given(FLOATS)
def test_a_figure_keeps_three_significant_digits(value: float) -> None:
    back = float(figures.figure(value).replace(",", "").replace("−", "-"))
    assert math.isclose(back, value, rel_tol=0.0051, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (1234.5, "1,234"),
        (12.345, "12.3"),
        (0.01234, "0.0123"),
        (-2.5, "−2.50"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_figures(value: float | None, text: str) -> None:
    assert figures.figure(value) == text


def test_an_interval_has_one_precision_and_vanishes_without_bounds() -> None:
    assert figures.interval(98.7, 100.4, places=1) == "[98.7, 100.4]"
    assert figures.interval(-0.002, 0.004) == "[−0.00200, 0.00400]"
    assert figures.interval(None, 1.0) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.42, "0.4 s"),
        (19.2, "19 s"),
        (100, "1 min 40 s"),
        (3_599, "60 min"),
        (7_500, "2 h 5 min"),
        (None, "–"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(("n", "text"), [(12, "12 B"), (1_500, "1.50 kB"), (60_100_000, "60.1 MB"), (2.5e9, "2.50 GB")])
def test_sizes(n: float, text: str) -> None:
    assert figures.size(n) == text


def test_ago() -> None:
    then = datetime.now(UTC)
    assert figures.ago(then.isoformat()) == "just now"
    assert figures.ago((then - timedelta(minutes=12)).isoformat()) == "12 min ago"
    assert figures.ago((then - timedelta(days=3)).isoformat()) == "3 days ago"
    assert figures.ago("not a date") == "–"


@pytest.mark.parametrize(
    ("measure", "text"),
    [
        (Measure(name="accuracy", value=0.785, low=0.77, high=0.8), "78.5 % [77.0, 80.0]"),
        (Measure(name="accuracy_retention", value=99.5, low=98.7, high=100.4, unit="%"), "99.5 % [98.7, 100.4]"),
        (Measure(name="accuracy_difference", value=-0.012, low=-0.02, high=0.0), "−1.2 points [−2.0, 0.0]"),
        (Measure(name="latency_speedup", value=2.5, unit="×"), "2.50×"),
        (Measure(name="size_bytes", value=60e6, unit="bytes"), "60.0 MB"),
        (Measure(name="something_new", value=0.123456), "0.123"),
        (Measure(name="accuracy", value=None), "–"),
    ],
)
def test_a_measure_is_written_in_its_unit(measure: Measure, text: str) -> None:
    assert words.with_interval(measure) == text


def test_names_of_measures_become_words() -> None:
    said = words.in_words("'accuracy_difference' is fine, no_such_name stays, latency_speedup too")
    assert said == "accuracy against the teacher is fine, no_such_name stays, speed-up too"
