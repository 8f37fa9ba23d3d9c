"""Tokens lost by trimming, read from the cards, also for what is made from a trimmed arm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from auditor.stats.proportions import wilson
from distill.files import read_json, write_json
from tests.auditor.checks.helpers import one, result_of, value
from tests.fakes import make_fake_run

COUNTS = {"test_tokens": 2000, "test_tokens_lost": 150, "test_texts": 80, "test_texts_touched": 30, "vocabulary": 900, "vocabulary_before": 3000}  # fmt: skip


def test_lost_tokens_are_a_measure_of_the_arm_and_of_what_is_made_from_it(tmp_path: Path) -> None:
    arms: list[str | dict[str, Any]] = [
        "distilled",
        {"kind": "trimmed", "name": "small", "options": {"of": "distilled"}},
        {"kind": "quantised", "name": "small-int8", "options": {"of": "small"}},
    ]
    run = make_fake_run(tmp_path, arms=arms, seeds=(1,), n_test=80)
    path = run.arm_folder("small", 1) / "arm.json"
    card = read_json(path)
    write_json(path, {**card, "extra": {**card["extra"], **COUNTS}})
    result = result_of(run, "vocabulary")
    for arm in ("small", "small-int8"):
        assert value(one(result, "tokens_lost", arm)) == pytest.approx(150 / 2000)
        touched = one(result, "texts_with_lost_tokens", arm)
        expected = wilson(30, 80)
        assert (touched.value, touched.low, touched.high) == (30 / 80, expected.low, expected.high)
        assert value(one(result, "vocabulary_kept", arm)) == pytest.approx(0.3)
    assert not [m for m in result.measures if m.arm == "distilled"]
    assert "lacks 7.5 % of the test's tokens" in result.findings[0].claim


def test_without_a_trimmed_arm_it_is_skipped(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1,), n_test=60)
    assert result_of(run, "vocabulary").skipped == "no arm has a trimmed vocabulary"
