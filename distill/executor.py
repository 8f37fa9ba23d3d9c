"""Who starts the work: a small interface, and the one that starts processes on this machine.

A runner is a process that takes one job after the other until the queue is empty. Runners of this machine are written down in
``workspace/runners/PID.json``; whoever starts or ends one holds the lock beside them, so that there are never more than allowed and no job
is left behind by a runner that was just leaving.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil
from filelock import FileLock

from distill.errors import StoreError
from distill.files import read_json, write_json
from distill.process import record_process, recorded_alive
from distill.workspace import Workspace

WORKER = "auditor.worker"  # a command line, not an import: what runs a job lies above the trainer
COOL_DOWN = 60.0  # seconds in which a runner that died at once is not replaced


class Executor(Protocol):
    """Starts runners and counts them. Another one (Ray, say) would submit the same command elsewhere."""

    def alive(self, workspace: Workspace) -> int:
        """How many runners live."""
        ...

    def start(self, workspace: Workspace) -> None:
        """Start one runner and return at once."""
        ...


@dataclass(frozen=True)
class LocalExecutor:
    """Detached processes on this machine: they outlive the browser, the server and the terminal.

    Attributes:
        module: run with ``python -m``.
    """

    module: str = WORKER

    def alive(self, workspace: Workspace) -> int:
        """How many runners of this workspace live on this machine; records of dead ones are removed.

        Raises:
            StoreError: a runner died a moment ago before it took a job. Another one would do the same, at every poll of a page.
        """
        living = 0
        for record in runners(workspace).glob("*.json"):
            if recorded_alive(record):
                living += 1
                continue
            about = read_json(record)
            if not about.get("proven", True) and time.time() - float(about["started"]) < COOL_DOWN:
                raise StoreError(
                    "The runner died as it started.",
                    hint=f"The reason is at the end of {record.with_name('runner.log')}.",
                )
            record.unlink(missing_ok=True)
        return living

    def start(self, workspace: Workspace) -> None:
        """Start a runner in a session of its own, its output in ``workspace/runners/runner.log``."""
        command = [sys.executable, "-m", self.module, "--workspace", str(workspace.root)]
        process = start_detached(command, runners(workspace) / "runner.log", runner_environment(workspace))
        # written here and not by the runner: until it has imported itself, nobody else may start a second one
        record = runners(workspace) / f"{process.pid}.json"
        started = psutil.Process(process.pid).create_time()
        write_json(record, {"pid": process.pid, "started": started, "proven": False})


def runners(workspace: Workspace) -> Path:
    """The folder with the records and the log of the runners."""
    folder = workspace.root / "runners"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def prove_runner(workspace: Workspace) -> None:
    """Note that this process runs as a runner should: it has taken a job."""
    record_process(runners(workspace) / f"{os.getpid()}.json")


def runner_lock(workspace: Workspace) -> FileLock:
    """Held by whoever starts a runner, and by a runner from its last look at the queue until it is gone from the records."""
    return FileLock(runners(workspace) / "lock", timeout=60)


def max_runners() -> int:
    """``HEIRLOOM_MAX_RUNNERS``, 1 when unset: two trainings on the same cores only slow each other down."""
    value = os.environ.get("HEIRLOOM_MAX_RUNNERS") or "1"
    if not value.isdigit() or int(value) < 1:
        raise StoreError(f"HEIRLOOM_MAX_RUNNERS is '{value}'.", hint="Set it to a whole number from 1 on.")
    return int(value)


def runner_environment(workspace: Workspace) -> dict[str, str]:
    """This process's environment, with this very package importable and as many threads as this process may use cores."""
    source = str(Path(__file__).resolve().parents[1])
    paths = [source, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    cores = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    return {
        "OMP_NUM_THREADS": cores,
        "OMP_WAIT_POLICY": "passive",  # see distill/engine/__init__.py: spinning threads starve a machine that also serves pages
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "HEIRLOOM_HOME": str(workspace.root),
    }


def start_detached(command: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own with its output appended to ``log``."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            close_fds=True,
        )
