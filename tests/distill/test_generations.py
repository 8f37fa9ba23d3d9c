"""A student teaches the next run; rounds; a student as large as its teacher. On a model of a few kilobytes."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from distill import generations
from distill.arms.iterative import gained
from distill.errors import ModelError, SpecError
from distill.estimate import teacher_shape
from distill.generations import children, next_spec, queue_next
from distill.jobs import jobs
from distill.preflight import preflight
from distill.spec import parse_spec
from distill.stages import run_stages
from distill.store import Run
from distill.types import read_frame
from distill.workspace import Workspace
from tests.distill.tiny import context_of, make_context, tiny_spec


@pytest.fixture(scope="module")
def first(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with three generations wanted; copied, never changed."""
    root = tmp_path_factory.mktemp("chain")
    teacher = {"kind": "checkpoint", "options": {"source": str(classifier)}}
    context, _ = make_context(root, tiny_spec(root, teacher=teacher, arms=["distilled"], seeds=[1], generations=3))
    run_stages(context, until="predictions")
    return context.run


def test_the_next_generation_is_taught_by_the_student_on_the_same_rows(first: Run, tmp_path: Path) -> None:
    home = Workspace(Path(shutil.copytree(first.folder.parents[1], tmp_path / "home"))).made()
    run = Run(home.runs / first.id)
    made = queue_next(home, run)
    assert made is not None and made.spec.generations == 2 and made.spec.parent == run.id
    assert queue_next(home, run) is None and [one.id for one in children(home, run)] == [made.id]
    assert [job.run_id for job in jobs(home, made.id)] == [made.id]
    context, _ = context_of(made, home)
    run_stages(context, until="predictions")
    assert made.teacher.extra["generation"] == 1 and made.teacher.layers == 2
    assert made.cards()[0].extra["generation"] == 2
    np.testing.assert_array_equal(made.examples.ids, run.examples.ids)
    before = run.prediction("distilled", 1)
    np.testing.assert_allclose(made.prediction("teacher", 0).aligned(before.ids).probs, before.probs, atol=2e-3)
    assert read_frame(made.folder / "labels.parquet")["generation"].unique().tolist() == [1]
    last = queue_next(home, made)
    assert last is not None and last.spec.generations == 1 and last.spec.name.endswith("generation 3")
    assert queue_next(home, last) is None


def test_who_waits_and_the_runner_queue_the_next_generation_once(
    first: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Workspace(Path(shutil.copytree(first.folder.parents[1], tmp_path / "home"))).made()
    run, look = Run(home.runs / first.id), generations.children

    def slowly(workspace: Workspace, run: Run) -> list[Run]:
        found = look(workspace, run)
        time.sleep(0.2)
        return found

    monkeypatch.setattr(generations, "children", slowly)
    with ThreadPoolExecutor(3) as people:
        made = list(people.map(lambda _: queue_next(home, run), range(3)))
    assert len([one for one in made if one is not None]) == len(look(home, run)) == 1


def test_a_preflight_looks_for_the_student_in_the_workspace_that_it_is_given(
    first: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEIRLOOM_HOME", str(tmp_path / "another"))
    spec, home = next_spec(first, 1), Workspace(first.folder.parents[1])
    told = f"The teacher is the student 'distilled' of run {first.id}."
    assert told in [item.sentence for item in preflight(spec, home).items if item.state == "ok"]
    shape = teacher_shape(spec, home.runs)
    assert shape is not None and shape.layers == 2
    lacking = preflight(spec, Workspace.default())
    assert not lacking.ok and any("is not in this workspace" in item.sentence for item in lacking.items)


def test_what_cannot_teach_is_said_in_a_sentence(first: Run, tmp_path: Path) -> None:
    spec = next_spec(first, 1)
    context, _ = make_context(tmp_path, spec)
    with pytest.raises(ModelError, match="is not in this workspace"):
        run_stages(context, until="teacher")
    own = spec.model_copy(update={"teacher": spec.teacher.model_copy(update={"options": {"run": "20260101-own", "arm": "distilled", "seed": 1}})})  # fmt: skip
    context, _ = make_context(tmp_path, own, "20260101-own")
    with pytest.raises(ModelError, match="its own student"):
        run_stages(context, until="teacher")
    with pytest.raises(SpecError, match="generations"):
        parse_spec({"name": "x", "task": "generation", "data": {"source": {"kind": "pack", "name": "prompts"}}, "generations": 2})  # fmt: skip


def test_rounds_stay_within_the_labels_and_a_self_distilled_student_is_as_large(
    classifier: Path, tmp_path: Path
) -> None:
    teacher = {"kind": "checkpoint", "options": {"source": str(classifier)}}
    arms = [{"kind": "iterative", "options": {"first": 0.4, "add": 0.2, "rounds": 2, "level": 0.99}}]
    signals = {"max_tokens": 24, "precision": "fp32", "max_labels": 100}
    context, _ = make_context(tmp_path, tiny_spec(tmp_path, teacher=teacher, arms=arms, seeds=[1], signals=signals))
    run_stages(context, until="predictions")
    assert len(read_frame(context.run.folder / "labels.parquet")) == 40  # the first round's, no more
    (card,) = context.run.cards()
    told = card.extra["rounds"]
    assert told[0]["labels"] == 40 and all(one["asked"] == 20 for one in told[1:]) and told[-1]["labels"] <= 100
    assert card.trained_on in [one["labels"] for one in told] and card.extra["generation"] == 1
    both = [*arms, "self_distilled"]
    context, _ = make_context(tmp_path, tiny_spec(tmp_path, teacher=teacher, arms=both, seeds=[1], signals=signals))
    run_stages(context, until="students")
    rounds, large = context.run.cards()
    assert all(one["asked"] == 0 for one in rounds.extra["rounds"])  # the other arm has had all labels asked for
    assert large.layers == context.run.teacher.layers


def test_a_gain_is_the_exact_test() -> None:
    before = np.array([1] * 10 + [0] * 10, dtype=bool)
    after = np.array([1] * 8 + [0] * 2 + [1] * 7 + [0] * 3, dtype=bool)
    won, lost, p = gained(before, after)
    assert (won, lost) == (7, 2)
    assert p == pytest.approx(binomtest(7, 9, alternative="greater").pvalue)
    assert gained(before, before)[2] == 1.0 and gained(None, after)[2] is None
