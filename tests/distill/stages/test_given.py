"""Audit only: teacher and students were made elsewhere, as models or as files of their predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from distill.errors import DataError
from distill.plugins import StageContext
from distill.stages import run_stages
from distill.types import read_frame
from tests.distill.tiny import LABELS, make_context, tiny_model, tiny_rows, tiny_spec


def predictions_file(path: Path, ids: list[str], seed: int = 0) -> Path:
    probs = np.random.default_rng(seed).dirichlet(np.ones(3), size=len(ids))
    frame = pd.DataFrame(probs, columns=pd.Index(sorted(LABELS)))
    frame.insert(0, "id", ids)
    frame.to_parquet(path)
    return path


def context_for(root: Path, teacher: Path, arm: dict[str, Any]) -> tuple[StageContext, list[Any]]:
    spec = tiny_spec(
        root,
        teacher={"kind": "predictions", "options": {"path": str(teacher)}},
        arms=[{"kind": "given", "name": "mine", "options": arm}],
    )
    return make_context(root, spec)


def test_predictions_alone_are_audited_without_any_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith("distill.engine")]:
        monkeypatch.delitem(sys.modules, name)
    ids = list(tiny_rows(360)["id"])
    teacher = predictions_file(tmp_path / "teacher.parquet", ids)
    mine = predictions_file(tmp_path / "mine.parquet", ids, seed=1)
    context, seen = context_for(tmp_path, teacher, {"predictions": str(mine)})
    items = pd.DataFrame({"item_id": ["i"], "text": ["bad"], "pair": [None]})
    assert run_stages(context, items=items) == "done"
    run = context.run
    assert not (run.folder / "labels.parquet").exists()
    assert len(run.prediction("mine", 1).ids) == len(run.prediction("teacher", 0).ids) == 60
    assert not run.prediction_path("teacher", 0, "items").exists()
    assert "no model" in json.loads((run.folder / "stages" / "timings.json").read_text())["skipped"]
    assert not (run.folder / "timings.parquet").exists()
    assert any("skipped, because" in event.message for event in seen if event.kind == "note")
    assert not [name for name in sys.modules if name.startswith("distill.engine")]


@pytest.mark.slow
def test_a_given_model_beside_a_teacher_of_predictions_is_timed(tmp_path: Path, classifier: Path) -> None:
    teacher = predictions_file(tmp_path / "teacher.parquet", list(tiny_rows(360)["id"]))
    context, _ = context_for(tmp_path, teacher, {"checkpoint": str(classifier), "licence": "MIT"})
    assert run_stages(context) == "done"
    assert set(read_frame(context.run.folder / "timings.parquet")["arm"]) == {"mine"}
    card = context.run.cards()[0]
    assert (card.licence, card.layers, card.trained_on) == ("MIT", 4, 0)
    assert card.model_dir == str(classifier)


def test_missing_test_rows_are_counted(tmp_path: Path) -> None:
    ids = list(tiny_rows(360)["id"])
    teacher = predictions_file(tmp_path / "teacher.parquet", ids)
    mine = predictions_file(tmp_path / "mine.parquet", ids[:300])
    context, _ = context_for(tmp_path, teacher, {"predictions": str(mine)})
    with pytest.raises(DataError, match=r"'mine': \d+ of 60 rows have no prediction"):
        run_stages(context)


def test_a_predictions_teacher_labels_what_it_covers(tmp_path: Path) -> None:
    student = tiny_model(tmp_path / "student", None, layers=1)
    ids = list(tiny_rows(360)["id"])
    teacher = predictions_file(tmp_path / "teacher.parquet", ids)
    spec = tiny_spec(
        tmp_path,
        teacher={"kind": "predictions", "options": {"path": str(teacher)}},
        student={"init": "checkpoint", "checkpoint": str(student)},
        arms=["distilled", "undistilled"],
        seeds=[1],
    )
    context, _ = make_context(tmp_path, spec)
    assert run_stages(context, until="data") == "done"
    pool = set(list(context.run.examples.part("pool").ids)[:20])
    predictions_file(teacher, [row for row in ids if row not in pool])
    assert run_stages(context, until="predictions") == "done"
    assert len(read_frame(context.run.folder / "labels.parquet")) == 120
    assert [card.name for card in context.run.cards()] == ["distilled"]
    assert "no model of the teacher" in (context.run.folder / "arms/undistilled/skipped.json").read_text()
