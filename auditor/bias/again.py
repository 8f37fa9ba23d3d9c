"""A child run in which one thing against gender bias differs, and the family of a run: its parent and its children."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Literal

from distill import jobs
from distill.errors import SpecError
from distill.mitigation import MitigationOptions
from distill.spec import ArmSpec, RunSpec
from distill.stages.labels import CORRECTIONS
from distill.store import Run, RunStore
from distill.workspace import Workspace

Change = Literal[
    "averaging",
    "logit_pairing",
    "reweighting",
    "augmentation",
    "temperature",
    "exponentiated_gradient",
    "threshold_optimizer",
]
CHANGES: dict[Change, tuple[str, str]] = {
    "averaging": (
        "counterfactual averaging",
        "A text and its counterfactual share one target: the mean of the teacher's answers to both.",
    ),
    "logit_pairing": (
        "counterfactual logit pairing",
        "The student pays for answering a text and its counterfactual differently. Strength is the price.",
    ),
    "reweighting": (
        "re-weighted soft targets",
        "Targets weigh more where a label is rare in a group, so that label and group become independent (Kamiran & Calders 2012).",
    ),
    "augmentation": (
        "counterfactual augmentation",
        "The student also learns each text's counterfactual, with the same target.",
    ),
    "temperature": ("another temperature", "A softer target; one paper finds that it improves parity."),
    "exponentiated_gradient": (
        "a fair head (fairlearn)",
        "ExponentiatedGradient on the student's frozen embeddings, beside the student.",
    ),
    "threshold_optimizer": (
        "what if: thresholds by group (fairlearn)",
        "ThresholdOptimizer. What if only: it needs to know each person's gender at prediction time.",
    ),
}
HEADS = ("exponentiated_gradient", "threshold_optimizer")


@dataclass(frozen=True)
class Again:
    """What shall differ.

    Attributes:
        strength: of the mitigation; the temperature itself for 'temperature'.
        insert: share of texts without a gendered word that are put beside a person.
        column: group column, for re-weighting and for the fair heads; whom a text mentions when None.
    """

    change: Change
    strength: float = 1.0
    insert: float = 0.5
    column: str | None = None


def child_spec(parent: Run, again: Again) -> RunSpec:
    """The parent's spec with that one change.

    Raises:
        SpecError: the candidate is no distilled student.
    """
    spec = parent.spec
    arm = spec.arm(spec.candidate)
    if arm.kind != "distilled":
        raise SpecError(
            f"The candidate '{arm.name}' was not distilled by Heirloom, so its training cannot be changed.",
            hint="Start a run with an arm of the kind 'distilled'.",
        )
    update: dict[str, object] = {"parent": parent.id, "name": _name(spec, CHANGES[again.change][0])}
    if again.change in HEADS:
        options = {"method": again.change, "source": arm.name, "column": again.column}
        head = ArmSpec(kind="fair_head", name=again.change, options=options)
        others = tuple(each for each in spec.arms if each.name != head.name)
        return spec.model_copy(update={**update, "arms": (*others, head)})
    if again.change == "temperature":
        training = spec.training_of(arm).model_copy(update={"temperature": again.strength})
        changed = arm.model_copy(update={"training": training})
    else:
        options = MitigationOptions(
            mitigation=again.change, strength=again.strength, insert=again.insert, column=again.column
        ).model_dump(mode="json")
        changed = arm.model_copy(update={"options": {**arm.options, **options}})
    arms = tuple(changed if each.name == arm.name else each for each in spec.arms)
    return RunSpec.model_validate(spec.model_copy(update={**update, "arms": arms}).model_dump())


def with_positive(parent: Run, label: str) -> RunSpec:
    """The parent's spec with the positive class chosen; raises SpecError for a label that the task does not have."""
    labels = parent.examples.labels
    if label not in labels:
        raise SpecError(f"'{label[:60]}' is not a label of this run.", hint=f"Labels: {', '.join(labels)}.")
    data = parent.spec.data.model_copy(update={"positive": label})
    return parent.spec.model_copy(update={"data": data, "parent": parent.id})


def start(workspace: Workspace, parent: Run, spec: RunSpec, by: str = "") -> Run:
    """Queue a child; what people corrected in the parent's labels goes with it."""
    corrections = parent.folder / CORRECTIONS
    if not corrections.exists():
        return jobs.submit(workspace, spec, by=by)
    run = RunStore(workspace).create(spec)
    shutil.copyfile(corrections, run.folder / CORRECTIONS)
    jobs.enqueue(workspace, run, by=by)
    jobs.ensure_runner(workspace)
    return run


def family(workspace: Workspace, run: Run) -> list[Run]:
    """The run's parent, the run, its children and its parent's other children, the oldest first."""
    head = run.spec.parent or run.id
    members = [
        each for each in RunStore(workspace).all() if each.id in (head, run.id) or _child_of(each, {head, run.id})
    ]
    return sorted(members, key=lambda each: each.id)


def _child_of(run: Run, parents: set[str]) -> bool:
    # the text is searched first: parsing the YAML of hundreds of runs would take seconds
    text = (run.folder / "spec.yaml").read_text(encoding="utf-8", errors="replace")
    return any(parent in text for parent in parents) and run.spec.parent in parents


def _name(spec: RunSpec, what: str) -> str:
    return f"{spec.name.split(' · with ')[0][: 110 - len(what)]} · with {what}"
