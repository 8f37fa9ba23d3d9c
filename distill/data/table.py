"""A table as it was read, before anyone says which column means what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from distill.errors import DataError, nearest
from distill.types import Strings

MISSING = frozenset({"", "nan", "null", "<na>"})  # spellings of 'no value' that tools write into text files


@dataclass(frozen=True)
class Table:
    """Rows as they came, with what is known of their origin.

    Attributes:
        frame: the columns as read; text formats give strings, Parquet and JSONL their own types.
        name: what to call the source in a sentence.
        format: csv, tsv, jsonl, parquet, pack or hub.
        encoding: of a text file; empty for a binary one.
        digest: SHA-256 of the source's bytes; empty for a hub data set.
        licence: what the source says, or 'not stated'.
        notes: sentences about what was noticed while reading.
        first_line: line of the file in which row 0 stands; None where lines mean nothing.
        given_split: column that holds the source's own split.
        unit: column that names what must stay together, such as the question that several rows answer.
    """

    frame: pd.DataFrame
    name: str
    format: str
    encoding: str = ""
    digest: str = ""
    licence: str = "not stated"
    notes: tuple[str, ...] = ()
    first_line: int | None = None
    given_split: str | None = None
    unit: str | None = None

    def column(self, name: str, use: str) -> pd.Series:
        """The column ``name``; raises DataError that names the nearest one when it is not there."""
        if name not in self.frame.columns:
            known = [str(column) for column in self.frame.columns]
            raise DataError(f"{self.name} has no column '{name}' for the {use}.", hint=nearest(name, known[:40]))
        return self.frame[name]

    def place(self, row: int) -> str:
        """Where row ``row`` (from 0) stands, in words."""
        return f"line {row + self.first_line}" if self.first_line is not None else f"row {row + 1}"


def as_text(column: pd.Series) -> Strings:
    """Each cell as str, or None where there is none. Whole numbers lose the '.0' that a column with gaps gives them.

    Returns:
        Array of shape [n].
    """
    if pd.api.types.is_float_dtype(column.dtype):
        present = column.dropna()
        if len(present) and bool((present == present.round()).all()) and bool((present.abs() < 2**53).all()):
            column = column.astype("Int64")
    values = column.astype(object).to_numpy(dtype=object)
    gaps = _missing(column)
    cells = np.empty(len(values), dtype=object)
    cells[:] = [None if gap else _cell(value) for value, gap in zip(values, gaps, strict=True)]
    return cells


def blank(cells: Strings) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """True where a cell of ``as_text`` says nothing: absent, white space only, or a spelling of 'no value'."""
    return np.fromiter((c is None or c.strip().lower() in MISSING for c in cells), dtype=np.bool_, count=len(cells))


def _missing(column: pd.Series) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if column.dtype != object:
        return column.isna().to_numpy(dtype=np.bool_)
    # isna() on an object column would look into lists
    return np.fromiter(
        (v is None or v is pd.NA or (isinstance(v, float) and v != v) for v in column),
        dtype=np.bool_,
        count=len(column),
    )


def _cell(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
