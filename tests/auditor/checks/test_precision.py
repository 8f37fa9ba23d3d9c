"""How far a lower precision moves answers, against plain numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill.store import TEACHER
from tests.auditor.checks.helpers import one, overwrite, result_of, value
from tests.fakes import make_fake_run

ARMS: list[str | dict[str, Any]] = [
    "distilled",
    {"kind": "quantised", "name": "half", "options": {"of": "distilled", "precision": "bf16"}},
    {"kind": "quantised", "name": "teacher-int8"},
]


def test_each_is_held_against_its_own_source(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=ARMS, seeds=(1, 2), n_test=80)
    source = run.prediction("distilled", 1).probs
    rng = np.random.default_rng(0)
    moved = np.abs(source + rng.uniform(-0.02, 0.02, source.shape))
    moved /= moved.sum(axis=1, keepdims=True)
    overwrite(run, "half", 1, moved)
    result = result_of(run, "precision")
    apart = np.abs(moved - source)
    assert value(one(result, "probability_moved_largest", "half")) == pytest.approx(apart.max())
    assert value(one(result, "probability_moved_p99", "half")) == pytest.approx(np.quantile(apart, 0.99))
    same = one(result, "agreement_with_source", "half")
    assert value(same) == pytest.approx((moved.argmax(axis=1) == source.argmax(axis=1)).mean()) and same.low is not None
    assert one(result, "probability_moved_largest", "teacher-int8").versus == TEACHER
    assert not [m for m in result.measures if m.arm == "distilled"]
    assert any("'teacher-int8' (int8) moves a probability of 'teacher'" in f.claim for f in result.findings)
    assert not any("'half'" in f.claim for f in result.findings), "a few hundredths are rounding"


def test_without_such_an_arm_it_is_skipped(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1,), n_test=60)
    assert "lower precision" in (result_of(run, "precision").skipped or "")
