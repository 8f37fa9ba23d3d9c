"""Richer students: inner states of the teacher as a second goal, narrower feed-forward layers, and a vocabulary trimmed before training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_serializer

from distill.arms.making import picked_layers, starting_student
from distill.arms.trimmed import lost_tokens
from distill.errors import ModelError
from distill.mitigation import Lesson, MitigationOptions
from distill.plugins import ArmContext
from distill.types import Ints

if TYPE_CHECKING:
    from distill.engine.hidden import HiddenGoal
    from distill.engine.loading import LoadedClassifier

TEXTS = 256  # pool texts on which the importance of feed-forward units is measured
_NEW = ("hidden_weight", "cosine_weight", "layer_map", "inner", "trim_vocabulary")


class RicherOptions(MitigationOptions):
    """What a student has beside the teacher's last word. A default is left out of what is written, so that older runs keep their stages."""

    hidden_weight: float = Field(
        0.0, ge=0, le=1000, description="Weight of the squared distance between the student's states and the teacher's."
    )
    cosine_weight: float = Field(0.0, ge=0, le=1000, description="Weight of 1 − cosine between them.")
    layer_map: tuple[int, ...] = Field(
        (),
        description="For each of the student's layers the teacher's (0-based) whose states it should have, −1 for none; the layers that it was picked from when empty.",
    )
    inner: float = Field(1.0, gt=0, le=1, description="Share of the feed-forward units kept, the most important ones.")
    trim_vocabulary: bool = Field(False, description="Know the tokens of the training texts and no others.")

    @model_serializer(mode="wrap")
    def _without_new_defaults(self, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        found = write(self)
        fields = type(self).model_fields
        return {key: value for key, value in found.items() if key not in _NEW or getattr(self, key) != fields[key].default}  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """A student before training, the goal for its inner states, and what its card says of both."""

    start: LoadedClassifier | None = None
    hidden: HiddenGoal | None = None
    notes: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)


def prepare(context: ArmContext, options: RicherOptions, lesson: Lesson) -> Prepared:
    """The student as the options want it: trimmed, narrowed, and with a goal for its states. Empty when they want nothing of it.

    Raises:
        ModelError: the teacher's model is not here, tokenizers or widths differ, or the architecture cannot be narrowed or trimmed.
        SpecError: a layer map that does not fit.
    """
    wants_states = options.hidden_weight > 0 or options.cosine_weight > 0
    if not wants_states and options.inner >= 1 and not options.trim_vocabulary:
        return Prepared()
    start, kept = starting_student(context), None
    notes: list[str] = []
    extra: dict[str, Any] = {}
    if options.inner < 1:
        narrowed = _narrow(context, start, options.inner)
        extra["inner"] = narrowed
        notes.append(f"Feed-forward layers of {narrowed[0]} units, the most important of the teacher's.")
    whole = start
    if options.trim_vocabulary:
        start, kept, facts, note = _trimmed(context, start, lesson)
        extra |= facts
        notes.append(note)
    goal = None
    if wants_states:
        goal = _goal(context, options, whole, kept)
        extra |= {"hidden_weight": options.hidden_weight, "cosine_weight": options.cosine_weight, "layer_map": list(goal.layers)}  # fmt: skip
        pairs = ", ".join(f"{mine} like {theirs}" for mine, theirs in enumerate(goal.layers) if theirs >= 0)
        notes.append(f"Learnt the states of the teacher's layers too (0-based): {pairs}.")
    return Prepared(start, goal, tuple(notes), extra)


def _narrow(context: ArmContext, start: LoadedClassifier, share: float) -> list[int]:
    """Cut feed-forward units out of ``start``, in place; importance is measured in the model that they come from. Units of each layer."""
    from distill.engine.loading import load_classifier
    from distill.engine.prune import KEY, cut, importance, picked

    few = min(TEXTS, len(context.pool))
    pairs = context.pool.pairs
    from_layers = context.student.init == "layers"
    source = load_classifier(str(context.teacher.model_dir), context.examples.labels) if from_layers else start
    found = importance(
        source.model,
        source.tokenizer,
        context.pool.texts[:few],
        None if pairs is None else pairs[:few],
        context.signal.argmax[:few],
        context.stage.spec.signals.max_tokens,
    )
    cut(start.model, picked(found, picked_layers(context)) if from_layers else found, 1 - share, heads_too=False)
    return [int(units) for units in getattr(start.model.config, KEY)["inner"]]


def _trimmed(
    context: ArmContext, start: LoadedClassifier, lesson: Lesson
) -> tuple[LoadedClassifier, Ints, dict[str, Any], str]:
    """``start`` with the tokens of the training texts (added ones and twins too), which ids it kept, and what the card says of it."""
    from distill.engine.trim import trim, used_ids

    tokens = context.stage.spec.signals.max_tokens
    twins = [text for text in lesson.twins or () if text is not None]
    used = set(used_ids(start, lesson.rows.texts, lesson.rows.pairs, tokens).tolist())
    used |= set(used_ids(start, twins, None, tokens).tolist()) if twins else set()
    made = trim(start, used)
    before = len(start.tokenizer)
    lost = lost_tokens(context, start, made.kept, tokens)
    share = lost["test_tokens_lost"] / max(1, lost["test_tokens"])
    note = f"{len(made.kept):,} of {before:,} tokens are kept; {100 * share:.1f} % of the test's tokens are not among them."
    return made.loaded, made.kept, {"vocabulary": len(made.kept), "vocabulary_before": before, **lost}, note


def _goal(context: ArmContext, options: RicherOptions, whole: LoadedClassifier, kept: Ints | None) -> HiddenGoal:
    """The goal for the states of a student, ``whole`` being it with its full vocabulary."""
    from distill.engine.hidden import HiddenGoal, require_fit, same_tokens
    from distill.engine.layers import evenly_spread
    from distill.engine.loading import load_classifier

    if not context.teacher.model_dir:
        raise ModelError(
            "Inner states can be learnt from a teacher whose model is here, and there are only its predictions.",
            hint="Set hidden_weight and cosine_weight to 0.",
        )
    teacher = load_classifier(context.teacher.model_dir, context.examples.labels)
    if not same_tokens(whole, teacher):
        raise ModelError(
            f"The student of '{context.arm.name}' does not share the teacher's tokenizer, so their states belong to other tokens.",
            hint="Pick the student from the teacher's layers, or set hidden_weight and cosine_weight to 0.",
        )
    layers = options.layer_map
    if not layers:
        mine, theirs = int(whole.model.config.num_hidden_layers), int(teacher.model.config.num_hidden_layers)
        layers = (
            tuple(picked_layers(context))
            if context.student.init == "layers"
            else evenly_spread(theirs, min(mine, theirs))
        )
    require_fit(whole.model, teacher.model, layers)
    return HiddenGoal(teacher, tuple(layers), options.hidden_weight, options.cosine_weight, kept, context.teacher.weights_digest)  # fmt: skip
