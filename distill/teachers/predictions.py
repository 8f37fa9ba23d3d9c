"""A teacher that was asked elsewhere: a file of its answers. There is no model, so there is nothing to time or to pick layers from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from distill.errors import DataError
from distill.files import file_digest
from distill.monitor import Monitor
from distill.plugins import StageContext, Teacher, teacher
from distill.spec import Part
from distill.store import TEACHER, ModelCard
from distill.types import ClassSignal, Examples, Floats, read_frame


class PredictionsOptions(Part):
    """Which file, and how its columns are called."""

    path: str = Field(description="Parquet or JSONL file with an id and a probability for each label.")
    id: str = Field("id", description="Column of the row ids.")
    probabilities: str = Field(
        "probs", description="Column with a list of probabilities, where labels have no columns."
    )
    model: str = Field("", description="What made the predictions, for the report.")
    licence: str = ""


@dataclass(frozen=True)
class PredictionsTeacher:
    """Answers by row id."""

    card: ModelCard
    signal: ClassSignal

    def covers(self, examples: Examples) -> npt.NDArray[np.bool_]:
        """Which rows the file answers, shape [n]."""
        known = set(self.signal.ids)
        return np.array([row in known for row in examples.ids], dtype=np.bool_)

    def probabilities(self, examples: Examples, monitor: Monitor) -> Floats:
        """The file's probabilities for these rows, shape [n, k]; raises DataError when one is missing."""
        monitor.check()
        return self.signal.aligned(examples.ids).probs


@teacher("predictions", "A file of answers that a teacher gave elsewhere; no model is needed.", PredictionsOptions)
def predictions(context: StageContext, options: Any) -> Teacher:
    """Read the file against the data's labels; raises DataError."""
    labels = context.run.examples.labels
    path = Path(options.path).expanduser()
    signal = read_predictions(path, labels, id_column=options.id, list_column=options.probabilities)
    return PredictionsTeacher(predictions_card(path, TEACHER, "predictions", labels, options), signal)


def predictions_card(path: Path, name: str, kind: str, labels: Sequence[str], options: Any) -> ModelCard:
    """The card of a model of which only the answers are known; ``options`` has ``model`` and ``licence``."""
    return ModelCard(
        name=name,
        kind=kind,
        id=options.model or path.name,
        licence=options.licence,
        labels=tuple(labels),
        predictions=str(path.resolve()),
        weights_digest=file_digest(path),
        notes=("Only its predictions are known, not the model.",),
        extra={"generation": 0},
    )


def read_predictions(
    path: Path, labels: Sequence[str], *, id_column: str = "id", list_column: str = "probs"
) -> ClassSignal:
    """Probabilities by id from a Parquet or JSONL file.

    Args:
        path: the file.
        labels: label names in order.
        id_column: column of the ids; ``row_id`` serves as well.
        list_column: column with a list of probabilities in label order, where the labels have no columns of their own.

    Raises:
        DataError: unreadable, a column is missing, an id stands twice, or a row is not a distribution (sum within 0.01 of 1).
    """
    frame = _read(path)
    ids_name = id_column if id_column in frame.columns else "row_id"
    if ids_name not in frame.columns:
        raise DataError(
            f"{path.name} has no column '{id_column}'; it has {', '.join(map(str, frame.columns[:8]))}.",
            hint="Name the column of the row ids.",
        )
    ids = frame[ids_name].astype(str).to_numpy(dtype=object)
    if len(set(ids)) != len(ids):
        twice = frame[ids_name].astype(str)[pd.Index(ids).duplicated()].iloc[0]
        raise DataError(f"The id '{twice}' stands twice in {path.name}.", hint="Give each id once.")
    probs = _probabilities(frame, path, labels, list_column)
    sums = probs.sum(axis=1)
    bad = np.flatnonzero(~np.isfinite(sums) | (probs < 0).any(axis=1) | (np.abs(sums - 1) > 0.01))
    if len(bad):
        raise DataError(
            f"{len(bad)} of {len(frame)} rows of {path.name} are no probabilities; the first is id '{ids[bad[0]]}' with sum "
            f"{sums[bad[0]]:.3g}.",
            hint="Give numbers from 0 to 1 that sum to 1 in each row.",
        )
    return ClassSignal(ids, np.asarray(probs / sums[:, None], dtype=np.float64))


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"There is no predictions file {path}.", hint="Check the path.")
    if path.suffix.lower() == ".parquet":
        return read_frame(path)
    rows = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(
                    f"Line {number} of {path.name} is not JSON.", hint="Give one JSON object a line, or Parquet."
                ) from error
            if not isinstance(row, dict):
                raise DataError(f"Line {number} of {path.name} is not a JSON object.", hint='Such as {"id": "7", …}.')
            rows.append(row)
    if not rows:
        raise DataError(f"{path.name} is empty.", hint="Give one JSON object a line, or Parquet.")
    return pd.DataFrame(rows)


def _probabilities(frame: pd.DataFrame, path: Path, labels: Sequence[str], list_column: str) -> Floats:
    """The numbers, shape [n, k], from a column per label, from p_0 … p_k-1, or from a column of lists."""
    by_name = {str(column).strip().casefold(): column for column in frame.columns}
    for names in ([label.casefold() for label in labels], [f"p_{index}" for index in range(len(labels))]):
        if all(name in by_name for name in names):
            columns = frame[[by_name[name] for name in names]]
            numbers = columns.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
            return np.asarray(numbers, dtype=np.float64)
    if list_column not in frame.columns:
        missing = [label for label in labels if label.casefold() not in by_name]
        raise DataError(
            f"{path.name} has no probability for the label '{missing[0]}'.",
            hint=f"Give one column for each label ({', '.join(labels)}) or a list column '{list_column}'.",
        )
    lists = list(frame[list_column])
    wrong = [i for i, row in enumerate(lists) if not _is_list(row) or len(row) != len(labels)]
    if wrong:
        raise DataError(
            f"Row {wrong[0] + 1} of {path.name} does not list {len(labels)} probabilities.",
            hint=f"Give them in the order {', '.join(labels)}.",
        )
    return np.array([[_number(value) for value in row] for row in lists], dtype=np.float64)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")
