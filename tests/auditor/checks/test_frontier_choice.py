"""The choice among the arms of a sweep: by dev alone, with the test's figure of what was chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auditor.checks.frontier import choices
from distill.files import read_json, write_json
from distill.store import TEACHER, Run
from distill.types import ClassSignal
from tests.auditor.checks.helpers import one, result_of, value
from tests.fakes import Level, make_fake_run

ARMS = [{"kind": "distilled", "name": name} for name in ("large", "middle", "small")]
LEVELS = {"large": Level(0.1, size=0.8), "middle": Level(0.5, size=0.5), "small": Level(6.0, size=0.1)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_fake_run(tmp_path_factory.mktemp("sweep"), arms=ARMS, seeds=(1,), levels=LEVELS, n_test=300, n_dev=300)


def test_the_choice_is_known() -> None:
    kept = {"a": 100.0, "b": 98.0, "c": 97.5, "d": 60.0}
    gains = {"size": {"a": 1.0, "b": 2.0, "c": 4.0, "d": 8.0}}
    found = {one.rule: one.arm for one in choices(kept, gains, 97)}
    assert found == {"most accurate": "a", "smallest": "c", "knee of size": "c"}
    assert "smallest" not in {one.rule for one in choices(kept, gains, 100.5)}
    assert choices({"a": 97.0, "b": 97.0}, {"size": {"a": 2.0, "b": 3.0}}, 97)[0].arm == "b", (
        "a tie goes to the smaller"
    )


def test_the_choice_follows_dev_and_never_the_test(run: Run, tmp_path: Path) -> None:
    result = result_of(run, "frontier")
    picked = {row["rule"]: row["arm"] for row in result.tables["choices"]}
    assert picked["most accurate"] == "large"
    test = one(result, "chosen_retention", "large", "choice=most accurate")
    quality = one(result_of(run, "quality"), "accuracy_retention", "large")
    assert (test.value, test.low, test.high) == (quality.value, quality.low, quality.high)
    # whatever happens on the test, the choice stays
    other = make_fake_run(tmp_path, arms=ARMS, seeds=(1,), levels=LEVELS, n_test=300, n_dev=300)
    for name in ("large", "middle"):
        signal = other.prediction(name, 1)
        ClassSignal(signal.ids, np.roll(signal.probs, 1, axis=1)).write(other.prediction_path(name, 1, "test"))
    spoilt = result_of(other, "frontier")
    assert spoilt.tables["choices"] == result.tables["choices"]
    assert value(one(spoilt, "chosen_retention", "large", "choice=most accurate")) < value(test)


def test_dev_figures_are_those_of_the_dev_rows(run: Run) -> None:
    result = result_of(run, "frontier")
    dev = run.examples.part("dev")
    right = {
        name: (run.prediction(name, seed, "dev").argmax == dev.y).mean() for name, seed in ((TEACHER, 0), ("middle", 1))
    }
    assert value(one(result, "dev_accuracy", "middle")) == pytest.approx(right["middle"])
    assert value(one(result, "dev_retention", "middle")) == pytest.approx(100 * right["middle"] / right[TEACHER])
    rows = {row["arm"]: row for row in result.tables["arms"]}
    sizes = {card.name: card.bytes or 0 for card in run.cards()}
    assert rows["small"]["size"] == pytest.approx((run.teacher.bytes or 0) / sizes["small"])
    assert rows["small"]["speed"] and rows["small"]["cost"] is not None


def test_a_sentence_for_each_choice_of_a_sweep_and_none_where_nothing_is_swept(run: Run, tmp_path: Path) -> None:
    claims = [finding.claim for finding in result_of(run, "frontier").findings]
    assert any(claim.startswith("Dev chooses 'large' as the most accurate of 3 arms") for claim in claims)
    assert all("On the test, which chose nothing, it keeps" in claim for claim in claims)
    plain = make_fake_run(tmp_path, arms=["distilled", "hard_label"], seeds=(1,), n_test=60)
    assert not result_of(plain, "frontier").findings


def test_nothing_that_keeps_enough_is_said(tmp_path: Path) -> None:
    levels = {arm["name"]: Level(9.0) for arm in ARMS}
    run = make_fake_run(tmp_path, arms=ARMS, seeds=(1,), levels=levels, n_test=100)
    result = result_of(run, "frontier")
    assert any(f.severity == "notice" and f.claim.startswith("No arm keeps 97 %") for f in result.findings)
    assert {row["rule"] for row in result.tables["choices"]} & {"smallest", "fastest", "cheapest"} == set()


def test_without_dev_nothing_is_chosen(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path / "a", arms=ARMS, seeds=(1,), n_test=60)
    run.prediction_path("large", 1, "dev").unlink()
    assert {row["arm"] for row in result_of(run, "frontier").tables["arms"]} == {"middle", "small"}
    bare = make_fake_run(tmp_path / "b", arms=ARMS, seeds=(1,), n_test=60, n_dev=0)
    assert "arms are chosen there" in (result_of(bare, "frontier").skipped or "")


def test_an_arm_without_a_size_is_left_out_of_that_axis(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=ARMS, seeds=(1,), n_test=60, timings=False)
    path = run.arm_folder("small", 1) / "arm.json"
    write_json(path, {**read_json(path), "bytes": None})
    result = result_of(run, "frontier")
    rows = {row["arm"]: row for row in result.tables["arms"]}
    assert rows["small"]["size"] is None and rows["large"]["speed"] is None
