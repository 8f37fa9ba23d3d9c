"""How large is each model on disk and in memory?"""

from __future__ import annotations

from typing import Any

from auditor.check import AuditInput, check
from auditor.types import CheckResult, Finding, Measure
from distill.plugins import BOTH, NoOptions
from distill.store import TEACHER, ModelCard

_MEMORY = ("peak_memory_bytes", "model_memory_bytes")
TOO_SMALL = 95.0  # % fewer parameters, beyond which publications warn of a major drop in quality


@check(
    "size",
    "How large is each model, on disk and in memory?",
    needs={"models"},
    tasks=BOTH,
    measures={
        "size_bytes": "Bytes of the weights on disk.",
        "parameters": "Number of weights.",
        "peak_memory_bytes": "Largest memory while it predicted.",
        "compression": "The teacher's bytes divided by the arm's.",
        "memory_ratio": "Memory that the teacher adds to a bare process while it answers, divided by what the arm adds.",
        "parameters_removed": "Share of the teacher's parameters that are gone, in %.",
    },
)
def size(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Bytes, parameters, memory and their relation to the teacher's."""
    resources = audit.run.json("resources")
    memory, added = ({**found} if isinstance(found := resources.get(name), dict) else {} for name in _MEMORY)
    first: dict[str, ModelCard] = {TEACHER: audit.teacher_card}
    for card in audit.cards:
        first.setdefault(card.name, card)
    measures: list[Measure] = []
    for arm, card in first.items():
        measures += _own(arm, card, memory.get(arm))
        if arm != TEACHER:
            measures += _against_teacher(arm, card, audit.teacher_card) + _memory(arm, added)
    removed = [m for m in measures if m.name == "parameters_removed" and m.arm == audit.spec.candidate]
    findings = [_too_small(m) for m in removed if m.value is not None and m.value > TOO_SMALL]
    return CheckResult(name="size", measures=tuple(measures), findings=tuple(findings))


def _own(arm: str, card: ModelCard, memory: Any) -> list[Measure]:
    figures = (
        ("size_bytes", card.bytes, "bytes", True),
        ("parameters", card.parameters, "1", True),
        ("peak_memory_bytes", memory if isinstance(memory, int | float) else None, "bytes", False),
    )
    return [
        Measure(name=name, value=float(value), arm=arm, unit=unit, n=1, counted=counted, higher_is_better=False)
        for name, value, unit, counted in figures
        if value is not None
    ]


def _against_teacher(arm: str, card: ModelCard, teacher: ModelCard) -> list[Measure]:
    measures = []
    common: dict[str, Any] = {"arm": arm, "versus": TEACHER, "n": 1, "counted": True, "higher_is_better": True}
    if card.bytes and teacher.bytes:
        measures.append(Measure(name="compression", value=teacher.bytes / card.bytes, unit="×", **common))
    if card.parameters and teacher.parameters:
        removed = 100 * (1 - card.parameters / teacher.parameters)
        measures.append(Measure(name="parameters_removed", value=removed, unit="%", **common))
    return measures


def _memory(arm: str, added: dict[str, Any]) -> list[Measure]:
    mine, teacher = added.get(arm), added.get(TEACHER)
    if not mine or not teacher:  # not measured, or so little that the process did not grow
        return []
    common: dict[str, Any] = {"arm": arm, "versus": TEACHER, "n": 1, "unit": "×", "higher_is_better": True}
    return [Measure(name="memory_ratio", value=float(teacher) / float(mine), **common)]


def _too_small(measure: Measure) -> Finding:
    return Finding(
        check="size",
        severity="notice",
        claim=f"'{measure.arm}' has {measure.value:.1f} % fewer parameters than its teacher.",
        evidence=(measure,),
        action="Publications warn of a major drop in quality beyond 95 %: look at the slices and the regressions.",
    )
