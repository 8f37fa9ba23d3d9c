"""The graph of runs, the copy of generation 0, and the check that rests on it: also without the parents."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.lineage import ORIGIN, chain, family, keep_origin, label_entropy, origin_of
from distill.files import read_json, write_json
from distill.store import TEACHER, Run, RunStore
from distill.types import ClassSignal
from distill.workspace import Workspace
from tests.auditor.checks.helpers import one, result_of, value
from tests.fakes import make_fake_run

IDS = tuple(f"20260102-12000{n}-fake0{n}" for n in range(4))


def make_chain(root: Path, depth: int = 3, n_test: int = 90, **more: Any) -> list[Run]:
    """Runs whose teacher is the distilled student of the one before, on the same rows."""
    runs: list[Run] = []
    for number in range(depth):
        before = runs[-1] if runs else None
        over: dict[str, Any] = {"name": f"chain {number + 1}"}
        if before is not None:
            options = {"run": before.id, "arm": "distilled", "seed": 1}
            over |= {"teacher": {"kind": "student", "options": options}, "parent": before.id}
        run = make_fake_run(
            root, run_id=IDS[number], n_test=n_test, n_pool=30, n_dev=30, n_train=20, seeds=(1,), arms=("distilled",), spec=over, **more
        )  # fmt: skip
        if before is not None:
            before.prediction("distilled", 1).write(run.prediction_path(TEACHER, 0, "test"))
            card = read_json(run.folder / "teacher.json")
            write_json(run.folder / "teacher.json", {**card, "extra": {"generation": number}})
        runs.append(run)
    return runs


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    return make_chain(tmp_path)


def store_of(runs: list[Run]) -> RunStore:
    return RunStore(Workspace(runs[0].folder.parent.parent))


def test_the_third_generation_is_held_against_the_first_teacher(runs: list[Run]) -> None:
    store = store_of(runs)
    for run in runs:
        keep_origin(run, store)
    last = runs[-1]
    first = runs[0].prediction(TEACHER, 0)
    np.testing.assert_allclose(last.prediction(ORIGIN, 0).probs, first.probs, atol=1e-6)
    found = one(result_of(last, "generations"), "agreement_with_origin", "distilled")
    ids = first.ids
    same = last.prediction("distilled", 1).aligned(ids).argmax == first.argmax
    assert value(found) == pytest.approx(same.mean()) and found.versus == ORIGIN
    to_teacher = one(result_of(last, "fidelity"), "agreement", "distilled")
    assert found.value != to_teacher.value


def test_the_check_needs_no_parent_afterwards(runs: list[Run]) -> None:
    keep_origin(runs[-1], store_of(runs))
    before = result_of(runs[-1], "generations")
    for run in runs[:-1]:
        shutil.rmtree(run.folder)
    keep_origin(runs[-1], store_of(runs))
    assert result_of(runs[-1], "generations") == before


def test_other_test_rows_are_not_comparable(runs: list[Run]) -> None:
    signal = runs[0].prediction(TEACHER, 0)
    ClassSignal(signal.ids[5:], signal.probs[5:]).write(runs[0].prediction_path(TEACHER, 0, "test"))
    keep_origin(runs[1], store_of(runs))
    assert "the test rows differ" in origin_of(runs[1])["reason"]
    result = result_of(runs[1], "generations")
    assert not [m for m in result.measures if m.name == "agreement_with_origin"]
    assert any("Not comparable with generation 0, because" in f.claim for f in result.findings)


def test_the_warning_ends_with_a_human_label(runs: list[Run]) -> None:
    def warned(run: Run) -> bool:
        return any("no human label has been added" in f.claim for f in result_of(run, "generations").findings)

    assert not warned(runs[0])
    keep_origin(runs[1], store_of(runs))
    assert warned(runs[1])
    write_json(runs[1].folder / "stages" / "labels.json", {"digest": "x", "corrected": 3})
    assert not warned(runs[1])


def test_a_deleted_parent_and_a_cycle_are_sentences(runs: list[Run]) -> None:
    store = store_of(runs)
    shutil.rmtree(runs[0].folder)
    found = family(store, runs[-1].id)
    assert set(found.nodes) == {run.id for run in runs}
    assert any(runs[0].id in sentence and "deleted" in sentence for sentence in found.sentences)
    assert "deleted" in chain(store, runs[-1].id)[1]
    spec = (runs[1].folder / "spec.yaml").read_text(encoding="utf-8").replace(runs[0].id, runs[2].id)
    (runs[1].folder / "spec.yaml").write_text(spec, encoding="utf-8")
    fresh = store_of(runs)
    assert any("circle" in sentence for sentence in family(fresh, runs[2].id).sentences)
    assert "ancestor" in chain(fresh, runs[2].id)[1]


def test_entropy_of_answers_is_scipys() -> None:
    from scipy.stats import entropy

    labels = np.array([0, 0, 1, 2, 2, 2], dtype=np.int64)
    assert label_entropy(labels, 4) == pytest.approx(float(entropy([2, 1, 3, 0])))
    assert label_entropy(np.zeros(5, dtype=np.int64), 3) == 0
