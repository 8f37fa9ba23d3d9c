"""Cascade and data efficiency."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.checks.cascade import choose
from auditor.checks.data_efficiency import Budget, _finding, _matched, match
from distill.files import read_json, write_json
from distill.store import TEACHER
from tests.auditor.checks.helpers import one, overwrite, result_of, value
from tests.fakes import Level, make_fake_run


def _budget(labels: int, difference: float, half: float = 0.01) -> Budget:
    return Budget(labels, difference, difference - half, difference + half)


def _labels(curve: list[Budget]) -> tuple[float | None, float | None, float | None]:
    value_, fewest, most = match(curve)
    return value_.labels, fewest.labels, most.labels


def test_the_match_is_where_the_curve_meets_the_student() -> None:
    value_, fewest, most = _labels([_budget(100, -0.1), _budget(1000, -0.02), _budget(10_000, 0.02)])
    assert value_ == pytest.approx(np.sqrt(1000 * 10_000))
    assert value_ and fewest and most and 1000 < fewest < value_ < most < 10_000


def test_not_within_the_labels_available_is_an_answer() -> None:
    value_, fewest, most = _labels([_budget(100, -0.1), _budget(1000, -0.005)])
    assert value_ is None and most is None and fewest is not None and 100 < fewest < 1000


def test_a_curve_that_is_nowhere_below_says_at_most_and_not_how_few() -> None:
    """Budgets of 500 and 1,000 of which the smaller already reaches the student exclude nothing below 500."""
    value_, fewest, most = match([Budget(500, -0.01, -0.05, 0.03), Budget(1000, 0.02, 0.01, 0.04)])
    assert value_.labels is not None and 500 < value_.labels < 1000
    assert (fewest.labels, fewest.before) == (None, True)
    assert most.labels is not None and value_.labels < most.labels < 1000
    reached = _matched("distilled", [Budget(500, 0.02, -0.01, 0.05), Budget(1000, 0.04, 0.01, 0.07)], 100)
    assert (reached.value, reached.low) == (None, None)
    assert reached.high is not None and 500 < reached.high < 1000
    claim = _finding("distilled", reached, None, 1000, 60).claim
    assert "with at most 500 human labels, the smallest budget tried" in claim
    sure = _matched("distilled", [Budget(500, 0.04, 0.01, 0.07), Budget(1000, 0.05, 0.02, 0.08)], 100)
    assert (sure.value, sure.low, sure.high) == (None, None, 500)


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=7), st.floats(0, 0.2))
def test_the_interval_holds_the_estimate(heights: list[float], half: float) -> None:
    value_, fewest, most = match([_budget(2**position, height, half) for position, height in enumerate(heights)])
    if value_.labels is not None:
        assert fewest.before or (fewest.labels is not None and fewest.labels <= value_.labels * (1 + 1e-9))
    if most.labels is not None and value_.labels is not None:
        assert value_.labels <= most.labels * (1 + 1e-9)
    assert not (most.labels is not None and value_.beyond)


def test_the_curve_of_a_run(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled", "fine_tuned"], n_test=80)
    assert "two budgets" in (result_of(run, "data_efficiency").skipped or "")


def test_a_curve_that_reaches_the_student_gives_labels_and_saving(tmp_path: Path) -> None:
    budgets = {100: 6.0, 1000: 3.0, 10_000: 0.0}  # noise over the teacher
    arms = [{"kind": "label_budget", "name": f"labels-{labels}", "options": {"labels": labels}} for labels in budgets]
    levels = {f"labels-{labels}": Level(level) for labels, level in budgets.items()} | {"distilled": Level(1.5)}
    run = make_fake_run(tmp_path, arms=["distilled", *arms], seeds=(1,), n_test=400, levels=levels)
    for labels in budgets:
        path = run.arm_folder(f"labels-{labels}", 1) / "arm.json"
        write_json(path, {**read_json(path), "human_labels": labels})
    result = result_of(run, "data_efficiency")
    accuracy = {
        arm.name: (run.prediction(arm.name, 1).argmax == run.examples.part("test").y).mean() for arm in run.spec.arms
    }
    assert accuracy["labels-100"] < accuracy["distilled"] < accuracy["labels-10000"]
    matched, saving = (one(result, name, "distilled") for name in ("labels_to_match", "label_saving"))
    assert 100 < value(matched) < 10_000
    assert value(saving) == pytest.approx(100 * (1 - 60 / value(matched)))
    assert "87.5 % is claimed" in result.findings[0].claim


def _random(seed: int, seeds: int = 2, n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    student = np.where(rng.random((seeds, n)) < 0.6, y, rng.integers(3, size=(seeds, n)))
    teacher = np.where(rng.random(n) < 0.8, y, rng.integers(3, size=n))
    return rng.uniform(0.34, 1, size=(seeds, n)), student, teacher, y


@given(st.integers(0, 200), st.sampled_from([0.0, 0.02, 0.1]))
def test_every_threshold_from_the_chosen_one_on_has_its_bound_within_the_margin(seed: int, margin: float) -> None:
    sure, student, teacher, y = _random(seed)
    threshold = choose(sure, student, teacher, y, margin)
    normal = stats.norm.ppf(0.95)

    def bound(at: float) -> float:
        right = np.where(sure >= at, student == y, (teacher == y)[None, :]).mean(axis=0) - (teacher == y)
        return float(right.mean() - normal * stats.sem(right))

    points = [0.0, *np.unique(sure)]
    assert all(bound(at) >= -margin - 1e-5 for at in points if at >= threshold)
    below = [at for at in points if at < threshold]
    assert not below or bound(below[-1]) < -margin + 1e-5


def test_the_threshold_seldom_promises_too_much() -> None:
    """Of 300 dev samples of 400 rows at most some 5 % choose a threshold whose true loss is above the margin."""
    rng = np.random.default_rng(4)
    too_much = 0
    for _ in range(300):
        sure = rng.uniform(0.34, 1.0, (1, 400))
        teacher_right = rng.random(400) < 0.8
        student_right = np.where(rng.random((1, 400)) < 0.5 * (1 - sure), ~teacher_right, teacher_right)
        y = np.zeros(400, dtype=int)
        at = choose(sure, np.where(student_right, 0, 1), np.where(teacher_right, 0, 1), y, 0.02)
        # the truth: a flip loses 0.8 - 0.2 of a point of accuracy, at a rate of (1 - sure) / 2
        true_loss = 0.6 * 0.5 * (1 - min(at, 1.0)) ** 2 / 2 / 0.66
        too_much += true_loss > 0.02
    assert too_much / 300 <= 0.08


def test_a_student_that_equals_its_teacher_defers_nothing(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1,), n_test=80)
    for part in ("dev", "test"):
        same = run.prediction(TEACHER, 0, part)
        same.write(run.prediction_path("distilled", 1, part))
    result = result_of(run, "cascade")
    assert value(one(result, "cascade_deferred", "distilled")) == 0
    assert value(one(result, "cascade_accuracy_difference", "distilled")) == 0
    faster, spent = (one(result, name, "distilled") for name in ("cascade_speedup", "cascade_latency_ms"))
    assert value(faster) > 1
    for timed in (faster, spent):
        assert timed.low is not None and timed.high is not None and timed.low < value(timed) < timed.high
        assert timed.n > 1
    curve = result.tables["curve"]
    assert curve[0]["deferred"] == 0 and curve[-1]["deferred"] == 1
    assert curve[-1]["accuracy"] == pytest.approx(curve[0]["accuracy"])


def test_a_student_that_knows_nothing_defers_by_group(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1,), n_test=80)
    n = len(run.examples.part("test"))
    overwrite(run, "distilled", 1, np.full((n, len(run.examples.labels)), 1 / len(run.examples.labels)))
    result = result_of(run, "cascade")
    groups = [m for m in result.measures if m.name == "cascade_deferred" and m.group]
    assert groups and all(m.value is not None for m in groups)
    assert result.findings[0].claim.startswith("With 'distilled' answering")
