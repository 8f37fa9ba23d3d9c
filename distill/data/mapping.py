"""From a table to rows that a run can use: columns mapped, labels read, what cannot be used dropped and counted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from distill.data.split import given_parts
from distill.data.summary import LONG_TEXT
from distill.data.table import Table, as_text, blank
from distill.errors import DataError, nearest
from distill.spec import DataSpec
from distill.types import GROUP_PREFIX, UNLABELLED, Strings

MOST_LABELS = 1_000


@dataclass
class Rows:
    """Rows under way to becoming Examples.

    Attributes:
        frame: row_id, text, pair, answer (the label as it stood, or None), label (index, −1 = none), given, unit, group_*.
        labels: label names in order.
        notes: sentences for the user.
        dropped: how many rows were left out, by reason.
    """

    frame: pd.DataFrame
    labels: tuple[str, ...]
    notes: list[str]
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, mask: npt.NDArray[np.bool_], reason: str) -> None:
        """Leave out the rows that ``mask`` picks, and count them under ``reason``."""
        if mask.any():
            self.dropped[reason] = self.dropped.get(reason, 0) + int(mask.sum())
            self.frame = self.frame[~mask].reset_index(drop=True)


def map_rows(table: Table, spec: DataSpec, task: str) -> Rows:
    """Map the columns of ``table`` as ``spec`` says.

    Rows with an empty text are dropped; huge texts are kept, since a model reads their beginning.

    Raises:
        DataError: a column is missing, ids repeat, labels cannot be used, nothing is left.
    """
    columns = spec.columns
    frame = pd.DataFrame({"row_id": _ids(table, columns.id), "text": as_text(table.column(columns.text, "text"))})
    frame["pair"] = as_text(table.column(columns.pair, "second text")) if columns.pair else None
    answers = (
        as_text(table.column(columns.label, "label")) if columns.label else np.full(len(frame), None, dtype=object)
    )
    answers[blank(answers)] = None
    frame["answer"] = answers
    split = columns.split or table.given_split
    given = as_text(table.column(split, "split")) if split and spec.split.keep_given else None
    frame["given"] = given_parts(given, str(split)) if given is not None else None
    frame["unit"] = as_text(table.frame[table.unit]) if table.unit else None
    for name in columns.groups:
        frame[GROUP_PREFIX + name] = as_text(table.column(name, "groups"))
    # pandas turns a column of str and None into its own str type with NaN; here a gap is None
    rows = Rows(frame.astype(object).where(frame.notna(), None), (), list(table.notes))
    rows.notes += _remarks(table, spec)
    _drop_empty(
        rows, columns.pair is not None and task == "classification"
    )  # else it is a reference, which may be missing
    if not len(rows.frame):
        raise DataError(f"{table.name} has no row with a text in '{columns.text}'.", hint="Map another column as text.")
    if len(rows.frame) < 2:
        raise DataError(
            f"{table.name} has 1 usable row, which cannot be split.", hint="Give at least a few dozen rows."
        )
    if task == "classification":
        rows.labels, rows.frame["label"] = read_labels(rows, spec, table)
    else:
        rows.frame["label"] = np.int64(UNLABELLED)
    return rows


def read_labels(rows: Rows, spec: DataSpec, table: Table) -> tuple[tuple[str, ...], Strings]:
    """Label names in order and each row's index among them (−1 = none).

    The order is the spec's, or the natural one: numbers by size, words by alphabet.

    Raises:
        DataError: one class only, a label that the spec does not know, or a column that holds no classes.
    """
    raw = rows.frame["answer"]
    column = spec.columns.label
    known = raw.dropna()
    if not len(known):
        if column:
            rows.notes.append(f"Column '{column}' holds no label: all rows are unlabelled.")
        return spec.labels, np.full(len(raw), UNLABELLED, dtype=np.int64)
    counted = known.map(lambda value: _mapped(value, spec.label_map)).value_counts()
    for name in sorted(set(spec.label_map) - set(known)):
        rows.notes.append(f"The label map names '{name}', which no row has. {nearest(name, set(known))}")
    names = spec.labels or _in_order([str(name) for name in counted.index])
    unknown = [str(name) for name in counted.index if name not in names]
    if unknown:
        first = sorted(unknown, key=lambda name: -int(counted[name]))[0]
        raise DataError(
            f"{table.name} has a label '{first[:80]}' ({int(counted[first]):,} rows) that is not among the labels"
            f" {', '.join(names)}.",
            hint=f"Map it in 'label_map'. {nearest(first, names)}",
        )
    if len(names) > MOST_LABELS or (len(known) >= 20 and len(counted) > len(known) / 2 and not spec.labels):
        raise DataError(
            f"Column '{column}' has {len(counted):,} different values in {len(known):,} rows, so it holds no classes.",
            hint="Map the column that holds the class.",
        )
    if len(names) < 2:
        raise DataError(
            f"Column '{column}' holds one class only: '{names[0]}' in {len(known):,} rows.",
            hint="Give rows of at least two classes, or name all labels in 'labels'.",
        )
    rows.notes += _label_remarks(counted, names, int(raw.isna().sum()), column or "")
    index = {name: position for position, name in enumerate(names)}
    codes = [UNLABELLED if value is None or value != value else index[_mapped(value, spec.label_map)] for value in raw]
    return tuple(names), np.array(codes, dtype=np.int64)


def _mapped(value: str, table: dict[str, str]) -> str:
    return table.get(value, table.get(value.strip(), value.strip()))


def _in_order(names: list[str]) -> tuple[str, ...]:
    def number(name: str) -> float | None:
        try:
            return float(name)
        except ValueError:
            return None

    values = [number(name) for name in names]
    if all(value is not None for value in values):
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    return tuple(sorted(names))


def _label_remarks(counted: pd.Series, names: tuple[str, ...], unlabelled: int, column: str) -> list[str]:
    notes = []
    if unlabelled:
        notes.append(f"{unlabelled:,} rows have no label in '{column}' and go to the pool.")
    absent = [name for name in names if name not in counted.index]
    if absent:
        notes.append(f"No row has the label {', '.join(repr(name) for name in absent[:10])}.")
    lone = [str(name) for name, n in counted.items() if n == 1]
    if lone:
        what = "a single row" if len(lone) == 1 else f"a single row each ({len(lone)} classes)"
        notes.append(f"'{lone[0]}' has {what}: it cannot be learnt and tested at once.")
    return notes


def _ids(table: Table, column: str | None) -> Strings:
    """Row names: the mapped column, or the row's number from 0."""
    numbers = np.array([str(row) for row in range(len(table.frame))], dtype=object)
    if column is None:
        return numbers
    cells = as_text(table.column(column, "id"))
    gaps = blank(cells)
    cells[gaps] = [f"row-{number}" for number in numbers[gaps]]
    twice = pd.Series(cells).duplicated(keep=False).to_numpy()
    if twice.any():
        row = int(np.flatnonzero(pd.Series(cells).duplicated().to_numpy())[0])
        raise DataError(
            f"{table.name}: {int(twice.sum()):,} rows share an id in '{column}', first '{cells[row]}' again at {table.place(row)}.",
            hint="Give each row its own id, or map no id column: the row number serves then.",
        )
    return cells


