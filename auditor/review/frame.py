"""The review frame: the synthetic labels of a run, read once and kept while its file stays the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor.review import answers
from auditor.review.answers import Unit
from distill.errors import ReviewError, StoreError
from distill.store import Run
from distill.types import GROUP_PREFIX, Floats, Ints, Strings

UNKNOWN = "unknown"


@dataclass(frozen=True)
class CardText:
    """One row as a card shows it. ``probs`` is the teacher's distribution, shape [k]; an ``answer`` of a language model has none, but a
    confidence (exp of the mean log-probability of its tokens) and the way it ended."""

    row_id: str
    text: str
    pair: str | None
    probs: tuple[float, ...]
    label: int
    answer: str | None = None
    confidence: float = float("nan")
    finish: str = ""


class LabelFrame:
    """The lot that a review judges: every synthetic label of a run; labels that a person has already corrected are not in it.

    Attributes:
        table: rows of labels.parquet, as Arrow, so that 100,000 texts cost no Python objects.
        labels: label names, in the order of the probabilities.
        groups: group columns by name, each of shape [n].
    """

    unit: Unit = "labels"

    def __init__(self, table: pa.Table, labels: tuple[str, ...], groups: dict[str, Strings]) -> None:
        self.table, self.labels, self.groups = table, labels, groups

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def ids(self) -> Strings:
        """row_id, shape [n]."""
        return np.asarray(self.table["row_id"].to_numpy(zero_copy_only=False), dtype=object)

    @cached_property
    def label(self) -> Ints:
        """The label that stands, as an index, shape [n]."""
        return np.asarray(self.table["label"].to_numpy(), dtype=np.int64)

    @cached_property
    def confidence(self) -> Floats:
        """The teacher's largest probability, shape [n]."""
        return np.asarray(self.table["confidence"].to_numpy(), dtype=np.float64)

    @cached_property
    def probs(self) -> Floats:
        """The teacher's probabilities, shape [n, k]."""
        return np.column_stack([self.table[f"p_{k}"].to_numpy() for k in range(len(self.labels))]).astype(np.float64)

    @cached_property
    def index_of(self) -> dict[str, int]:
        """Position of each row id."""
        return {str(row): position for position, row in enumerate(self.ids)}

    def card(self, index: int) -> CardText:
        """The card of one position; reads that row alone."""
        row = self.table.slice(index, 1).to_pylist()[0]
        probs = tuple(float(row[f"p_{k}"]) for k in range(len(self.labels)))
        pair = row["pair"] if isinstance(row["pair"], str) else None
        return CardText(str(row["row_id"]), str(row["text"]), pair, probs, int(row["label"]))

    def teacher_id(self) -> str:
        """Name of the teacher that gave the labels."""
        return str(self.table["teacher_id"][0].as_py()) if len(self) and "teacher_id" in self.table.column_names else ""


class AnswerFrame(LabelFrame):
    """The same of a run whose teacher wrote: its answers, none of which a person has mended. 'Labels' are what people may say of them."""

    unit: Unit = "answers"

    @cached_property
    def label(self) -> Ints:
        """ACCEPT for each, shape [n]."""
        return answers.no_codes(len(self))

    @cached_property
    def probs(self) -> Floats:
        """There is no distribution over labels: shape [n, 0]."""
        return np.empty((len(self), 0))

    def card(self, index: int) -> CardText:
        """The card of one position; reads that row alone."""
        row = self.table.slice(index, 1).to_pylist()[0]
        pair = row["pair"] if isinstance(row["pair"], str) else None
        said, finish = str(row["answer"]), str(row["finish"])
        return CardText(
            str(row["row_id"]), str(row["text"]), pair, (), answers.ACCEPT, said, float(row["confidence"]), finish
        )


def load_frame(run: Run) -> LabelFrame:
    """The review frame of a run.

    Raises:
        ReviewError: the run has no synthetic labels (yet).
        StoreError: a file is torn.
    """
    path = run.folder / "labels.parquet"
    if not path.exists():
        raise ReviewError(
            f"Run {run.id} has no synthetic labels to review.", hint="They appear when its stage 'labels' has ended."
        )
    found = path.stat()
    return _load(str(run.folder), found.st_mtime_ns, found.st_size)


def label_names(run: Run) -> tuple[str, ...]:
    """Label names from the examples' metadata, without reading the rows; of answers what people may say of them."""
    if answers.unit_of(run) == "answers":
        return answers.WORDS
    raw = (pq.read_schema(run.folder / "examples.parquet").metadata or {}).get(b"heirloom.labels", b"").decode()
    return tuple(raw.split("\x1f"))


@lru_cache(maxsize=3)
def _load(folder: str, _time: int, _size: int) -> LabelFrame:
    run = Run(Path(folder))
    try:
        table = pq.read_table(run.folder / "labels.parquet")
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            f"{run.folder / 'labels.parquet'} is truncated or not Parquet.", hint="Delete it and resume the run."
        ) from error
    table = table.filter(pc.invert(table["corrected"])).combine_chunks()
    if answers.unit_of(run) == "answers":
        return AnswerFrame(table, answers.WORDS, dict(answers.slices_of(table.to_pandas(), run.examples)))
    return LabelFrame(table, label_names(run), _groups(run, table["row_id"]))


def _groups(run: Run, rows: pa.ChunkedArray) -> dict[str, Strings]:
    path = run.folder / "examples.parquet"
    names = [name for name in pq.read_schema(path).names if name.startswith(GROUP_PREFIX)]
    if not names:
        return {}
    examples = pq.read_table(path, columns=["row_id", *names]).to_pandas().set_index("row_id")
    chosen = examples.reindex(rows.to_pandas())
    return {name.removeprefix(GROUP_PREFIX): chosen[name].fillna("").to_numpy(dtype=object) for name in names}


def bands_of(confidence: npt.ArrayLike, edges: Sequence[float]) -> tuple[Strings, tuple[str, ...]]:
    """Confidence bands: the name of each value's band, shape [n], and all names from low to high.

    Band i holds edges[i-1] <= confidence < edges[i].
    """
    cuts = [0.0, *edges, 1.0]
    names = tuple(f"{low:.2f}–{high:.2f}" for low, high in pairwise(cuts))
    place = np.searchsorted(np.asarray(edges, dtype=np.float64), np.asarray(confidence), side="right")
    known = np.isfinite(np.asarray(confidence, dtype=np.float64))  # a teacher elsewhere may not say how sure it is
    return np.where(known, np.array(names, dtype=object)[place], UNKNOWN).astype(object), names


def strata_of(
    label: Ints,
    confidence: Floats,
    groups: dict[str, Strings],
    edges: Sequence[float],
    by_class: bool,
    group: str | None,
) -> Strings:
    """Name of each row's stratum, shape [n]: confidence band, class and group, joined by ' · '."""
    parts: list[npt.NDArray[np.object_]] = []
    if edges:
        parts.append(bands_of(confidence, edges)[0])
    if by_class:
        parts.append(np.array([f"class {k}" for k in label], dtype=object))
    if group is not None:
        if group not in groups:
            raise ReviewError(
                f"The data have no group column '{group}'.", hint=f"Known: {', '.join(sorted(groups)) or 'none'}."
            )
        parts.append(groups[group])
    if not parts:
        return np.full(len(label), "all", dtype=object)
    return np.array([" · ".join(row) for row in zip(*parts, strict=True)], dtype=object)
