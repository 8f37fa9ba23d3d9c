"""The queue: one job for one runner, and what people may do with a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from distill import jobs
from distill.db import Job, open_database
from distill.errors import RunNotFoundError, StoreError
from distill.executor import max_runners, runner_lock, runners
from distill.store import RunStore
from distill.workspace import Workspace
from tests.home import make_run, make_spec

ROOT = Path(__file__).resolve().parents[2]
CLAIM_ALL = """
import json, sys
from pathlib import Path
from distill import jobs
from distill.workspace import Workspace
home, mine = Workspace(Path(sys.argv[1])), []
while (job := jobs.claim(home)) is not None:
    mine.append(job.id)
print(json.dumps(mine))
"""


class CountingExecutor:
    """Starts nothing and counts."""

    def __init__(self) -> None:
        self.started = 0

    def alive(self, workspace: Workspace) -> int:
        return self.started

    def start(self, workspace: Workspace) -> None:
        self.started += 1


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    for name in ("HEIRLOOM_DATABASE_URL", "HEIRLOOM_MAX_RUNNERS"):
        monkeypatch.delenv(name, raising=False)
    return Workspace(tmp_path).made()


def only(home: Workspace) -> Job:
    (job,) = jobs.jobs(home)
    return job


@pytest.mark.slow
def test_runners_that_claim_at_once_never_take_the_same_job(home: Workspace) -> None:
    with open_database(home).write() as session:
        session.add_all(Job(run_id=f"run-{i}", action="run") for i in range(60))
    command = [sys.executable, "-c", CLAIM_ALL, str(home.root)]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    taken = [json.loads(process.communicate()[0]) for process in processes]
    assert sorted(job for mine in taken for job in mine) == [job.id for job in jobs.jobs(home)]
    assert {job.attempts for job in jobs.jobs(home)} == {1}


def test_higher_priority_goes_first_then_the_older(home: Workspace) -> None:
    ids = [jobs.enqueue(home, make_run(home, run_id=f"run-{p}-{i}"), priority=p) for i, p in enumerate((0, 5, 0, 5))]
    order = [jobs.claim(home) for _ in range(4)]
    assert [job.id for job in order if job] == [ids[1], ids[3], ids[0], ids[2]]
    assert jobs.claim(home) is None


def test_a_run_is_queued_once(home: Workspace) -> None:
    run = make_run(home)
    jobs.enqueue(home, run)
    assert run.status() == "queued"
    with pytest.raises(StoreError, match="queued already"):
        jobs.enqueue(home, run)
    jobs.claim(home)
    with pytest.raises(StoreError, match="being worked on"):
        jobs.enqueue(home, run)


def test_a_dead_claimer_s_job_is_closed_and_not_taken_again(home: Workspace) -> None:
    run = make_run(home)
    jobs.enqueue(home, run)
    subprocess.run([sys.executable, "-c", CLAIM_ALL, str(home.root)], cwd=ROOT, check=True, capture_output=True)
    assert only(home).state == "claimed"
    executor = CountingExecutor()
    assert not jobs.ensure_runner(home, executor)
    assert (only(home).state, executor.started) == ("failed", 0)
    assert run.status() == "failed"  # and not 'queued' for ever
    jobs.resume(home, run.id, executor=executor)
    assert [job.state for job in jobs.jobs(home)] == ["failed", "queued"]
    assert executor.started == 1
    again = jobs.claim(home)
    assert again is not None
    assert again.attempts == 2


def test_a_living_claimer_is_left_alone(home: Workspace) -> None:
    jobs.enqueue(home, make_run(home))
    jobs.claim(home)
    jobs.reap(home)
    assert only(home).state == "claimed"


def test_runners_are_started_while_work_waits_and_never_too_many(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = CountingExecutor()
    assert not jobs.ensure_runner(home, executor)
    for _ in range(3):
        jobs.submit(home, make_spec(), executor=executor)
    assert executor.started == 1
    monkeypatch.setenv("HEIRLOOM_MAX_RUNNERS", "2")
    assert jobs.ensure_runner(home, executor)
    assert not jobs.ensure_runner(home, executor)
    monkeypatch.setenv("HEIRLOOM_MAX_RUNNERS", "many")
    with pytest.raises(StoreError, match="many"):
        max_runners()


def test_the_runner_lock_excludes(home: Workspace) -> None:
    with runner_lock(home):
        assert not runners(home).joinpath("1.json").exists()
        other = runner_lock(home)
        assert other.is_locked is not None
        with pytest.raises(TimeoutError):
            other.acquire(timeout=0.1)


def test_cancelling_a_queued_run_ends_it_at_once(home: Workspace) -> None:
    run = make_run(home)
    jobs.enqueue(home, run)
    jobs.cancel(home, run.id, by="Ada")
    assert run.status() == "cancelled"
    assert only(home).state == "cancelled"
    with pytest.raises(StoreError, match="nothing to cancel"):
        jobs.cancel(home, run.id)
    jobs.resume(home, run.id, executor=CountingExecutor())
    assert run.status() == "queued"
    assert not run.cancel_asked()


def test_retry_is_a_new_run_of_the_same_spec(home: Workspace) -> None:
    run = make_run(home, "slow")
    again = jobs.retry(home, run.id, executor=CountingExecutor())
    assert again.id != run.id
    assert again.spec == run.spec


def test_a_complete_run_is_not_resumed_and_an_empty_one_not_audited(home: Workspace) -> None:
    run = make_run(home)
    with pytest.raises(StoreError, match="no predictions"):
        jobs.audit_again(home, run.id)
    run.write_manifest()
    with pytest.raises(StoreError, match="complete"):
        jobs.resume(home, run.id)


def test_deleting_needs_the_token_of_what_was_seen(home: Workspace) -> None:
    run = make_run(home)
    jobs.enqueue(home, run)
    token = jobs.delete_token(run)
    with pytest.raises(StoreError, match="queued"):
        jobs.delete(home, run.id, token)
    jobs.cancel(home, run.id)
    with pytest.raises(StoreError, match="has changed"):
        jobs.delete(home, run.id, token)
    jobs.delete(home, run.id, jobs.delete_token(run))
    assert jobs.jobs(home) == []
    with pytest.raises(RunNotFoundError):
        RunStore(home).get(run.id)


def test_a_parent_is_not_deleted_before_its_child(home: Workspace) -> None:
    parent = make_run(home, run_id="parent-1")
    child = make_run(home, run_id="child-1", parent=parent.id)
    with pytest.raises(StoreError, match="follows"):
        jobs.delete(home, parent.id, jobs.delete_token(parent))
    jobs.delete(home, child.id, jobs.delete_token(child))
    jobs.delete(home, parent.id, jobs.delete_token(parent))
    assert RunStore(home).all() == []
