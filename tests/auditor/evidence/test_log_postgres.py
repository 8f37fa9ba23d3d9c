"""Many people write into one chain at once on PostgreSQL, where no write lock holds the whole database; skipped where there is none."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from auditor.evidence.chain import verify_chain
from auditor.evidence.log import append, entries
from auditor.votes import Question, cast, votes_frame
from distill.db import open_database
from distill.errors import HeirloomError
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


def test_of_two_presses_at_once_one_is_a_vote_and_one_a_sentence(home: Workspace) -> None:
    open_database(home)
    together = threading.Barrier(WRITERS)
    question = Question("run-1", "token_kl", "teacher")

    def press(_: int) -> str:
        together.wait()
        try:
            cast(home, question, "row-1", "Ada", "arm")
        except HeirloomError as error:
            return error.message
        return "kept"

    with ThreadPoolExecutor(WRITERS) as presses:
        said = sorted(presses.map(press, range(WRITERS)))
    assert said == [*["You have voted on this prompt already."] * (WRITERS - 1), "kept"]
    assert len(votes_frame(home, "run-1")) == 1
