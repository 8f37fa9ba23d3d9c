from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss

from distill.store import TEACHER
from tests.auditor.checks.helpers import one, result_of, value
from tests.fakes import Level, make_fake_run


def test_scaling_on_dev_mends_an_over_confident_student(tmp_path: Path) -> None:
    run = make_fake_run(
        tmp_path, n_test=2_000, n_dev=1_000, arms=["distilled"], seeds=(1,), levels={"distilled": Level(0.3, 4.0)}
    )
    result = result_of(run, "calibration")
    assert value(one(result, "temperature", "distilled")) > 2
    assert value(one(result, "ece_scaled", "distilled")) < value(one(result, "ece", "distilled")) / 2
    assert value(one(result, "nll_scaled", "distilled")) < value(one(result, "nll", "distilled"))
    assert value(one(result, "brier_difference", "distilled")) > 0
    assert any("over-confident" in finding.claim for finding in result.findings)


def test_values_and_table(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1,))
    result = result_of(run, "calibration")
    test = run.examples.part("test")
    probs = run.prediction(TEACHER, 0).aligned(test.ids).probs
    assert value(one(result, "brier", TEACHER)) == pytest.approx(((probs - np.eye(3)[test.y]) ** 2).sum(axis=1).mean())
    assert value(one(result, "nll", TEACHER)) == pytest.approx(log_loss(test.y, probs))
    rows = [row for row in result.tables["reliability"] if row["arm"] == TEACHER and not row["scaled"]]
    assert sum(row["n"] for row in rows) == len(test)
    gap = sum(row["n"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / len(test)
    assert value(one(result, "ece", TEACHER)) == pytest.approx(gap)


def test_without_dev_predictions_there_is_no_scaling(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1,))
    run.prediction_path("distilled", 1, "dev").unlink()
    result = result_of(run, "calibration")
    assert not [m for m in result.measures if m.arm == "distilled" and m.name.endswith("_scaled")]
    assert value(one(result, "ece", "distilled")) > 0
