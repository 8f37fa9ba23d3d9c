from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score
from statsmodels.stats.contingency_tables import mcnemar

from distill.store import TEACHER
from distill.types import Floats
from tests.auditor.checks.helpers import one, overwrite, result_of, value
from tests.fakes import make_fake_run


def test_values_equal_sklearn(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path)
    result = result_of(run, "quality")
    test = run.examples.part("test")
    guesses = [run.prediction("distilled", s).aligned(test.ids).argmax for s in (1, 2, 3)]
    teacher = run.prediction(TEACHER, 0).aligned(test.ids).argmax
    mean = np.mean([accuracy_score(test.y, g) for g in guesses])
    assert value(one(result, "accuracy", "distilled")) == pytest.approx(mean)
    assert value(one(result, "accuracy", "distilled", seed=2)) == pytest.approx(accuracy_score(test.y, guesses[1]))
    kept = 100 * mean / accuracy_score(test.y, teacher)
    assert value(one(result, "accuracy_retention", "distilled")) == pytest.approx(kept)
    difference = one(result, "accuracy_difference", "distilled")
    assert value(difference) == pytest.approx(mean - accuracy_score(test.y, teacher))
    f1 = np.mean([f1_score(test.y, g, average="macro") for g in guesses])
    assert value(one(result, "macro_f1", "distilled")) == pytest.approx(f1)
    recall = np.mean([recall_score(test.y, g, average=None)[0] for g in guesses])
    assert value(one(result, "recall", "distilled", "class=negative")) == pytest.approx(recall)
    table = [
        [np.sum(b & a) for a in (guesses[0] == test.y, guesses[0] != test.y)]
        for b in (teacher == test.y, teacher != test.y)
    ]
    p = mcnemar(np.array(table), exact=True).pvalue
    assert value(one(result, "mcnemar_p", "distilled", seed=1)) == pytest.approx(p)
    shown = [row["count"] for row in result.tables["confusion"] if row["arm"] == "distilled"]
    np.testing.assert_allclose(shown, np.mean([confusion_matrix(test.y, g) for g in guesses], axis=0).ravel())


def test_every_measure_lies_in_its_interval(tmp_path: Path) -> None:
    for measure in result_of(make_fake_run(tmp_path), "quality").measures:
        if measure.low is not None and measure.high is not None:
            assert measure.low - 1e-9 <= value(measure) <= measure.high + 1e-9, measure


def test_an_equal_student_is_not_proven_equal_by_few_items(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, n_test=30, arms=["distilled"], seeds=(1,))
    overwrite(run, "distilled", 1, run.prediction(TEACHER, 0).aligned(run.examples.part("test").ids).probs)
    result = result_of(run, "quality")
    difference = one(result, "accuracy_difference", "distilled")
    assert difference.value == 0
    assert difference.low is not None and difference.low < -0.05
    assert difference.detail["word"] == "cannot tell"
    assert value(one(result, "accuracy_retention", "distilled")) == 100
    assert (one(result, "accuracy_retention", "distilled").low or 100) < 95


def test_what_distillation_added(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path), "quality")
    added = one(result, "accuracy_over_control", "distilled")
    gap = value(one(result, "accuracy", "distilled")) - value(one(result, "accuracy", "hard_label"))
    assert added.versus == "hard_label"
    assert value(added) == pytest.approx(gap)


def test_without_a_control_it_says_so(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path, arms=["distilled"]), "quality")
    assert any("no hard-label control" in finding.claim for finding in result.findings)
    assert not [m for m in result.measures if m.name == "accuracy_over_control"]


def test_one_class_predicted(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1,))
    overwrite(run, "distilled", 1, _always(0, 300))
    result = result_of(run, "quality")
    assert one(result, "precision", "distilled", "class=positive").value is None
    assert one(result, "recall", "distilled", "class=negative").value == 1
    assert any("never predicts 'neutral', 'positive'" in finding.claim for finding in result.findings)
    assert any(finding.severity == "serious" for finding in result.findings)


def test_no_human_labels_is_skipped(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path, human_labels=False), "quality")
    assert result.skipped == "the test rows carry no human label"
    assert not result.measures


def test_an_arm_with_nan_is_left_out_and_named(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled", "hard_label"], seeds=(1,))
    spoilt = _always(0, 300)
    spoilt[7] = np.nan
    overwrite(run, "hard_label", 1, spoilt)
    result = result_of(run, "quality")
    assert {m.arm for m in result.measures} == {TEACHER, "distilled"}
    assert any("'hard_label' hold NaN in 1 of 300 rows" in finding.claim for finding in result.findings)


def test_a_teacher_with_nan_is_a_reason(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1,))
    spoilt = _always(0, 300)
    spoilt[7] = np.nan
    overwrite(run, TEACHER, 0, spoilt)
    assert "The teacher's predictions hold NaN in 1 of 300 rows" in (result_of(run, "quality").skipped or "")


def _always(label: int, n: int) -> Floats:
    probs = np.full((n, 3), 0.1)
    probs[:, label] = 0.8
    return probs
