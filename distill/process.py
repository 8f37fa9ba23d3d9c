"""Is the process that was written down still the same living process?"""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from distill.errors import StoreError
from distill.files import read_json, write_json


def record_process(path: Path) -> None:
    """Write this process's pid and start time, so that a recycled pid is not taken for it."""
    write_json(path, {"pid": os.getpid(), "started": psutil.Process().create_time()})


def is_alive(pid: int, started: float) -> bool:
    """True when ``pid`` lives, is no zombie, and began at ``started`` (seconds since the epoch, ± 1 s)."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - started) < 1.0
    except psutil.NoSuchProcess:
        return False


def recorded_alive(path: Path) -> bool:
    """True when ``path`` holds the record of a process that still lives."""
    try:
        record = read_json(path)
    except StoreError:
        if path.exists():
            raise
        return False  # there is none, or its process has just ended and taken it away
    return is_alive(int(record["pid"]), float(record["started"]))
