from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import rel_entr

from distill.store import TEACHER
from tests.auditor.checks.helpers import one, overwrite, result_of, value
from tests.fakes import make_fake_run


def test_values_equal_scipy(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1, 2))
    result = result_of(run, "fidelity")
    test = run.examples.part("test")
    teacher = run.prediction(TEACHER, 0).aligned(test.ids)
    students = [run.prediction("distilled", seed).aligned(test.ids) for seed in (1, 2)]
    divergence = np.mean([rel_entr(teacher.probs, s.probs).sum(axis=1).mean() for s in students])
    assert value(one(result, "kl_divergence", "distilled")) == pytest.approx(divergence)
    same = np.mean([(teacher.argmax == s.argmax).mean() for s in students])
    assert value(one(result, "agreement", "distilled")) == pytest.approx(same)
    matched = np.mean([1 - 0.5 * np.abs(teacher.probs - s.probs).sum(axis=1).mean() for s in students])
    assert value(one(result, "mass_matched", "distilled")) == pytest.approx(matched)
    wrong = teacher.argmax != test.y
    inherited = one(result, "agreement_where_teacher_wrong", "distilled")
    assert inherited.n == wrong.sum()
    assert value(inherited) == pytest.approx(np.mean([(teacher.argmax == s.argmax)[wrong].mean() for s in students]))


def test_regressions_and_gains_account_for_the_accuracy(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1,))
    result, quality = result_of(run, "fidelity"), result_of(run, "quality")
    net = value(one(result, "gains", "distilled")) - value(one(result, "regressions", "distilled"))
    assert net / 300 == pytest.approx(value(one(quality, "accuracy_difference", "distilled")))
    assert value(one(result, "disagreements", "distilled")) >= value(one(result, "regressions", "distilled"))


def test_a_perfect_copy(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, arms=["distilled"], seeds=(1,))
    overwrite(run, "distilled", 1, run.prediction(TEACHER, 0).aligned(run.examples.part("test").ids).probs)
    result = result_of(run, "fidelity")
    agreement = one(result, "agreement", "distilled")
    assert agreement.value == 1
    assert agreement.low is not None and 0.97 < agreement.low < 1
    assert value(one(result, "kl_divergence", "distilled")) == pytest.approx(0, abs=1e-9)
    assert any("repeats 100.0 % of the teacher's" in finding.claim for finding in result.findings)


def test_without_labels_it_still_speaks(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path, human_labels=False), "fidelity")
    assert result.skipped is None
    assert value(one(result, "agreement", "distilled")) > 0.5
    assert not [m for m in result.measures if m.name in ("regressions", "gains", "agreement_where_teacher_wrong")]
