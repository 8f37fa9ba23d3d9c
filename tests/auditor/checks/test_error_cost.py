from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import confusion_matrix

from auditor.checks.error_cost import added, cost_matrix
from auditor.stats.interval import Interval
from distill.spec import PriceSpec
from distill.store import TEACHER
from tests.auditor.checks.helpers import one, overwrite, result_of, value
from tests.fakes import make_fake_run

ERRORS = {"negative": {"positive": 5.0, "neutral": 1.0}, "positive": {"negative": 2.0}}
PRICES = {"audit": {"prices": {"errors": ERRORS, "error_default": 0.5, "per_hour": 3.6}}}


def test_the_matrix_by_hand() -> None:
    made = cost_matrix(PriceSpec(errors=ERRORS, error_default=0.5), ("negative", "neutral", "positive"))
    np.testing.assert_array_equal(made, [[0, 1, 5], [0.5, 0, 0.5], [2, 0.5, 0]])


def test_cost_is_the_confusion_matrix_by_the_prices(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1, 2), spec=PRICES)
    test, result = run.examples.part("test"), result_of(run, "error_cost")
    prices = cost_matrix(run.spec.audit.prices, run.examples.labels)
    expected = []
    for arm, seed in ((TEACHER, 0), ("distilled", 1), ("distilled", 2)):
        given = run.prediction(arm, seed).aligned(test.ids).probs.argmax(axis=1)
        table = confusion_matrix(test.y, given, labels=range(len(run.examples.labels)))
        expected.append(1000 * float((table * prices).sum()) / len(test))
    teacher, mine = (one(result, "error_cost_per_1k", arm) for arm in (TEACHER, "distilled"))
    assert value(teacher) == pytest.approx(expected[0])
    assert value(mine) == pytest.approx(np.mean(expected[1:]))
    change = one(result, "error_cost_difference", "distilled")
    assert value(change) == pytest.approx(np.mean(expected[1:]) - expected[0])
    assert change.low is not None and change.high is not None and change.low < value(change) < change.high
    running = one(result_of(run, "cost"), "cost_per_1k", "distilled")
    assert value(one(result, "total_cost_per_1k", "distilled")) == pytest.approx(value(mine) + value(running))
    total = {arm: value(one(result, "total_cost_per_1k", arm)) for arm in (TEACHER, "distilled")}
    saving = one(result, "total_cost_saving", "distilled")
    assert value(saving) == pytest.approx(100 * (1 - total["distilled"] / total[TEACHER]))
    assert saving.low is not None and saving.high is not None and saving.low < value(saving) < saving.high


def test_the_same_answers_cost_the_same(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1,), spec=PRICES, timings=False)
    overwrite(run, "distilled", 1, run.prediction(TEACHER, 0).aligned(run.examples.part("test").ids).probs)
    result = result_of(run, "error_cost")
    change = one(result, "error_cost_difference", "distilled")
    assert (change.value, change.low, change.high) == (0, None, None)  # of no answer that differs nothing is sure
    assert "Too few answers cost otherwise" in result.findings[0].claim
    assert not [m for m in result.measures if m.name == "total_cost_per_1k"]  # nothing was timed


def test_no_prices_and_unknown_labels_are_reasons(tmp_path: Path) -> None:
    assert "no prices of errors" in (result_of(make_fake_run(tmp_path), "error_cost").skipped or "")
    wrong = {"audit": {"prices": {"errors": {"negativ": {"positive": 1}}}}}
    run = make_fake_run(tmp_path, run_id="typo", spec=wrong)
    assert "'negativ'" in (result_of(run, "error_cost").skipped or "")


@pytest.mark.parametrize("errors", [{"a": {"a": 1.0}}, {"a": {"b": -1.0}}, {"a": {"b": float("nan")}}])
def test_faulty_prices_are_refused(errors: dict[str, dict[str, float]]) -> None:
    with pytest.raises(ValidationError):
        PriceSpec(errors=errors)


def test_independent_figures_add_in_quadrature() -> None:
    total = added(Interval(10, 7, 13, 50), Interval(5, 1, 9, 40))
    assert (total.value, total.low, total.high) == (15, 10, 20)
