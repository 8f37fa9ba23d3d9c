"""Verification in a process of its own: recomputing the figures loads what the app's process must never load."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from distill.errors import StoreError
from distill.events import now
from distill.executor import runner_environment, start_detached
from distill.files import read_json, write_json
from distill.process import recorded_alive
from distill.store import Run
from distill.workspace import Workspace


@dataclass(frozen=True)
class Verified:
    """Where the last verification stands.

    Attributes:
        state: 'running', 'ok', 'failed', or 'died' when its process ended without an answer.
        at: when it began.
        head: the chain's head at that moment; a later head means that it speaks of an earlier state.
        lines: what, state, sentence.
    """

    state: Literal["running", "ok", "failed", "died"]
    at: str
    head: str
    lines: tuple[tuple[str, str, str], ...] = ()


def start(workspace: Workspace, run: Run, head: str) -> None:
    """Start ``heirloom verify RUN --json`` unless it runs already."""
    record, output = _files(workspace, run)
    if recorded_alive(record):
        return
    output.unlink(missing_ok=True)
    command = [sys.executable, "-m", "auditor.cli.main", "verify", run.id, "--json"]
    process = start_detached(command, output, runner_environment(workspace))
    try:
        started = psutil.Process(process.pid).create_time()
    except psutil.NoSuchProcess:  # it has ended already
        started = 0.0
    write_json(record, {"pid": process.pid, "started": started, "at": now(), "head": head})


def last(workspace: Workspace, run: Run) -> Verified | None:
    """The last verification, or None before the first."""
    record, output = _files(workspace, run)
    if not record.exists():
        return None
    about = read_json(record)
    at, head = str(about["at"]), str(about["head"])
    if recorded_alive(record):
        return Verified("running", at, head)
    said = _answer(output)
    if said is None:
        return Verified("died", at, head)
    lines = tuple((str(x["what"]), str(x["state"]), str(x["sentence"])) for x in said["lines"])
    return Verified("ok" if said["ok"] else "failed", at, head, lines)


def _answer(output: Path) -> dict[str, Any] | None:
    """The JSON that the command printed, after whatever libraries said before it."""
    try:
        text = output.read_text(encoding="utf-8", errors="replace")
        return dict(json.loads(text[text.index('{\n  "ok"') :]))
    except (OSError, ValueError):
        return None


def _files(workspace: Workspace, run: Run) -> tuple[Path, Path]:
    folder = workspace.root / "verifications"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}.", hint="Check its rights.") from error
    return folder / f"{run.id}.json", folder / f"{run.id}.out"
