"""The whole flow on a tiny real model: what it writes, what it reuses, and how it goes on after it was stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from distill.errors import Cancelled, ModelError, SpecError
from distill.events import Event
from distill.monitor import Monitor
from distill.plugins import StageContext
from distill.spec import RunSpec
from distill.stages import run_stages
from distill.store import TEACHER, Run
from distill.types import read_frame
from distill.workspace import Workspace
from tests.distill.tiny import context_of, make_context, tiny_rows, tiny_spec

ITEMS = pd.DataFrame({"item_id": ["i1", "i2", "i3"], "text": ["bad w1", "w2 great", "bad w1"], "pair": [None] * 3})


def fine_tuned(base: Path, **options: Any) -> dict[str, Any]:
    return {"kind": "fine_tuned", "options": {"base": str(base), "epochs": 1, "precision": "fp32", **options}}


@pytest.fixture(scope="module")
def finished(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, StageContext]]:
    root = tmp_path_factory.mktemp("flow")
    context, _ = make_context(root, tiny_spec(root, teacher=fine_tuned(base)), "first")
    assert run_stages(context, items=ITEMS) == "done"
    yield root, context


def kinds(seen: list[Event], kind: str) -> list[Any]:
    return [event for event in seen if event.kind == kind]


def test_every_artefact_is_there_and_agrees(finished: tuple[Path, StageContext]) -> None:
    run = finished[1].run
    names = [(card.name, card.seed) for card in run.cards()]
    trained = [(arm, seed) for arm in ("distilled", "hard_label", "fine_tuned") for seed in (1, 2)]
    assert sorted(names) == sorted([*trained, ("undistilled", 1)])
    test, dev = run.examples.part("test"), run.examples.part("dev")
    for card in [run.teacher, *run.cards()]:
        seed = card.seed or 0
        for part, ids in (("test", test.ids), ("dev", dev.ids), ("items", ITEMS["item_id"])):
            signal = run.prediction(card.name, seed, part)  # type: ignore[arg-type]
            assert list(signal.ids) == list(ids)
            np.testing.assert_allclose(signal.probs.sum(axis=1), 1.0)
        assert Path(str(card.model_dir)).is_dir()
    items = run.prediction(TEACHER, 0, "items").probs
    np.testing.assert_array_equal(items[0], items[2])
    assert set(read_frame(run.folder / "timings.parquet")["arm"]) == {TEACHER, *(arm.name for arm in run.spec.arms)}
    assert run.json("resources")["peak_memory_bytes"][TEACHER] > 1e7


def test_labels_carry_their_provenance(finished: tuple[Path, StageContext]) -> None:
    run = finished[1].run
    labels = read_frame(run.folder / "labels.parquet")
    pool = run.examples.part("pool")
    assert set(labels["row_id"]) <= set(pool.ids)
    assert labels["content_id"].is_unique
    assert labels["synthetic"].all()
    assert not labels["corrected"].any()
    assert set(labels["weights_digest"]) == {run.teacher.weights_digest}
    assert set(labels["generation"]) == {0}
    probs = labels[["p_0", "p_1", "p_2"]].to_numpy()
    np.testing.assert_array_equal(probs.argmax(axis=1), labels["label"])
    np.testing.assert_allclose(probs.max(axis=1), labels["confidence"], atol=1e-6)
    assert labels["labelled_at"].str.startswith("20").all()


def test_cards_say_how_the_arms_were_made(finished: tuple[Path, StageContext]) -> None:
    run = finished[1].run
    by_name = {card.name: card for card in run.cards()}
    assert by_name["fine_tuned"].human_labels == by_name["fine_tuned"].trained_on == 120
    assert by_name["distilled"].human_labels == 0
    assert by_name["distilled"].extra["picked_layers"] == [0, 3]
    assert by_name["distilled"].extra["generation"] == 1
    assert by_name["undistilled"].trained_on == 0
    assert {card.layers for card in by_name.values()} == {2}
    stored = json.loads((run.arm_folder("distilled", 1) / "arm.json").read_text())
    assert stored["model_dir"] == "arms/distilled/1/model"


def test_a_second_time_does_nothing(finished: tuple[Path, StageContext]) -> None:
    run = finished[1].run
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*.parquet") if path.name != "items.parquet"}
    again, seen = context_of(run, Workspace(finished[0] / "home"))
    assert run_stages(again, items=lambda _: ITEMS) == "done"
    assert all(event.reused for event in kinds(seen, "finished"))
    assert not kinds(seen, "started")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_run_pays_for_nothing_that_is_known(base: Path, finished: tuple[Path, StageContext]) -> None:
    spec = tiny_spec(finished[0], teacher=fine_tuned(base), name="again", arms=["undistilled"], seeds=[1])
    spec = spec.model_copy(update={"arms": (*finished[1].spec.arms[:1],)})
    context, seen = make_context(finished[0], spec)
    run_stages(context, until="students")
    summary = json.loads((context.run.folder / "stages" / "labels.json").read_text())
    assert (summary["asked"], summary["reused"]) == (0, 140)
    assert any("used again" in event.message for event in kinds(seen, "note"))
    same = context.run.cards()[0]
    assert same.weights_digest == finished[1].run.cards()[0].weights_digest


def test_new_sentences_are_predicted_without_training_again(finished: tuple[Path, StageContext]) -> None:
    root, context = finished
    more = pd.concat([ITEMS, pd.DataFrame({"item_id": ["i4"], "text": ["w9 late"], "pair": [None]})])
    again, seen = context_of(context.run, Workspace(root / "home"))
    run_stages(again, items=more, until="predictions")
    assert [event.stage for event in kinds(seen, "started")] == ["predictions"]
    assert len(context.run.prediction("distilled", 2, "items").ids) == 4


class StopsAt(Monitor):
    """Cancels at the n-th progress report of a stage."""

    def __init__(self, stage: str, count: int) -> None:
        super().__init__()
        self._at = (stage, count)
        self._count = 0

    def progress(self, *values: Any, **named: Any) -> None:
        if self.stage_name == self._at[0]:
            self._count += 1
            if self._count == self._at[1]:
                raise Cancelled("stop")


@pytest.mark.parametrize(("stage", "count"), [("teacher", 3), ("labels", 1), ("students", 12), ("predictions", 6)])
def test_stopped_and_resumed_ends_as_if_never_stopped(
    base: Path, finished: tuple[Path, StageContext], tmp_path: Path, stage: str, count: int
) -> None:
    reference = finished[1].run
    spec = finished[1].spec
    context, _ = make_context(tmp_path, spec)
    stopped = StageContext(context.run, spec, context.cache, StopsAt(stage, count))
    with pytest.raises(Cancelled):
        run_stages(stopped, until="predictions")
    assert not (context.run.folder / "stages" / f"{stage}.json").exists()
    assert run_stages(context, until="predictions") == "done"
    assert [card.weights_digest for card in context.run.cards()] == [card.weights_digest for card in reference.cards()]
    for card in reference.cards():
        seed = card.seed or 0
        one, two = reference.prediction(card.name, seed), context.run.prediction(card.name, seed)
        np.testing.assert_allclose(one.probs, two.probs, atol=1e-6)


def test_an_arm_that_fails_is_skipped_with_its_reason(base: Path, tmp_path: Path) -> None:
    broken = {"kind": "distilled", "name": "nine", "student": {"layers": 9}}
    given = {"kind": "given", "name": "gone", "options": {"checkpoint": str(tmp_path / "nowhere")}}
    spec = tiny_spec(tmp_path, teacher=fine_tuned(base), arms=["distilled", broken, given], seeds=[1])
    context, seen = make_context(tmp_path, spec)
    assert run_stages(context, until="predictions") == "done"
    reason = json.loads((context.run.folder / "arms" / "nine" / "skipped.json").read_text())
    assert "9 layers" in reason["reason"]
    assert (context.run.folder / "arms" / "gone" / "skipped.json").exists()
    assert [card.name for card in context.run.cards()] == ["distilled"]
    assert sum(event.level == "warning" for event in kinds(seen, "note")) == 2
    again, seen = context_of(context.run, Workspace(tmp_path / "home"))
    run_stages(again, until="predictions")
    assert not kinds(seen, "started")


def test_the_candidate_must_be_made(base: Path, tmp_path: Path) -> None:
    broken = {"kind": "distilled", "student": {"layers": 9}}
    spec = tiny_spec(tmp_path, teacher=fine_tuned(base), arms=["undistilled", broken], seeds=[1])
    context, _ = make_context(tmp_path, spec)
    with pytest.raises(SpecError, match="9 layers"):
        run_stages(context, until="students")
    assert context.run.status() == "interrupted"


def unlabelled(root: Path, classifier: Path, **over: Any) -> RunSpec:
    rows = tiny_rows(200).drop(columns="label")
    columns = {"text": "text", "id": "id"}
    split = {"pool": 120, "dev": 30, "test": 50, "teacher_train": 0, "near_duplicate": 1.0}
    data = {"source": {"kind": "file", "path": str(root / "rows.csv")}, "columns": columns, "split": split}
    teacher = {"kind": "checkpoint", "options": {"source": str(classifier)}}
    return tiny_spec(root, rows, teacher=teacher, data=data, **over)


def test_zero_labels_need_a_teacher_and_nothing_else(classifier: Path, tmp_path: Path) -> None:
    context, seen = make_context(tmp_path, unlabelled(tmp_path, classifier, seeds=[1]))
    assert run_stages(context, until="predictions") == "done"
    run = context.run
    assert run.examples.labels == ("positive", "negative", "neutral")
    assert [card.name for card in run.cards()] == ["distilled", "undistilled", "hard_label"]
    assert "human label" in json.loads((run.folder / "arms" / "fine_tuned" / "skipped.json").read_text())["reason"]
    assert any("fidelity" in event.message for event in kinds(seen, "note"))


def test_a_student_of_one_run_is_the_teacher_of_the_next(finished: tuple[Path, StageContext], tmp_path: Path) -> None:
    student = finished[1].run.arm_folder("distilled", 1) / "model"
    teacher = {"kind": "checkpoint", "options": {"source": str(student)}}
    arm = {"kind": "distilled", "student": {"layers": 1}}
    context, _ = make_context(tmp_path, tiny_spec(tmp_path, teacher=teacher, arms=[arm], seeds=[1]))
    run_stages(context, until="students")
    assert context.run.teacher.extra["generation"] == 1
    assert context.run.cards()[0].extra["generation"] == 2
    assert set(read_frame(context.run.folder / "labels.parquet")["generation"]) == {1}


def test_the_number_of_labels_is_bounded(classifier: Path, tmp_path: Path) -> None:
    signals = {"max_tokens": 24, "precision": "fp32", "max_labels": 50}
    context, _ = make_context(tmp_path, unlabelled(tmp_path, classifier, signals=signals))
    run_stages(context, until="labels")
    small = read_frame(context.run.folder / "labels.parquet")
    assert len(small) == 50
    more = unlabelled(tmp_path, classifier, signals={**signals, "max_labels": 80})
    context, _ = make_context(tmp_path, more)
    run_stages(context, until="labels")
    summary = json.loads((context.run.folder / "stages" / "labels.json").read_text())
    assert (summary["labels"], summary["asked"], summary["reused"]) == (80, 30, 50)


def test_pairs_go_all_the_way(tmp_path: Path, base: Path) -> None:
    rows = tiny_rows(200).assign(question="w5 w6 kind")
    columns = {"text": "text", "pair": "question", "label": "label", "id": "id"}
    split = {"teacher_train": 60, "pool": 60, "dev": 30, "test": 50, "near_duplicate": 1.0}
    data = {"source": {"kind": "file", "path": str(tmp_path / "rows.csv")}, "columns": columns, "split": split}
    spec = tiny_spec(tmp_path, rows, teacher=fine_tuned(base), data=data, arms=["distilled"], seeds=[1])
    context, _ = make_context(tmp_path, spec)
    assert run_stages(context, until="predictions") == "done"
    assert read_frame(context.run.folder / "labels.parquet")["pair"].eq("w5 w6 kind").all()


def test_an_unknown_stage_is_refused(finished: tuple[Path, StageContext]) -> None:
    with pytest.raises(SpecError, match="no stage 'audit'"):
        run_stages(finished[1], until="audit")


def test_numbers_that_are_none_stop_the_teacher(tmp_path: Path, classifier: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    broken = tmp_path / "nan"
    shutil.copytree(classifier, broken)
    weights = load_file(broken / "model.safetensors")
    weights["classifier.weight"][:] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    context, _ = make_context(tmp_path, unlabelled(tmp_path, broken))
    with pytest.raises(ModelError, match="not a number"):
        run_stages(context, until="labels")


def test_a_moved_workspace_still_finds_its_models(finished: tuple[Path, StageContext], tmp_path: Path) -> None:
    import shutil

    shutil.copytree(finished[0] / "home", tmp_path / "elsewhere")
    moved = Run(tmp_path / "elsewhere" / "runs" / "first")
    for card in [moved.teacher, *moved.cards()]:
        assert Path(str(card.model_dir)).is_relative_to(tmp_path)
        assert Path(str(card.model_dir)).is_dir()
