from __future__ import annotations

from pathlib import Path

import pytest

from distill.store import TEACHER
from tests.auditor.checks.helpers import one, result_of, value
from tests.fakes import Level, make_fake_run


def test_bytes_parameters_memory_and_ratio(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path, levels={"distilled": Level(0.5, size=0.5)}), "size")
    assert value(one(result, "compression", "distilled")) == pytest.approx(2, rel=1e-6)
    assert value(one(result, "parameters_removed", "distilled")) == pytest.approx(50)
    assert value(one(result, "peak_memory_bytes", TEACHER)) == pytest.approx(4e8 * 1.4)
    assert value(one(result, "memory_ratio", "distilled")) == pytest.approx(2)
    assert not result.findings


def test_a_tiny_student_is_noticed(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path, levels={"distilled": Level(0.5, size=0.02)}), "size")
    assert "98.0 % fewer parameters" in result.findings[0].claim


def test_only_predictions_is_a_reason(tmp_path: Path) -> None:
    assert result_of(make_fake_run(tmp_path, models=False), "size").skipped == "there are only predictions, no models"
