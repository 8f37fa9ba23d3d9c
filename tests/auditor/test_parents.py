"""A run beside its parent: the copy that stays, the check that rests on it, and why two runs cannot be compared."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from auditor.parents import PARENT, keep_parent, parent_of
from distill.files import write_json
from distill.store import Run, RunStore
from distill.types import ClassSignal
from distill.workspace import Workspace
from tests.auditor.checks.helpers import one, result_of, value
from tests.fakes import RUN_ID, make_fake_run

CHILD = "20260103-120000-child1"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Run, Run]:
    """A run, and the child that a review of it led to; the child has two seeds and is made worse."""
    small = {"n_test": 80, "n_pool": 30, "n_dev": 30, "n_train": 20, "arms": ("distilled",)}
    parent = make_fake_run(tmp_path, seeds=(1, 2, 3), **small)  # type: ignore[arg-type]
    over = {"parent": RUN_ID, "label_version": 1}
    child = make_fake_run(tmp_path, run_id=CHILD, seeds=(1, 2), spec=over, **small)  # type: ignore[arg-type]
    write_json(child.folder / "stages" / "labels.json", {"digest": "x", "corrected": 7, "dropped": 2})
    for seed in (1, 2):
        signal = child.prediction("distilled", seed)
        probs = np.roll(signal.probs, 1, axis=1)[: 10 * seed]
        ClassSignal(signal.ids, np.vstack([probs, signal.probs[10 * seed :]])).write(
            child.prediction_path("distilled", seed, "test")
        )
    return parent, child


def store_of(run: Run) -> RunStore:
    return RunStore(Workspace(run.folder.parent.parent))


def test_the_difference_is_that_of_the_seed_means_on_the_same_texts(pair: tuple[Run, Run]) -> None:
    parent, child = pair
    keep_parent(child, store_of(child))
    result = result_of(child, "parent")
    test = child.examples.part("test")
    before = np.mean([parent.prediction("distilled", s).aligned(test.ids).argmax == test.y for s in (1, 2, 3)])
    now = np.mean([child.prediction("distilled", s).aligned(test.ids).argmax == test.y for s in (1, 2)])
    found = one(result, "accuracy_over_parent", "distilled")
    assert value(found) == pytest.approx(now - before)
    assert found.low is not None and found.high is not None and found.low < value(found) < found.high
    assert (found.n, found.detail["changed"], found.detail["dropped"]) == (80, 7, 2)
    assert found.detail["parent_accuracy"] == pytest.approx(before)
    same = [
        parent.prediction("distilled", s).aligned(test.ids).argmax
        == child.prediction("distilled", t).aligned(test.ids).argmax
        for s in (1, 2, 3)
        for t in (1, 2)
    ]
    assert value(one(result, "agreement_with_parent", "distilled")) == pytest.approx(np.mean(same))
    claim = result.findings[0].claim
    assert "label version 1 (7 labels changed by people, 2 rows left out)" in claim
    assert f"run {RUN_ID}, on the same 80 test texts: worse." in claim


def test_the_check_needs_no_parent_afterwards(pair: tuple[Run, Run]) -> None:
    parent, child = pair
    keep_parent(child, store_of(child))
    before = result_of(child, "parent")
    shutil.rmtree(parent.folder)
    keep_parent(child, store_of(child))
    assert result_of(child, "parent") == before
    assert parent_of(child)["run"] == RUN_ID
    assert child.prediction(PARENT, 3).ids.size == 80


def test_what_cannot_be_compared_says_why(pair: tuple[Run, Run], tmp_path: Path) -> None:
    parent, child = pair
    assert result_of(parent, "parent").skipped == "the run follows from no other"
    assert "was not here" in str(result_of(child, "parent").skipped)
    signal = parent.prediction("distilled", 1)
    ClassSignal(signal.ids[5:], signal.probs[5:]).write(parent.prediction_path("distilled", 1, "test"))
    keep_parent(child, store_of(child))
    assert "the test rows differ" in str(result_of(child, "parent").skipped)
    shutil.rmtree(parent.folder)
    keep_parent(child, store_of(child))
    assert "cannot be read" in str(result_of(child, "parent").skipped)
