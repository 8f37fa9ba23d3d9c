"""The gate before training, and what people's corrections do to the labels of a child run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from distill.errors import DataError, StoreError
from distill.plugins import StageContext
from distill.stages import run_stages
from distill.stages.labels import read_labels, training_signal
from distill.types import write_frame
from tests.distill.tiny import context_of, make_context, tiny_spec


def waiting_run(root: Path, classifier: Path, **over: Any) -> StageContext:
    teacher = {"kind": "checkpoint", "options": {"source": str(classifier)}}
    arm = {"kind": "distilled"}
    spec = tiny_spec(root, teacher=teacher, arms=[arm], seeds=[1], review={"required": True, "fraction": 0.1}, **over)
    context, seen = make_context(root, spec)
    assert run_stages(context) == "waiting"
    assert seen[-1].kind == "waiting"
    assert "14 of 140" in seen[-1].message
    assert context.run.status() == "awaiting_review"
    assert not (context.run.folder / "arms").exists()
    return context


def correct(context: StageContext, k: int = 3) -> pd.DataFrame:
    """Two rows get another label, one is thrown out, one is confirmed."""
    labels = read_labels(context.run)
    rows = labels.iloc[:4]
    said = [(rows["label"].iloc[0] + 1) % k, (rows["label"].iloc[1] + 1) % k, -1, rows["label"].iloc[3]]
    return pd.DataFrame({"row_id": rows["row_id"], "label": np.array(said, dtype=np.int64)})


def test_decisions_in_place_open_the_gate(classifier: Path, tmp_path: Path) -> None:
    context = waiting_run(tmp_path, classifier)
    corrections = correct(context)
    write_frame(context.run.folder / "corrections.parquet", corrections)
    from distill.workspace import Workspace

    again, _ = context_of(context.run, Workspace(tmp_path / "home"))
    assert run_stages(again, until="students") == "done"
    labels = read_labels(again.run)
    assert len(labels) == 139
    assert labels["corrected"].sum() == 2
    assert again.run.cards()[0].trained_on == 139


def test_an_empty_file_of_corrections_means_that_every_label_was_right(classifier: Path, tmp_path: Path) -> None:
    context = waiting_run(tmp_path, classifier)
    before = read_labels(context.run)
    nothing = pd.DataFrame({"row_id": [], "label": np.array([], dtype=np.int64)})
    write_frame(context.run.folder / "corrections.parquet", nothing)
    assert run_stages(context, until="review") == "done"
    pd.testing.assert_frame_equal(read_labels(context.run), before)


def test_a_child_run_reuses_signals_and_rows_and_learns_the_corrections(classifier: Path, tmp_path: Path) -> None:
    parent = waiting_run(tmp_path, classifier)
    spec = parent.spec.model_copy(update={"parent": parent.run.id, "label_version": 1, "name": "child"})
    (tmp_path / "rows.csv").write_text("id,text,label\n1,changed,positive\n", encoding="utf-8")
    child, seen = make_context(tmp_path, spec)
    corrections = correct(parent)
    write_frame(child.run.folder / "corrections.parquet", corrections)
    assert run_stages(child, until="students") == "done"
    assert any("parent run" in getattr(event, "message", "") for event in seen)
    summary = json.loads((child.run.folder / "stages" / "labels.json").read_text())
    assert (summary["asked"], summary["reused"], summary["corrected"], summary["dropped"]) == (0, 140, 2, 1)
    labels = read_labels(child.run).set_index("row_id")
    assert corrections["row_id"].iloc[2] not in labels.index
    for row, label in zip(corrections["row_id"].iloc[:2], corrections["label"].iloc[:2], strict=True):
        assert labels.loc[row, "label"] == label != labels.loc[row, "teacher_label"]
        assert not labels.loc[row, "synthetic"]
    assert not labels.loc[corrections["row_id"].iloc[3], "corrected"]
    pool, signal = training_signal(child.run, child.run.examples)
    first = list(pool.ids).index(corrections["row_id"].iloc[0])
    assert signal.probs[first].tolist() == np.eye(3)[corrections["label"].iloc[0]].tolist()
    assert list(child.run.examples.ids) == list(parent.run.examples.ids)


def test_corrections_that_are_missing_or_wrong(classifier: Path, tmp_path: Path) -> None:
    parent = waiting_run(tmp_path, classifier)
    spec = parent.spec.model_copy(update={"parent": parent.run.id, "label_version": 1})
    child, _ = make_context(tmp_path, spec)
    with pytest.raises(StoreError, match="Label version 1"):
        run_stages(child, until="labels")
    wrong = pd.DataFrame({"row_id": read_labels(parent.run)["row_id"].iloc[:1], "label": [7]})
    write_frame(child.run.folder / "corrections.parquet", wrong)
    with pytest.raises(DataError, match="outside 0 to 2"):
        run_stages(child, until="labels")
