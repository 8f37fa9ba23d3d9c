"""The database: opened by many at once, migrated once, and plain about what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from distill.db import Base, Job, close_database, open_database
from distill.errors import StoreError
from distill.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
OPEN_AND_ADD = """
import os, sys
from pathlib import Path
from distill.db import Job, open_database
from distill.workspace import Workspace
with open_database(Workspace(Path(sys.argv[1]))).write() as session:
    session.add(Job(run_id=f"r-{os.getpid()}", action="run"))
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("HEIRLOOM_DATABASE_URL", raising=False)
    return Workspace(tmp_path).made()


def test_processes_that_open_a_new_database_at_once_all_succeed(home: Workspace) -> None:
    command = [sys.executable, "-c", OPEN_AND_ADD, str(home.root)]
    processes = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(4)]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [(b"", 0)] * 4
    with open_database(home).read() as session:
        assert session.query(Job).count() == 4
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"


def test_migrations_make_the_tables_that_the_models_describe(home: Workspace) -> None:
    found = inspect(open_database(home).engine)
    for name, table in Base.metadata.tables.items():
        assert {column["name"] for column in found.get_columns(name)} == set(table.columns.keys())
        assert {column["name"] for column in found.get_columns(name) if column["nullable"]} == {
            column.name for column in table.columns if column.nullable
        }


def test_of_two_open_jobs_of_before_the_newest_stays_and_no_second_one_comes(home: Workspace) -> None:
    with open_database(home).write() as session:
        session.execute(text("DROP INDEX ux_jobs_open"))
        session.execute(text("UPDATE alembic_version SET version_num = '0006'"))
        states = [("r", "done"), ("r", "claimed"), ("r", "queued"), ("other", "claimed")]
        session.add_all(Job(run_id=run, action="run", state=state) for run, state in states)
    close_database(home)
    with open_database(home).read() as session:
        assert [job.state for job in session.query(Job).order_by(Job.id)] == ["done", "failed", "queued", "claimed"]
    with pytest.raises(IntegrityError), open_database(home).write() as session:
        session.add(Job(run_id="r", action="audit"))
        session.flush()


def test_a_transaction_is_whole_or_absent(home: Workspace) -> None:
    with pytest.raises(RuntimeError), open_database(home).write() as session:
        session.add(Job(run_id="r", action="run"))
        session.flush()
        raise RuntimeError
    with open_database(home).read() as session:
        assert session.query(Job).count() == 0


def test_a_broken_constraint_reaches_the_caller(home: Workspace) -> None:
    with pytest.raises(IntegrityError), open_database(home).write() as session:
        session.execute(text("INSERT INTO jobs (id) VALUES (1)"))


def test_a_damaged_file_and_a_bad_url_are_said_in_one_sentence(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.root / "heirloom.db").write_bytes(b"not a database at all" * 200)
    with pytest.raises(StoreError, match="damaged"):
        open_database(home)
    monkeypatch.setenv("HEIRLOOM_DATABASE_URL", "nonsense")
    with pytest.raises(StoreError, match="not a database URL"):
        open_database(home)


def test_closing_lets_the_file_be_replaced(home: Workspace) -> None:
    with open_database(home).write() as session:
        session.add(Job(run_id="r", action="run"))
    close_database(home)
    for file in home.root.glob("heirloom.db*"):
        file.unlink()
    with open_database(home).read() as session:
        assert session.query(Job).count() == 0
