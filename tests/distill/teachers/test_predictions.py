from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from distill.errors import DataError
from distill.teachers.predictions import read_predictions

LABELS = ("neg", "pos")


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_three_spellings_say_the_same(tmp_path: Path) -> None:
    named = write(tmp_path / "a.jsonl", [{"id": 1, "pos": 0.75, "NEG": 0.25}, {"id": 2, "pos": 1, "NEG": 0}])
    listed = write(tmp_path / "b.jsonl", [{"id": "1", "probs": [0.25, 0.75]}, {"id": "2", "probs": [0, 1]}])
    pd.DataFrame({"row_id": ["1", "2"], "p_0": [0.25, 0.0], "p_1": [0.75, 1.0]}).to_parquet(tmp_path / "c.parquet")
    signals = [read_predictions(path, LABELS) for path in (named, listed, tmp_path / "c.parquet")]
    for signal in signals:
        assert list(signal.ids) == ["1", "2"]
        np.testing.assert_allclose(signal.probs, [[0.25, 0.75], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"key": 1, "pos": 1, "neg": 0}], "no column 'id'"),
        ([{"id": 1, "pos": 1, "neg": 0}, {"id": 1, "pos": 1, "neg": 0}], "stands twice"),
        ([{"id": 1, "pos": 1}], "label 'neg'"),
        ([{"id": 1, "pos": 0.9, "neg": 0.9}], "sum 1.8"),
        ([{"id": 1, "pos": "x", "neg": 0.9}], "no probabilities"),
        ([{"id": 1, "probs": [0.1, 0.2, 0.7]}], "does not list 2"),
        ([{"id": 1, "probs": 0.3}], "does not list 2"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, rows: list[dict[str, object]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_predictions(write(tmp_path / "x.jsonl", rows), LABELS)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no predictions file"):
        read_predictions(tmp_path / "gone.jsonl", LABELS)
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="empty"):
        read_predictions(tmp_path / "empty.jsonl", LABELS)
    (tmp_path / "half.jsonl").write_text('{"id": 1, "pos": 1, "neg": 0}\n{"id": 2, "po', encoding="utf-8")
    with pytest.raises(DataError, match=r"Line 2 of half.jsonl is not JSON"):
        read_predictions(tmp_path / "half.jsonl", LABELS)
