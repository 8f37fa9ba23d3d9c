"""The job queue: who wants what done, who does it, and how it is stopped.

A job is a wish to work on a run. It is claimed by exactly one runner. The outcome of a run is read from its directory; the queue only says
what is still to be done. A runner that dies leaves a claimed job behind, which becomes 'failed' here and 'interrupted' there: a run that
crashes its process is never restarted by itself, a person resumes it.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from typing import Literal

import psutil
from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from distill import events
from distill.db import Job, open_database
from distill.errors import StoreError
from distill.escalate import escalate_later
from distill.executor import Executor, LocalExecutor, max_runners, runner_environment, runner_lock
from distill.process import is_alive
from distill.spec import RunSpec
from distill.store import Run, RunStore
from distill.workspace import Workspace

Action = Literal["run", "audit"]
State = Literal["queued", "claimed", "done", "failed", "cancelled"]
OPEN = ("queued", "claimed")


def submit(workspace: Workspace, spec: RunSpec, by: str = "", executor: Executor | None = None) -> Run:
    """Make a run of ``spec``, queue it and see to a runner; returns the run."""
    run = RunStore(workspace).create(spec)
    enqueue(workspace, run, by=by)
    ensure_runner(workspace, executor)
    return run


def same_spec(workspace: Workspace, spec: RunSpec) -> Run | None:
    """The newest run whose spec says the same as ``spec`` (its file is the same to the letter), or None."""
    text = spec.to_yaml()
    for run in RunStore(workspace).all():
        if (run.folder / "spec.yaml").read_text(encoding="utf-8") == text:
            return run
    return None


def enqueue(workspace: Workspace, run: Run, action: Action = "run", by: str = "", priority: int = 0) -> int:
    """Queue ``run``; returns the job's id. The flag of an earlier cancel is taken down, and the run is complete no more.

    Args:
        workspace: where the queue lies.
        run: the run to work on.
        action: 'run' for everything that is not done yet, 'audit' for the audit alone, again.
        by: who asked.
        priority: higher ones are taken first.

    Raises:
        StoreError: a job of this run is queued or being worked on.
    """
    reap(workspace)
    with open_database(workspace).write() as session:
        last = _last(session, run.id)
        if last is not None and last.state in OPEN:
            raise _busy(run, "is queued already" if last.state == "queued" else "is being worked on")
        attempts = last.attempts if last is not None and last.action == action else 0
        job = Job(run_id=run.id, action=action, created_by=by, priority=priority, attempts=attempts)
        session.add(job)
        try:
            session.flush()
        except IntegrityError as error:  # on PostgreSQL: somebody else queued it since we looked
            raise _busy(run, "is queued already") from error
        for outdated in ("cancel", "manifest.json"):
            (run.folder / outdated).unlink(missing_ok=True)
        run.append(events.Queued(by=by))
    return job.id


def _busy(run: Run, doing: str) -> StoreError:
    return StoreError(f"Run {run.id} {doing}.", hint="Wait for it, or cancel it first.")


def claim(workspace: Workspace) -> Job | None:
    """Take the next job for this process; None when nothing is queued. Two processes never take the same one."""
    with open_database(workspace).write() as session:
        # SQLite holds the write lock here; PostgreSQL skips the rows that another runner has just locked
        query = select(Job).where(Job.state == "queued").order_by(Job.priority.desc(), Job.id).limit(1)
        job = session.scalars(query.with_for_update(skip_locked=True)).first()
        if job is None:
            return None
        job.state, job.claimed_at, job.attempts = "claimed", events.now(), job.attempts + 1
        job.claimed_pid, job.claimed_host = os.getpid(), socket.gethostname()
        job.claimed_started = psutil.Process().create_time()
    return job


def finish(workspace: Workspace, job_id: int, state: State, message: str = "") -> None:
    """Write down how a claimed job ended."""
    with open_database(workspace).write() as session:
        job = session.get(Job, job_id)
        if job is not None and job.state == "claimed":
            job.state, job.finished_at, job.message = state, events.now(), message


def jobs(workspace: Workspace, run_id: str | None = None) -> list[Job]:
    """All jobs, or those of one run, oldest first."""
    query = select(Job).order_by(Job.id)
    with open_database(workspace).read() as session:
        return list(session.scalars(query if run_id is None else query.where(Job.run_id == run_id)))


def has_queued(workspace: Workspace) -> bool:
    """True when a job waits for a runner."""
    with open_database(workspace).read() as session:
        return session.scalars(select(Job.id).where(Job.state == "queued").limit(1)).first() is not None


def ensure_runner(workspace: Workspace, executor: Executor | None = None) -> bool:
    """Start a detached runner when work is queued and fewer than ``HEIRLOOM_MAX_RUNNERS`` live; True when one was started.

    Cheap enough for a page to call at each poll: it returns after one query when nothing is queued.

    Raises:
        StoreError: the last runner died as it started; the job stays queued.
    """
    reap(workspace)
    if not has_queued(workspace):
        return False
    executor = executor or LocalExecutor()
    with runner_lock(workspace):
        if not has_queued(workspace) or executor.alive(workspace) >= max_runners():
            return False
        executor.start(workspace)
    return True


def reap(workspace: Workspace) -> None:
    """Close the jobs whose runner died on this machine. They are not queued again."""
    store = RunStore(workspace)
    with open_database(workspace).read() as session:
        query = select(Job).where(Job.state == "claimed", Job.claimed_host == socket.gethostname())
        dead = [job for job in session.scalars(query) if not is_alive(job.claimed_pid or 0, job.claimed_started or 0.0)]
    for job in dead:
        folder = store.workspace.runs / job.run_id
        run = Run(folder) if (folder / "spec.yaml").exists() else None
        finish(workspace, job.id, "cancelled" if run and run.cancel_asked() else "failed", "The runner was killed.")
        if run and run.status() == "queued":  # it died before its first stage, which would have told
            run.append(events.Failed(message="The runner died before the first stage.", hint="Resume the run."))


def close_claimed(workspace: Workspace, reason: str) -> None:
    """Close every claimed job, whoever claimed it: for a database that was moved here and whose runners are elsewhere."""
    with open_database(workspace).write() as session:
        for job in session.scalars(select(Job).where(Job.state == "claimed")):
            job.state, job.finished_at, job.message = "failed", events.now(), reason


def cancel(workspace: Workspace, run_id: str, by: str = "") -> None:
    """Stop a run: at once where it is only queued, else by its flag; a detached process sees that it ends.

    Raises:
        RunNotFoundError: there is no such run.
        StoreError: the run is neither queued nor running.
    """
    run = RunStore(workspace).get(run_id)
    reap(workspace)
    with open_database(workspace).write() as session:
        job = _last(session, run.id)
        if job is None or job.state not in OPEN:
            raise StoreError(f"Run {run.id} is {_in_words(run)}: there is nothing to cancel.")
        run.ask_to_cancel()
        if job.state == "queued":
            job.state, job.finished_at = "cancelled", events.now()
            run.append(events.Cancelled(by=by))
            return
    escalate_later(run.folder, runner_environment(workspace))


def resume(workspace: Workspace, run_id: str, by: str = "", executor: Executor | None = None) -> None:
    """Go on with a run that was cancelled, failed or interrupted, or that awaited a review. Finished stages are kept.

    Raises:
        RunNotFoundError: there is no such run.
        StoreError: the run is complete, queued or running.
    """
    run = RunStore(workspace).get(run_id)
    if run.status() == "complete":
        raise StoreError(f"Run {run.id} is complete.", hint="Audit it again with `heirloom audit`, or retry it.")
    enqueue(workspace, run, by=by)
    ensure_runner(workspace, executor)


def retry(workspace: Workspace, run_id: str, by: str = "", executor: Executor | None = None) -> Run:
    """Start a new run with the same spec; the old one stays as it is. Only what lies in the cache is not done again."""
    return submit(workspace, RunStore(workspace).get(run_id).spec, by, executor)


def audit_again(workspace: Workspace, run_id: str, by: str = "", executor: Executor | None = None) -> None:
    """Queue the audit of a run whose predictions are there; nothing is trained or predicted.

    Raises:
        RunNotFoundError: there is no such run.
        StoreError: the run has no predictions yet, or is queued or running.
    """
    run = RunStore(workspace).get(run_id)
    if not (run.folder / "predictions").exists():
        raise StoreError(f"Run {run.id} has no predictions to audit.", hint=f"Finish it: heirloom resume {run.id}.")
    enqueue(workspace, run, "audit", by)
    ensure_runner(workspace, executor)


def delete_token(run: Run) -> str:
    """What a person confirms: it changes with everything that happens to the run."""
    log = run.folder / "events.jsonl"
    seen = f"{run.id} {run.status()} {log.stat().st_size if log.exists() else 0}"
    return hashlib.sha256(seen.encode()).hexdigest()[:12]


def delete(workspace: Workspace, run_id: str, token: str) -> None:
    """Remove a run and its jobs.

    Args:
        workspace: where it lies.
        run_id: the run.
        token: :func:`delete_token` of what the person saw.

    Raises:
        RunNotFoundError: there is no such run.
        StoreError: it is queued or running, has changed since the person looked, or other runs follow from it.
    """
    store = RunStore(workspace)
    run = store.get(run_id)
    reap(workspace)
    if token != delete_token(run):
        raise StoreError(f"Run {run.id} has changed since you looked at it.", hint="Look again, then confirm again.")
    parent = re.compile(rf"^parent: ['\"]?{re.escape(run.id)}['\"]?$", re.MULTILINE)
    children = [other.id for other in store.all() if parent.search((other.folder / "spec.yaml").read_text("utf-8"))]
    if children:
        raise StoreError(f"Run {children[0]} follows from run {run.id}.", hint="Delete that one first.")
    with open_database(workspace).write() as session:
        job = _last(session, run.id)
        if job is not None and job.state in OPEN:
            raise StoreError(f"Run {run.id} is {_in_words(run)}.", hint="Cancel it first.")
        store.delete(run.id)
        session.execute(delete_rows(Job).where(Job.run_id == run.id))


def _last(session: Session, run_id: str) -> Job | None:
    """The newest job of a run, which no runner takes before the transaction ends (PostgreSQL; SQLite is locked as a whole)."""
    query = select(Job).where(Job.run_id == run_id).order_by(Job.id.desc()).limit(1)
    return session.scalars(query.with_for_update()).first()


def _in_words(run: Run) -> str:
    return run.status().replace("_", " ")
