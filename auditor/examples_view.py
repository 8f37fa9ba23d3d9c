"""Every test item with every arm's answer, in one Parquet file that the page Examples asks with DuckDB.

Built once, when the run is audited; a question filters, sorts and pages where the data lies. Arms are columns by number, so that
no name becomes part of a query: 0 is the teacher, then the arms in the order of the run. What a user types is always a parameter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.check import AuditInput
from distill.errors import DataError, StoreError
from distill.files import atomic_path
from distill.store import TEACHER, Run
from distill.types import GROUP_PREFIX, Floats

if TYPE_CHECKING:
    import duckdb

FILE = "examples_view.parquet"
META = b"heirloom.examples"
ROW_GROUP = 20_000
MAX_PAGE = 500
Kind = Literal["all", "regressions", "gains", "disagreements"]
KINDS: tuple[Kind, ...] = ("regressions", "gains", "disagreements", "all")
Order = Literal["row", "gap", "confidence"]
Side = Literal["people", "teacher", "student"]


@dataclass(frozen=True)
class ExamplesFilter:
    """What a person asks for.

    Attributes:
        kind: regressions (teacher right, student wrong), gains, disagreements, or all.
        arm: the student that is compared with the teacher; the run's candidate when empty.
        cls: label name; on ``side`` of it: the people's label, the teacher's or the student's answer.
        confidence: lowest and highest confidence of the student, both included.
        group: (column, value).
        search: words that must stand in text or pair, capital or not.
        order: 'row' as in the data, 'gap' by distance from the teacher, 'confidence' by the student's confidence.
        descending: largest first.
    """

    kind: Kind = "all"
    arm: str = ""
    cls: str | None = None
    side: Side = "people"
    confidence: tuple[float, float] = (0.0, 1.0)
    group: tuple[str, str] | None = None
    search: str = ""
    order: Order = "row"
    descending: bool = False


@dataclass(frozen=True)
class ArmView:
    """One arm's answer: label name, probabilities in the order of the labels (mean of the seeds), and how it compares.

    ``outcome`` is 'regression', 'gain', 'both right' or 'both wrong' against the teacher; None for the teacher and without a
    human label. ``gap`` is the total variation distance from the teacher, 0 to 1.
    """

    arm: str
    answer: str
    probs: tuple[float, ...]
    confidence: float
    agrees: bool
    outcome: str | None
    gap: float


@dataclass(frozen=True)
class ExampleRow:
    """One test item. ``label`` is people's, None where there is none; the teacher is the first of ``arms``."""

    row_id: str
    text: str
    pair: str | None
    label: str | None
    groups: dict[str, str]
    arms: tuple[ArmView, ...]

    def arm(self, name: str) -> ArmView | None:
        """The answer of one arm, or None."""
        return next((view for view in self.arms if view.arm == name), None)


@dataclass(frozen=True)
class Page:
    """Rows of one page and how many match in all; ``page`` counts from 0."""

    rows: tuple[ExampleRow, ...]
    total: int
    page: int
    size: int


@dataclass(frozen=True)
class ViewMeta:
    """What the file holds: label names, arms (teacher first), group columns and their values, the candidate, rows."""

    labels: tuple[str, ...]
    arms: tuple[str, ...]
    groups: dict[str, tuple[str, ...]]
    candidate: str
    rows: int
    labelled: int


_OUTCOMES = ("both right", "regression", "gain", "both wrong")


def build_view(audit: AuditInput) -> Path:
    """Write the view of a run; arms whose predictions hold NaN are left out. Returns its path."""
    from auditor.measuring import has_teacher, spoilt, usable_arms

    test = audit.test
    names = [TEACHER] if has_teacher(audit) and not spoilt(audit, TEACHER) else []
    arms = [*names, *usable_arms(audit)]
    frame = test.frame[["row_id", "text", "pair", "label"]].copy()
    frame["pair"] = frame["pair"].astype(object)
    frame.insert(0, "position", np.arange(len(frame)))
    for name, values in test.groups.items():
        frame[f"{GROUP_PREFIX}{name}"] = [None if pd.isna(value) else str(value) for value in values]
    means = {arm: audit.probs(arm).mean(axis=0) for arm in arms}
    columns: dict[str, Any] = {}
    for index, arm in enumerate(arms):
        columns |= _arm_columns(index, means[arm], means.get(TEACHER), test.y)
    frame = pd.concat([frame, pd.DataFrame(columns)], axis=1)
    meta = {
        "labels": list(audit.labels),
        "arms": arms,
        "groups": {
            name: sorted({str(v) for v in values if not pd.isna(v)})[:1000] for name, values in test.groups.items()
        },
        "candidate": audit.spec.candidate,
        "rows": len(frame),
        "labelled": int(audit.labelled.sum()),
    }
    path = audit.run.folder / FILE
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), META: json.dumps(meta).encode()})
    with atomic_path(path) as part:
        pq.write_table(table, part, compression="zstd", row_group_size=ROW_GROUP)
    return path


