"""Stage 'predictions': teacher and every candidate answer dev, test and the checks' sentences, in fp32, one pass per distinct sentence."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from distill.errors import Cancelled, DataError, HeirloomError, ModelError, StoreError
from distill.files import digest_of, file_digest, write_json
from distill.monitor import Within
from distill.plugins import RemoteTeacher, StageContext
from distill.signals import Answers, SignalCache, check_probabilities, library_versions, signal_key
from distill.stages.data import examples_digest
from distill.stages.frame import Outcome, once, plain_errors
from distill.stages.labels import text_sizes
from distill.stages.pool import pool_card, pool_size, predict_pool
from distill.stages.unanswered import record_unanswered
from distill.store import TEACHER, ModelCard, SetName
from distill.teachers.base import open_teacher, predictor
from distill.teachers.predictions import read_predictions
from distill.types import GROUP_PREFIX, UNLABELLED, ClassSignal, Examples, Floats, Ints, Strings, content_id, read_frame

PRECISION: Final = "fp32"  # bf16 moves a probability by up to 0.026: too much for bias and calibration


@dataclass(frozen=True)
class Asked:
    """The rows of one set, and for each the position of its text among the distinct ones."""

    part: SetName
    ids: Strings
    place: Ints


def run_predictions(context: StageContext) -> Outcome:
    """Write predictions/NAME/SEED.SET.parquet for teacher and candidates; SET is dev, test, and items where there are any.

    The candidate's first seed is also asked about the labelled pool (SET pool), for the review's targeted queue.
    A candidate model whose predictions cannot be made is skipped with a reason, unless it is the candidate of the verdict.

    Raises:
        ModelError: teacher or candidate gave something that is not a distribution.
        DataError: a predictions file lacks test rows.
    """
    examples = context.run.examples
    items = items_frame(context)
    rows, sets = distinct_rows(examples, items)
    key = {
        "rows": examples_digest(examples),
        "items": file_digest(context.run.folder / "items.parquet") if len(items) else "",
        "signals": context.spec.signals.model_dump(mode="json", include={"max_tokens", "batch_size"}),
        "versions": library_versions(),
    }
    cards = [context.run.teacher, *context.run.cards()]
    digest = digest_of({**key, "models": [[card.name, card.seed, card.weights_digest] for card in cards]})
    outputs = [
        context.run.prediction_path(card.name, seed_of(card), "test") for card in cards if not skipped(context, card)
    ]
    once(context, "predictions", digest, lambda: _predict_all(context, cards, rows, sets, key), outputs)
    return "done"


def seed_of(card: ModelCard) -> int:
    """The seed in the name of a model's predictions: 0 for the teacher."""
    return 0 if card.name == TEACHER else card.seed or 0


def skipped(context: StageContext, card: ModelCard) -> bool:
    """True for an arm that could not be made or asked."""
    return (context.run.folder / "arms" / card.name / "skipped.json").exists()


def items_frame(context: StageContext) -> pd.DataFrame:
    """The sentences that checks ask for; empty where there are none."""
    path = context.run.folder / "items.parquet"
    return read_frame(path) if path.exists() else pd.DataFrame({"item_id": [], "text": [], "pair": []})


def distinct_rows(examples: Examples, items: pd.DataFrame) -> tuple[Examples, list[Asked]]:
    """The distinct texts of dev, test and items as rows without labels, and where each set's rows find theirs."""
    frames = [_slim(examples.part(part).frame) for part in ("dev", "test")]
    frames.append(_item_rows(items))
    everything = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    unique = everything.drop_duplicates("content_id", keep="first").reset_index(drop=True)
    position = pd.Series(np.arange(len(unique), dtype=np.int64), index=unique["content_id"])
    names: tuple[SetName, ...] = ("dev", "test", "items")
    sets = [
        Asked(name, frame["row_id"].to_numpy(dtype=object), position.loc[frame["content_id"]].to_numpy(dtype=np.int64))
        for name, frame in zip(names, frames, strict=True)
        if len(frame)
    ]
    return Examples(unique, examples.labels), sets


