"""One process at a time makes a cached artefact; the others wait, and may be cancelled while they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from distill.monitor import Monitor

PATIENCE = 0.5  # seconds between two looks at the cancel flag


@contextmanager
def hold(path: Path, monitor: Monitor, what: str) -> Iterator[None]:
    """Hold the lock file ``path`` for the block; the system lets go of it when the process dies.

    Args:
        path: the lock file; its folder is made.
        monitor: told, once, that another run is at it; raises Cancelled while waiting.
        what: the artefact, in words ("the fine-tuned teacher").
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    told = False
    while True:
        try:
            lock.acquire(timeout=PATIENCE)
            break
        except Timeout:
            monitor.check()
            if not told:
                monitor.note(f"Another run is making {what}. This one waits and then uses it.")
                told = True
    try:
        yield
    finally:
        lock.release()
