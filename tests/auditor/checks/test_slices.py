from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from distill.store import TEACHER
from tests.auditor.checks.helpers import one, overwrite, result_of, value
from tests.fakes import make_fake_run


def test_a_planted_loss_is_found_where_it_is(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, n_test=900, arms=["distilled"], seeds=(1,))
    test = run.examples.part("test")
    probs = run.prediction(TEACHER, 0).aligned(test.ids).probs.copy()
    hurt = test.groups["airline"] == "united"
    probs[hurt] = np.roll(probs[hurt], 1, axis=1)
    overwrite(run, "distilled", 1, probs)
    result = result_of(run, "slices")
    claims = [finding.claim for finding in result.findings]
    assert any("airline=united" in claim for claim in claims)
    assert not any("airline=delta" in claim or "airline=jetblue" in claim for claim in claims)
    assert value(one(result, "slice_difference", "distilled", "airline=delta")) == 0


def test_adjusted_by_benjamini_hochberg(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path, arms=["distilled"]), "slices")
    details = [m.detail for m in result.measures if m.name == "slice_difference"]
    expected = false_discovery_control([detail["p"] for detail in details])
    np.testing.assert_allclose([detail["p_adjusted"] for detail in details], expected)


def test_too_few_rows_is_a_reason(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path, n_test=20), "slices")
    assert result.skipped == "no class or group has 30 labelled test rows"


def test_groups_with_many_values_are_left_out(tmp_path: Path) -> None:
    many = {"user": [f"u{i}" for i in range(60)]}
    result = result_of(make_fake_run(tmp_path, groups=many, arms=["distilled"], n_test=3_000, seeds=(1,)), "slices")
    assert {m.group for m in result.measures} == {"class=negative", "class=neutral", "class=positive"}
    assert value(one(result, "slice_accuracy", TEACHER, "class=neutral")) == pytest.approx(0.8, abs=0.2)
