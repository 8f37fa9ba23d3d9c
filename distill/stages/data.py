"""Stage 'data': the rows with their split, frozen before the teacher is asked."""

from __future__ import annotations

import shutil
from typing import Any

from distill.files import atomic_path, digest_of, read_json, write_json
from distill.plugins import StageContext
from distill.stages.frame import Outcome, once
from distill.store import Run
from distill.teachers.base import labels_of
from distill.types import Examples


def run_data(context: StageContext) -> Outcome:
    """Write examples.parquet and data.json.

    A child run takes its parent's rows when both ask for the same data, so that the two are compared on the same test rows
    even if the source has changed since.

    Raises:
        DataError: rows that cannot be used as they are.
    """
    folder = context.run.folder
    outputs = (folder / "examples.parquet", folder / "data.json")
    once(context, "data", context.spec.stage_digest("data"), lambda: _make(context), outputs)
    return "done"


def examples_digest(examples: Examples) -> str:
    """Digest of the rows by content: ids, texts, labels and split; independent of the file format."""
    frame = examples.frame[["row_id", "content_id", "label", "split"]]
    return digest_of({"labels": list(examples.labels), "rows": frame.astype(str).to_numpy().tolist()})


def _make(context: StageContext) -> dict[str, Any]:
    parent = _parent(context)
    if parent is not None:
        for name in ("examples.parquet", "data.json"):
            with atomic_path(context.run.folder / name) as part:
                shutil.copyfile(parent.folder / name, part)
        examples = context.run.examples
        context.monitor.note(f"The rows and their split are those of the parent run {parent.id}.")
    else:
        examples = _build(context)
    counts = {str(part): int(n) for part, n in examples.frame["split"].value_counts().items()}
    return {"rows": len(examples), "splits": counts, "digest_of_rows": examples_digest(examples)}


def _parent(context: StageContext) -> Run | None:
    """The parent run when its rows serve here."""
    if not context.spec.parent:
        return None
    parent = Run(context.run.folder.parent / context.spec.parent)
    marker = parent.folder / "stages" / "data.json"
    same = marker.exists() and read_json(marker).get("digest") == context.spec.stage_digest("data")
    return parent if same and (parent.folder / "examples.parquet").exists() else None


def _build(context: StageContext) -> Examples:
    from distill.data.build import build_examples
    from distill.stages.flow import task_of

    monitor = context.monitor
    result = build_examples(context.spec.data, task=context.spec.task, progress=monitor.progress)
    examples = result.examples
    if not examples.labels and task_of(context.spec.task).labelled:
        examples = Examples(examples.frame, labels_of(context.spec.teacher))
    notes = [*result.notes, *task_of(context.spec.task).validate(examples)]
    for sentence in notes:
        monitor.note(sentence, warning=sentence not in result.notes)
    examples.write(context.run.folder / "examples.parquet")
    write_json(context.run.folder / "data.json", {**result.report, "notes": notes})
    return examples
