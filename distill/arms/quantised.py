"""Quantised: another model in int8 for ONNX Runtime, or in bf16 for torch. Nothing is learnt; also float32, to tell the runtime's share from int8's."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from distill.arms.sources import source_card
from distill.errors import DataError
from distill.plugins import ArmContext, arm
from distill.spec import Part
from distill.store import TEACHER, ModelCard
from distill.teachers.base import model_card


class QuantisedOptions(Part):
    """What is quantised, and how."""

    of: str = Field(TEACHER, description="'teacher', or the name of an arm of this run.")
    precision: Literal["int8", "fp32", "bf16"] = Field(
        "int8",
        description="int8, fp32 (the same graph unquantised, to compare with), or bf16: stored, asked and timed in bfloat16 by torch.",
    )
    calibration: Literal["dynamic", "static"] = Field(
        "dynamic", description="int8: ranges of activations as they come, or fixed beforehand on pool texts."
    )
    texts: int = Field(128, ge=8, description="Pool texts for the static calibration.")
    embeddings: bool = Field(True, description="Quantise the embedding tables too: half of a small model on disk.")
    reduce_range: bool = Field(False, description="7 bits, for x86 processors without VNNI, where 8 bits saturate.")


@arm(
    "quantised",
    "The teacher, or an arm, in int8 for ONNX Runtime or in bf16; nothing is trained.",
    QuantisedOptions,
)
def quantised(context: ArmContext, options: Any) -> ModelCard:
    """Export and quantise; raises ModelError where the source was not made or its architecture does not export."""
    from distill.engine.loading import load_classifier
    from distill.engine.onnx_model import quantise_dynamic, write_onnx

    source = source_card(context, options.of)
    if options.precision == "bf16":
        return _halved(context, source, options)
    began = time.monotonic()
    folder = context.folder / "model"
    shutil.rmtree(folder, ignore_errors=True)
    write_onnx(load_classifier(str(source.model_dir), context.examples.labels), folder)
    if options.precision == "int8" and options.calibration == "static":
        calibrated(context, folder, options)
    elif options.precision == "int8":
        quantise_dynamic(folder, embeddings=options.embeddings, reduce_range=options.reduce_range)
    notes = ("ONNX Runtime with the fast tokenizer alone: part of its speed is the runtime's, not int8's.",)
    how = {"calibration": options.calibration} if options.precision == "int8" else {}
    return derived_card(
        context,
        source,
        folder,
        options.of,
        notes=notes,
        parameters=source.parameters,
        extra={
            "precision": options.precision,
            **how,
            "runtime": "onnxruntime",
            "made_in": round(time.monotonic() - began, 3),
        },
    )


def _halved(context: ArmContext, source: ModelCard, options: QuantisedOptions) -> ModelCard:
    """The source in bfloat16: half the bytes, and faster where the processor multiplies bfloat16 itself."""
    from distill.engine import pick_device, profits_from_bf16
    from distill.engine.half import save_half
    from distill.engine.loading import load_classifier

    began = time.monotonic()
    folder = context.folder / "model"
    save_half(load_classifier(str(source.model_dir), context.examples.labels), folder)
    seconds = round(time.monotonic() - began, 3)
    profits = profits_from_bf16(pick_device())
    speed = "multiplies bf16 itself" if profits else "has no bf16 of its own, so bf16 is emulated and gains size alone"
    moves = "bf16 may move probabilities, so bias and calibration of this arm are its own; the audit says how far they moved."
    extra = {"precision": "bf16", "runtime": "torch", "made_in": seconds, "profits": profits}
    return derived_card(
        context,
        source,
        folder,
        options.of,
        notes=(f"This machine {speed}.", moves),
        parameters=source.parameters,
        extra=extra,
    )


def calibrated(context: ArmContext, folder: Path, options: QuantisedOptions) -> None:
    """Static int8; the first pool texts set the ranges. Raises DataError where there is no pool."""
    from distill.engine.encode import encode
    from distill.engine.onnx_model import open_onnx, quantise_static

    rows = context.examples.part("pool")
    if not len(rows):
        raise DataError("There is no pool to calibrate on.", hint="Give split.pool a share, or use 'dynamic'.")
    opened = open_onnx(folder, context.examples.labels)
    few = rows.take(np.arange(min(options.texts, len(rows)), dtype=np.int64))
    tokens = min(context.stage.spec.signals.max_tokens, opened.limit)
    encoded = encode(opened.tokenizer, few.texts, few.pairs, tokens)
    quantise_static(folder, encoded, reduce_range=options.reduce_range)


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
