from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from auditor.audit import audit_run
from auditor.bias.outside import outside_spec
from auditor.cli.main import main
from distill.errors import DataError, SpecError
from distill.spec import parse_spec
from distill.workspace import Workspace
from tests.auditor.checks.test_gender_checks import planted, run_with


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def checkpoint(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "bad", "1": "good"}}), encoding="utf-8")
    return folder


def test_a_runs_bias_in_words_and_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEIRLOOM_HOME", str(tmp_path))
    run = run_with(tmp_path, planted({"teacher": 0.02, "distilled": 0.1}))
    assert "has no audit yet" in call(capsys, "bias", run.id)[2]
    audit_run(run)
    code, out, _ = call(capsys, "bias", run.id)
    assert code == 0
    assert "Distillation changed the gender gap by +0.080" in out
    assert "gender_swaps: skipped, because" in out
    found: dict[str, Any] = json.loads(call(capsys, "bias", run.id, "--json")[1])
    names = {measure["name"] for measure in found["checks"]["gender_bias"]["measures"]}
    assert {"gender_bias", "gender_bias_signed", "gender_bias_change", "gender_bias_change_pct"} <= names
    assert found["candidate"] == "distilled"


def test_two_checkpoints_from_elsewhere_make_an_audit_only_run(tmp_path: Path) -> None:
    model, teacher = checkpoint(tmp_path / "student"), checkpoint(tmp_path / "teacher")
    spec = outside_spec(Workspace(tmp_path), str(model), str(teacher), positive="good", pairs_per_cell=2)
    assert parse_spec(spec.model_dump(mode="json")).candidate == "student"
    assert spec.data.labels == ("bad", "good")
    assert [arm.kind for arm in spec.arms] == ["given"]
    assert "gender_bias" not in spec.audit.skip
    assert "quality" in spec.audit.skip


def test_bad_input_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEIRLOOM_HOME", str(tmp_path))
    code, _, said = call(capsys, "bias", "--model", "x")
    assert (code, said.count("\n")) == (2, 1)
    teacher = checkpoint(tmp_path / "teacher")
    with pytest.raises(SpecError, match="none was chosen"):
        outside_spec(Workspace(tmp_path), str(teacher), str(teacher))
    with pytest.raises(SpecError, match="'god' is not a label"):
        outside_spec(Workspace(tmp_path), str(teacher), str(teacher), positive="god")
    with pytest.raises(DataError, match="no directory"):
        outside_spec(Workspace(tmp_path), "/gone/model", str(teacher), positive="good")
    with pytest.raises(DataError, match="language 'fi'"):
        outside_spec(Workspace(tmp_path), str(teacher), str(teacher), positive="good", language="fi")
    with pytest.raises(SpecError, match="labels of 'org/model'"):
        outside_spec(Workspace(tmp_path), "org/student", "org/model", positive="good")


def test_the_self_test_says_what_holds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The real simulations are run by the tests of the estimator; here a few hundred show what is printed."""
    from auditor.bias import selftest

    real = selftest.signed_coverage
    monkeypatch.setattr(selftest, "signed_coverage", lambda level: real(level, simulations=100, resamples=200))
    monkeypatch.setattr(selftest.Coverage, "holds", property(lambda self: self.covered > 0.8))
    code, out, _ = call(capsys, "bias", "--selftest", "--json")
    found = json.loads(out)
    assert {row["test"] for row in found} >= {"two identical models", "genders exchanged", "an untrained model"}
    assert all(row["holds"] for row in found)
    assert code == 0
