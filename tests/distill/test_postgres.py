"""The same queue on PostgreSQL: a server of its own, where one is installed, else skipped."""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from distill import jobs
from distill.db import Job, close_database, open_database
from distill.errors import StoreError
from distill.workspace import Workspace
from tests.distill.test_jobs import CLAIM_ALL, ROOT, CountingExecutor
from tests.home import make_run

pytestmark = pytest.mark.slow


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def _user() -> str | None:
    """PostgreSQL refuses to run as root."""
    return "nobody" if os.geteuid() == 0 else None


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of an empty database."""
    binaries = _binaries()
    if binaries is None or importlib.util.find_spec("psycopg") is None:
        pytest.skip("no PostgreSQL server or no driver on this machine")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="heirloom-pg-", ignore_cleanup_errors=True) as folder:
        user = _user()
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        data = f"{folder}/data"

        def pg(tool: str, *arguments: str) -> None:
            command = [str(binaries / tool), "-D", data, *arguments]
            subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

        pg("initdb", "-U", "heirloom", "-A", "trust", "-E", "UTF8", "--no-sync")
        pg("pg_ctl", "-w", "-l", f"{folder}/log", "-o", f"-p {port} -h 127.0.0.1 -k {folder} -F", "start")
        try:
            yield f"postgresql+psycopg://heirloom@127.0.0.1:{port}/postgres"
        finally:
            pg("pg_ctl", "-m", "immediate", "stop")


@pytest.fixture
def home(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("HEIRLOOM_DATABASE_URL", server)
    home = Workspace(tmp_path).made()
    yield home
    with open_database(home).write() as session:
        session.query(Job).delete()
    close_database(home)


def test_opened_by_many_and_claimed_once(home: Workspace) -> None:
    with open_database(home).write() as session:
        session.add_all(Job(run_id=f"run-{i}", action="run") for i in range(40))
    command = [sys.executable, "-c", CLAIM_ALL, str(home.root)]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    taken = [json.loads(process.communicate()[0]) for process in processes]
    assert sorted(job for mine in taken for job in mine) == [job.id for job in jobs.jobs(home)]


def test_the_life_of_a_run(home: Workspace) -> None:
    run = make_run(home)
    executor = CountingExecutor()
    jobs.enqueue(home, run)
    jobs.cancel(home, run.id)
    jobs.resume(home, run.id, executor=executor)
    job = jobs.claim(home)
    assert job is not None
    jobs.reap(home)  # this process lives, so its job stays
    assert jobs.jobs(home)[-1].state == "claimed"
    jobs.finish(home, job.id, "done")
    assert [each.state for each in jobs.jobs(home)] == ["cancelled", "done"]
    jobs.delete(home, run.id, jobs.delete_token(run))
    assert jobs.jobs(home) == []


def test_two_who_queue_a_run_at_once(home: Workspace) -> None:
    run = make_run(home)
    open_database(home)
    together = threading.Barrier(6)

    def ask(_: int) -> str:
        together.wait()
        try:
            jobs.enqueue(home, run)
        except StoreError as error:
            return error.message
        return "queued"

    with ThreadPoolExecutor(6) as people:
        told = list(people.map(ask, range(6)))
    assert sorted(told) == sorted(["queued", *[f"Run {run.id} is queued already."] * 5])
    assert [job.state for job in jobs.jobs(home)] == ["queued"]
    assert [event.kind for event in run.events()] == ["queued"]