def _remarks(table: Table, spec: DataSpec) -> list[str]:
    """Notes on what the mapping leaves out or turns into text."""
    columns, notes = spec.columns, list[str]()
    used = {columns.text, columns.pair, columns.label, columns.id, columns.split, table.given_split, *columns.groups}
    unused = [name for name in ("label", "pair") if name in table.frame.columns and name not in used]
    notes += [f"{table.name} has a column '{name}' that the spec does not map." for name in unused]
    cells = table.frame[columns.text]
    if cells.dtype == object or pd.api.types.is_numeric_dtype(cells.dtype):
        odd = sum(not isinstance(cell, str) and cell is not None and cell == cell for cell in cells)
        if odd:
            notes.append(f"{odd:,} cells of '{columns.text}' are not text and were written as text.")
    return notes


def _drop_empty(rows: Rows, paired: bool) -> None:
    texts = rows.frame["text"].to_numpy(dtype=object)
    empty = np.array([t is None or not t.strip() for t in texts], dtype=np.bool_)
    rows.drop(empty, "empty text")
    if paired:
        pairs = rows.frame["pair"].to_numpy(dtype=object)
        lacking = np.array([t is None or not t.strip() for t in pairs], dtype=np.bool_)
        rows.drop(lacking, "empty second text")
    for reason, count in rows.dropped.items():
        rows.notes.append(f"{count:,} rows were dropped: {reason}.")
    huge = sum(len(t) >= LONG_TEXT or len(t.encode("utf-8", "replace")) >= LONG_TEXT for t in rows.frame["text"])
    if huge:
        rows.notes.append(f"{huge:,} texts have 100 kB or more; they are kept and a model reads their beginning.")
