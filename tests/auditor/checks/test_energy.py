from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from auditor.checks.energy import energy_rounds
from auditor.evidence.recompute import ATTESTED
from distill.energy import NO_METER
from distill.files import read_json, write_json
from distill.store import TEACHER
from distill.types import write_frame
from tests.auditor.checks.helpers import one, result_of, value
from tests.fakes import FAKE_WATTS, LEVELS, make_fake_run


def test_energy_of_a_thousand_answers_is_an_estimate_with_an_interval(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path)
    result = result_of(run, "energy")
    teacher, mine = one(result, "energy_per_1k_wh", TEACHER), one(result, "energy_per_1k_wh", "distilled")
    # oracle: the fake's power × its seconds, three rounds that rise by one per cent
    rounds = pd.read_parquet(run.folder / "timings.parquet").query("mode == 'energy' and arm == 'teacher'")
    logs = np.log(1e6 * rounds["kwh"] / rounds["texts"])
    low, high = stats.t.interval(0.95, 2, loc=logs.mean(), scale=stats.sem(logs))
    assert value(teacher) == pytest.approx(np.exp(logs.mean()))
    assert teacher.low == pytest.approx(np.exp(low)) and teacher.high == pytest.approx(np.exp(high))
    assert value(teacher) == pytest.approx(1e3 * FAKE_WATTS / 3600 * LEVELS[TEACHER].ms * 2e-4, rel=0.03)
    assert value(mine) < value(teacher)
    for measure in result.measures:
        assert not measure.exact and measure.detail["estimate"] and measure.detail["method"].startswith(NO_METER)
        assert measure.name in ATTESTED
    saving = one(result, "energy_saving", "distilled")
    assert value(saving) == pytest.approx(100 * (1 - LEVELS["distilled"].ms / LEVELS[TEACHER].ms), abs=1)
    assert "an estimate, no meter" in result.findings[0].claim


def test_a_run_without_readings_says_so(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path)
    frame = pd.read_parquet(run.folder / "timings.parquet")
    write_frame(run.folder / "timings.parquet", frame[frame["mode"] != "energy"].drop(columns="kwh"))
    skipped = result_of(run, "energy").skipped
    assert skipped is not None and "was not read" in skipped
    assert energy_rounds(frame.assign(kwh=0.0)) == {}


def test_what_was_metered_in_training_goes_before_the_assumed_power(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path)
    assumed = one(result_of(run, "alternatives"), "making_energy_kwh", "distilled")
    assert "seconds × all cores" in assumed.detail["method"]
    for path in run.folder.glob("arms/distilled/*/arm.json"):
        card = read_json(path)
        write_json(path, {**card, "extra": {**card["extra"], "kwh": 0.002, "kwh_method": "read from RAPL"}})
    metered = one(result_of(run, "alternatives"), "making_energy_kwh", "distilled")
    assert value(metered) == pytest.approx(0.002) and metered.detail["method"] == "read from RAPL"
    assert metered.detail["estimate"] is False


def test_an_answer_that_is_written_is_as_long_as_the_teachers() -> None:
    rows = [{"arm": "a", "mode": "energy", "round": turn, "tokens": 200, "kwh": 2e-6} for turn in range(3)]
    found = energy_rounds(pd.DataFrame(rows), tokens=50.0)["a"]
    assert found.tolist() == pytest.approx([0.5] * 3)  # 2 mWh for 4 answers: 0.5 Wh for 1,000
