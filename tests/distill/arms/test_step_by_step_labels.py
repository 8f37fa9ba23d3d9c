"""Step by step for classifiers: reasons come from a language model, once, and bad input is said in a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from distill.arms.step_by_step_labels import StepByStepLabelsOptions, step_by_step_labels
from distill.errors import DataError, ModelError, SpecError
from distill.plugins import ArmContext
from distill.spec import ArmSpec, TeacherSpec, TrainingSpec
from distill.stages import run_stages
from distill.stages.labels import training_signal
from distill.stages.predictions import teacher_on_dev
from distill.types import Examples
from tests.distill.tiny import make_context, tiny_spec
from tests.distill.tiny_lm import tiny_lm


@pytest.fixture(scope="module")
def context(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> ArmContext:
    root = tmp_path_factory.mktemp("steps")
    stage, _ = make_context(
        root, tiny_spec(root, teacher={"kind": "checkpoint", "options": {"source": str(classifier)}})
    )
    run_stages(stage, until="labels")
    pool, signal = training_signal(stage.run, stage.run.examples)
    dev = teacher_on_dev(stage)
    assert dev is not None
    training = TrainingSpec(epochs=1, precision="fp32", checks_per_epoch=1)
    arm, folder = ArmSpec(kind="step_by_step_labels"), stage.run.arm_folder("step_by_step_labels", 1)
    spec = stage.spec
    return ArmContext(
        stage, arm, spec.student, training, 1, stage.run.examples, pool, signal, dev, stage.run.teacher, folder
    )


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> TeacherSpec:
    return TeacherSpec(kind="local_lm", options={"source": str(tiny_lm(tmp_path_factory.mktemp("writer") / "lm"))})


def test_reasons_are_asked_for_once_and_counted_on_the_card(
    context: ArmContext, writer: TeacherSpec, tmp_path: Path
) -> None:
    options = StepByStepLabelsOptions(writer=writer, texts=12, max_new_tokens=4)
    card = step_by_step_labels(replace(context, folder=tmp_path / "a"), options)
    assert 0 < card.extra["reasons"] <= 12 and card.trained_on == len(context.pool)
    assert card.extra["reasons_from"] == "local_lm" and "not asked for at inference" in card.notes[0]
    shards = {path: path.stat().st_mtime_ns for path in (context.stage.cache / "signals").glob("*/*.parquet")}
    again = step_by_step_labels(replace(context, folder=tmp_path / "b"), options)
    assert again.weights_digest == card.weights_digest
    assert shards == {path: path.stat().st_mtime_ns for path in (context.stage.cache / "signals").glob("*/*.parquet")}


def test_the_student_is_an_ordinary_classifier(context: ArmContext, writer: TeacherSpec, tmp_path: Path) -> None:
    from distill.engine.loading import load_classifier

    options = StepByStepLabelsOptions(writer=writer, texts=4, max_new_tokens=2)
    step_by_step_labels(replace(context, folder=tmp_path), options)
    names = set(load_classifier(str(tmp_path / "model"), context.examples.labels).model.state_dict())
    assert not any(name.startswith("reasons") for name in names)


def test_what_cannot_be_is_said_in_a_sentence(context: ArmContext, writer: TeacherSpec, tmp_path: Path) -> None:
    here = replace(context, folder=tmp_path)
    with pytest.raises(SpecError, match="where the text goes"):
        step_by_step_labels(here, StepByStepLabelsOptions(writer=writer, instruction="Why?"))
    with pytest.raises(SpecError, match="'checkpoint' is no language model"):
        step_by_step_labels(here, StepByStepLabelsOptions(writer=TeacherSpec(kind="checkpoint")))
    pairs = Examples(context.pool.frame.assign(pair="second"), context.pool.labels)
    with pytest.raises(DataError, match="two a row"):
        step_by_step_labels(replace(here, pool=pairs), StepByStepLabelsOptions(writer=writer))


def test_a_writer_without_a_word_is_an_error(
    context: ArmContext, writer: TeacherSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distill.arms.step_by_step_labels._reasons", lambda *_: [None] * len(context.pool))
    with pytest.raises(ModelError, match="no reason for any"):
        step_by_step_labels(replace(context, folder=tmp_path), StepByStepLabelsOptions(writer=writer, texts=3))
