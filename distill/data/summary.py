"""What can be said of a set of rows at a glance. Used by the run's data report and by the data page before any run exists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from distill.data import personal
from distill.data.table import Table, as_text, blank
from distill.spec import Columns
from distill.types import Strings

PERCENTILES = (5, 25, 50, 75, 95, 99, 100)
LONG_TEXT = 100_000  # bytes from which a text is called huge; it is kept, the model reads its beginning
_TEXT_NAMES = (
    "text",
    "tweet",
    "sentence",
    "sentence1",
    "premise",
    "question",
    "comment",
    "review",
    "message",
    "body",
    "content",
)
_PAIR_NAMES = ("pair", "text_pair", "sentence2", "hypothesis", "passage", "context", "text2", "answer")
_LABEL_NAMES = ("label", "labels", "sentiment", "category", "class", "target", "topic", "intent", "y")
_ID_NAMES = ("id", "row_id", "uid", "uuid", "tweet_id", "idx")
_SPLIT_NAMES = ("split", "set", "fold", "partition")
_GROUP_NAMES = (
    "gender",
    "sex",
    "language",
    "lang",
    "country",
    "region",
    "age",
    "age_group",
    "ethnicity",
    "airline",
    "source",
    "domain",
)


def lengths(texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """Percentiles of the texts' lengths in words and in characters; empty when there are none."""
    if not len(texts):
        return {}
    measured = {"words": [len(t.split()) for t in texts], "characters": [len(t) for t in texts]}
    return {
        unit: {f"p{p}": float(v) for p, v in zip(PERCENTILES, np.percentile(counts, PERCENTILES), strict=True)}
        for unit, counts in measured.items()
    }


def duplicates(keys: Strings, labels: Strings) -> dict[str, int]:
    """How often the same text stands again, and how many texts carry labels that contradict each other.

    Args:
        keys: name of each row's text by content, shape [n].
        labels: label of each row, None where it has none, shape [n].

    Returns:
        ``duplicates``: rows beyond the first of each text; ``repeated_texts``: texts that stand more than once;
        ``conflicting``: repeated texts with two or more labels; ``conflicting_rows``: rows with such a text.
    """
    frame = pd.DataFrame({"key": keys, "label": labels})
    grouped = frame.groupby("key", sort=False)
    sizes, kinds = grouped.size(), grouped["label"].nunique()
    torn = kinds > 1
    return {
        "duplicates": int(len(frame) - len(sizes)),
        "repeated_texts": int((sizes > 1).sum()),
        "conflicting": int(torn.sum()),
        "conflicting_rows": int(sizes[torn].sum()),
    }


def counts(values: Strings | Sequence[str | None], most: int = 50) -> dict[str, int]:
    """How often each value stands, most frequent first; what exceeds ``most`` values is summed as 'other'."""
    found = pd.Series(list(values), dtype=object).dropna().value_counts()
    out = {str(value): int(n) for value, n in found.head(most).items()}
    return {**out, **({"other": int(found.iloc[most:].sum())} if len(found) > most else {})}


def guess_columns(frame: pd.DataFrame) -> Columns:
    """A first mapping for the form, by the columns' names and contents; the user has the last word."""
    names = {str(column).strip().lower(): str(column) for column in frame.columns}

    def named(*known: str) -> str | None:
        return next((names[name] for name in known if name in names), None)

    text = named(*_TEXT_NAMES) or _longest(frame)
    label = named(*_LABEL_NAMES)
    pair = named(*[name for name in _PAIR_NAMES if names.get(name) != text])
    unique_id = named(*_ID_NAMES)
    if unique_id and (frame[unique_id].duplicated().any() or frame[unique_id].isna().any()):
        unique_id = None
    groups = [names[name] for name in _GROUP_NAMES if name in names and frame[names[name]].astype(str).nunique() <= 50]
    taken = {text, label, pair, unique_id}
    split = named(*_SPLIT_NAMES)
    return Columns(
        text=text or "text",
        pair=pair if pair != label else None,
        label=label,
        id=unique_id,
        split=split,
        groups=tuple(name for name in groups if name not in taken),
    )


