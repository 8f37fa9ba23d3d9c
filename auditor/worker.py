"""The process that does one job: all stages, then the audit, then the manifest. Started by ``distill.executor``, detached from everybody.

After a job it replaces itself by a fresh interpreter for the next one, so that memory is clean; with an empty queue it ends.
"""

from __future__ import annotations

import argparse
import errno
import faulthandler
import logging
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from sqlalchemy.exc import SQLAlchemyError

from distill import energy, events, jobs
from distill.db import Job
from distill.errors import Cancelled, HeirloomError
from distill.executor import prove_runner, runner_lock, runners
from distill.monitor import Monitor
from distill.plugins import StageContext
from distill.process import record_process
from distill.store import Run
from distill.workspace import Workspace

NICENESS = 5  # below the app, so that pages stay quick while a run trains
RESERVE = 256 * 1024  # bytes held back, so that even with a full disk there is room to say that it is full
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Outcome:
    """How a job ended: its state in the queue, and the sentence that goes with it."""

    state: jobs.State
    message: str = ""


def run_job(workspace: Workspace, job: Job) -> Outcome:
    """Do one claimed job and write down how it ended: in the run's events first, then in the queue."""
    run = Run(workspace.runs / job.run_id)
    if not (run.folder / "spec.yaml").exists():
        outcome = Outcome("failed", "The run was deleted before its turn came.")
        jobs.finish(workspace, job.id, outcome.state, outcome.message)
        return outcome
    record_process(run.folder / "process.json")
    reserve = run.folder / ".reserve"
    monitor = Monitor(sink=run.append, cancelled=run.cancel_asked)
    try:
        reserve.write_bytes(bytes(RESERVE))
        outcome = _work(workspace, run, job, monitor)
    except Exception as error:  # noqa: BLE001 - whatever it was, the run must say how it ended
        reserve.unlink(missing_ok=True)
        (run.folder / "manifest.json").unlink(missing_ok=True)  # it may be there when the seal cannot be made
        outcome = _ended_by(error, run, monitor.stage_name)
        _log_end(workspace, run, outcome.state, monitor.stage_name)
    finally:
        reserve.unlink(missing_ok=True)
        # this process may live on with another run, and a run whose process lives counts as running
        (run.folder / "process.json").unlink(missing_ok=True)
    jobs.finish(workspace, job.id, outcome.state, outcome.message)
    return outcome


def _work(workspace: Workspace, run: Run, job: Job, monitor: Monitor) -> Outcome:
    """Stages, audit, manifest; raises what goes wrong."""
    from auditor.audit import audit_run, collect_items
    from auditor.evidence import jobs as chained
    from auditor.evidence.seal import seal
    from auditor.items import validate_checks
    from auditor.prices import load_book
    from auditor.report.card import write_cards
    from auditor.report.content import build
    from auditor.review import decisions_frame
    from auditor.votes import votes_frame
    from distill.stages import run_stages

    spec = run.spec
    validate_checks(spec)  # a misspelt check is said now, not when everything is trained
    chained.began(workspace, run, job.action, job.created_by)
    energy.begin()
    if job.action == "run":
        context = StageContext(run=run, spec=spec, cache=workspace.cache, monitor=monitor)
        if run_stages(context, items=lambda examples: collect_items(spec, examples)) == "waiting":
            chained.ended(workspace, run, "waiting", "review")
            return Outcome("done", "Waits for the review.")
    chained.finished_stages(workspace, run)
    monitor.check()
    with monitor.stage("audit"):
        audit_run(
            run,
            decisions=decisions_frame(workspace, run.id),
            votes=votes_frame(workspace, run.id),
            prices=load_book(workspace).as_prices(),
            progress=lambda done, total, check: monitor.progress(done, total, "checks", check),
        )
        write_cards(run, build(workspace, run))
        run.write_manifest()
        seal(workspace, run, action="complete" if job.action == "run" else "audit")
    if job.action == "run":
        _next_generation(workspace, run, monitor)
    return Outcome("done")


