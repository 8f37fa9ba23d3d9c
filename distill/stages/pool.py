"""What the candidate says of the labelled pool: where it differs from its teacher, people may look (the review's targeted queue)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from distill.errors import Cancelled, HeirloomError, StoreError
from distill.files import digest_of, file_digest
from distill.monitor import Within
from distill.plugins import StageContext
from distill.signals import check_probabilities, library_versions
from distill.stages.frame import plain_errors
from distill.store import ModelCard
from distill.teachers.base import predictor, resolved_precision
from distill.teachers.predictions import read_predictions
from distill.types import ClassSignal, Floats, Strings, read_frame

STAGE: Final = "predictions-pool"


def pool_card(context: StageContext, cards: Sequence[ModelCard]) -> ModelCard | None:
    """The candidate's first seed, which is asked about the pool; None where the run has no labels or the candidate was skipped."""
    if not (context.run.folder / "labels.parquet").exists():
        return None
    return next((card for card in cards if card.name == context.spec.candidate), None)


def pool_size(context: StageContext, card: ModelCard | None) -> int:
    """Texts that :func:`predict_pool` will ask about."""
    if card is None:
        return 0
    return len(read_frame(context.run.folder / "labels.parquet", ["row_id"]))


def predict_pool(context: StageContext, card: ModelCard | None, done: int) -> dict[str, Any]:
    """Write predictions/CANDIDATE/SEED.pool.parquet, one pass over the labelled texts at the precision of the signals.

    No figure of the audit rests on it, so a run goes on without it: what prevents it is a note in the log.

    Args:
        context: the run.
        card: from :func:`pool_card`.
        done: texts that the stage has predicted before.

    Returns:
        'pool': how many texts were asked, for the stage's summary.
    """
    if card is None:
        return {}
    labels = context.run.folder / "labels.parquet"
    model = [card.weights_digest, card.predictions]
    signals = context.spec.signals.model_dump(mode="json", include={"max_tokens", "precision"})
    digest = digest_of([file_digest(labels), model, signals, library_versions()])
    path = context.run.prediction_path(card.name, card.seed or 0, "pool")
    if context.run.stage_done(STAGE, digest) and path.exists():
        return {}
    rows = read_frame(labels, ["row_id", "text", "pair"])
    try:
        with plain_errors("the candidate's answers to the pool"):
            probs = _answers(context, card, rows["text"].tolist(), _pairs(rows["pair"].tolist()), done)
            ids: Strings = rows["row_id"].to_numpy(dtype=object)
            signal = _from_file(context, card).aligned(ids) if probs is None else ClassSignal(ids, probs)
            signal.write(path)
    except (Cancelled, StoreError):
        raise
    except HeirloomError as error:
        context.monitor.note(f"The candidate was not asked about the pool: {error.message}")
        path.unlink(missing_ok=True)
        return {}
    context.run.finish_stage(STAGE, digest)
    return {"pool": len(rows)}


def _pairs(found: list[object]) -> list[str | None] | None:
    pairs = [pair if isinstance(pair, str) else None for pair in found]
    return pairs if any(pair is not None for pair in pairs) else None


def _answers(
    context: StageContext, card: ModelCard, texts: list[str], pairs: list[str | None] | None, done: int
) -> Floats | None:
    """Probabilities of the model, shape [n, k]; None for a file of predictions."""
    if card.model_dir is None:
        return None
    labels = context.run.examples.labels
    signals = context.spec.signals
    model = predictor(str(card.model_dir), labels, signals, resolved_precision(signals.precision))
    monitor = Within(context.monitor, done, done + len(texts), note=f"{card.name} on the pool")
    probs = model.probabilities(texts, pairs, progress=lambda step: monitor.progress(step, len(texts)))
    return check_probabilities(probs, len(texts), len(labels), f"The arm '{card.name}'")


def _from_file(context: StageContext, card: ModelCard) -> ClassSignal:
    options = context.spec.arm(card.name).options
    return read_predictions(
        Path(str(card.predictions)),
        context.run.examples.labels,
        id_column=str(options.get("id", "id")),
        list_column=str(options.get("probabilities", "probs")),
    )
