"""The data stage: from a DataSpec to Examples and a report of what was found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from distill.data import personal, sources
from distill.data.mapping import Rows, map_rows
from distill.data.near_duplicates import find_matches, near_copies
from distill.data.split import deal_out, sample
from distill.data.summary import counts, duplicates, lengths
from distill.data.table import Table
from distill.errors import DataError
from distill.spec import DataSpec, SplitSpec
from distill.types import GROUP_PREFIX, SPLITS, UNLABELLED, Examples, Strings, content_id

Progress = Callable[[int, int], None]
SHOWN_PAIRS = 50
_LANGUAGE_COLUMNS = {"language", "lang", "locale"}


@dataclass(frozen=True)
class DataResult:
    """Rows with their split, and what is to be said about them.

    Attributes:
        examples: the rows. The pool's human labels stay in ``label``: only the review and the audit may look at them.
        report: JSON for data.json, see :func:`build_examples`.
        notes: sentences for the user, in the order in which things were noticed.
    """

    examples: Examples
    report: dict[str, Any]
    notes: list[str]


def build_examples(spec: DataSpec, *, task: str = "classification", progress: Progress | None = None) -> DataResult:
    """Read, map, sample, clean and split the rows of ``spec``.

    The frame of the examples has, beyond what :class:`Examples` promises, a column ``unit`` where the source says which rows
    belong together (the options of one question), and ``reference`` with the mapped label as text where the task is not
    classification.

    Args:
        spec: where the rows are, what they mean and how they are dealt out.
        task: with 'classification' the label column holds classes; else it holds a reference text.
        progress: called with steps done and steps in all.

    Returns:
        Examples and a report: rows, splits, labels, balance, balance_by_split, unlabelled, lengths, duplicates, repeated_texts,
        conflicting, conflicting_rows, near_duplicates, near_duplicate_pairs, languages, groups, personal_data, encoding,
        format, dropped, source, source_digest, licence, notes.

    Raises:
        DataError, PackError: one sentence with the place.
    """
    table = sources.load(spec.source)
    rows = map_rows(table, spec, task)
    _limit(rows, spec)
    found = _personal_data(rows, spec)
    frame = rows.frame
    frame["content_id"] = [content_id(t, p) for t, p in zip(frame["text"], frame["pair"], strict=True)]
    given = frame["given"].to_numpy(dtype=object) if frame["given"].notna().any() else None
    deal = deal_out(frame["label"].to_numpy(dtype=np.int64), _units(frame), given, spec.split)
    frame["split"] = deal.split
    rows.notes += deal.notes
    repeats = duplicates(frame["content_id"].to_numpy(dtype=object), frame["answer"].to_numpy(dtype=object))
    _one_of_each(rows, spec.split)
    near = _drop_near_duplicates(rows, spec.split.near_duplicate, progress)
    _missing_classes(rows)
    examples = _examples(rows, table, task)
    report = {
        **_describe(examples, rows, table),
        **repeats,
        "near_duplicates": near["rows"],
        "near_duplicate_pairs": near["pairs"],
        "near_duplicates_by_split": near["by_split"],
        "personal_data": found,
        "notes": rows.notes,
    }
    return DataResult(examples, report, rows.notes)


def _units(frame: pd.DataFrame) -> Strings:
    """What must not be torn apart by the split: the rows of a unit where the source knows units, else those with the same text."""
    return np.where(frame["unit"].isna(), frame["content_id"], frame["unit"]).astype(object)


def _limit(rows: Rows, spec: DataSpec) -> None:
    """Keep a stratified sample of ``max_rows``."""
    frame = rows.frame
    if spec.max_rows is None or len(frame) <= spec.max_rows:
        return
    texts = frame["text"] if frame["pair"].isna().all() else frame["text"] + "\x1f" + frame["pair"].fillna("")
    units = np.where(frame["unit"].isna(), [content_id(t) for t in texts], frame["unit"]).astype(object)
    given = frame["given"].to_numpy(dtype=object) if frame["given"].notna().any() else None
    kept = sample(frame["label"].to_numpy(dtype=np.int64), units, given, spec.max_rows, spec.split.seed)
    mask = np.ones(len(frame), dtype=np.bool_)
    mask[kept] = False
    rows.drop(mask, "beyond max_rows")
    rows.notes.append(f"A sample of {len(rows.frame):,} of {len(frame):,} rows is used (max_rows).")


def _personal_data(rows: Rows, spec: DataSpec) -> dict[str, Any]:
    """Count personal data by kind and, where the spec says so, mask them or drop their rows."""
    frame = rows.frame
    by_row = np.zeros(len(frame), dtype=np.bool_)
    kinds: dict[str, int] = {}
    for column in ("text", "pair"):
        if frame[column].isna().all():
            continue
        texts = ["" if t is None else str(t) for t in frame[column]]
        spans = personal.find_by(spec.personal_data_engine, texts, spec.language)
        by_row |= np.array([bool(found) for found in spans], dtype=np.bool_)
        for kind, n in personal.count(spans).items():
            kinds[kind] = kinds.get(kind, 0) + n
        if spec.personal_data == "mask":
            frame[column] = np.array(personal.masked(texts, spans), dtype=object)
    total = int(by_row.sum())
    if spec.personal_data == "drop":
        rows.drop(by_row, "personal data")
        if len(rows.frame) < 2:
            raise DataError(
                f"Personal data were found in {total:,} rows, and dropping them leaves too few.",
                hint="Mask them instead.",
            )
    if total:
        done = {"keep": "they are kept", "mask": "they are masked", "drop": "those rows were dropped"}[
            spec.personal_data
        ]
        parts = ", ".join(
            f"{n:,} {kind.replace('_', ' ')}" for kind, n in sorted(kinds.items(), key=lambda item: -item[1])
        )
        rows.notes.append(f"Likely personal data in {total:,} rows ({parts}): {done}.")
    return {"rows": total, "kinds": kinds, "handling": spec.personal_data}


def _one_of_each(rows: Rows, spec: SplitSpec) -> None:
    """Of near-copies within test, and within dev, keep the first: intervals take rows for independent, and a retweet copied 300 times is one.

    A part that came with the data stays as it was published.
    """
    dropped: dict[str, int] = {}
    for part in ("test", "dev") if spec.distinct else ():
        frame = rows.frame
        inside = (frame["split"] == part).to_numpy(dtype=np.bool_)
        if (frame.loc[inside, "given"] == part).any():
            continue
        distinct = _unique_texts(frame, inside)
        first = near_copies([text for text, _ in distinct], spec.near_duplicate)
        copies = np.zeros(len(frame), dtype=np.bool_)
        for place, (_, where) in enumerate(distinct):
            copies[where if first[place] != place else where[1:]] = True
        dropped[part] = int(copies.sum())
        rows.drop(copies, f"near-copy within {part}")
    if any(dropped.values()):
        said = " and ".join(f"{n:,} {part} rows" for part, n in dropped.items() if n)
        rows.notes.append(
            f"{said} that nearly copy another row of the same part were left out: copies are no further evidence."
        )


def _drop_near_duplicates(rows: Rows, threshold: float, progress: Progress | None) -> dict[str, Any]:
    """Remove what repeats a test row from dev, pool and train, and what repeats a dev row from pool and train."""
    frame = rows.frame
    pairs: list[dict[str, Any]] = []
    by_split: dict[str, int] = {}
    exact = 0
    for kept, others in ((("test",), ("dev", "pool", "train")), (("dev",), ("pool", "train"))):
        removed = np.zeros(len(rows.frame), dtype=np.bool_)
        frame = rows.frame
        split = frame["split"].to_numpy(dtype=object)
        left = _unique_texts(frame, np.isin(split.astype(str), kept))
        right = _unique_texts(frame, np.isin(split.astype(str), others))
        matches = find_matches([t for t, _ in left], [t for t, _ in right], threshold, progress)
        for match in matches:
            here, there = left[match.kept][1], right[match.other][1]
            removed[there] = True
            exact += len(there) if match.similarity == 1.0 and left[match.kept][0] == right[match.other][0] else 0
            for row in there:
                by_split[split[row]] = by_split.get(split[row], 0) + 1
            if len(pairs) < SHOWN_PAIRS:
                pairs.append(
                    {
                        "kept": frame["row_id"][here[0]],
                        "removed": frame["row_id"][there[0]],
                        "from": split[there[0]],
                        "similarity": round(match.similarity, 4),
                    }
                )
        rows.drop(removed, "near-duplicate across the split")
    total = rows.dropped.get("near-duplicate across the split", 0)
    if by_split.get("pool") and not (rows.frame["split"] == "pool").any():
        raise DataError(
            f"All {by_split['pool']:,} rows of the pool repeat a test or dev row nearly word for word.",
            hint="Give more varied texts, or raise 'near_duplicate' in the split.",
        )
    if total:
        where = ", ".join(f"{by_split[part]:,} from {part}" for part in ("dev", "pool", "train") if part in by_split)
        rows.notes.append(
            f"{total:,} rows that repeat a test or dev row were removed ({where}; {exact:,} word for word)."
        )
    return {"rows": total, "pairs": pairs, "by_split": by_split}


def _unique_texts(frame: pd.DataFrame, mask: np.ndarray[Any, Any]) -> list[tuple[tuple[str, str | None], list[int]]]:
    """Each distinct text among the rows of ``mask`` with the positions that carry it."""
    found: dict[tuple[str, str | None], list[int]] = {}
    texts, pairs = frame["text"].to_numpy(dtype=object), frame["pair"].to_numpy(dtype=object)
    for row in np.flatnonzero(mask):
        found.setdefault((texts[row], pairs[row]), []).append(int(row))
    return list(found.items())


def _missing_classes(rows: Rows) -> None:
    """Say which classes have no row where they would be needed."""
    frame = rows.frame
    labelled = frame[frame["label"] != UNLABELLED]
    present = set(labelled["label"])
    for part, why in (("test", "so nothing can be said of it"), ("train", "so a teacher trained here cannot learn it")):
        inside = labelled[labelled["split"] == part]
        absent = sorted(present - set(inside["label"]))
        if len(inside) and absent:
            more = f" and {len(absent) - 1} more classes" if len(absent) > 1 else ""
            rows.notes.append(f"'{rows.labels[absent[0]]}'{more} has no row in {part}, {why}.")


def _examples(rows: Rows, table: Table, task: str) -> Examples:
    frame = rows.frame
    groups = [name for name in frame.columns if name.startswith(GROUP_PREFIX)]
    out = frame[["row_id", "content_id", "text", "pair"]].copy()
    out["pair"] = out["pair"].astype(object).where(out["pair"].notna(), None)
    out["label"] = frame["label"].to_numpy(dtype=np.int64)
    out["split"] = frame["split"]
    for name in groups:
        out[name] = frame[name].astype(object).where(frame[name].notna(), "")
    if table.unit:
        out["unit"] = frame["unit"]
    if task != "classification":
        out["reference"] = frame["answer"]
    return Examples(out.reset_index(drop=True), rows.labels)


def _describe(examples: Examples, rows: Rows, table: Table) -> dict[str, Any]:
    frame = examples.frame
    per_split = {part: frame[frame["split"] == part] for part in SPLITS}
    groups = {name: counts(values) for name, values in examples.groups.items()}
    return {
        "rows": len(frame),
        "splits": {part: len(inside) for part, inside in per_split.items()},
        "labels": list(examples.labels),
        "balance": _balance(frame, examples.labels),
        "balance_by_split": {part: _balance(inside, examples.labels) for part, inside in per_split.items()},
        "unlabelled": int((frame["label"] == UNLABELLED).sum()),
        "lengths": lengths(examples.texts),
        "pair_lengths": lengths([pair for pair in examples.pairs or [] if pair is not None]),
        "languages": next((values for name, values in groups.items() if name.lower() in _LANGUAGE_COLUMNS), {}),
        "groups": groups,
        "encoding": table.encoding,
        "format": table.format,
        "dropped": rows.dropped,
        "source": table.name,
        "source_digest": table.digest or _content_digest(frame),
        "licence": table.licence,
    }


def _balance(frame: pd.DataFrame, labels: tuple[str, ...]) -> dict[str, int]:
    return {name: int((frame["label"] == index).sum()) for index, name in enumerate(labels)}


def _content_digest(frame: pd.DataFrame) -> str:
    """SHA-256 over contents and labels, for a source that has no file of its own."""
    digest = hashlib.sha256()
    for content, label in zip(frame["content_id"], frame["label"], strict=True):
        digest.update(f"{content} {label}\n".encode())
    return digest.hexdigest()
