"""All stages in order, up to the one that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pandas as pd

from distill.errors import SpecError
from distill.estimate import record_rates
from distill.events import STAGES, Stage
from distill.plugins import TASKS, StageContext
from distill.provenance import write_provenance
from distill.stages.frame import Outcome, Task, plain_errors
from distill.types import Examples, write_frame

Items = pd.DataFrame | Callable[[Examples], pd.DataFrame] | None


def task_of(name: str) -> Task:
    """The task called ``name``; raises SpecError."""
    return cast(Task, TASKS.get(name).function())


def run_stages(context: StageContext, *, until: Stage = "timings", items: Items = None) -> Outcome:
    """Do every stage up to and including ``until``; what is already there is not done again.

    Args:
        context: run, spec, cache and monitor.
        until: last stage to do; the audit is not one of them.
        items: sentences that checks ask for, as a frame with item_id, text and pair (further columns are kept), or a function
            that makes it from the examples. Written to items.parquet and predicted with everything else; None keeps the file
            that is there.

    Returns:
        'waiting' when the run stops at the review gate until people have decided, else 'done'.

    Raises:
        HeirloomError: the reason why the run cannot go on; finished stages are kept.
        Cancelled: a person asked it to stop.
    """
    known: list[Stage] = [stage for stage in STAGES if stage != "audit"]
    if until not in known:
        raise SpecError(f"There is no stage '{until}' to stop at.", hint=f"Known: {', '.join(known)}.")
    outcome: Outcome = "done"
    write_provenance(context.run, context.spec)
    for stage, function in task_of(context.spec.task).stages:
        if known.index(stage) > known.index(until):
            break
        context.monitor.check()
        if stage == "predictions":
            _write_items(context, items)
        outcome = function(context)
        if outcome == "waiting":
            break
    with plain_errors("provenance"):
        write_provenance(context.run, context.spec)
        if until == known[-1] and outcome == "done":
            record_rates(context)
    return outcome


def _write_items(context: StageContext, items: Items) -> None:
    """Put the sentences of the checks where audit and predictions find them; these ask anew only when the content differs."""
    if items is None:
        return
    frame = items(context.run.examples) if callable(items) else items
    missing = {"item_id", "text", "pair"} - set(frame.columns)
    if missing:
        raise SpecError(
            f"The checks' sentences lack the columns {sorted(missing)}.", hint="This is a fault of a check."
        )
    write_frame(context.run.folder / "items.parquet", frame)
