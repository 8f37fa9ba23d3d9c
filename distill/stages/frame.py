"""What every stage shares: it is skipped when its result is there, timed when it is not, and fails in one sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distill import energy
from distill.errors import ModelError, StoreError
from distill.events import Stage
from distill.plugins import StageContext
from distill.types import Examples

Outcome = Literal["done", "waiting"]
StageFunction = Callable[[StageContext], Outcome]


@dataclass(frozen=True)
class Task:
    """What a registered task is: how its rows are checked, and its stages in order.

    Attributes:
        name: word in the spec.
        validate: raises DataError for rows that cannot serve; returns warnings, a sentence each.
        labelled: True where rows have one of some labels; the teacher's are taken where the data name none.
        stages: name and function of each stage; a task brings its own where it differs and shares the others.
    """

    name: str
    validate: Callable[[Examples], list[str]]
    stages: tuple[tuple[Stage, StageFunction], ...]
    labelled: bool = True


def once(
    context: StageContext,
    stage: Stage,
    digest: str,
    work: Callable[[], dict[str, Any]],
    outputs: Sequence[Path] = (),
) -> None:
    """Do ``work`` framed by Started and Finished, unless the stage is done with this digest and its outputs are there.

    Args:
        context: the run.
        stage: its name.
        digest: of everything that decides the result.
        work: writes the artefacts and returns the summary for ``stages/<stage>.json``.
        outputs: files without which the marker counts for nothing.
    """
    if context.run.stage_done(stage, digest) and all(path.exists() for path in outputs):
        context.monitor.reused(stage)
        return
    with context.monitor.stage(stage), plain_errors(stage):
        used = energy.reading()
        began, busy = time.monotonic(), time.process_time()
        summary = work()
        spent = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - busy}
        facts = {name: round(value, 3) for name, value in spent.items()}
        context.run.finish_stage(stage, digest, **facts, **metered(used), **summary)


def metered(before: float | None) -> dict[str, Any]:
    """What the meter says since the reading ``before``, for a stage's summary or a card; empty where nothing is metered."""
    used = energy.since(before)
    return {} if used is None else {"kwh": used, "kwh_method": energy.method()}


@contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """Turn what the machine refuses (disk, memory, the numeric library) into HeirloomErrors.

    Raises:
        StoreError: the disk is full, a folder cannot be written, memory ran out.
        ModelError: the numeric library gave up.
    """
    try:
        yield
    except MemoryError as error:
        raise StoreError(
            f"The memory ran out during '{what}'.", hint="Use smaller batches or shorter texts, then resume."
        ) from error
    except OSError as error:
        raise StoreError(
            f"'{what}' stopped: {error.strerror or error}{f' ({error.filename})' if error.filename else ''}.",
            hint="Free some space or check the rights of that folder, then resume: finished stages are kept.",
        ) from error
    except RuntimeError as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise ModelError(
            f"'{what}' stopped inside the numeric library: {first}",
            hint="Smaller batches help when memory ran out; otherwise try precision 'fp32'.",
        ) from error
