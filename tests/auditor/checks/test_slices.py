from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from auditor.checks.slices import rarity
from auditor.checks.text_slices import quartiles
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
    details = [m.detail for m in result.measures if m.name == "slice_difference" and m.value is not None]
    expected = false_discovery_control([detail["p"] for detail in details])
    np.testing.assert_allclose([detail["p_adjusted"] for detail in details], expected)


def test_too_few_rows_is_a_reason(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path, n_test=20), "slices")
    assert result.skipped is not None
    assert result.skipped.startswith("no slice has 30 labelled test rows (class=negative: n = ")


def test_groups_with_many_values_are_named(tmp_path: Path) -> None:
    many = {"user": [f"u{i}" for i in range(60)]}
    result = result_of(make_fake_run(tmp_path, groups=many, arms=["distilled"], n_test=3_000, seeds=(1,)), "slices")
    assert not [m for m in result.measures if (m.group or "").startswith("user=")]
    assert one(result, "slice_difference", "distilled", "user").detail["reason"] == "60 values: too many to take apart"
    assert value(one(result, "slice_accuracy", TEACHER, "class=neutral")) == pytest.approx(0.8, abs=0.2)


def test_a_small_slice_says_so_and_stays(tmp_path: Path) -> None:
    groups = {"site": ["rare", *["usual"] * 39]}
    result = result_of(make_fake_run(tmp_path, groups=groups, arms=["distilled"]), "slices")
    found = [m for m in result.measures if m.group == "site=rare"]
    assert [m.value for m in found] == [None]
    assert found[0].detail["reason"] == f"n = {found[0].n}: too few to judge"


def test_the_worst_slice_is_always_told(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path, arms=["distilled"]), "slices")
    worst = one(result, "worst_slice", "distilled")
    differences = [m for m in result.measures if m.name == "slice_difference" and m.value is not None]
    assert value(worst) == min(value(m) for m in differences)
    assert worst.n > 0 and worst.low is not None and worst.high is not None
    assert any(worst.detail["slice"] in finding.claim for finding in result.findings)


def test_rarity_by_hand() -> None:
    y = np.repeat([0, 1, 2, 3], [50, 32, 12, 6])
    found = rarity(y, 4)
    assert {name: int(mask.sum()) for name, mask in found.items()} == {
        "class rarity=common": 50,
        "class rarity=middling": 32,
        "class rarity=rare": 18,
    }
    assert rarity(np.array([0, 1]), 2) == {}


def test_slices_by_length_and_language(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], n_test=400, spec={"audit": {"skip": ["languages"]}})
    result = result_of(run, "text_slices")
    groups = {m.group: m.n for m in result.measures if m.name == "slice_difference"}
    assert groups and all(str(name).startswith("length=") for name in groups)
    assert sum(groups.values()) == 400
    assert one(result, "worst_text_slice", "distilled").detail["slice"] in groups


def test_quartiles_by_hand() -> None:
    found = quartiles(np.array([1, 2, 3, 4, 5, 6, 7, 8]))
    assert [int(mask.sum()) for mask in found.values()] == [2, 2, 2, 2]
    assert next(iter(found)) == "length=1 to 2 characters"
    assert list(quartiles(np.array([5, 5, 5]))) == ["length=5 to 5 characters"]
