"""What did each way to a small model cost to make: time, energy, synthetic and human labels?

The steps that an arm builds on are counted with it: a quantised student had to be trained first.
"""

from __future__ import annotations

from typing import Any

from auditor.check import AuditInput, check
from auditor.types import CheckResult, Measure
from distill.arms.sources import chain
from distill.energy import NO_METER
from distill.errors import SpecError
from distill.plugins import BOTH, NoOptions
from distill.provenance import WATTS_PER_CORE
from distill.store import ModelCard


@check(
    "alternatives",
    "What did each way to a small model cost to make?",
    needs={"models"},
    tasks=BOTH,
    measures={
        "making_seconds": "Seconds of training and converting one model of the arm, what it is made from included.",
        "making_energy_kwh": "Energy of that, by codecarbon; in runs without it seconds × all cores × an assumed power. An estimate.",
        "making_human_labels": "Human labels that the arm learnt from.",
        "making_synthetic_labels": "The teacher's labels that the arm learnt from.",
    },
)
def alternatives(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Cost of making each arm, a mean over its seeds."""
    recorded = audit.run.json("resources").get("hardware", {})
    cores = int(recorded.get("cores") or 0) if isinstance(recorded, dict) else 0
    made: dict[str, list[ModelCard]] = {}
    for card in audit.cards:
        if card.model_dir:
            made.setdefault(card.name, []).append(card)
    measures: list[Measure] = []
    for arm in made:
        steps = [made[name] for name in _steps(audit, arm) if name in made]
        measures += _costs(arm, steps, cores, _behind(audit))
    return CheckResult(name="alternatives", measures=tuple(measures))


def _steps(audit: AuditInput, arm: str) -> list[str]:
    """The arm and the arms it is made from."""
    try:
        return [one.name for one in chain(audit.spec, audit.spec.arm(arm))]
    except SpecError:  # a run from another version, whose arm is not in its spec
        return [arm]


def _behind(audit: AuditInput) -> dict[str, Any]:
    """What stands behind the synthetic labels, all arms together: the teacher's own human labels, and the energy of labelling."""
    energy = audit.run.json("provenance").get("energy") or {}
    stages = energy.get("kwh_by_stage") or {} if isinstance(energy, dict) else {}
    return {"teacher_human_labels": audit.teacher_card.human_labels, "labelling_kwh": stages.get("labels")}


def _costs(arm: str, steps: list[list[ModelCard]], cores: int, behind: dict[str, Any]) -> list[Measure]:
    seconds = sum(_mean([_seconds(card) for card in cards]) for cards in steps)
    human = max(card.human_labels for cards in steps for card in cards)
    synthetic = max((card.trained_on for cards in steps for card in cards if not card.human_labels), default=0)
    common: dict[str, Any] = {"arm": arm, "n": len(steps[0]), "higher_is_better": False}
    kwh, method = _energy(steps, seconds * cores)
    detail = {"cores": cores, "steps": [cards[0].name for cards in steps]}
    by = {**detail, "method": method, "estimate": method.startswith(NO_METER)}
    return [
        Measure(name="making_seconds", value=seconds, unit="s", exact=False, detail=detail, **common),
        Measure(name="making_energy_kwh", value=kwh, unit="kWh", exact=False, detail=by, **common),
        Measure(name="making_human_labels", value=float(human), unit="labels", **common),
        Measure(name="making_synthetic_labels", value=float(synthetic), unit="labels", detail=behind, **common),
    ]


def _energy(steps: list[list[ModelCard]], core_seconds: float) -> tuple[float | None, str]:
    """kWh and how it is known: what was metered as each model was made, else core seconds × an assumed power (None without cores)."""
    metered = [[card.extra.get("kwh") for card in cards] for cards in steps]
    known = [[float(kwh) for kwh in found if kwh is not None] for found in metered]
    if all(len(numbers) == len(found) for numbers, found in zip(known, metered, strict=True)):
        methods = {str(card.extra.get("kwh_method", "")) for cards in steps for card in cards}
        return sum(_mean(numbers) for numbers in known), "; ".join(sorted(methods))
    kwh = core_seconds * WATTS_PER_CORE / 3_600_000
    return kwh or None, f"{NO_METER}: seconds × all cores × {WATTS_PER_CORE:g} W"


def _seconds(card: ModelCard) -> float:
    return card.train_seconds + float(card.extra.get("made_in") or 0.0)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
