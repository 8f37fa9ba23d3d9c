from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distill.store import TEACHER
from distill.types import read_frame, write_frame
from tests.auditor.checks.helpers import one, result_of, value
from tests.fakes import Level, make_fake_run

EXACT = {TEACHER: Level(0, ms=10.0), "distilled": Level(0.5, ms=4.0)}


def test_percentiles_equal_numpy_and_all_threads_stand_for_the_arm(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"])
    result = result_of(run, "latency")
    rows = read_frame(run.folder / "timings.parquet")
    rows = rows[(rows["mode"] == "latency") & (rows["arm"] == "distilled") & (rows["threads"] == 2)]
    for percent in (50, 95, 99):
        measure = one(result, f"latency_p{percent}_ms", "distilled")
        assert value(measure) == pytest.approx(np.percentile(1e3 * rows["seconds"], percent))
        assert value(measure) == value(one(result, f"latency_p{percent}_ms", "distilled", "threads=2"))
    assert value(one(result, "latency_p50_ms", "distilled", "threads=1")) > value(measure) * 0.5


def test_a_long_tail_has_no_upper_bound(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path, arms=["distilled"]), "latency")
    assert one(result, "latency_p99_ms", TEACHER).high is None  # 40 rounds cannot bound a 99th percentile


def test_speedup_of_known_timings(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], levels=EXACT)
    measure = one(result_of(run, "latency"), "latency_speedup", "distilled")
    assert measure.low is not None and measure.high is not None
    assert measure.low < 2.5 < measure.high
    assert measure.high - measure.low < 0.4


def test_a_slower_student_is_a_warning(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], levels={**EXACT, "distilled": Level(0.5, ms=20.0)})
    assert result_of(run, "latency").findings[0].severity == "warning"


def test_throughput_of_the_best_batch(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path, arms=["distilled"]), "latency")
    sizes = [m for m in result.measures if m.name == "throughput_per_s" and m.arm == TEACHER and m.group]
    assert {m.group for m in sizes} == {"batch=1", "batch=8", "batch=32", "batch=64"}
    assert value(one(result, "throughput_per_s", TEACHER)) == max(value(m) for m in sizes)


def test_one_round_has_no_interval(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"])
    rows = read_frame(run.folder / "timings.parquet")
    write_frame(run.folder / "timings.parquet", rows[rows["round"] == 0])
    measure = one(result_of(run, "latency"), "latency_speedup", "distilled")
    assert measure.value is not None
    assert (measure.low, measure.high) == (None, None)


def test_no_timings_and_zero_timings_are_reasons(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], timings=False)
    assert result_of(run, "latency").skipped == "no model could be timed"
    other = make_fake_run(tmp_path, arms=["distilled"], run_id="zeros")
    write_frame(other.folder / "timings.parquet", read_frame(other.folder / "timings.parquet").assign(seconds=0.0))
    assert result_of(other, "latency").skipped == "every timing is zero or unreadable"
