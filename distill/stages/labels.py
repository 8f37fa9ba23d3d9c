"""Stage 'labels': the teacher labels the pool. The result is the review frame, and what students learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from distill.errors import DataError, StoreError
from distill.files import digest_of, file_digest
from distill.monitor import Within
from distill.plugins import ARMS, RemoteTeacher, StageContext, Teacher
from distill.signals import (
    DECISIVE,
    Answers,
    SignalCache,
    check_probabilities,
    library_versions,
    seeded_order,
    signal_key,
)
from distill.stages.frame import Outcome, once
from distill.stages.label_provenance import with_provenance
from distill.stages.unanswered import record_unanswered
from distill.store import ModelCard, Run
from distill.teachers.base import open_teacher, resolved_precision
from distill.types import UNLABELLED, ClassSignal, Examples, Floats, Ints, read_frame, write_frame

CORRECTIONS = "corrections.parquet"


def run_labels(context: StageContext) -> Outcome:
    """Write labels.parquet, one row per distinct pool text; asks only what no earlier run has asked.

    Columns: row_id, content_id, text, pair; p_0 … p_k-1 (the teacher's probabilities); teacher_label (their argmax); label (what
    students learn: the teacher's, or a person's correction); corrected; confidence; entropy; and the provenance of each label:
    synthetic, teacher_id, teacher_version, licence, weights_digest, tokenizer_digest, labelled_at, versions, generation, template,
    sampling, filters, decision and decided_by (:mod:`distill.stages.label_provenance`). A teacher over the network adds raw_answer, its own words; texts to which it gave no usable answer are in unanswered.parquet instead.

    Raises:
        DataError: the pool is empty though an arm learns from it.
        StoreError: a later label version whose corrections are missing.
    """
    path = context.run.folder / "labels.parquet"
    if not wants_labels(context):
        context.monitor.reused("labels", "No arm learns from the teacher's labels.")
        return "done"
    once(context, "labels", labels_digest(context), lambda: _make(context, path), (path,))
    return "done"


def wants_labels(context: StageContext) -> bool:
    """True when an arm learns from the teacher's labels, or people are to check them."""
    needed = any("signals" in ARMS.get(arm.kind).needs for arm in context.spec.arms)
    return needed or context.spec.review.required


def labels_digest(context: StageContext) -> str:
    """Digest of what decides labels.parquet: the spec's part, the teacher's weights and the corrections that people made."""
    path = context.run.folder / CORRECTIONS
    corrections = file_digest(path) if path.exists() else ""
    return digest_of([context.spec.stage_digest("labels"), context.run.teacher.weights_digest, corrections])


def read_labels(run: Run) -> pd.DataFrame:
    """labels.parquet, or an empty frame when nothing was labelled."""
    path = run.folder / "labels.parquet"
    return read_frame(path) if path.exists() else pd.DataFrame()


def training_signal(run: Run, examples: Examples) -> tuple[Examples, ClassSignal]:
    """What students learn: the labelled pool rows and a distribution for each; one-hot where a person corrected it."""
    frame = read_labels(run)
    k = len(examples.labels)
    if frame.empty:
        return examples.take(np.zeros(len(examples), dtype=np.bool_)), ClassSignal(_none(), np.empty((0, k)))
    position = {row: index for index, row in enumerate(examples.ids)}
    rows = examples.take(np.array([position[row] for row in frame["row_id"]], dtype=np.int64))
    probs = frame[[f"p_{index}" for index in range(k)]].to_numpy(dtype=np.float64)
    probs = probs / probs.sum(axis=1, keepdims=True)
    corrected = frame["corrected"].to_numpy(dtype=np.bool_)
    probs[corrected] = np.eye(k)[frame["label"].to_numpy(dtype=np.int64)[corrected]]
    return rows, ClassSignal(rows.ids, probs)


def _none() -> npt.NDArray[np.object_]:
    return np.array([], dtype=object)


def _make(context: StageContext, path: Path) -> dict[str, Any]:
    examples = context.run.examples
    teacher = open_teacher(context)
    chosen = _chosen(context, examples, teacher)
    answers = ask_teacher(context, teacher, chosen)
    record_unanswered(context, "pool", chosen, answers)
    usable = answers.usable
    frame = _frame(context, chosen, answers)[usable].reset_index(drop=True)
    frame, corrected, dropped = _correct(context, frame)
    frame = with_provenance(context, frame, context.run.folder / CORRECTIONS)
    write_frame(path, frame)
    context.monitor.note(f"{len(frame):,} synthetic labels: {answers.asked:,} asked now, {answers.reused:,} reused.")
    return {
        "labels": len(frame),
        "asked": answers.asked,
        "reused": answers.reused,
        "corrected": corrected,
        "dropped": dropped,
        "unanswered": int((~usable).sum()),
        **answers.facts,
        "balance": {name: int((frame["label"] == k).sum()) for k, name in enumerate(examples.labels)},
    }


def _chosen(context: StageContext, examples: Examples, teacher: Teacher) -> Examples:
    """The pool's distinct texts, at most ``signals.max_labels`` of them by a seeded choice, in file order."""
    whole = examples.part("pool")
    pool = whole.take(~whole.frame["content_id"].duplicated().to_numpy())
    if len(pool) < len(whole):
        context.monitor.note(
            f"The pool has {len(whole):,} rows and {len(pool):,} distinct texts; a text is labelled once, "
            f"so {len(whole) - len(pool):,} repeats are left out."
        )
    covers = getattr(teacher, "covers", None)
    if covers is not None:
        known = covers(pool)
        if not known.all():
            context.monitor.note(
                f"{int((~known).sum()):,} of {len(pool):,} pool rows have no prediction and are left out.", warning=True
            )
        pool = pool.take(known)
    if not len(pool):
        raise DataError(
            "The pool has no text for the teacher to label.",
            hint="Give split.pool a share, or use arms of the kind 'given' only.",
        )
    limit = _first_labels(context, len(pool))
    if len(pool) > limit:
        context.monitor.note(f"The pool has {len(pool):,} texts; {limit:,} of them are labelled (signals.max_labels).")
        pool = pool.take(np.sort(seeded_order(list(pool.frame["content_id"]), context.spec.data.split.seed)[:limit]))
    return pool


