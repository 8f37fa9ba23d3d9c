"""Many people write into one chain at once on PostgreSQL, where no write lock holds the whole database; skipped where there is none."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from auditor.evidence.chain import verify_chain
from auditor.evidence.log import append, entries
from distill.db import open_database
from distill.workspace import Workspace
from tests.distill.test_postgres import home, server

__all__ = ["home", "server"]
pytestmark = pytest.mark.slow
WRITERS, EACH = 6, 20


def test_writers_come_one_after_the_other(home: Workspace) -> None:
    database = open_database(home)
    together = threading.Barrier(WRITERS)

    def write(writer: int) -> None:
        together.wait()
        for n in range(EACH):
            with database.write() as session:
                append(session, "run-1", f"person {writer}", "decision", {"n": n})

    with ThreadPoolExecutor(WRITERS) as people:
        list(people.map(write, range(WRITERS)))
    chain = entries(home, "run-1")
    assert [entry.seq for entry in chain] == list(range(WRITERS * EACH))
    assert verify_chain(chain, "run-1").ok
