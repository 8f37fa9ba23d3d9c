"""Stage 'teacher': the model that is asked is there, made first where it has to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill.files import write_json
from distill.plugins import StageContext
from distill.stages.frame import Outcome, once
from distill.teachers.base import open_teacher


def run_teacher(context: StageContext) -> Outcome:
    """Write teacher.json; fine-tune the teacher when its backend asks for it and no earlier run has.

    Raises:
        ModelError: it cannot be loaded or its labels differ from the data's.
        DataError: no labelled rows to fine-tune on.
    """
    path = context.run.folder / "teacher.json"
    outputs = (path, *_model_of(context, path))
    once(context, "teacher", context.spec.stage_digest("teacher"), lambda: _make(context, path), outputs)
    return "done"


def _model_of(context: StageContext, path: Path) -> tuple[Path, ...]:
    """The teacher's weights: the cache may have been cleared since the stage was done."""
    folder = context.run.teacher.model_dir if path.exists() else None
    return (Path(folder) / "config.json",) if folder else ()


def _make(context: StageContext, path: Path) -> dict[str, Any]:
    card = open_teacher(context).card
    write_json(path, context.run.portable(card).model_dump(mode="json"))
    return {"weights_digest": card.weights_digest, "parameters": card.parameters, "train_seconds": card.train_seconds}