def _first_labels(context: StageContext, pool: int) -> int:
    """How many texts are labelled before any training: the cap, or less where only arms learn that ask for more as they go."""
    limit = context.spec.signals.max_labels
    asking = [arm for arm in context.spec.arms if "signals" in ARMS.get(arm.kind).needs]
    shares = [float(arm.options["first"]) for arm in asking if arm.kind == "iterative" and "first" in arm.options]
    if asking and len(shares) == len(asking) and not context.spec.review.required:
        return max(1, round(max(shares) * min(limit, pool)))
    return limit


def ask_teacher(context: StageContext, teacher: Teacher, rows: Examples) -> Answers:
    """The teacher's probabilities for rows of distinct texts, from the cache where they are there.

    A teacher over the network may leave some rows without a usable answer: see ``Answers.usable``.
    """
    k = len(rows.labels)
    if isinstance(teacher, RemoteTeacher):
        return teacher.answers(rows, context.monitor)
    if teacher.card.predictions:
        probs = check_probabilities(teacher.probabilities(rows, context.monitor), len(rows), k, "The predictions file")
        when = str(pd.Timestamp(Path(teacher.card.predictions).stat().st_mtime, unit="s", tz="UTC").isoformat())
        return Answers(probs, np.full(len(rows), when, dtype=object), 0, len(rows))
    signals = context.spec.signals
    precision = resolved_precision(signals.precision)
    key = signal_key(teacher.card, rows.labels, max_tokens=signals.max_tokens, precision=precision)

    def answer(positions: Ints, done: int) -> Floats:
        return teacher.probabilities(rows.take(positions), Within(context.monitor, done, len(rows)))

    cache = SignalCache(context.cache, key, k)
    return cache.ask(rows.frame["content_id"].to_numpy(dtype=object), text_sizes(rows), answer, context.monitor)


def text_sizes(rows: Examples) -> list[int]:
    """Characters of each row, second text included."""
    pairs = rows.pairs or [""] * len(rows)
    return [len(text) + len(pair or "") for text, pair in zip(rows.texts, pairs, strict=True)]


def _frame(context: StageContext, rows: Examples, answers: Answers) -> pd.DataFrame:
    signal = ClassSignal(rows.ids, answers.probs)
    card = context.run.teacher
    frame = rows.frame[["row_id", "content_id", "text", "pair"]].reset_index(drop=True)
    if len(answers.raw):
        frame["raw_answer"] = answers.raw
    return frame.assign(
        **{f"p_{k}": answers.probs[:, k].astype(np.float32) for k in range(answers.probs.shape[1])},
        teacher_label=signal.argmax,
        label=signal.argmax,
        corrected=False,
        confidence=signal.confidence,
        entropy=signal.entropy,
        **labelled_by(card, answers.labelled_at),
    )


def labelled_by(card: ModelCard, labelled_at: Any) -> dict[str, Any]:
    """Columns of provenance: each synthetic label or answer says who made it, with what, and when."""
    return {
        "synthetic": True,
        "teacher_id": card.id,
        "teacher_version": card.version,
        "licence": card.licence,
        "weights_digest": card.weights_digest,
        "tokenizer_digest": card.tokenizer_digest,
        "labelled_at": labelled_at,
        "versions": ", ".join(f"{k} {v}" for k, v in library_versions(("heirloom", *DECISIVE)).items()),
        "generation": int(card.extra.get("generation", 0)),
    }


def corrections(context: StageContext, frame: pd.DataFrame, column: str) -> pd.Series | None:
    """What people said of each row of ``frame``, NaN where nothing; None where the run has no corrections.

    Raises:
        StoreError: the run is a label version, and its corrections are missing.
    """
    path = context.run.folder / CORRECTIONS
    if not path.exists():
        if context.spec.label_version:
            raise StoreError(
                f"Label version {context.spec.label_version} needs {CORRECTIONS}, which is missing.",
                hint="Apply the decisions of the parent run again: that makes a new run with them.",
            )
        return None
    found = read_frame(path, ["row_id", column]).drop_duplicates("row_id", keep="last")
    return frame["row_id"].map(dict(zip(found["row_id"], found[column], strict=True)))


def _correct(context: StageContext, frame: pd.DataFrame) -> tuple[pd.DataFrame, int, int]:
    """Lay people's corrections over the frame: another label, or no row at all where the label is −1."""
    said = corrections(context, frame, "label")
    if said is None:
        return frame, 0, 0
    labels = said.fillna(frame["label"]).astype(np.int64)
    k = sum(name.startswith("p_") for name in frame.columns)
    if ((labels >= k) | (labels < UNLABELLED)).any():
        raise DataError(f"{CORRECTIONS} has a label outside 0 to {k - 1}.", hint="Apply the decisions again.")
    decided = said.notna()
    corrected = decided & (labels != frame["teacher_label"])
    frame = frame.assign(label=labels, corrected=corrected, synthetic=~corrected)
    kept = frame[labels != UNLABELLED].reset_index(drop=True)
    return kept, int(kept["corrected"].sum()), len(frame) - len(kept)
