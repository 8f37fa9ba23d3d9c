"""The registries of the trainer: tasks, teacher backends and arms, each found by putting one file into its package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd
from pydantic import BaseModel

from distill.monitor import Monitor
from distill.registry import Entry, Registry
from distill.signals import Answers
from distill.spec import ArmSpec, Part, RunSpec, StudentSpec, TrainingSpec
from distill.store import ModelCard, Run
from distill.types import ClassSignal, Examples, Floats
from distill.writing import Writer

CLASSIFICATION = ("classification",)
GENERATION = ("generation",)
BOTH = ("classification", "generation")


class NoOptions(Part):
    """For what has nothing to choose."""


class Teacher(Protocol):
    """A model that is asked. ``card.model_dir`` is None when there is no model to time or to pick layers from."""

    @property
    def card(self) -> ModelCard:
        """What is known of it, its digests included."""
        ...

    def probabilities(self, examples: Examples, monitor: Monitor) -> Floats:
        """Class probabilities in the order of ``examples.labels``, shape [n, k], rows sum to 1."""
        ...


@runtime_checkable
class RemoteTeacher(Teacher, Protocol):
    """A teacher that is asked over the network: it keeps its own answers, they cost money, and some may be unusable.

    Its card has neither ``model_dir`` nor ``predictions``.
    """

    def answers(self, examples: Examples, monitor: Monitor) -> Answers:
        """What it says about each row; NaN, its words and a reason where that is no answer."""
        ...


@dataclass(frozen=True)
class StageContext:
    """What a stage function gets: the run, its spec, where the caches lie, and the monitor to talk to."""

    run: Run
    spec: RunSpec
    cache: Path
    monitor: Monitor


@dataclass(frozen=True)
class ArmContext:
    """What an arm gets to make one candidate with one seed.

    Attributes:
        stage: run, spec, cache and monitor.
        arm: the arm's own part of the spec; ``student`` and ``training`` are already resolved.
        seed: for everything random.
        examples: all rows; human labels of the pool must not be used by an arm that is not about human labels.
        pool: the pool rows that carry a synthetic label, in order.
        signal: the teacher's signal for ``pool`` (after review: with the people's corrections).
        dev_signal: the teacher's signal for the dev rows, for early stopping on agreement.
        teacher: the teacher's card.
        lesson: answers and token signals, for the task 'generation' only (``signal`` and ``dev_signal`` are empty there).
        folder: where ``model/`` (and ``checkpoint/`` while it lasts) go.
    """

    stage: StageContext
    arm: ArmSpec
    student: StudentSpec
    training: TrainingSpec
    seed: int
    examples: Examples
    pool: Examples
    signal: ClassSignal
    dev_signal: ClassSignal
    teacher: ModelCard
    folder: Path
    lesson: WrittenLesson | None = None


@dataclass(frozen=True)
class WrittenLesson:
    """What arms of the task 'generation' learn from.

    Attributes:
        frame: labels.parquet: one row an answer, people's edits included.
        signals: the folder of the packed token signals; rows are found there by content id and sample.
        dev: the teacher's answers on dev prompts, as ``frame``; empty where it was not asked.
        dev_signals: their folder.
    """

    frame: pd.DataFrame
    signals: Path
    dev: pd.DataFrame
    dev_signals: Path


TeacherFunction = Callable[[StageContext, Any], Teacher | Writer]
ArmFunction = Callable[[ArmContext, Any], ModelCard]
TaskFunction = Callable[[], object]

TASKS: Registry[TaskFunction] = Registry("task", "distill.tasks")
TEACHERS: Registry[TeacherFunction] = Registry("teacher backend", "distill.teachers")
ARMS: Registry[ArmFunction] = Registry("arm", "distill.arms")


def _decorator(
    registry: Registry[Any],
    name: str,
    summary: str,
    options: type[BaseModel],
    needs: Iterable[str],
    tasks: Iterable[str] = CLASSIFICATION,
) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        registry.add(Entry(name, function, options, summary, frozenset(needs), frozenset(tasks)))
        return function

    return register


def teacher(
    name: str, summary: str, options: type[BaseModel] = NoOptions, tasks: Iterable[str] = CLASSIFICATION
) -> Callable[[TeacherFunction], TeacherFunction]:
    """Register a teacher backend for ``tasks``: ``function(context, options) -> Teacher`` (or Writer, for generation)."""
    return _decorator(TEACHERS, name, summary, options, (), tasks)


def arm(
    name: str,
    summary: str,
    options: type[BaseModel] = NoOptions,
    needs: Iterable[str] = (),
    tasks: Iterable[str] = CLASSIFICATION,
) -> Callable[[ArmFunction], ArmFunction]:
    """Register an arm: ``function(context, options) -> ModelCard``.

    Args:
        name: word in the spec.
        summary: one line for form and docs.
        options: pydantic model of its options.
        needs: of {"teacher_model", "signals", "human_labels", "seeds"}; where one is missing the arm is skipped and says so.
            An arm without "seeds" is made once, with the first seed.
        tasks: for which it is.
    """
    return _decorator(ARMS, name, summary, options, needs, tasks)


def task(name: str, summary: str, options: type[BaseModel] = NoOptions) -> Callable[[TaskFunction], TaskFunction]:
    """Register a task."""
    return _decorator(TASKS, name, summary, options, ())
