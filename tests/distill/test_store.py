"""The run directory: the manifest names every artefact whatever the folders are called, and no event is lost to a torn one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill import events
from distill.errors import SpecError, StoreError
from distill.files import read_json, write_text
from distill.process import record_process
from distill.spec import parse_spec
from distill.store import Run
from distill.workspace import Workspace
from tests.home import make_run


def test_the_manifest_names_files_by_their_place(tmp_path: Path) -> None:
    run = make_run(Workspace(tmp_path / "checkpoint" / "home").made())
    artefacts = {
        "arms/checkpoint/1/arm.json",
        "arms/checkpoint/1/model/config.json",
        "arms/model/1/model/checkpoint/part.json",
        "predictions/checkpoint/1.test.parquet",
        "spec.yaml",
    }
    others = {
        "arms/model/1/checkpoint/state.bin",
        "arms/checkpoint/1/checkpoint/now/config.json",
        "seal.json",
        "cancel",
    }
    for name in (artefacts | others) - {"spec.yaml"}:
        write_text(run.folder / name, name)
    run.write_manifest()
    assert set(read_json(run.folder / "manifest.json")["files"]) == artefacts


@pytest.mark.parametrize("name", ["teacher", "origin", "Origin", "people"])
def test_an_arm_is_not_called_what_something_else_is_called(name: str) -> None:
    spec = {
        "name": "a",
        "data": {"source": {"path": "a.csv", "kind": "file"}},
        "arms": [{"kind": "distilled", "name": name}],
    }
    with pytest.raises(SpecError, match=f"cannot be called '{name}'"):
        parse_spec(spec)


def test_an_event_after_a_torn_line_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "r-1"
    folder.mkdir(parents=True)
    run = Run(folder)
    run.append(events.Queued(by="ann"))
    log = folder / "events.jsonl"
    log.write_bytes(log.read_bytes() + b'{"kind": "canc')
    run.append(events.Cancelled(by="bob"))
    run.append(events.Queued(by="eve"))
    assert [(event.kind, event.by) for event in run.events()] == [  # type: ignore[union-attr]
        ("queued", "ann"),
        ("cancelled", "bob"),
        ("queued", "eve"),
    ]
    assert log.read_bytes().count(b"\n") == 4


def test_a_record_that_goes_while_it_is_looked_at_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(Workspace(tmp_path).made())
    path = run.folder / "process.json"
    write_text(path, "{half")
    with pytest.raises(StoreError, match="damaged"):
        run.status()
    record_process(path)
    assert run.status() == "running"

    def just_ended(asked: Path) -> Any:
        asked.unlink()
        return read_json(asked)

    monkeypatch.setattr("distill.process.read_json", just_ended)
    assert run.status() == "interrupted"
