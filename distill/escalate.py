"""A small detached process that ends a job which does not react to its cancel flag: SIGTERM after a grace, then SIGKILL.

Apart from the trainer, so that no page waits, and light, so that it starts even on a machine that is out of memory.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from distill.errors import StoreError
from distill.events import Cancelled
from distill.executor import start_detached
from distill.files import append_line, read_json
from distill.process import is_alive

GRACE = 20.0  # seconds from the flag to SIGTERM: a step of a large model, or the writing of a checkpoint
LAST = 10.0  # seconds from SIGTERM to SIGKILL


def escalate_later(folder: Path, environment: dict[str, str]) -> None:
    """Start the escalation for the run in ``folder`` and return at once."""
    start_detached([sys.executable, "-m", "distill.escalate", str(folder)], folder / "worker.log", environment)


def escalate(folder: Path, grace: float = GRACE, last: float = LAST) -> None:
    """End the process that works on the run in ``folder``, unless it ends by itself or the wish is withdrawn.

    Args:
        folder: the run directory.
        grace: seconds before SIGTERM.
        last: seconds between SIGTERM and SIGKILL.
    """
    record = _record(folder)
    if record is None:
        return  # nobody works on it any more
    pid, started = int(record["pid"]), float(record["started"])

    def gone(seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # the record goes when the job is over, even where the same process takes the next one
            if not _at_work(folder, pid, started) or not (folder / "cancel").exists():
                return True
            time.sleep(0.1)
        return False

    if gone(grace):
        return
    _signal(pid, signal.SIGTERM)
    if gone(last):
        return
    _signal(pid, signal.SIGKILL)
    append_line(folder / "events.jsonl", Cancelled().model_dump_json())


def _record(folder: Path) -> dict[str, Any] | None:
    """Who works on the run; a runner that has just claimed it needs a moment to write that down."""
    for _ in range(20):
        try:
            return dict(read_json(folder / "process.json"))
        except StoreError:
            time.sleep(0.1)
    return None


def _at_work(folder: Path, pid: int, started: float) -> bool:
    try:
        return int(read_json(folder / "process.json")["pid"]) == pid and is_alive(pid, started)
    except StoreError:
        return False


def _signal(pid: int, number: signal.Signals) -> None:
    """Signal the process, and its children where it leads a group of its own."""
    try:
        if number is signal.SIGKILL and os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended in this very moment


def main() -> None:
    """``python -m distill.escalate RUN_FOLDER [--grace S] [--last S]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--grace", type=float, default=GRACE)
    parser.add_argument("--last", type=float, default=LAST)
    given = parser.parse_args()
    escalate(given.folder, given.grace, given.last)


if __name__ == "__main__":
    main()
