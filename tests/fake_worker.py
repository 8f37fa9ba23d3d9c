"""``python -m tests.fake_worker``: the real worker process with stages and an audit that do nothing but behave.

What a run does is said by its spec's name: 'fine', 'slow' (heeds its cancel flag), 'deaf' (does not), 'waits', or the name of a failure.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from types import ModuleType
from typing import Any

import distill.stages
from auditor import worker
from auditor.evidence import seal as sealing
from distill.errors import DataError
from distill.plugins import StageContext
from distill.store import Run

FAILURES: dict[str, Exception] = {
    "bad data": DataError("Row 7 has no text.", hint="Fill it."),
    "bug": ZeroDivisionError("secret details"),
    "disk": OSError(errno.ENOSPC, "No space left on device"),
    "memory": MemoryError(),
}


def run_stages(context: StageContext, **_: Any) -> str:
    name, monitor = context.spec.name, context.monitor
    with monitor.stage("data", total=1):
        monitor.progress(1, 1)
    if name == "waits" and not (context.run.folder / "decided").exists():
        return "waiting"
    with monitor.stage("labels", total=600):
        if name in FAILURES:
            raise FAILURES[name]
        for step in range(600 if name in {"slow", "deaf"} else 1):
            if name == "deaf":
                time.sleep(0.1)
            else:
                monitor.progress(step + 1, 600)
                time.sleep(0.1 if name == "slow" else 0)
    (context.run.folder / "worked.txt").open("a").write(f"{os.getpid()}\n")
    return "done"


def seal(_: Any, run: Run, **__: Any) -> None:
    if run.spec.name == "unsealed":
        raise DataError("The run cannot be sealed.")


def install() -> None:
    """Put the fakes where the worker looks for the real ones."""
    distill.stages.run_stages = run_stages  # type: ignore[assignment]
    audit = ModuleType("auditor.audit")
    audit.audit_run = lambda run, **_: (run.folder / "audit.json").write_text("{}")  # type: ignore[attr-defined]
    audit.collect_items = lambda spec, examples: None  # type: ignore[attr-defined]
    sys.modules["auditor.audit"] = audit
    sealing.seal = seal  # type: ignore[assignment]
    sealing.sign_head = lambda *_: None  # type: ignore[assignment]
    votes, card, content = (ModuleType(f"auditor.{name}") for name in ("votes", "report.card", "report.content"))
    votes.votes_frame = lambda *_: None  # type: ignore[attr-defined]
    card.write_cards = lambda *_: []  # type: ignore[attr-defined]
    content.build = lambda *_: None  # type: ignore[attr-defined]
    for stub in (votes, card, content):
        sys.modules[stub.__name__] = stub


if __name__ == "__main__":
    install()
    worker.main()
