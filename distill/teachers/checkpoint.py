"""A classifier that exists already: a directory, a hub id, or a student of another run."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from distill.plugins import StageContext, Teacher, teacher
from distill.spec import Part
from distill.teachers.base import ModelTeacher, teacher_card


class CheckpointOptions(Part):
    """Which checkpoint."""

    source: str = Field(description="Directory, hub id, or 'pack:NAME' of a sequence-classification model.")
    revision: str | None = Field(None, description="Commit, branch or tag of a hub id.")
    licence: str = Field("", description="Licence of the weights, where the checkpoint names none.")


@teacher("checkpoint", "A classifier that exists already: a directory or a hub id.", CheckpointOptions)
def checkpoint(context: StageContext, options: Any) -> Teacher:
    """Resolve the checkpoint; its labels are held against the data's when it is first asked.

    Raises:
        ModelError: it is not there, has no head, or needs pickle or remote code.
    """
    from distill.engine.loading import resolve

    folder = resolve(options.source, options.revision).resolve()
    known: dict[str, Any] = {"id": options.source, "version": options.revision or ""}
    if options.licence:
        known["licence"] = options.licence
    card = teacher_card(folder, "checkpoint", labels=context.run.examples.labels, **known)
    return ModelTeacher(card, context.spec.signals)
