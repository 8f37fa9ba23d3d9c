"""A run's events as progress bars on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from auditor.cli.support import plain
from distill import events, jobs
from distill.store import ACTIVE, Run, Status
from distill.workspace import Workspace

POLL = 0.3  # seconds between two looks at the event log
CHECK = 1.0  # seconds between two looks at the process and the queue


def watch(workspace: Workspace, run: Run) -> Status:
    """Draw what happens to ``run`` until nobody works on it any more; returns its status. Ctrl-C leaves the run going."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as bars:
            status = _draw(workspace, run, bars)
    except KeyboardInterrupt:
        typer.echo(f"Run {run.id} goes on without this window: heirloom show {run.id}.", err=True)
        raise
    _say_end(run, status)
    return status


def _draw(workspace: Workspace, run: Run, bars: Progress) -> Status:
    tail = Tail(run.folder / "events.jsonl")
    tasks: dict[str, TaskID] = {}
    checked = 0.0
    while True:
        for event in tail.new():
            _show(event, bars, tasks)
        if time.monotonic() - checked > CHECK:
            checked = time.monotonic()
            status = run.status()
            if status not in ACTIVE:
                for event in tail.new():
                    _show(event, bars, tasks)
                return status
            jobs.ensure_runner(workspace)
        time.sleep(POLL)


def _show(event: events.Event, bars: Progress, tasks: dict[str, TaskID]) -> None:
    if isinstance(event, events.Queued):
        for task in tasks.values():  # an earlier attempt's bars
            bars.remove_task(task)
        tasks.clear()
    elif isinstance(event, events.Started) and event.stage not in tasks:
        tasks[event.stage] = bars.add_task(event.stage, total=event.total, note=plain(event.note))
    elif isinstance(event, events.Progress) and event.stage in tasks:
        rate = f"{event.rate:,.0f} {event.unit}/s" if event.rate else ""
        spend = f"{event.spend:,.2f} USD" if event.spend else ""
        note = plain(" ".join(part for part in (rate, spend, event.note) if part))
        bars.update(tasks[event.stage], completed=event.step, total=event.total, note=note)
    elif isinstance(event, events.Finished):
        note = "already there" if event.reused else f"{event.seconds:,.1f} s"
        if event.stage not in tasks:
            tasks[event.stage] = bars.add_task(event.stage, total=1, note="")
        task = tasks[event.stage]
        total = bars.tasks[bars.task_ids.index(task)].total or 1
        bars.update(task, completed=total, total=total, note=note)
    elif isinstance(event, events.Note) and event.level == "warning":
        bars.console.print(plain(event.message), markup=False, highlight=False)


def _say_end(run: Run, status: Status) -> None:
    last = next((e for e in reversed(run.events()) if isinstance(e, events.Failed | events.Waiting)), None)
    if status == "failed" and isinstance(last, events.Failed):
        typer.echo(plain(f"Run {run.id} failed: {last.message} {last.hint}"), err=True)
    elif status == "awaiting_review" and isinstance(last, events.Waiting):
        typer.echo(plain(f"Run {run.id} waits for people: {last.message}"), err=True)
    elif status == "interrupted":
        typer.echo(f"Run {run.id} was interrupted: its process died. `heirloom resume {run.id}` goes on.", err=True)
    elif status == "cancelled":
        typer.echo(f"Run {run.id} was cancelled. `heirloom resume {run.id}` goes on.", err=True)


class Tail:
    """The lines that were appended to an event log since the last look.

    Args:
        path: the log; it may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> Iterator[events.Event]:
        """Yield the events of all lines that are complete by now and were not yielded before."""
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            log.seek(self._offset)
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            try:
                yield events.EVENT.validate_json(line)
            except ValidationError:
                continue  # a line torn by a power cut
