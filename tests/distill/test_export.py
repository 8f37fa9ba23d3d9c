from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.cli.main import main
from distill.engine.memory import MemoryFacts
from distill.errors import ModelError, StoreError
from distill.export import FORMATS, export, exports
from distill.files import file_digest
from distill.stages import run_stages
from distill.store import Run
from tests.distill.tiny import make_context, tiny_spec


@pytest.fixture(scope="module")
def run(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("export")
    teacher = {"kind": "checkpoint", "options": {"source": str(classifier)}}
    cut = {"kind": "pruned", "name": "cut", "options": {"recover": False, "texts": 8}}
    int8 = {"kind": "quantised", "name": "int8", "options": {"of": "distilled"}}
    context, _ = make_context(root, tiny_spec(root, teacher=teacher, arms=["distilled", cut, int8], seeds=[1]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distill.engine.memory.peak_memory", lambda *_, **__: MemoryFacts(1, 2))
        assert run_stages(context) == "done"
    return context.run


def test_a_bundle_answers_alone_and_lists_its_digests(run: Run, tmp_path: Path) -> None:
    found = export(run, "distilled", "bundle", tmp_path / "bundle", card_text="# A card\n")
    assert found.agreement >= 0.999 and found.largest_difference < 1e-4 and found.texts == 60
    assert found.latency_ms and found.cold_start_seconds
    folder = tmp_path / "bundle"
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert file_digest(folder / name) == digest
    assert {"predict.py", "README.md", "verified.json", "model.onnx"} <= {path.name for path in folder.iterdir()}
    by_lines = asked(folder, typed="great flight\nlate bag\n")
    assert by_lines == asked(folder, "great flight", "late bag")
    answers = [json.loads(line) for line in by_lines.splitlines()]
    assert len(answers) == 2 and all(set(answer["probabilities"]) == set(run.examples.labels) for answer in answers)
    assert all(answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get) for answer in answers)
    assert "usage: python predict.py" in asked(folder, "--help")
    assert len((folder / "predict.py").read_text().splitlines()) < 40
    readme = (folder / "README.md").read_text()
    assert readme.startswith("# A card\n") and 'python predict.py "' in readme


def asked(folder: Path, *texts: str, typed: str = "") -> str:
    """What the predict.py of a bundle prints for texts as arguments, or typed."""
    command = [sys.executable, "-I", "predict.py", *texts]
    return subprocess.run(command, input=typed, capture_output=True, text=True, cwd=folder, check=True).stdout


def test_the_command_takes_a_folder_from_where_it_is_typed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEIRLOOM_HOME", str(run.folder.parent.parent))
    monkeypatch.setattr(Run, "status", lambda _: "complete")
    with pytest.raises(SystemExit) as end:
        main(["export", run.id, "--arm", "distilled", "--format", "bundle-int8", "-o", "here"])
    assert end.value.code == 0, capsys.readouterr().err
    assert capsys.readouterr().out == "here\n" and (tmp_path / "here" / "predict.py").exists()


def test_what_was_measured_stays_with_the_run_and_outside_its_manifest(run: Run, tmp_path: Path) -> None:
    first = export(run, "distilled", "onnx", tmp_path / "a")
    again = export(run, "distilled", "onnx", tmp_path / "b")
    with (run.folder / "exports.jsonl").open("a") as log:
        log.write('{"arm": "torn')
    kept = {(one.arm, one.format): one for _, one in exports(run)}
    assert kept["distilled", "onnx"] == again and again.agreement == first.agreement
    run.write_manifest()
    assert "exports.jsonl" not in (run.folder / "manifest.json").read_text()
    (run.folder / "manifest.json").unlink()


@pytest.mark.parametrize("form", [form for form in FORMATS if not form.startswith("bundle")])
def test_every_other_format_is_verified(run: Run, tmp_path: Path, form: str) -> None:
    found = export(run, "distilled", form, tmp_path / form)
    assert found.agreement > 0.9 and found.bytes > 0


def test_a_pruned_arm_goes_to_onnx_but_not_to_transformers(run: Run, tmp_path: Path) -> None:
    assert export(run, "cut", "onnx", tmp_path / "cut").agreement >= 0.999
    with pytest.raises(ModelError, match="transformers cannot load"):
        export(run, "cut", "hf", tmp_path / "hf")
    with pytest.raises(ModelError, match="int8 already"):
        export(run, "int8", "onnx", tmp_path / "int8")


def test_what_cannot_be_exported_is_said_and_leaves_nothing(run: Run, tmp_path: Path) -> None:
    for arm, form in (("destilled", "onnx"), ("distilled", "onx")):
        with pytest.raises(StoreError):
            export(run, arm, form, tmp_path / "x")
    with pytest.raises(StoreError, match="no seed 9"):
        export(run, "distilled", "onnx", tmp_path / "x", seed=9)
    (tmp_path / "there").mkdir()
    with pytest.raises(StoreError, match="already something"):
        export(run, "distilled", "onnx", tmp_path / "there")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
