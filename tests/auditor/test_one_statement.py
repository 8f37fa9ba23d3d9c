"""What a test of a change and the gate on it say is one statement, with one number of rows that would decide."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.checks.gender_groups import in_words
from auditor.gates import limit_said, one_statement
from auditor.slicing import _twins
from auditor.stats.equivalence import gate_decision, tost_intervals
from auditor.stats.interval import Interval
from auditor.types import Measure
from auditor.verdict import counted
from distill.spec import AuditSpec, GateSpec

N = 1_482


def _said(value: float, error: float, gate: GateSpec | None = None) -> tuple[str, int | None]:
    inner, outer = (Interval(value, value - z * error, value + z * error, N) for z in (1.645, 1.96))
    word = tost_intervals(inner, outer, 0.02).word
    measure = Measure(
        name="accuracy_difference",
        value=value,
        low=outer.low,
        high=outer.high,
        n=N,
        arm="distilled",
        detail={"word": word},
    )
    settings = AuditSpec(gates=() if gate is None else (gate,))
    found = one_statement(measure, settings, lambda x: f"{100 * x:g} points", "whether there is a difference")
    return found.words, found.needed


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (-0.016, 0.007, "surely worse; whether by more than 2 points cannot be told"),
        (-0.05, 0.007, "surely worse, and by more than 2 points"),
        (0.03, 0.01, "surely better"),
        (0.0, 0.003, "equivalent, and surely no more than 2 points worse"),
        (0.0, 0.05, "neither whether there is a difference nor whether it is more than 2 points worse can be told"),
        (0.012, 0.0115, "whether there is a difference cannot be told, but it is surely no more than 2 points worse"),
    ],
)
def test_the_word_and_the_gate_are_one_statement(value: float, error: float, words: str) -> None:
    assert _said(value, error, GateSpec(measure="accuracy_difference", at_least=-0.02))[0] == words


def test_worse_within_the_limit() -> None:
    strict = GateSpec(measure="accuracy_difference", at_least=-0.04)
    assert _said(-0.018, 0.007, strict)[0] == "surely worse, but by no more than 4 points"
    improve = GateSpec(measure="accuracy_difference", at_least=0.0)
    assert _said(-0.018, 0.007, improve)[0] == "surely worse; it is not at least 0 points, as was asked for"


def test_without_a_gate_the_word_stands_alone() -> None:
    assert _said(-0.016, 0.007) == ("worse", None)


def test_the_number_is_the_gates() -> None:
    _, needed = _said(0.0, 0.05, GateSpec(measure="accuracy_difference", at_least=-0.02))
    assert needed == gate_decision(Interval(0.0, -1.96 * 0.05, 1.96 * 0.05, N), -0.02).n_to_decide


@pytest.mark.parametrize(("high", "said"), [(0.006, "surely kept"), (0.02, "cannot be told")])
def test_what_the_gate_says_of_the_gender_gap(high: float, said: str) -> None:
    measure = Measure(name="gender_bias_change", value=-0.003, low=-0.015, high=high, n=2_790, arm="distilled")
    settings = AuditSpec(gates=(GateSpec(measure="gender_bias_change", at_most=0.01, required=False),))
    assert said in limit_said(measure, settings)
    assert "at most 0.01" in limit_said(measure, settings)
    assert limit_said(measure, AuditSpec(gates=())) == ""


def test_counts_say_what_they_are_of() -> None:
    lost, won = (
        Measure(name=name, value=value, n=N, arm="distilled") for name, value in (("regressions", 67), ("gains", 42))
    )
    assert counted(lost, won, 1) == "67 got worse, 42 better, of 1,482."
    assert "the 3 seeds answer as one" in counted(lost, won, 3)
    assert "mean of the single seeds" in counted(lost, won, 3)


def test_slices_of_the_very_same_rows_are_told_once() -> None:
    rare, other = np.array([True, True, False, False]), np.array([False, True, True, False])
    parts = [("class=positive", rare), ("class=neutral", other), ("class rarity=rare", rare.copy())]
    assert _twins(parts) == {"class=positive": ["class rarity=rare"], "class=neutral": []}


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("mentions (derived)=male", "texts that mention men"),
        ("mentions (derived)=none", "texts that mention neither women nor men"),
        ("age=old", "texts with age = old"),
    ],
)
def test_a_group_is_said_in_words(group: str, said: str) -> None:
    assert in_words(group) == said
