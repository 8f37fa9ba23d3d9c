"""A student that was made elsewhere: an existing checkpoint, or a file of its predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from distill.errors import ModelError
from distill.plugins import BOTH, ArmContext, arm
from distill.spec import Part
from distill.store import ModelCard
from distill.teachers.base import model_card
from distill.teachers.predictions import predictions_card, read_predictions


class GivenOptions(Part):
    """Either a checkpoint or a predictions file."""

    checkpoint: str | None = Field(None, description="Directory, hub id or 'pack:NAME' of a classifier.")
    revision: str | None = Field(None, description="Commit, branch or tag of a hub id.")
    predictions: str | None = Field(None, description="Parquet or JSONL file with an id and a probability per label.")
    id: str = Field("id", description="Column of the row ids in the predictions file.")
    probabilities: str = Field(
        "probs", description="Column with a list of probabilities, where labels have no columns."
    )
    model: str = Field("", description="What it is, for the report.")
    licence: str = ""

    @model_validator(mode="after")
    def _one_of_two(self) -> GivenOptions:
        if (self.checkpoint is None) == (self.predictions is None):
            raise ValueError("a given arm needs either 'checkpoint' or 'predictions'")
        return self


@arm("given", "A model that was made elsewhere: a checkpoint, or a file of its predictions.", GivenOptions, tasks=BOTH)
def given(context: ArmContext, options: Any) -> ModelCard:
    """Describe it; raises ModelError or DataError when it cannot be used."""
    if context.lesson is not None:
        return _writer(context, options)
    labels = context.examples.labels
    if options.predictions is not None:
        path = Path(options.predictions).expanduser()
        read_predictions(path, labels, id_column=options.id, list_column=options.probabilities)
        card = predictions_card(path, context.arm.name, "given", labels, options)
        columns = {"id": options.id, "probabilities": options.probabilities}
        return card.model_copy(update={"seed": context.seed, "extra": {**card.extra, "columns": columns}})
    from distill.engine.loading import load_classifier, resolve

    folder = resolve(options.checkpoint, options.revision).resolve()
    load_classifier(str(folder), labels)
    known = {"licence": options.licence} if options.licence else {}
    return model_card(
        folder,
        name=context.arm.name,
        kind="given",
        seed=context.seed,
        id=options.model or options.checkpoint,
        version=options.revision or "",
        labels=labels,
        **known,
    )


def _writer(context: ArmContext, options: Any) -> ModelCard:
    """A language model; its answers and likelihoods need the model, so a file of predictions does not serve."""
    from distill.engine.causal_loading import load_causal, resolve_causal

    if options.checkpoint is None:
        raise ModelError("A given language model needs its checkpoint.", hint="Name a directory, hub id or GGUF file.")
    stage = context.stage
    folder = resolve_causal(options.checkpoint, stage.cache, stage.monitor, revision=options.revision).resolve()
    load_causal(folder)
    known = {"licence": options.licence} if options.licence else {}
    return model_card(
        folder,
        name=context.arm.name,
        kind="given",
        seed=context.seed,
        id=options.model or options.checkpoint,
        version=options.revision or "",
        **known,
    )
