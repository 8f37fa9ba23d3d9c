"""Texts to which a teacher gave no usable answer: kept with what it did say, named in the log, left out of training and audit alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pandas as pd

from distill.errors import EndpointError
from distill.plugins import StageContext
from distill.signals import Answers
from distill.types import Examples, read_frame, write_frame

FILE: Final = "unanswered.parquet"
COLUMNS: Final = ["part", "row_id", "content_id", "text", "pair", "raw_answer", "reason", "at"]


def read_unanswered(folder: Path) -> pd.DataFrame:
    """The rows of a run without a usable answer, with columns :data:`COLUMNS`; empty when there are none."""
    path = folder / FILE
    return read_frame(path) if path.exists() else pd.DataFrame(columns=COLUMNS)


def record_unanswered(context: StageContext, part: str, rows: Examples, answers: Answers) -> None:
    """Write down the rows of ``part`` (pool, dev, test or items) without a usable answer, and say how many there are.

    Args:
        context: the run.
        part: replaces what was written down for it before.
        rows: what was asked.
        answers: for these rows, in order.

    Raises:
        EndpointError: there is not one usable answer.
    """
    path = context.run.folder / FILE
    known = read_unanswered(context.run.folder)
    others = known[known["part"] != part]
    missing = ~answers.usable
    if missing.all() and len(rows):
        raise EndpointError(
            f"The teacher gave no usable answer to any of {len(rows):,} texts ({part}); to the first it said "
            f"'{str(answers.raw[0])[:60]}': {answers.reasons[0]}.",
            hint="Change the instruction, the form or least_mass in the teacher's options, or name a better model.",
        )
    if not missing.any():
        if len(others) < len(known):
            write_frame(path, others)
        return
    found = rows.frame.loc[missing, ["row_id", "content_id", "text", "pair"]].assign(
        part=part, raw_answer=answers.raw[missing], reason=answers.reasons[missing], at=answers.labelled_at[missing]
    )
    write_frame(path, pd.concat([others, found[COLUMNS]], ignore_index=True) if len(others) else found[COLUMNS])
    context.monitor.note(sentence(part, int(missing.sum()), len(rows), found), warning=True)


def sentence(part: str, missing: int, total: int, found: pd.DataFrame) -> str:
    """How many, why, and which, in one sentence."""
    why = found["reason"].str.replace(r"a probability of \d\.\d+", "too little probability", regex=True).value_counts()
    reasons = "; ".join(f"{count:,}: {reason}" for reason, count in why.head(3).items())
    first = ", ".join(str(name) for name in found["row_id"].head(3))
    what = {"pool": "pool texts", "items": "of the checks' sentences"}.get(part, f"{part} rows")
    left = "left out of training" if part == "pool" else "left out of every comparison, for all arms"
    return f"{missing:,} of {total:,} {what} have no usable answer and are {left} ({reasons}). The first: {first}. They are kept in {FILE}."


def partners(items: pd.DataFrame, missing: set[str]) -> set[str]:
    """``missing`` item ids and those that are compared with them: half of a pair says nothing."""
    if items.empty or "meta" not in items.columns:
        return missing
    pair = [_pair(check, meta) for check, meta in zip(items["check"], items["meta"], strict=True)]
    broken = {key for key, item in zip(pair, items["item_id"], strict=True) if key is not None and item in missing}
    return missing | {item for key, item in zip(pair, items["item_id"], strict=True) if key in broken}


def _pair(check: str, meta: str) -> tuple[str, str, Any] | None:
    """What a check calls the pair of an item; None where it stands alone."""
    about = json.loads(meta)
    return next(((check, name, about[name]) for name in ("pair_number", "number") if name in about), None)
