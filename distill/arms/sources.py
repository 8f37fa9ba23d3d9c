"""Arms that are made from another arm, or from the teacher: `of: distilled` in their options. Sources are made first."""

from __future__ import annotations

from pathlib import Path

from distill.errors import ModelError, SpecError, nearest
from distill.plugins import ARMS, ArmContext
from distill.spec import ArmSpec, RunSpec
from distill.store import TEACHER, ModelCard


def source_of(spec: RunSpec, arm: ArmSpec) -> ArmSpec | None:
    """The arm that ``arm`` is made from; None for the teacher, and for an arm that is made from nothing.

    Raises:
        SpecError: there is no such arm.
    """
    name = arm.options.get("of")
    if name is None or name == TEACHER:
        return None
    if all(other.name != name for other in spec.arms):
        raise SpecError(
            f"The arm '{arm.name}' is made from '{name}', which is no arm of this run.",
            hint=nearest(str(name), [TEACHER, *(other.name for other in spec.arms)]),
        )
    return spec.arm(str(name))


def chain(spec: RunSpec, arm: ArmSpec) -> list[ArmSpec]:
    """``arm`` and everything it is made from, itself first; raises SpecError for a cycle."""
    found = [arm]
    while (source := source_of(spec, found[-1])) is not None:
        if source in found:
            raise SpecError(
                f"The arm '{arm.name}' is made from itself, by way of '{found[-1].name}'.",
                hint="Let one of them be made from the teacher or from a trained arm.",
            )
        found.append(source)
    return found


def sources_first(spec: RunSpec) -> list[ArmSpec]:
    """All arms, each after what it is made from, otherwise in the order of the spec."""
    return sorted(spec.arms, key=lambda arm: len(chain(spec, arm)))


def arm_seeds(spec: RunSpec, arm: ArmSpec) -> tuple[int, ...]:
    """Seeds an arm is made with: those of its source where it has one; an arm that learns nothing is made once."""
    learns = "seeds" in ARMS.get(arm.kind).needs and arm.options.get("recover", True)
    source = source_of(spec, arm)
    if learns:
        return spec.seeds
    return arm_seeds(spec, source) if source else spec.seeds[:1]


def source_card(context: ArmContext, name: str) -> ModelCard:
    """The card of the model with the name ``name`` and the seed of ``context``.

    Raises:
        ModelError: it was not made, or has no model; it is named.
    """
    if name == TEACHER:
        if not context.teacher.model_dir:
            raise ModelError("There is no model of the teacher, only its predictions.", hint="Make it from an arm.")
        return context.teacher
    run = context.stage.run
    cards = {card.seed: card for card in run.cards() if card.name == name}
    if not cards or (run.folder / "arms" / name / "skipped.json").exists():
        raise ModelError(f"The arm '{name}', which this one is made from, was not made.", hint="See why it is skipped.")
    card = cards.get(context.seed) or next(iter(cards.values()))  # an arm that learns nothing has one seed only
    if not card.model_dir or not (Path(card.model_dir) / "config.json").exists():
        raise ModelError(f"The arm '{name}' has no model to make another one from.", hint="Name an arm with weights.")
    return card
