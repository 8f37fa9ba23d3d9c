from __future__ import annotations

from pathlib import Path

import pytest

from distill.store import TEACHER
from tests.auditor.checks.helpers import one, result_of, value
from tests.fakes import Level, make_fake_run

HALF = {TEACHER: Level(0, ms=10.0), "distilled": Level(0.5, ms=5.0)}


def test_cost_is_price_by_throughput(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], levels=HALF, spec={"audit": {"prices": {"per_hour": 3.6}}})
    result, latency = result_of(run, "cost"), result_of(run, "latency")
    rate = value(one(latency, "throughput_per_s", "distilled"))
    cost = one(result, "cost_per_1k", "distilled")
    assert value(cost) == pytest.approx(3.6 / 3600 / rate * 1000)
    assert value(one(result, "cost_per_1k_tokens", "distilled")) == pytest.approx(value(cost) / 22)
    assert cost.detail["list_price"] is False  # the spec's own price is nobody's list price
    assert value(one(result, "cost_saving", "distilled")) == pytest.approx(50, abs=8)


def test_break_even_pays_labelling_and_training(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], levels=HALF)
    result = result_of(run, "cost")
    making, even = one(result, "making_cost", "distilled"), one(result, "break_even_texts", "distilled")
    teacher, mine = (value(one(result, "cost_per_1k", arm)) for arm in (TEACHER, "distilled"))
    assert making.detail["labelling"] == pytest.approx(0.3 * teacher)  # 300 pool texts
    assert making.detail["training"] == pytest.approx(32 / 3600 * 0.0816)
    assert value(even) == pytest.approx(value(making) / (teacher - mine) * 1000)


def test_a_dearer_student_never_breaks_even(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], levels={**HALF, "distilled": Level(0.5, ms=40.0)})
    result = result_of(run, "cost")
    even = one(result, "break_even_texts", "distilled")
    assert even.value is None
    assert "never pays" in even.detail["reason"]
    assert result.findings[0].severity == "warning"
    assert "% more than the teacher" in result.findings[0].claim


def test_a_teacher_paid_by_the_token(tmp_path: Path) -> None:
    options = {"teacher_entry": "openai-gpt-4o", "output_tokens": 2, "prompt_tokens": 10}
    run = make_fake_run(tmp_path, arms=["distilled"], spec={"audit": {"checks": {"cost": options}}})
    result = result_of(run, "cost")
    assert value(one(result, "cost_per_1k", TEACHER)) == pytest.approx(32 * 0.0025 + 2 * 0.01)
    assert value(one(result, "cost_saving", "distilled")) > 90


def test_no_timing_and_unknown_prices_are_reasons(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, timings=False)
    assert "no model could be timed" in (result_of(run, "cost").skipped or "")
    other = make_fake_run(tmp_path, run_id="typo", spec={"audit": {"prices": {"entry": "cpu-2cores"}}})
    assert "Did you mean 'cpu-2core'?" in (result_of(other, "cost").skipped or "")
