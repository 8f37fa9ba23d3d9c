"""Stacked: a distilled student with a trimmed vocabulary, in int8. Three ways to a small model in one arm, learnt and made together."""

from __future__ import annotations

import shutil
import time
from typing import Any, Literal

from pydantic import Field

from distill.arms.distilled import DistilledOptions, distilled
from distill.arms.quantised import QuantisedOptions, calibrated
from distill.plugins import ArmContext, arm
from distill.store import ModelCard


class StackedOptions(DistilledOptions):
    """A richer student's options, the vocabulary trimmed unless told otherwise, and how it is quantised."""

    trim_vocabulary: bool = Field(True, description="Know the tokens of the training texts and no others.")
    calibration: Literal["dynamic", "static"] = Field(
        "dynamic", description="int8: ranges of activations as they come, or fixed on pool texts."
    )
    reduce_range: bool = Field(False, description="7 bits, for x86 processors without VNNI, where 8 bits saturate.")


@arm(
    "stacked",
    "Distilled, vocabulary trimmed, int8: one arm of all three.",
    StackedOptions,
    needs={"signals", "seeds"},
)
def stacked(context: ArmContext, options: Any) -> ModelCard:
    """Train as 'distilled' does, then quantise what came of it.

    Raises:
        ModelError: the student's architecture cannot be trimmed or exported; it is named.
    """
    from distill.engine.loading import checkpoint_facts, load_classifier
    from distill.engine.onnx_model import quantise_dynamic, write_onnx

    card = distilled(context, options)
    began = time.monotonic()
    folder, part = context.folder / "model", context.folder / "checkpoint" / "int8"
    shutil.rmtree(part, ignore_errors=True)
    write_onnx(load_classifier(str(folder), context.examples.labels), part)
    if options.calibration == "static":
        calibrated(context, part, QuantisedOptions(reduce_range=options.reduce_range))
    else:
        quantise_dynamic(part, reduce_range=options.reduce_range)
    shutil.rmtree(folder)
    part.rename(folder)
    facts = checkpoint_facts(folder)
    made = {"precision": "int8", "calibration": options.calibration, "runtime": "onnxruntime"}
    extra = {**card.extra, **made, "made_in": round(time.monotonic() - began, 3)}
    note = "In int8 for ONNX Runtime: part of its speed is the runtime's."
    kept = {key: facts[key] for key in ("weights_digest", "tokenizer_digest", "bytes")}
    return card.model_copy(update={**kept, "extra": extra, "notes": (*card.notes, note)})
