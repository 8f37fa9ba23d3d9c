"""Many writers at once make one unbroken chain, and an entry shares the fate of its transaction."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from auditor.evidence.chain import verify_chain
from auditor.evidence.log import append, entries, length, record
from distill.db import open_database
from distill.workspace import Workspace


def _write(task: tuple[str, str]) -> int:
    workspace = Workspace(Path(task[0]))
    return [record(workspace, "run-1", task[1], "decision", {"item": str(i)}).seq for i in range(20)][-1]


def test_writers_in_three_processes_lose_and_double_nothing(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        list(pool.map(_write, [(str(tmp_path), name) for name in ("Ada", "Ben", "Cleo")]))
    chain = entries(Workspace(tmp_path), "run-1")
    assert verify_chain(chain, "run-1").ok
    assert len(chain) == length(Workspace(tmp_path), "run-1") == 60
    assert {e.actor: [x.payload["item"] for x in chain if x.actor == e.actor] for e in chain} == {
        name: [str(i) for i in range(20)] for name in ("Ada", "Ben", "Cleo")
    }


def test_an_entry_goes_when_its_transaction_fails(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)

    def fail(session: Session) -> None:
        append(session, "run-1", "Ada", "decision", {"item": "2"})
        raise RuntimeError("power cut")

    record(workspace, "run-1", "Ada", "decision", {"item": "1"})
    with pytest.raises(RuntimeError), open_database(workspace).write() as session:
        fail(session)
    assert [entry.payload["item"] for entry in entries(workspace, "run-1")] == ["1"]
    assert entries(workspace, "run-1", since=1) == []
