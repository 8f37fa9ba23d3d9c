"""Stage 'students' of language models: as for classifiers, but what arms learn from are answers and the distribution at each token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from distill.arms.sources import arm_seeds
from distill.plugins import ARMS, ArmContext, StageContext, WrittenLesson
from distill.stages.frame import Outcome
from distill.stages.generation.labels import answer_frame, signals_folder, written_frame
from distill.stages.students import make_students
from distill.teachers.base import open_writer
from distill.types import ClassSignal, Examples
from distill.writing import AnswerCache, Question


def run_students(context: StageContext) -> Outcome:
    """Write arms/NAME/SEED/arm.json and model/ for every arm and seed.

    Raises:
        HeirloomError: why the candidate cannot be made.
        StoreError: the disk is full or cannot be written.
    """
    return make_students(context, _base)


def _base(context: StageContext) -> ArmContext:
    examples, frame = context.run.examples, written_frame(context.run)
    nothing = ClassSignal(np.array([], dtype=object), np.empty((0, 0)))
    dev, dev_signals = _dev(context, examples)
    return ArmContext(
        stage=context,
        arm=context.spec.arms[0],
        student=context.spec.student,
        training=context.spec.training,
        seed=0,
        examples=examples,
        pool=_rows(examples, frame),
        signal=nothing,
        dev_signal=nothing,
        teacher=context.run.teacher,
        folder=context.run.folder,
        lesson=WrittenLesson(frame, signals_folder(context.run, context.cache), dev, dev_signals),
    )


def _rows(examples: Examples, frame: pd.DataFrame) -> Examples:
    """The prompts of the answers, in their order."""
    if frame.empty:
        return examples.take(np.zeros(len(examples), dtype=np.bool_))
    position = {name: index for index, name in enumerate(examples.frame["content_id"])}
    return examples.take(np.array([position[name] for name in frame["content_id"]], dtype=np.int64))


def _dev(context: StageContext, examples: Examples) -> tuple[pd.DataFrame, Path]:
    """The teacher's answers on dev prompts, asked as the pool's were: the best weights are chosen on them.

    A teacher elsewhere is not asked (it costs money); without dev answers the last weights are kept.
    """
    dev = examples.part("dev")
    learns = any("seeds" in ARMS.get(arm.kind).needs and arm_seeds(context.spec, arm) for arm in context.spec.arms)
    if not len(dev) or not context.run.teacher.model_dir or not learns:
        return pd.DataFrame(), Path()
    asking = context.spec.asking.model_copy(update={"samples": 1})
    dev = dev.take(~dev.frame["content_id"].duplicated().to_numpy())
    writer = open_writer(context)
    questions = [Question(name, text) for name, text in zip(dev.frame["content_id"], dev.texts, strict=True)]
    answers = AnswerCache(context.cache, writer.key(asking)).ask(questions, writer, asking, context.monitor)
    picked = [(row, 0) for row in range(len(dev))]
    return answer_frame(context.run.teacher, asking, dev, picked, answers.written), answers.folder
