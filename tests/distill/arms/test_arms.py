"""Single arms: where a student starts, what it learns from, and what its card says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill.arms.fine_tuned import fine_tuned
from distill.arms.given import GivenOptions, given
from distill.arms.hard_label import hard_label
from distill.arms.label_budget import LabelBudgetOptions, label_budget
from distill.arms.making import agreement_target, starting_student
from distill.arms.undistilled import undistilled
from distill.errors import DataError, ModelError, SpecError
from distill.plugins import ArmContext, NoOptions
from distill.spec import ArmSpec, StudentSpec, TeacherSpec, TrainingSpec
from distill.stages import run_stages
from distill.stages.labels import training_signal
from distill.stages.predictions import teacher_on_dev
from distill.types import ClassSignal
from tests.distill.tiny import make_context, tiny_spec


@pytest.fixture(scope="module")
def context(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> ArmContext:
    root = tmp_path_factory.mktemp("arms")
    teacher = {"kind": "checkpoint", "options": {"source": str(classifier)}}
    stage, _ = make_context(root, tiny_spec(root, teacher=teacher))
    run_stages(stage, until="labels")
    pool, signal = training_signal(stage.run, stage.run.examples)
    dev = teacher_on_dev(stage)
    assert dev is not None
    return ArmContext(
        stage=stage,
        arm=ArmSpec(kind="distilled"),
        student=stage.spec.student,
        training=stage.spec.training,
        seed=1,
        examples=stage.run.examples,
        pool=pool,
        signal=signal,
        dev_signal=dev,
        teacher=stage.run.teacher,
        folder=stage.run.arm_folder("distilled", 1),
    )


def at(context: ArmContext, folder: Path, **changes: Any) -> ArmContext:
    return replace(context, folder=folder, **changes)


def test_a_picked_student_has_the_teachers_head(context: ArmContext) -> None:
    from distill.engine.loading import load_classifier

    student = starting_student(context).model
    teacher = load_classifier(str(context.teacher.model_dir), context.examples.labels).model
    np.testing.assert_array_equal(student.classifier.weight.detach(), teacher.classifier.weight.detach())
    assert student.config.num_hidden_layers == 2


def test_a_checkpoint_keeps_its_head_where_labels_agree_and_gets_one_where_not(
    context: ArmContext, classifier: Path, base: Path
) -> None:
    own = starting_student(replace(context, student=StudentSpec(init="checkpoint", checkpoint=str(classifier))))
    fresh = [
        starting_student(replace(context, student=StudentSpec(init="checkpoint", checkpoint=str(base)), seed=seed))
        for seed in (1, 2)
    ]
    from distill.engine.loading import load_classifier

    same = load_classifier(str(classifier), context.examples.labels).model.classifier.weight
    np.testing.assert_array_equal(own.model.classifier.weight.detach(), same.detach())
    assert not np.allclose(fresh[0].model.classifier.weight.detach(), fresh[1].model.classifier.weight.detach())
    with pytest.raises(ModelError, match="no model directory"):
        starting_student(replace(context, student=StudentSpec(init="checkpoint", checkpoint="/gone")))


def test_hard_labels_are_learnt_at_temperature_1_whatever_the_run_says(context: ArmContext, tmp_path: Path) -> None:
    training = TrainingSpec(temperature=4.0, epochs=1, precision="fp32", checks_per_epoch=1)
    card = hard_label(at(context, tmp_path, training=training), NoOptions())
    assert card.extra["temperature"] == 1.0
    assert card.trained_on == len(context.pool)


def test_human_labels_are_those_of_the_train_split_and_counted(context: ArmContext, tmp_path: Path) -> None:
    card = fine_tuned(at(context, tmp_path, training=TrainingSpec(epochs=1, max_texts=50)), NoOptions())
    assert card.human_labels == card.trained_on == 50
    assert card.extra["generation"] == 0
    bare = context.examples.frame.assign(label=-1)
    with pytest.raises(DataError, match="no labelled rows"):
        fine_tuned(at(context, tmp_path, examples=replace(context.examples, frame=bare)), NoOptions())


def test_a_label_budget_is_kept_nested_and_no_larger_than_the_labels(context: ArmContext, tmp_path: Path) -> None:
    card = label_budget(at(context, tmp_path, training=TrainingSpec(epochs=1)), LabelBudgetOptions(labels=30))
    assert card.human_labels == card.trained_on == 30
    assert "knows the task" in card.notes[0]
    taught = TeacherSpec(kind="fine_tuned", options={"base": str(context.teacher.model_dir)})
    stage = replace(context.stage, spec=context.stage.spec.model_copy(update={"teacher": taught}))
    fresh = label_budget(at(context, tmp_path, stage=stage), LabelBudgetOptions(labels=30))
    assert fresh.extra["base_weights"] == context.teacher.model_dir and "knows the task" not in fresh.notes[0]
    with pytest.raises(DataError, match="more than the 120 there are"):
        label_budget(at(context, tmp_path), LabelBudgetOptions(labels=121))


def test_undistilled_needs_the_teachers_layers(context: ArmContext, tmp_path: Path, classifier: Path) -> None:
    card = undistilled(at(context, tmp_path), NoOptions())
    assert (card.trained_on, card.train_seconds, card.layers) == (0, 0.0, 2)
    own = StudentSpec(init="checkpoint", checkpoint=str(classifier))
    with pytest.raises(ModelError, match="no head of the teacher"):
        undistilled(at(context, tmp_path, student=own), NoOptions())
    with pytest.raises(SpecError, match="layers"):
        undistilled(at(context, tmp_path, student=StudentSpec(layers=(0, 9))), NoOptions())
    without = context.teacher.model_copy(update={"model_dir": None})
    with pytest.raises(ModelError, match="only its predictions"):
        undistilled(at(context, tmp_path, teacher=without), NoOptions())


def test_no_dev_answers_mean_no_early_stopping(context: ArmContext) -> None:
    target = agreement_target(context)
    assert target is not None
    assert len(target) == 40
    nothing = ClassSignal(np.array([], dtype=object), np.empty((0, 3)))
    assert agreement_target(replace(context, dev_signal=nothing)) is None


def test_given_is_one_of_two(context: ArmContext, tmp_path: Path, classifier: Path) -> None:
    for options in ({}, {"checkpoint": "a", "predictions": "b"}):
        with pytest.raises(ValueError, match="either 'checkpoint' or 'predictions'"):
            GivenOptions(**options)
    card = given(at(context, tmp_path), GivenOptions(checkpoint=str(classifier), model="ours v3"))
    assert (card.id, card.seed, card.model_dir) == ("ours v3", 1, str(classifier))
