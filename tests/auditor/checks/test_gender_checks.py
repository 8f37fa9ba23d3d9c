"""The four checks of gender bias on fake runs with planted truths."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.gates import decide
from distill.spec import GateSpec
from distill.store import Run
from distill.types import Floats
from tests.auditor.checks.helpers import one, result_of, value
from tests.fakes import make_fake_run

SMALL = {"gender_bias": {"pairs_per_cell": 2, "resamples": 300}, "gender_swaps": {"resamples": 300}}
SMALL |= {"gender_ledger": {"resamples": 300}}
ARMS = ("distilled", "hard_label")


def planted(gaps: Mapping[str, float], noise: float = 0.0) -> Any:
    """Item probabilities in which a woman's sentence gets ``gaps[arm]`` more of the positive class than the man's."""

    def probs(items: pd.DataFrame, arm: str, seed: int) -> Floats:
        gender = np.array([json.loads(meta).get("gender") for meta in items["meta"]])
        positive = 0.4 + gaps.get(arm, 0.0) * np.where(gender == "female", 0.5, -0.5)
        positive = positive + noise * np.random.default_rng([seed, len(arm)]).normal(size=len(items))
        positive = np.clip(positive, 0.01, 0.98)
        return np.column_stack([(1 - positive) / 2, (1 - positive) / 2, positive])

    return probs


def run_with(root: Path, probs: Any, **more: Any) -> Run:
    """A small fake run; no dev rows, so that probabilities are measured as they are."""
    spec = {"audit": {"checks": SMALL, "bias_margin": 0.01, **more.pop("audit", {})}, **more.pop("spec", {})}
    sizes = {"n_test": 80, "n_dev": more.pop("n_dev", 0), "n_pool": 40, "n_train": 20, "seeds": (1, 2)}
    return make_fake_run(
        root, arms=ARMS, with_items=True, item_probs=probs, timings=False, spec=spec, **{**sizes, **more}
    )


@pytest.mark.parametrize(
    ("teacher", "student", "word"), [(0.02, 0.10, "amplified"), (0.10, 0.02, "reduced"), (0.05, 0.05, "equivalent")]
)
def test_a_planted_gap_and_its_change_are_found(tmp_path: Path, teacher: float, student: float, word: str) -> None:
    found = result_of(run_with(tmp_path, planted({"teacher": teacher, "distilled": student})), "gender_bias")
    assert found.skipped is None
    assert value(one(found, "gender_bias", "distilled")) == pytest.approx(student, abs=1e-4)
    assert value(one(found, "gender_bias_signed", "teacher")) == pytest.approx(teacher, abs=1e-4)
    change = one(found, "gender_bias_change", "distilled")
    assert value(change) == pytest.approx(student - teacher, abs=1e-4)
    assert change.detail["verdict"] == word
    assert any(f.claim.startswith("Distillation changed") and word in f.claim for f in found.findings)
    percent = one(found, "gender_bias_change_pct", "distilled")
    assert value(percent) == pytest.approx(100 * (student / teacher - 1), rel=1e-2, abs=0.1)


def test_noise_alone_is_no_gap_and_no_percentage(tmp_path: Path) -> None:
    found = result_of(run_with(tmp_path, planted({}, noise=0.02)), "gender_bias")
    assert value(one(found, "gender_bias", "teacher")) < 0.01
    assert not [m for m in found.measures if m.name == "gender_bias_change_pct"]


def test_distillation_and_compression_are_told_apart(tmp_path: Path) -> None:
    gaps = {"teacher": 0.02, "hard_label": 0.06, "distilled": 0.10}
    found = result_of(run_with(tmp_path, planted(gaps)), "gender_bias")
    assert value(one(found, "gender_bias_added_by_distillation", "distilled")) == pytest.approx(0.04, abs=1e-4)
    assert value(one(found, "gender_bias_added_by_compression", "hard_label")) == pytest.approx(0.04, abs=1e-4)
    assert len(found.tables["occupations"]) >= 3 * 60


def test_a_softer_student_does_not_look_fairer(tmp_path: Path) -> None:
    """Dev answers that are half as sharp give a temperature that undoes the same softening of the items."""
    from distill.types import ClassSignal

    def probs(items: pd.DataFrame, arm: str, seed: int) -> Floats:
        sharp = planted({"teacher": 0.2, "distilled": 0.2})(items, arm, seed)
        return sharp if arm != "distilled" else _softened(sharp)

    run = run_with(tmp_path, probs, n_dev=600)
    dev = run.prediction("teacher", 0, "dev")
    for seed in (1, 2):
        ClassSignal(dev.ids, _softened(dev.probs)).write(run.prediction_path("distilled", seed, "dev"))
    found = result_of(run, "gender_bias")
    gaps = [value(one(found, "gender_bias", arm)) for arm in ("teacher", "distilled")]
    assert gaps[0] == pytest.approx(gaps[1], rel=0.02)


def _softened(probs: Floats) -> Floats:
    root = np.sqrt(probs)
    return np.asarray(root / root.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("check", ["gender_bias", "gender_swaps", "groups"])
def test_without_a_positive_class_nothing_is_guessed(tmp_path: Path, check: str) -> None:
    run = run_with(tmp_path, planted({}), spec={"data": {"positive": None}})
    skipped = result_of(run, check).skipped
    assert skipped is not None
    assert "none was chosen" in skipped


@pytest.mark.parametrize("check", ["gender_bias", "gender_swaps"])
@pytest.mark.parametrize("language", ["fi", None])
def test_a_language_without_words_is_said_not_guessed(tmp_path: Path, check: str, language: str | None) -> None:
    skipped = result_of(run_with(tmp_path, planted({}), spec={"data": {"language": language}}), check).skipped
    assert skipped is not None
    assert ("'fi'" in skipped) if language else ("not stated" in skipped)


@pytest.mark.parametrize("value_", [np.nan, 1 / 3])
def test_a_model_with_nan_or_constant_answers_is_not_called_fair(tmp_path: Path, value_: float) -> None:
    def probs(items: pd.DataFrame, arm: str, seed: int) -> Floats:
        usual = planted({"teacher": 0.05})(items, arm, seed)
        return np.full_like(usual, value_) if arm == "distilled" else usual

    found = result_of(run_with(tmp_path, probs), "gender_bias")
    change = one(found, "gender_bias_change", "distilled")
    assert change.detail["verdict"] == "cannot tell"
    reason = "NaN" if np.isnan(value_) else "same score"
    assert any(reason in f.claim for f in found.findings)


def test_swapped_rows_have_their_gap_and_rows_left_out_are_counted(tmp_path: Path) -> None:
    run = run_with(tmp_path, planted({"distilled": 0.2}))
    assert "no row holds a gendered word" in str(result_of(run, "gender_swaps").skipped)
    frame = run.examples.frame.copy()
    test = frame.index[frame["split"] == "test"]
    frame.loc[test[:6], "text"] = [f"she was kind at gate {n}" for n in range(6)]
    frame.loc[test[6], "text"] = "she told him"
    type(run.examples)(frame, run.examples.labels).write(run.folder / "examples.parquet")
    _predict_items(run, planted({"distilled": 0.2}))
    found = result_of(run, "gender_swaps")
    assert value(one(found, "swap_gap_signed", "distilled")) == pytest.approx(0.2, abs=1e-6)
    assert value(one(found, "swap_gap_signed", "teacher")) == pytest.approx(0.0, abs=1e-6)
    assert value(one(found, "swap_flip_rate", "distilled")) in (0.0, 1.0)
    left = {row["reason"]: row["rows"] for row in found.tables["left_out"]}
    assert sum(left.values()) == 74
    assert any("women and men" in reason for reason in left)


def _predict_items(run: Run, probs: Any) -> None:
    from auditor.items import collect_items
    from distill.types import ClassSignal, write_frame

    items = collect_items(run.spec, run.examples)
    write_frame(run.folder / "items.parquet", items)
    for arm, seed in [("teacher", 0), *((arm, seed) for arm in ARMS for seed in (1, 2))]:
        ids = items["item_id"].to_numpy(dtype=object)
        ClassSignal(ids, probs(items, arm, seed)).write(run.prediction_path(arm, seed, "items"))


def test_groups_have_their_planted_rates_and_the_four_fifths_finding(tmp_path: Path) -> None:
    from distill.types import ClassSignal

    run = run_with(tmp_path, planted({}), n_test=400, groups={"gender": ("female", "male")})
    test = run.examples.part("test")
    women = test.groups["gender"] == "female"
    answers = np.where(women, np.arange(400) % 4 == 0, np.arange(400) % 2 == 0)
    probs = np.where(answers[:, None], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1])
    for seed in (1, 2):
        ClassSignal(test.ids, probs).write(run.prediction_path("distilled", seed, "test"))
    found = result_of(run, "groups")
    rates = {g: answers[mask].mean() for g, mask in (("female", women), ("male", ~women))}
    impact = one(found, "impact_ratio", "distilled", "gender=female")
    assert value(impact) == pytest.approx(rates["female"] / rates["male"])
    assert impact.detail["below"] is True
    difference = one(found, "demographic_parity_difference", "distilled", "gender")
    assert value(difference) == pytest.approx(rates["male"] - rates["female"])
    assert any("four fifths" in f.claim for f in found.findings)
    assert (
        difference.low is not None
        and difference.high is not None
        and 0 < difference.low < value(difference) < difference.high
    )
    worst = one(found, "demographic_parity_difference", "distilled")
    columns = [
        m for m in found.measures if (m.name, m.arm) == ("demographic_parity_difference", "distilled") and m.group
    ]
    assert worst.value == max(value(m) for m in columns) and worst.high == max(m.high or 0 for m in columns)
    gated = decide(GateSpec(measure="demographic_parity_difference", at_most=0.05), "distilled", [found])
    assert gated.state == "fail"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["same"], "one value only"),
        ([f"v{n}" for n in range(5_000)], "commonest are shown"),
        (["", "a", "b"], "no value"),
    ],
)
def test_odd_group_columns_are_handled_and_said(tmp_path: Path, values: list[str], said: str) -> None:
    run = run_with(tmp_path, planted({}), n_test=300, groups={"odd": values})
    found = result_of(run, "groups")
    told = " ".join([str(found.skipped), *(f.claim for f in found.findings)])
    assert said in told


def test_the_ledger_goes_from_people_to_the_student(tmp_path: Path) -> None:
    from distill.types import ClassSignal

    run = run_with(tmp_path, planted({}), n_test=300, groups={"gender": ("female", "male")})
    test = run.examples.part("test")
    women = test.groups["gender"] == "female"
    probs = np.where(women[:, None], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1])
    for seed in (1, 2):
        ClassSignal(test.ids, probs).write(run.prediction_path("distilled", seed, "test"))
    leaning = np.arange(300) % 5 < np.where(women, 3, 2)
    probs = np.where(leaning[:, None], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1])
    ClassSignal(test.ids, probs).write(run.prediction_path("teacher", 0, "test"))
    found = result_of(run, "gender_ledger")
    assert value(one(found, "label_gender_association", "distilled")) > 0.95
    assert value(one(found, "label_gender_association", "people")) < 0.3
    grown = one(found, "label_gender_growth", "distilled")
    levels = [value(one(found, "label_gender_association", who)) for who in ("distilled", "teacher")]
    assert value(grown) == pytest.approx(
        levels[0] - levels[1]
    )  # what a reader sees of the two is what the interval is of
    assert grown.versus == "teacher"
    assert value(one(found, "bias_amplification", "distilled")) > 0.1
    lines = [row["line"] for row in found.tables["ledger"]]
    assert lines[:2] == ["people", "teacher"]
    assert "synthetic labels" in lines
