"""Quantised: another model in int8 for ONNX Runtime. Nothing is learnt; also float32, to tell the runtime's share from int8's."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from distill.arms.sources import source_card
from distill.plugins import ArmContext, arm
from distill.spec import Part
from distill.store import TEACHER, ModelCard
from distill.teachers.base import model_card


class QuantisedOptions(Part):
    """What is quantised, and how."""

    of: str = Field(TEACHER, description="'teacher', or the name of an arm of this run.")
    precision: Literal["int8", "fp32"] = Field(
        "int8", description="int8 (dynamic), or fp32: the same graph unquantised, to compare with."
    )
    embeddings: bool = Field(True, description="Quantise the embedding tables too: half of a small model on disk.")
    reduce_range: bool = Field(False, description="7 bits, for x86 processors without VNNI, where 8 bits saturate.")


@arm(
    "quantised",
    "The teacher, or an arm, in int8 for ONNX Runtime; nothing is trained.",
    QuantisedOptions,
)
def quantised(context: ArmContext, options: Any) -> ModelCard:
    """Export and quantise; raises ModelError where the source was not made or its architecture does not export."""
    from distill.engine.loading import load_classifier
    from distill.engine.onnx_model import quantise_dynamic, write_onnx

    source = source_card(context, options.of)
    began = time.monotonic()
    folder = context.folder / "model"
    shutil.rmtree(folder, ignore_errors=True)
    write_onnx(load_classifier(str(source.model_dir), context.examples.labels), folder)
    if options.precision == "int8":
        quantise_dynamic(folder, embeddings=options.embeddings, reduce_range=options.reduce_range)
    notes = ("ONNX Runtime with the fast tokenizer alone: part of its speed is the runtime's, not int8's.",)
    return derived_card(
        context,
        source,
        folder,
        options.of,
        notes=notes,
        parameters=source.parameters,
        extra={"precision": options.precision, "runtime": "onnxruntime", "made_in": round(time.monotonic() - began, 3)},
    )


def derived_card(context: ArmContext, source: ModelCard, folder: Path, of: str, **known: Any) -> ModelCard:
    """The card of a model that was made from ``source``: lineage, licence and what the source had learnt from go with it."""
    inherited = {key: source.extra.get(key) for key in ("generation", "picked_layers", "temperature")}
    extra = {"of": of, "base_weights": source.weights_digest, **inherited, **known.pop("extra", {})}
    return model_card(
        folder,
        name=context.arm.name,
        kind=context.arm.kind,
        seed=context.seed,
        id=f"{context.stage.run.id}/{context.arm.name}/{context.seed}",
        version=source.version,
        labels=context.examples.labels,
        extra={key: value for key, value in extra.items() if value is not None},
        **{
            "licence": source.licence,
            "layers": source.layers,
            "human_labels": 0 if of == TEACHER else source.human_labels,
            **known,
        },
    )