def _arm_columns(index: int, probs: Floats, teacher: Floats | None, y: Any) -> dict[str, Any]:
    """Answer, confidence, probabilities and the comparison with the teacher, as columns numbered by ``index``."""
    answer = probs.argmax(axis=1)
    columns: dict[str, Any] = {
        f"y_{index}": answer.astype(np.int32),
        f"conf_{index}": probs.max(axis=1).astype(np.float32),
        **{f"p_{index}_{k}": probs[:, k].astype(np.float32) for k in range(probs.shape[1])},
    }
    reference = probs if teacher is None else teacher
    first = reference.argmax(axis=1)
    outcome = np.where(first == y, np.where(answer == y, 0, 1), np.where(answer == y, 2, 3))
    columns[f"outcome_{index}"] = np.where(y < 0, -1, outcome).astype(np.int8)
    columns[f"agrees_{index}"] = answer == first
    columns[f"gap_{index}"] = (0.5 * np.abs(probs - reference).sum(axis=1)).astype(np.float32)
    return columns


def view_meta(run: Run) -> ViewMeta:
    """What the view of ``run`` holds; raises StoreError when it was not built or is torn."""
    path = _path(run)
    try:
        raw = json.loads((pq.read_schema(path).metadata or {})[META])
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
        raise StoreError(f"{path} is damaged.", hint=f"Audit the run again: `heirloom audit {run.id}`.") from error
    return ViewMeta(
        labels=tuple(raw["labels"]),
        arms=tuple(raw["arms"]),
        groups={name: tuple(values) for name, values in raw["groups"].items()},
        candidate=raw["candidate"],
        rows=raw["rows"],
        labelled=raw["labelled"],
    )


def query(run: Run, wanted: ExamplesFilter, page: int = 0, size: int = 50) -> Page:
    """One page of the items that match. A page beyond the end is empty, with the true total.

    Raises:
        StoreError: the run was not audited yet.
        DataError: the filter names an arm, class or group that the run does not have.
    """
    meta = view_meta(run)
    page, size = max(0, page), min(max(1, size), MAX_PAGE)
    where, values = _where(wanted, meta)
    path = str(_path(run))
    with _connect() as database:
        total = _count(database, path, where, values)
        arm = _arm_index(wanted, meta)
        column = {"row": "position", "gap": f"gap_{arm}", "confidence": f"conf_{arm}"}[wanted.order]
        direction = "DESC" if wanted.descending else "ASC"
        # positions first, rows second: the sort must not carry the texts along
        picked = database.execute(
            f"SELECT position FROM read_parquet(?) WHERE {where} ORDER BY {column} {direction}, position LIMIT ? OFFSET ?",  # noqa: S608 - names from a fixed list
            [path, *values, size, page * size],
        ).fetchall()
        rows = _rows(database, path, [position for (position,) in picked], meta)
    return Page(rows=rows, total=total, page=page, size=size)


def counts(run: Run, wanted: ExamplesFilter) -> dict[Kind, int]:
    """How many items each kind has under the rest of the filter."""
    meta = view_meta(run)
    where, values = _where(ExamplesFilter(**{**wanted.__dict__, "kind": "all"}), meta)
    parts = ", ".join(f"count(*) FILTER (WHERE {_kind(kind, _arm_index(wanted, meta))})" for kind in KINDS)
    with _connect() as database:
        found = database.execute(
            f"SELECT {parts} FROM read_parquet(?) WHERE {where}",  # noqa: S608 - names from a fixed list
            [str(_path(run)), *values],
        ).fetchone()
    return dict(zip(KINDS, (int(number) for number in found or ()), strict=True))


def item(run: Run, row_id: str) -> ExampleRow:
    """One item by its row_id, for a permalink; raises DataError when there is none."""
    meta = view_meta(run)
    path = str(_path(run))
    with _connect() as database:
        found = database.execute("SELECT position FROM read_parquet(?) WHERE row_id = ?", [path, row_id]).fetchall()
        rows = _rows(database, path, [position for (position,) in found[:1]], meta)
    if not rows:
        raise DataError(f"Run {run.id} has no test item '{row_id[:80]}'.", hint="Look it up on the page Examples.")
    return rows[0]


