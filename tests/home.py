"""A workspace, specs and waiting for the tests of queue, worker and command line."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill.executor import LocalExecutor
from distill.spec import RunSpec
from distill.store import Run, RunStore
from distill.workspace import Workspace

FAKE = LocalExecutor("tests.fake_worker")


def make_spec(name: str = "fine", **over: Any) -> RunSpec:
    """A spec that the fake worker understands by its name."""
    value = {"name": name, "data": {"source": {"kind": "file", "path": "rows.csv"}}, "seeds": [1], **over}
    return RunSpec.model_validate(value)


def make_run(home: Workspace, name: str = "fine", run_id: str | None = None, **over: Any) -> Run:
    """A run directory with nothing but its spec."""
    return RunStore(home).create(make_spec(name, **over), run_id)


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until ``true()``; an AssertionError after ``seconds``."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"still not true after {seconds:.0f} s"
        time.sleep(0.05)


def has_reached(run: Run, stage: str) -> bool:
    """True when a stage has begun."""
    log: Path = run.folder / "events.jsonl"
    return any(event.kind == "started" and event.stage == stage for event in run.events()) if log.exists() else False
