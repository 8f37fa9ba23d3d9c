"""Stage 'labels' of language models: the teacher answers the pool's prompts. The result is the review frame, and what students learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distill.errors import DataError
from distill.files import canonical_json
from distill.plugins import StageContext
from distill.signals import seeded_order
from distill.spec import GenerationSpec
from distill.stages.frame import Outcome, once
from distill.stages.label_provenance import with_provenance
from distill.stages.labels import CORRECTIONS, corrections, labelled_by, labels_digest, read_labels, wants_labels
from distill.store import ModelCard, Run
from distill.teachers.base import open_writer
from distill.token_signals import expected_bytes
from distill.types import Examples, write_frame
from distill.writing import AnswerCache, Answers, Question, Writer, Written

SELF_TEST = 4  # prompts
REJECTED = ""  # an answer that people took out


def run_labels(context: StageContext) -> Outcome:
    """Write labels.parquet, one row an answer; asks only what no earlier run has asked.

    Columns: row_id, content_id, text (the prompt), pair (a reference or None); answer (what students learn: the teacher's, or a person's
    edit), teacher_answer, corrected, answer_tokens, finish, confidence (exp of the mean log-probability of its tokens), entropy (mean nats
    a token), sample, and the provenance of each: synthetic, teacher_id, teacher_version, licence, weights_digest, tokenizer_digest,
    labelled_at, versions, generation, sampling (JSON), template, filters, decision and decided_by.

    Raises:
        DataError: the pool is empty though an arm learns from it.
        StoreError: a later label version whose corrections are missing.
        ModelError: the teacher cannot be asked.
    """
    path = context.run.folder / "labels.parquet"
    if not wants_labels(context):
        context.monitor.reused("labels", "No arm learns from the teacher's answers.")
        return "done"
    once(context, "labels", labels_digest(context), lambda: _make(context, path), (path,))
    return "done"


def signals_folder(run: Run, cache: Path) -> Path:
    """Where the packed token signals of the run's answers lie."""
    marker = run.json("stages/labels")
    return cache / "signals" / str(marker.get("signals", "none"))


def written_frame(run: Run) -> pd.DataFrame:
    """labels.parquet, or an empty frame when nothing was asked."""
    return read_labels(run)


def _make(context: StageContext, path: Path) -> dict[str, Any]:
    asking, monitor = context.spec.asking, context.monitor
    writer = open_writer(context)
    chosen = _chosen(context)
    rows = [(row, sample) for row in range(len(chosen)) for sample in range(asking.samples)]
    ids, texts = list(chosen.frame["content_id"]), chosen.texts
    questions = [Question(ids[row], texts[row], sample) for row, sample in rows]
    _announce(context, writer, len(questions))
    self_test = getattr(writer, "self_test", None)
    if self_test is not None:
        monitor.note(self_test(texts[:SELF_TEST], asking))
    answers = AnswerCache(context.cache, writer.key(asking)).ask(questions, writer, asking, monitor)
    frame = answer_frame(context.run.teacher, asking, chosen, rows, answers.written)
    frame, corrected, dropped = _correct(context, frame)
    frame = with_provenance(context, frame, context.run.folder / CORRECTIONS)
    write_frame(path, frame)
    summary = _summary(answers)
    _say(context, len(frame), answers, summary)
    return {
        "labels": len(frame),
        "asked": answers.asked,
        "reused": answers.reused,
        "corrected": corrected,
        "dropped": dropped,
        "signals": answers.folder.name,
        **summary,
    }


def _chosen(context: StageContext) -> Examples:
    """The pool's distinct prompts, at most ``signals.max_labels`` of them by a seeded choice, in file order."""
    pool = context.run.examples.part("pool")
    pool = pool.take(~pool.frame["content_id"].duplicated().to_numpy())
    if not len(pool):
        raise DataError("The pool has no prompt for the teacher to answer.", hint="Give split.pool a share.")
    limit = context.spec.signals.max_labels
    if len(pool) > limit:
        context.monitor.note(f"The pool has {len(pool):,} prompts; {limit:,} of them are asked (signals.max_labels).")
        pool = pool.take(np.sort(seeded_order(list(pool.frame["content_id"]), context.spec.data.split.seed)[:limit]))
    return pool