def _connect() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": False})


def _path(run: Run) -> Path:
    path = run.folder / FILE
    if not path.exists():
        raise StoreError(f"Run {run.id} was not audited yet.", hint=f"Wait for its end, or `heirloom audit {run.id}`.")
    return path


def _arm_index(wanted: ExamplesFilter, meta: ViewMeta) -> int:
    """Number of the arm that is compared; the candidate, else the last arm, when none is named."""
    name = wanted.arm or (meta.candidate if meta.candidate in meta.arms else meta.arms[-1])
    return _index(name, meta.arms, "arm")


def _index(name: str, names: Sequence[str], what: str) -> int:
    if name not in names:
        raise DataError(f"This run has no {what} '{name[:80]}'.", hint=f"Known: {', '.join(names)}.")
    return names.index(name)


def _kind(kind: Kind, arm: int) -> str:
    return {
        "all": "TRUE",
        "regressions": f"outcome_{arm} = 1",
        "gains": f"outcome_{arm} = 2",
        "disagreements": f"NOT agrees_{arm}",
    }[kind]


def _where(wanted: ExamplesFilter, meta: ViewMeta) -> tuple[str, list[Any]]:
    """The condition, made of fixed words and numbers of columns only, and its parameters."""
    arm = _arm_index(wanted, meta)
    parts, values = [_kind(wanted.kind, arm)], list[Any]()
    if wanted.cls is not None:
        column = {"people": "label", "teacher": "y_0", "student": f"y_{arm}"}[wanted.side]
        parts.append(f"{column} = ?")
        values.append(_index(wanted.cls, meta.labels, "class"))
    low, high = wanted.confidence
    if low > 0 or high < 1:
        # float32 rounds: 0.9 as a bound must hold 0.9 as stored
        parts.append(f"conf_{arm} BETWEEN ? AND ?")
        values += [low - 1e-6, high + 1e-6]
    if wanted.group is not None:
        name, value = wanted.group
        column = sorted(meta.groups)[_index(name, sorted(meta.groups), "group column")]
        quoted = (GROUP_PREFIX + column).replace('"', '""')
        parts.append(f'"{quoted}" = ?')
        values.append(value)
    for word in wanted.search.split():
        parts.append("(contains(lower(text), lower(?)) OR contains(lower(coalesce(pair, '')), lower(?)))")
        values += [word, word]
    return " AND ".join(parts), values


def _count(database: duckdb.DuckDBPyConnection, path: str, where: str, values: list[Any]) -> int:
    found = database.execute(f"SELECT count(*) FROM read_parquet(?) WHERE {where}", [path, *values]).fetchone()  # noqa: S608
    return int(found[0]) if found else 0


def _rows(
    database: duckdb.DuckDBPyConnection, path: str, positions: list[int], meta: ViewMeta
) -> tuple[ExampleRow, ...]:
    """Whole rows at these positions, in this order. Positions follow the file's order, so row groups are skipped."""
    if not positions:
        return ()
    cursor = database.execute(
        "SELECT * FROM read_parquet(?) WHERE position BETWEEN ? AND ? AND position IN (SELECT unnest(?))",
        [path, min(positions), max(positions), positions],
    )
    names = [column[0] for column in cursor.description or []]
    found = {row[0]: dict(zip(names, row, strict=True)) for row in cursor.fetchall()}
    return tuple(_example(found[position], meta) for position in positions)


def _example(row: dict[str, Any], meta: ViewMeta) -> ExampleRow:
    arms = []
    for index, arm in enumerate(meta.arms):
        outcome = row[f"outcome_{index}"]
        arms.append(
            ArmView(
                arm=arm,
                answer=meta.labels[row[f"y_{index}"]],
                probs=tuple(row[f"p_{index}_{k}"] for k in range(len(meta.labels))),
                confidence=row[f"conf_{index}"],
                agrees=row[f"agrees_{index}"],
                outcome=None if outcome < 0 or arm == TEACHER else _OUTCOMES[outcome],
                gap=row[f"gap_{index}"],
            )
        )
    return ExampleRow(
        row_id=row["row_id"],
        text=row["text"],
        pair=row["pair"],
        label=meta.labels[row["label"]] if row["label"] >= 0 else None,
        groups={name: row[f"{GROUP_PREFIX}{name}"] or "" for name in meta.groups},
        arms=tuple(arms),
    )
