"""The candidate answers the labelled pool once; the review finds there where it differs from its teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.review.frame import load_frame
from auditor.review.targeted import by_disagreement
from distill.plugins import StageContext
from distill.stages import pool as pool_module
from distill.stages import run_stages
from distill.teachers.base import Predicts, predictor
from distill.types import read_frame, write_frame
from distill.workspace import Workspace
from tests.distill.tiny import context_of, make_context, tiny_spec


@pytest.fixture
def finished(classifier: Path, tmp_path: Path) -> StageContext:
    teacher = {"kind": "checkpoint", "options": {"source": str(classifier)}}
    arms = [{"kind": "undistilled"}, {"kind": "distilled"}]
    context, _ = make_context(tmp_path, tiny_spec(tmp_path, teacher=teacher, arms=arms, seeds=[2, 1]))
    assert run_stages(context, until="predictions") == "done"
    return context


def again(context: StageContext, tmp_path: Path) -> StageContext:
    return context_of(context.run, Workspace(tmp_path / "home"))[0]


def test_only_the_candidates_first_seed_is_asked_and_the_queue_reads_it(
    finished: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished.run
    assert [str(p.relative_to(run.folder)) for p in run.folder.glob("predictions/*/*.pool.parquet")] == [
        "predictions/distilled/1.pool.parquet"
    ]
    signal = run.prediction("distilled", 1, "pool")
    labels = read_frame(run.folder / "labels.parquet")
    assert list(signal.ids) == list(labels["row_id"])
    frame = load_frame(run)
    order = by_disagreement(run, frame)
    differing = np.flatnonzero(signal.argmax != frame.label)
    assert set(order) == set(differing)
    # asked again only when labels or weights change
    asked: list[int] = []

    def counted(*given: Any) -> Predicts:
        asked.append(1)
        return predictor(*given)

    monkeypatch.setattr(pool_module, "predictor", counted)
    run_stages(again(finished, tmp_path), until="predictions")
    assert asked == []
    run.prediction_path("distilled", 1, "test").unlink()
    run_stages(again(finished, tmp_path), until="predictions")
    assert asked == []


def test_a_run_goes_on_when_the_pool_cannot_be_asked(classifier: Path, tmp_path: Path) -> None:
    """A candidate that is a file of predictions, without the pool's rows."""
    teacher = {"kind": "checkpoint", "options": {"source": str(classifier)}}
    first, _ = make_context(
        tmp_path, tiny_spec(tmp_path, teacher=teacher, arms=[{"kind": "distilled"}], seeds=[1]), "first"
    )
    run_stages(first, until="predictions")
    parts = [first.run.prediction("distilled", 1, part) for part in ("dev", "test")]
    rows = [
        {"id": name, "probs": list(map(float, p))}
        for part in parts
        for name, p in zip(part.ids, part.probs, strict=True)
    ]
    write_frame(tmp_path / "given.parquet", pd.DataFrame(rows))
    arms = [
        {"kind": "given", "name": "mine", "options": {"predictions": str(tmp_path / "given.parquet")}},
        {"kind": "hard_label"},
    ]
    spec = tiny_spec(tmp_path, teacher=teacher, arms=arms, seeds=[1], audit={"candidate": "mine"})
    context, seen = make_context(tmp_path, spec, "second")
    assert run_stages(context, until="predictions") == "done"
    assert not list(context.run.folder.glob("predictions/*/*.pool.parquet"))
    assert any("not asked about the pool" in str(getattr(event, "message", "")) for event in seen)
    assert list(context.run.folder.glob("predictions/mine/*.test.parquet"))