def _slim(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[[column for column in frame.columns if not str(column).startswith(GROUP_PREFIX)]]


def _item_rows(items: pd.DataFrame) -> pd.DataFrame:
    pairs = [pair if isinstance(pair, str) else None for pair in items["pair"]]
    return pd.DataFrame(
        {
            "row_id": items["item_id"].astype(object),
            "content_id": [content_id(text, pair) for text, pair in zip(items["text"], pairs, strict=True)],
            "text": items["text"].astype(object),
            "pair": pd.Series(pairs, dtype=object),
            "label": UNLABELLED,
            "split": "test",
        }
    )


def _predict_all(
    context: StageContext, cards: list[ModelCard], rows: Examples, sets: list[Asked], key: dict[str, Any]
) -> dict[str, Any]:
    """One model after the other; a model that was done before is left alone."""
    asked = pool_card(context, cards)
    done = len(cards) * len(rows)
    total = done + pool_size(context, asked)
    reused, seconds = 0, {}
    context.monitor.restart()
    for number, card in enumerate(cards):
        stage = f"predictions-{card.name}-{seed_of(card)}"
        digest = digest_of({**key, "model": [card.weights_digest, card.predictions]})
        path = context.run.prediction_path(card.name, seed_of(card), "test")
        if context.run.stage_done(stage, digest) and path.exists():
            reused += 1
        else:
            began = time.monotonic()
            note = f"{card.name}, seed {card.seed}" if card.seed is not None else card.name
            monitor = Within(context.monitor, number * len(rows), total, note=note)
            if guarded(context, card, lambda c=card, m=monitor: _predict(context, c, rows, sets, m)):  # type: ignore[misc]
                seconds[f"{card.name}/{seed_of(card)}"] = round(time.monotonic() - began, 3)
                context.run.finish_stage(stage, digest)
        context.monitor.progress((number + 1) * len(rows), total, unit="texts")
    pool = predict_pool(context, asked, done)
    context.monitor.progress(total, total, unit="texts")
    return {"texts": len(rows), "models": len(cards), "reused": reused, "model_seconds": seconds, **pool}


def guarded(context: StageContext, card: ModelCard, work: Callable[[], None]) -> bool:
    """Do ``work``; False, with a reason on disk, when the run can do without this model's predictions."""
    try:
        with plain_errors(f"predictions of {card.name}"):
            work()
    except (Cancelled, StoreError):
        raise
    except HeirloomError as error:
        if card.name in (TEACHER, context.spec.candidate):
            raise
        path = context.run.folder / "arms" / card.name / "skipped.json"
        write_json(path, {"reason": error.message, "hint": error.hint})
        context.monitor.note(f"The arm '{card.name}' has no predictions: {error.message}", warning=True)
        return False
    return True


def _predict(context: StageContext, card: ModelCard, rows: Examples, sets: list[Asked], monitor: Within) -> None:
    if remote(card):
        _from_network(context, card, rows, sets, monitor)
        return
    if card.model_dir is None:
        _from_file(context, card, sets)
        return
    probs = _model_probabilities(context, card, rows, monitor)
    for asked in sets:
        path = context.run.prediction_path(card.name, seed_of(card), asked.part)
        ClassSignal(asked.ids, probs[asked.place]).write(path)


def _model_probabilities(context: StageContext, card: ModelCard, rows: Examples, monitor: Within) -> Floats:
    """Probabilities of distinct texts, shape [n, k]. Answers of models that other runs share come from the cache."""
    signals, k = context.spec.signals, len(rows.labels)
    who = "The teacher" if card.name == TEACHER else f"The arm '{card.name}'"
    model = None

    def answer(positions: Ints, done: int) -> Floats:
        nonlocal model
        model = model or predictor(str(card.model_dir), rows.labels, signals, PRECISION)
        chosen = rows.take(positions)
        return model.probabilities(
            chosen.texts, chosen.pairs, progress=lambda step: monitor.progress(done + step, len(rows))
        )

    if card.name != TEACHER and card.kind != "given":
        return check_probabilities(answer(np.arange(len(rows), dtype=np.int64), 0), len(rows), k, who)
    key = signal_key(card, rows.labels, max_tokens=signals.max_tokens, precision=PRECISION)
    cache = SignalCache(context.cache, key, k, who)
    return cache.ask(rows.frame["content_id"].to_numpy(dtype=object), text_sizes(rows), answer, monitor).probs


def teacher_on_dev(context: StageContext) -> ClassSignal | None:
    """The teacher's fp32 answers on the dev rows (cached for the predictions stage); None where its file lacks some of them."""
    dev = context.run.examples.part("dev")
    card = context.run.teacher
    if not len(dev):
        return None
    if remote(card):
        return _network_on_dev(context, dev)
    if card.model_dir is None:
        try:
            return _file_signal(context, card).aligned(dev.ids)
        except DataError:
            context.monitor.note(
                "The teacher's file lacks dev rows: the last weights are kept, not the best.", warning=True
            )
            return None
    unique = dev.take(~dev.frame["content_id"].duplicated().to_numpy())
    position = {name: index for index, name in enumerate(unique.frame["content_id"])}
    place = np.array([position[name] for name in dev.frame["content_id"]], dtype=np.int64)
    monitor = Within(context.monitor, 0, len(unique), note="the teacher answers the dev rows")
    return ClassSignal(dev.ids, _model_probabilities(context, card, unique, monitor)[place])


def remote(card: ModelCard) -> bool:
    """True for a teacher that is asked over the network: neither a model nor a file is here."""
    return card.name == TEACHER and card.model_dir is None and card.predictions is None


def _ask_network(context: StageContext, card: ModelCard, rows: Examples, monitor: Within) -> Answers:
    """The answers of a teacher over the network to distinct texts, kept ones first."""
    teacher = open_teacher(context)
    if not isinstance(teacher, RemoteTeacher):
        raise ModelError(f"'{card.name}' has neither a model nor predictions.", hint="Resume the run to make it again.")
    return teacher.answers(rows, monitor)


def _from_network(context: StageContext, card: ModelCard, rows: Examples, sets: list[Asked], monitor: Within) -> None:
    """Predictions of a teacher over the network; rows without a usable answer have none, and the audit leaves them out for all arms."""
    answers = _ask_network(context, card, rows, monitor)
    for asked in sets:
        mine = replace(
            answers,
            probs=answers.probs[asked.place],
            labelled_at=answers.labelled_at[asked.place],
            raw=answers.raw[asked.place],
            reasons=answers.reasons[asked.place],
        )
        named = rows.take(asked.place)
        record_unanswered(context, asked.part, Examples(named.frame.assign(row_id=asked.ids), named.labels), mine)
        path = context.run.prediction_path(card.name, seed_of(card), asked.part)
        ClassSignal(asked.ids[mine.usable], mine.probs[mine.usable]).write(path)


def _network_on_dev(context: StageContext, dev: Examples) -> ClassSignal | None:
    """The answers of a teacher over the network on the dev rows; rows without a usable one are left out."""
    unique = dev.take(~dev.frame["content_id"].duplicated().to_numpy())
    position = {name: index for index, name in enumerate(unique.frame["content_id"])}
    place = np.array([position[name] for name in dev.frame["content_id"]], dtype=np.int64)
    monitor = Within(context.monitor, 0, len(unique), note="the teacher answers the dev rows")
    answers = _ask_network(context, context.run.teacher, unique, monitor)
    usable = answers.usable[place]
    return ClassSignal(dev.ids[usable], answers.probs[place][usable]) if usable.any() else None


def _file_signal(context: StageContext, card: ModelCard) -> ClassSignal:
    """Every answer in a model's predictions file."""
    if not card.predictions:
        raise ModelError(f"'{card.name}' has neither a model nor predictions.", hint="Resume the run to make it again.")
    options = context.spec.teacher.options if card.name == TEACHER else context.spec.arm(card.name).options
    return read_predictions(
        Path(card.predictions),
        context.run.examples.labels,
        id_column=str(options.get("id", "id")),
        list_column=str(options.get("probabilities", "probs")),
    )


def _from_file(context: StageContext, card: ModelCard, sets: list[Asked]) -> None:
    """Predictions that were made elsewhere: the test rows must be there, dev rows should, further sentences cannot."""
    signal = _file_signal(context, card)
    for asked in sets:
        path = context.run.prediction_path(card.name, seed_of(card), asked.part)
        if asked.part == "items":
            context.monitor.note(f"'{card.name}' is a file: it cannot answer the checks' own sentences.")
            continue
        try:
            signal.aligned(asked.ids).write(path)
        except DataError as error:
            if asked.part == "test":
                raise DataError(f"The predictions of '{card.name}': {error.message}", hint=error.hint) from error
            context.monitor.note(f"The predictions of '{card.name}' lack dev rows: no calibration.", warning=True)
