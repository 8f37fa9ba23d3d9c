"""The fake run is what the real trainer would leave behind, as far as readers can see."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill.store import RunStore, Status
from distill.workspace import Workspace
from tests.fakes import make_fake_run


@pytest.mark.parametrize(
    "status", ["complete", "queued", "running", "awaiting_review", "failed", "cancelled", "interrupted"]
)
def test_every_status(tmp_path: Path, status: Status) -> None:
    made = make_fake_run(tmp_path, status=status)
    found = RunStore(Workspace(tmp_path)).get(made.id)
    assert found.status() == status
    assert found.spec.candidate == "distilled"


def test_the_same_seed_makes_the_same_run(tmp_path: Path) -> None:
    one, two = make_fake_run(tmp_path / "a", seed=5), make_fake_run(tmp_path / "b", seed=5)
    for name in ("examples.parquet", "labels.parquet", "predictions/distilled/2.test.parquet", "timings.parquet"):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()


def test_with_items_every_model_answers_them(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, with_items=True, seeds=(1,))
    items = (run.folder / "items.parquet").exists()
    assert items
    assert run.prediction_path("distilled", 1, "items").exists()