def profile(data: Table | pd.DataFrame, columns: Columns | None = None, preview: int = 20) -> dict[str, Any]:
    """What the data page shows of rows before a run exists. Takes a second for 200,000 rows; near-duplicates are left to the run.

    Args:
        data: a table, or just its frame.
        columns: which column holds what; guessed when None.
        preview: how many rows to show.

    Returns:
        JSON: rows, columns (name, type, filled, distinct, example), mapping, balance, unlabelled, lengths, the counts of
        :func:`duplicates`, empty_texts, huge_texts, groups, splits, personal (see :func:`personal_data`), preview, notes.

    Raises:
        DataError: a mapped column is not there.
    """
    table = data if isinstance(data, Table) else Table(data, "the table", "frame")
    mapping = columns or guess_columns(table.frame)
    text = as_text(table.column(mapping.text, "text"))
    pair = as_text(table.column(mapping.pair, "second text")) if mapping.pair else None
    label = as_text(table.column(mapping.label, "label")) if mapping.label else np.full(len(text), None, dtype=object)
    label[blank(label)] = None
    empty = np.array([t is None or not t.strip() for t in text], dtype=np.bool_)
    kept = [str(t) for t in text[~empty]]
    joined = text if pair is None else np.array([f"{a}\x1f{b}" for a, b in zip(text, pair, strict=True)], dtype=object)
    split = mapping.split or table.given_split
    return {
        "rows": len(text),
        "columns": [_describe(table.frame[column], str(column)) for column in table.frame.columns],
        "mapping": mapping.model_dump(mode="json"),
        "balance": counts(label),
        "unlabelled": int(pd.isna(label).sum()),
        "lengths": lengths(kept),
        **duplicates(joined[~empty], label[~empty]),
        "empty_texts": int(empty.sum()),
        "huge_texts": sum(len(t) >= LONG_TEXT for t in kept),
        "groups": {name: counts(as_text(table.column(name, "groups"))) for name in mapping.groups},
        "splits": counts(as_text(table.column(split, "split"))) if split else {},
        "personal": personal_data(kept),
        "preview": [[_short(v) for v in row] for row in table.frame.head(preview).to_numpy(dtype=object).tolist()],
        "notes": list(table.notes),
    }


def personal_data(texts: Sequence[str], most: int = 12) -> dict[str, Any]:
    """Likely personal data in texts, for a person to look at: nothing of it stands here in clear.

    Returns:
        JSON: rows (texts with any), private (texts with more than public handles), kinds, and ``examples``: kind and masked text, kinds that
        are not public first.
    """
    spans = personal.find(texts)
    hits = [(text, found) for text, found in zip(texts, spans, strict=True) if found]
    private = [(text, found) for text, found in hits if any(span.kind not in personal.PUBLIC for span in found)]
    shown = [*private, *(hit for hit in hits if all(span.kind in personal.PUBLIC for span in hit[1]))][:most]
    clear = personal.masked([text for text, _ in shown], [found for _, found in shown])
    examples = [
        {"kind": ", ".join(dict.fromkeys(span.kind for span in found)), "text, masked": _short(text)}
        for (_, found), text in zip(shown, clear, strict=True)
    ]
    return {"rows": len(hits), "private": len(private), "kinds": personal.count(spans), "examples": examples}


def _longest(frame: pd.DataFrame) -> str | None:
    """The column whose cells have most characters."""
    head = frame.head(200)
    sizes = {str(c): sum(len(v) for v in head[c] if isinstance(v, str)) for c in frame.columns}
    return max(sizes, key=lambda name: sizes[name]) if sizes else None


def _describe(column: pd.Series, name: str) -> dict[str, Any]:
    cells = as_text(column)
    said = cells[~blank(cells)]
    return {
        "name": name,
        "type": "number" if pd.api.types.is_numeric_dtype(column.dtype) else "text",
        "filled": len(said),
        "distinct": len(set(said.tolist())),
        "example": _short(said[0]) if len(said) else "",
    }


def _short(value: Any, most: int = 300) -> str:
    text = "" if value is None or (isinstance(value, float) and value != value) else str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
