"""Stage 'review': the gate before training. A run that asks for a review stops here until people have decided."""

from __future__ import annotations

from distill.events import Waiting
from distill.plugins import StageContext
from distill.stages.frame import Outcome
from distill.stages.labels import CORRECTIONS, read_labels


def run_review(context: StageContext) -> Outcome:
    """'waiting' when the spec asks for a review and no decisions have been applied.

    Decisions are applied by a child run of a later label version, or by a corrections.parquet (row_id, label; empty when every
    label was right) in this run's own folder.
    """
    spec, run = context.spec, context.run
    decided = spec.label_version > 0 or (run.folder / CORRECTIONS).exists()
    if not spec.review.required or decided:
        return "done"
    labels = len(read_labels(run))
    asked = max(1, round(spec.review.fraction * labels))
    context.monitor.emit(
        Waiting(stage="review", message=f"{asked:,} of {labels:,} synthetic labels wait to be checked by a person.")
    )
    return "waiting"
