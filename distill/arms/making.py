"""What the arms share: where a student starts, how it is trained, and what its card says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from distill.errors import ModelError, UnsafeModelError
from distill.plugins import ArmContext
from distill.spec import TrainingSpec
from distill.store import ModelCard
from distill.teachers.base import model_card
from distill.types import UNLABELLED, Examples, Floats, Ints

if TYPE_CHECKING:
    from distill.engine.hidden import HiddenGoal
    from distill.engine.loading import LoadedClassifier
    from distill.engine.reasons import Reasons
    from distill.engine.train import DevSet


def starting_student(context: ArmContext) -> LoadedClassifier:
    """The student before any training: layers of the teacher, or a checkpoint of its own (its head is kept where labels agree).

    Raises:
        ModelError: the teacher is no model, its architecture has no layers to pick, or the checkpoint cannot be loaded.
        SpecError: layers that the teacher does not have.
    """
    from distill.engine.layers import pick_layers
    from distill.engine.loading import load_classifier

    labels = context.examples.labels
    if context.student.init == "layers":
        if not context.teacher.model_dir:
            raise ModelError(
                "A student from the teacher's layers needs the teacher's model, and there are only its predictions.",
                hint="Set student.init to 'checkpoint' and name a directory or hub id.",
            )
        return pick_layers(load_classifier(context.teacher.model_dir, labels), wanted_layers(context))
    source = str(context.student.checkpoint)
    try:
        return load_classifier(source, labels)
    except UnsafeModelError:
        raise
    except ModelError:
        # an encoder without a head for these labels is the usual case; what else is wrong with it is said by this second try
        return load_classifier(source, labels, new_head=True, seed=context.seed)


def one_hot(labels: Ints, k: int) -> Floats:
    """Rows of 0 and 1, shape [n, k]."""
    return np.asarray(np.eye(k)[labels], dtype=np.float64)


def train_student(
    context: ArmContext,
    rows: Examples,
    targets: Floats,
    training: TrainingSpec,
    dev_target: Ints | None,
    *,
    start: LoadedClassifier | None = None,
    weights: Floats | None = None,
    twins: Sequence[str | None] | None = None,
    pairing: float = 0.0,
    reasons: Reasons | None = None,
    hidden: HiddenGoal | None = None,
    **known: Any,
) -> ModelCard:
    """Train a fresh student on ``rows`` and ``targets`` [n, k], save it, and describe it.

    Args:
        context: of the arm.
        rows: what it reads.
        targets: what it learns, probabilities in label order.
        training: how.
        dev_target: label to agree with on each dev row (−1: not asked), for the choice of the best weights; None keeps the last.
        start: where it starts; the arm's own student when None.
        weights: of each row in the loss, [n] with mean 1; None counts all alike.
        twins: for each row a text whose logits should be the same, or None.
        pairing: weight of the penalty for twins that differ.
        reasons: a second task beside the labels.
        hidden: states of the teacher's layers that the student's should have.
        known: further fields of the card.
    """
    from distill.engine.lesson import Twins
    from distill.engine.loading import save_classifier
    from distill.engine.train import train_classifier

    result = train_classifier(
        start or starting_student(context),
        rows.texts,
        rows.pairs,
        targets,
        training,
        seed=context.seed,
        max_tokens=context.stage.spec.signals.max_tokens,
        dev=dev_set(context, dev_target),
        arm=context.arm.name,
        folder=context.folder,
        monitor=context.stage.monitor,
        weights=weights,
        twins=None if twins is None else Twins(twins, pairing),
        reasons=reasons,
        hidden=hidden,
    )
    save_classifier(result.loaded, context.folder / "model")
    extra = {
        "steps": result.steps,
        "best_dev_agreement": result.best_dev_agreement,
        "texts_seen": result.texts_seen,
        "temperature": training.temperature,
        **known.pop("extra", {}),
    }
    texts = min(len(rows), training.max_texts or len(rows))
    return student_card(
        context,
        trained_on=texts,
        train_seconds=round(result.seconds, 3),
        epochs_run=round(result.epochs_run, 4),
        extra=extra,
        **known,
    )


def dev_set(context: ArmContext, target: Ints | None) -> DevSet | None:
    from distill.engine.train import DevSet

    if target is None or not (target >= 0).any():
        return None
    dev = context.examples.part("dev").take(target >= 0)
    return DevSet(dev.texts, dev.pairs, target[target >= 0])


def agreement_target(context: ArmContext) -> Ints | None:
    """The teacher's answer on each dev row, −1 where it gave none; None when the teacher was not asked there."""
    dev = context.examples.part("dev")
    said = dict(zip(context.dev_signal.ids, context.dev_signal.argmax.tolist(), strict=True))
    return np.array([said.get(row, UNLABELLED) for row in dev.ids], dtype=np.int64) if len(dev) and said else None


def wanted_layers(context: ArmContext) -> int | tuple[int, ...]:
    """How many of the teacher's layers, or which; 0 is half of them."""
    return context.student.layers or max(1, (context.teacher.layers or 2) // 2)


def picked_layers(context: ArmContext) -> list[int]:
    """Which of the teacher's layers (0-based) the student has."""
    from distill.engine.layers import evenly_spread

    layers = wanted_layers(context)
    return list(evenly_spread(context.teacher.layers or 0, layers) if isinstance(layers, int) else layers)


def student_card(context: ArmContext, *, distilled: bool = True, **known: Any) -> ModelCard:
    """The card of the model in ``context.folder / 'model'``.

    ``distilled`` says whether it learnt from the teacher's answers, which makes it one generation younger.
    """
    generation = int(context.teacher.extra.get("generation", 0)) + int(distilled)
    from_layers = context.student.init == "layers"
    lineage = {
        "generation": generation,
        "init": context.student.init,
        "picked_layers": picked_layers(context) if from_layers else None,
        "base_weights": context.teacher.weights_digest if from_layers else str(context.student.checkpoint),
    }
    return model_card(
        context.folder / "model",
        name=context.arm.name,
        kind=context.arm.kind,
        seed=context.seed,
        id=f"{context.stage.run.id}/{context.arm.name}/{context.seed}",
        version=str(context.stage.spec.label_version),
        labels=context.examples.labels,
        extra={**lineage, **known.pop("extra", {})},
        **{"licence": context.teacher.licence, **known} if from_layers else known,
    )
