"""What the backends share: a teacher that is a local model, its card, and the models of this machine as lineage sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from distill.errors import ModelError, StoreError
from distill.files import read_json
from distill.monitor import Monitor
from distill.plugins import TEACHERS, StageContext, Teacher
from distill.spec import SignalSpec, TeacherSpec
from distill.store import TEACHER, ModelCard
from distill.types import Examples, Floats
from distill.writing import Writer

Resolved = Literal["fp32", "bf16"]


class Predicts(Protocol):
    """The engine's predictor, as far as it is used here."""

    def probabilities(
        self, texts: Sequence[str], pairs: Sequence[str | None] | None, *, progress: Callable[[int], None]
    ) -> Floats:
        """Probabilities in input order, shape [n, k]."""
        ...


def open_teacher(context: StageContext) -> Teacher:
    """The run's teacher, made when it is not there yet; no weights are loaded before it is asked."""
    return cast(Teacher, _open(context))


def open_writer(context: StageContext) -> Writer:
    """The run's teacher of the task 'generation'; no weights are loaded before it is asked."""
    return cast(Writer, _open(context))


def _open(context: StageContext) -> Teacher | Writer:
    entry = TEACHERS.get(context.spec.teacher.kind)
    return entry.function(context, entry.options.model_validate(context.spec.teacher.options))


def predictor(model_dir: str, labels: Sequence[str], signals: SignalSpec, precision: Resolved) -> Predicts:
    """The engine's predictor for a local model (torch is loaded here)."""
    from distill.engine.predict import Predictor

    return Predictor(
        model_dir,
        tuple(labels),
        max_tokens=signals.max_tokens,
        precision=precision,
        batch_size=signals.batch_size,
    )


def resolved_precision(precision: Literal["auto", "fp32", "bf16"]) -> Resolved:
    """'fp32' or 'bf16': what ``auto`` means on this machine (torch is loaded here)."""
    if precision != "auto":
        return precision
    from distill.engine import pick_device, pick_dtype

    return "bf16" if "bfloat16" in str(pick_dtype("auto", pick_device())) else "fp32"


@dataclass
class ModelTeacher:
    """A teacher whose weights lie in a local directory; loaded when it is first asked and kept for the next time."""

    card: ModelCard
    signals: SignalSpec
    _loaded: dict[tuple[str, ...], Predicts] = field(default_factory=dict, repr=False)

    @property
    def precision(self) -> Resolved:
        """'fp32' or 'bf16'."""
        return resolved_precision(self.signals.precision)

    def probabilities(self, examples: Examples, monitor: Monitor) -> Floats:
        """Class probabilities in the order of ``examples.labels``, shape [n, k], at the precision of the signals."""
        if examples.labels not in self._loaded:
            self._loaded[examples.labels] = predictor(
                str(self.card.model_dir), examples.labels, self.signals, self.precision
            )
        return self._loaded[examples.labels].probabilities(
            examples.texts, examples.pairs, progress=lambda done: monitor.progress(done, len(examples), "texts")
        )


def model_card(folder: Path, *, name: str, kind: str, **known: Any) -> ModelCard:
    """A card filled with what the checkpoint in ``folder`` says of itself; ``known`` goes before it.

    A model that Heirloom made carries its generation with it: 0 for a teacher from outside, one more for each distillation.
    """
    from distill.engine.loading import checkpoint_facts

    facts = {key: value for key, value in checkpoint_facts(folder).items() if key in ModelCard.model_fields}
    extra = {"generation": generation_of(folder), **known.pop("extra", {})}
    return ModelCard.model_validate(
        {**facts, "name": name, "kind": kind, "model_dir": str(folder), "extra": extra, **known}
    )


def generation_of(folder: Path) -> int:
    """How often a model was distilled: from the arm.json beside a student's model directory, else 0."""
    path = folder.parent / "arm.json"
    if not path.exists():
        return 0
    try:
        return int(read_json(path).get("extra", {}).get("generation", 0))
    except (StoreError, AttributeError, TypeError, ValueError):
        return 0  # a foreign file of that name says nothing of generations


def model_labels(folder: Path) -> tuple[str, ...]:
    """The label names of a classifier, in its own order, from config.json; raises ModelError when it names none."""
    path = folder / "config.json"
    names = read_json(path).get("id2label", {}) if path.exists() else {}
    if not names:
        raise ModelError(f"{folder} does not name its labels.", hint="Name them in the spec: data.labels.")
    return tuple(str(names[key]) for key in sorted(names, key=int))


def labels_of(teacher: TeacherSpec) -> tuple[str, ...]:
    """The labels that a teacher knows, for data without any; raises ModelError when it names none."""
    source = teacher.options.get("source")
    if not source:
        raise ModelError(
            "Neither the data nor the teacher name any labels.",
            hint="Name them in data.labels, in the teacher's order.",
        )
    from distill.engine.loading import resolve

    return model_labels(resolve(str(source), teacher.options.get("revision")))


def teacher_card(folder: Path, kind: str, **known: Any) -> ModelCard:
    """The card of a teacher: name 'teacher', no seed."""
    return model_card(folder, name=TEACHER, kind=kind, **known)
