"""The worker as a real, detached process: what it leaves behind however it ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from auditor import worker
from auditor.evidence.log import entries
from distill import events, jobs
from distill.errors import DataError, StoreError
from distill.escalate import escalate
from distill.executor import LocalExecutor, runners
from distill.files import read_json, write_json
from distill.process import recorded_alive
from distill.store import Run
from distill.workspace import Workspace
from tests.home import FAKE, has_reached, make_run, make_spec, until


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    for name in ("HEIRLOOM_DATABASE_URL", "HEIRLOOM_MAX_RUNNERS"):
        monkeypatch.delenv(name, raising=False)
    return Workspace(tmp_path).made()


def ended(run: Run) -> bool:
    return run.status() not in {"queued", "running"}


def last(run: Run) -> events.Event:
    return run.events()[-1]


@pytest.mark.slow
def test_one_runner_does_all_jobs_each_in_a_fresh_interpreter_and_leaves(home: Workspace) -> None:
    made = [jobs.submit(home, make_spec(), executor=FAKE) for _ in range(3)]
    until(lambda: all(run.status() == "complete" for run in made))
    until(lambda: not list(runners(home).glob("*.json")))
    pids = {(run.folder / "worked.txt").read_text() for run in made}
    assert len(pids) == 1
    assert [job.state for job in jobs.jobs(home)] == ["done"] * 3
    assert not (made[0].folder / "process.json").exists()
    assert not (made[0].folder / ".reserve").exists()
    chain = entries(home, made[0].id)
    assert chain[0].action == "begin" and chain[0].payload["action"] == "run"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bad data", "Row 7 has no text."),
        ("bug", "The stage 'labels' stopped on an unexpected error (ZeroDivisionError)."),
        ("disk", "The disk is full (stage 'labels')."),
        ("memory", "The memory ran out (stage 'labels')."),
        ("unsealed", "The run cannot be sealed."),
    ],
)
def test_a_failure_is_one_sentence_and_its_traceback_is_in_the_log_only(
    home: Workspace, name: str, message: str
) -> None:
    run = make_run(home, name)
    jobs.enqueue(home, run)
    FAKE.start(home)
    until(lambda: ended(run) and jobs.jobs(home)[0].state != "claimed")
    end = last(run)
    assert isinstance(end, events.Failed)
    told = entries(home, run.id)[-1]
    assert (told.action, told.payload["state"]) == ("end", "failed") and "secret" not in told.model_dump_json()
    assert (end.message, run.status(), jobs.jobs(home)[0].state) == (message, "failed", "failed")
    assert end.hint or name == "unsealed"
    assert "Traceback" in (run.folder / "worker.log").read_text()
    assert "Traceback" not in (run.folder / "events.jsonl").read_text()
    assert "secret details" not in (run.folder / "events.jsonl").read_text()


@pytest.mark.slow
def test_a_killed_runner_is_an_interrupted_run_that_resumes(home: Workspace) -> None:
    run = jobs.submit(home, make_spec("slow"), executor=FAKE)
    until(lambda: has_reached(run, "labels"))
    assert run.status() == "running"
    os.kill(read_json(run.folder / "process.json")["pid"], signal.SIGKILL)
    until(lambda: run.status() == "interrupted", seconds=3)
    assert not jobs.ensure_runner(home, FAKE)  # it is not restarted by itself
    (run.folder / "spec.yaml").write_text(make_spec("fine").to_yaml())
    jobs.resume(home, run.id, executor=FAKE)
    until(lambda: Run(run.folder).status() == "complete")
    until(lambda: [job.state for job in jobs.jobs(home)] == ["failed", "done"])


def test_cancel_by_flag_then_resume(home: Workspace) -> None:
    run = jobs.submit(home, make_spec("slow"), executor=FAKE)
    until(lambda: has_reached(run, "labels"))
    began = time.monotonic()
    jobs.cancel(home, run.id)
    assert time.monotonic() - began < 5  # nobody waits for the process to end
    until(lambda: run.status() == "cancelled")
    until(lambda: jobs.jobs(home)[0].state == "cancelled")


@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.slow
def test_a_deaf_job_is_terminated_then_killed(home: Workspace, stubborn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    run = jobs.submit(home, make_spec("deaf"), executor=FAKE)
    until(lambda: has_reached(run, "labels"))
    run.ask_to_cancel()
    if stubborn:  # as a native call that never returns to the interpreter
        os.kill(read_json(run.folder / "process.json")["pid"], signal.SIGSTOP)
    escalate(run.folder, grace=0.3, last=5.0 if not stubborn else 0.5)
    until(lambda: run.status() == "cancelled")
    jobs.reap(home)
    until(lambda: jobs.jobs(home)[0].state == "cancelled")


def test_escalation_spares_a_run_whose_cancel_was_withdrawn(home: Workspace) -> None:
    run = jobs.submit(home, make_spec("deaf"), executor=FAKE)
    until(lambda: has_reached(run, "labels"))
    escalate(run.folder, grace=5.0, last=5.0)
    assert run.status() == "running"
    os.kill(read_json(run.folder / "process.json")["pid"], signal.SIGTERM)
    until(lambda: run.status() == "interrupted")  # SIGTERM without a wish to cancel: the machine shuts down


@pytest.mark.slow
def test_a_run_that_waits_for_people_goes_on_after_them(home: Workspace) -> None:
    run = make_run(home, "waits")
    jobs.enqueue(home, run)
    FAKE.start(home)
    until(lambda: jobs.jobs(home)[0].state == "done")
    assert not (run.folder / "manifest.json").exists()
    (run.folder / "decided").touch()
    jobs.resume(home, run.id, executor=FAKE)
    until(lambda: run.status() == "complete")


def test_an_audit_again_touches_no_stage(home: Workspace) -> None:
    run = make_run(home)
    (run.folder / "predictions").mkdir()
    run.write_manifest()
    jobs.audit_again(home, run.id, executor=FAKE)
    until(lambda: run.status() == "complete")
    assert {event.stage for event in run.events() if event.kind == "started"} == {"audit"}


@pytest.mark.slow
def test_a_deleted_run_does_not_stop_the_queue(home: Workspace) -> None:
    gone, stays = make_run(home, run_id="gone-1"), make_run(home, run_id="stays-1")
    jobs.enqueue(home, gone)
    jobs.enqueue(home, stays)
    for file in sorted(gone.folder.rglob("*"), reverse=True):
        file.unlink()
    gone.folder.rmdir()
    FAKE.start(home)
    until(lambda: stays.status() == "complete")
    assert jobs.jobs(home)[0].state == "failed"


def test_a_runner_that_cannot_start_is_said_and_not_started_over_and_over(home: Workspace) -> None:
    broken = LocalExecutor("tests.no_such_module")
    jobs.submit(home, make_spec(), executor=broken)
    (record,) = runners(home).glob("*.json")
    until(lambda: not recorded_alive(record))
    for _ in range(3):
        with pytest.raises(StoreError, match="died as it started"):
            jobs.ensure_runner(home, broken)
    assert "no_such_module" in (runners(home) / "runner.log").read_text()
    assert jobs.jobs(home)[0].state == "queued"
    write_json(record, {**read_json(record), "started": time.time() - 120})
    assert jobs.ensure_runner(home, FAKE)
    until(lambda: jobs.jobs(home)[0].state == "done")


def test_words_for_what_torch_raises() -> None:
    out = type("OutOfMemoryError", (RuntimeError,), {})
    assert "memory" in worker.in_words(out("CUDA out of memory"), "students")[0]
    assert "memory" in worker.in_words(RuntimeError("DefaultCPUAllocator: can't allocate memory"), "students")[0]
    assert worker.in_words(DataError("No rows.", hint="Add some."), "data") == ("No rows.", "Add some.")