def _announce(context: StageContext, writer: Writer, answers: int) -> None:
    """Say before it starts what the signals will take."""
    asking = context.spec.asking
    if writer.card.model_dir is None:
        context.monitor.note("The teacher is elsewhere: log-probabilities are kept where it gives them.")
        return
    each = expected_bytes(asking.top_k_signals)
    most = each * asking.max_new_tokens * answers
    context.monitor.note(
        f"Of each token the {asking.top_k_signals} most probable are kept: about {each:.0f} bytes a token,"
        f" at most {most / 1e6:,.0f} MB for {answers:,} answers of {asking.max_new_tokens} tokens."
    )


def _summary(answers: Answers) -> dict[str, Any]:
    counts = {finish: sum(a.finish == finish for a in answers.written) for finish in ("stop", "length", "empty")}
    soft = sum(written.signal is not None for written in answers.written)
    return {
        "finish": counts,
        "tokens": sum(written.tokens for written in answers.written),
        "with_signals": soft,
        "bytes_per_token": None if answers.bytes_per_token is None else round(answers.bytes_per_token, 2),
    }


def _say(context: StageContext, rows: int, answers: Answers, summary: dict[str, Any]) -> None:
    monitor, counts = context.monitor, summary["finish"]
    monitor.note(
        f"{rows:,} answers of {summary['tokens']:,} tokens: {answers.asked:,} asked now, {answers.reused:,} reused."
    )
    if counts["empty"]:
        monitor.note(f"{counts['empty']:,} answers are empty; students do not learn from them.", warning=True)
    if counts["length"] == len(answers.written):
        monitor.note(
            f"No answer ends by itself within {context.spec.asking.max_new_tokens} tokens: the teacher's end token never comes,"
            " so students will not learn to stop.",
            warning=True,
        )
    elif counts["length"]:
        monitor.note(f"{counts['length']:,} answers were cut at {context.spec.asking.max_new_tokens} tokens.")
    missing = len(answers.written) - summary["with_signals"]
    if missing:
        monitor.note(
            f"{missing:,} answers have no log-probabilities: students learn the text alone there (sequence-level).",
            warning=True,
        )
    if summary["bytes_per_token"]:
        monitor.note(f"The signals take {summary['bytes_per_token']:.1f} bytes a token.")


def answer_frame(
    card: ModelCard, asking: GenerationSpec, rows: Examples, picked: list[tuple[int, int]], written: list[Written]
) -> pd.DataFrame:
    """One row an answer, without people's edits. ``picked`` has the position in ``rows`` and the sample of each answer."""
    places = [row for row, _ in picked]
    base = rows.frame[["row_id", "content_id", "text", "pair"]].iloc[places].reset_index(drop=True)
    samples = [sample for _, sample in picked]
    if any(samples):
        base["row_id"] = [f"{row}/{sample}" for row, sample in zip(base["row_id"], samples, strict=True)]
    logprobs = np.array([np.nan if w.logprob is None else w.logprob for w in written], dtype=np.float64)
    sampling = asking.model_dump(mode="json", include={"temperature", "top_p", "max_new_tokens", "seed", "system"})
    return base.assign(
        answer=[w.text for w in written],
        teacher_answer=[w.text for w in written],
        corrected=False,
        answer_tokens=np.array([w.tokens for w in written], dtype=np.int64),
        finish=[w.finish for w in written],
        confidence=np.exp(logprobs),
        entropy=np.array([np.nan if w.entropy is None else w.entropy for w in written], dtype=np.float64),
        sample=np.array(samples, dtype=np.int64),
        **labelled_by(card, [w.labelled_at for w in written]),
        sampling=canonical_json(sampling),
    )


def _correct(context: StageContext, frame: pd.DataFrame) -> tuple[pd.DataFrame, int, int]:
    """Lay people's edits over the frame; a rejected answer (an empty edit) leaves it."""
    said = corrections(context, frame, "answer")
    if said is None:
        return frame, 0, 0
    answer = said.where(said.notna(), frame["answer"]).astype(str)
    rejected = said.notna() & (answer.str.strip() == REJECTED)
    corrected = said.notna() & (answer != frame["teacher_answer"]) & ~rejected
    finish = frame["finish"].where(~corrected, "stop")  # whoever mends an answer writes it to its end
    frame = frame.assign(answer=answer, corrected=corrected, synthetic=~corrected, finish=finish)
    kept = frame[~rejected].reset_index(drop=True)
    return kept, int(kept["corrected"].sum()), int(rejected.sum())