def _next_generation(workspace: Workspace, run: Run, monitor: Monitor) -> None:
    """Queue the run that this one's student teaches, where the spec asks for it. This run is complete whatever comes of it."""
    from distill.generations import queue_next

    try:
        made = queue_next(workspace, run)
    except HeirloomError as error:
        monitor.note(f"The next generation was not queued: {error.message}", warning=True)
        return
    if made is not None:
        monitor.note(f"The next generation is queued: run {made.id}.")


def _ended_by(error: Exception, run: Run, stage: events.Stage) -> Outcome:
    """Tell the run why it ended. The traceback goes to worker.log alone."""
    message, hint = in_words(error, stage)
    outcome = Outcome("failed", message)
    event: events.Event = events.Failed(stage=stage, message=message, hint=hint)
    if isinstance(error, Cancelled):
        outcome, event = Outcome("cancelled"), events.Cancelled(stage=stage)
    else:
        traceback.print_exception(error)
    try:
        run.append(event)
    except OSError as full:
        print(f"How the run ended could not be written down: {full}", file=sys.stderr)  # noqa: T201 - goes to worker.log
    return outcome


def _log_end(workspace: Workspace, run: Run, state: str, stage: str) -> None:
    """The same in the evidence chain. With a full disk it cannot be written; the run's events say it then."""
    from auditor.evidence import jobs as chained

    try:
        chained.ended(workspace, run, state, stage)
    except (HeirloomError, OSError, SQLAlchemyError) as unwritten:
        print(f"How the run ended is not in its evidence chain: {unwritten}", file=sys.stderr)  # noqa: T201 - goes to worker.log


def in_words(error: Exception, stage: str) -> tuple[str, str]:
    """What happened and what to do, as two plain sentences."""
    resume = "Then resume: finished stages are kept."
    if isinstance(error, HeirloomError):
        return error.message, error.hint
    if isinstance(error, OSError) and error.errno in _FULL:
        return f"The disk is full (stage '{stage}').", f"Free some space. {resume}"
    no_memory = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    if isinstance(error, MemoryError) or no_memory:
        return f"The memory ran out (stage '{stage}').", f"Use a smaller batch or close other programs. {resume}"
    return (
        f"The stage '{stage}' stopped on an unexpected error ({type(error).__name__}).",
        "Details are in worker.log in the run's folder. Resume goes on from the last finished stage.",
    )


def _on_terminate(run: Run) -> None:
    """SIGTERM: a cancel that the trainer did not notice in time, or the machine that shuts down."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if run.cancel_asked():
            raise Cancelled("The run was cancelled.")
        raise SystemExit(143)  # without a word the run is 'interrupted', which is what it is

    signal.signal(signal.SIGTERM, stop)


def _log_to(path: Path) -> None:
    """Send everything that this process and the libraries print to ``path``, native crashes included."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    faulthandler.enable()
    logging.basicConfig(level=logging.WARNING, force=True)


def _leave(workspace: Workspace) -> bool:
    """Take this runner off the records when nothing is queued; False when there is more to do."""
    with runner_lock(workspace):
        if jobs.has_queued(workspace):
            return False
        (runners(workspace) / f"{os.getpid()}.json").unlink(missing_ok=True)
    return True


def main(arguments: list[str] | None = None) -> None:
    """``python -m auditor.worker --workspace FOLDER``: one job, then a successor while the queue holds more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--successor", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    workspace = Workspace(given.workspace.resolve()).made()
    if not given.successor:  # a successor keeps its predecessor's niceness
        os.nice(NICENESS)
    while (job := jobs.claim(workspace)) is None:
        if _leave(workspace):
            return
        time.sleep(0.2)  # another runner took it between the two looks
    prove_runner(workspace)
    run = Run(workspace.runs / job.run_id)
    if run.folder.exists():
        _log_to(run.folder / "worker.log")
        _on_terminate(run)
    run_job(workspace, job)
    if not _leave(workspace):
        command = [*sys.orig_argv, *(() if given.successor else ("--successor",))]
        os.execv(sys.executable, command)  # noqa: S606 - the very command that started this process, no shell wanted


if __name__ == "__main__":
    main()
