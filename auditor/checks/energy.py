"""What energy do 1,000 answers take, and how much less than the teacher's? By codecarbon, an estimate where the machine has no meter."""

from __future__ import annotations

from typing import Any

import pandas as pd

from auditor.check import AuditInput, check
from auditor.language import answer_length
from auditor.measuring import bracket, measured
from auditor.timing import geometric, geometric_ratio, map_interval
from auditor.types import CheckResult, Finding, Measure
from distill.energy import NO_METER
from distill.plugins import BOTH, NoOptions
from distill.spec import LANGUAGE_MODELS
from distill.store import TEACHER

OLD = "the energy of answers was not read in this run: it is older than this check, or codecarbon could not be started"


@check(
    "energy",
    "What energy do 1,000 answers take?",
    needs={"timings"},
    tasks=BOTH,
    measures={
        "energy_per_1k_wh": "Energy of 1,000 answers (of the teacher's mean length, where models write), in Wh, by codecarbon. An estimate without a meter.",
        "energy_saving": "Saved share of the teacher's energy for an answer, in %.",
    },
)
def energy(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Energy per 1,000 answers by arm, and the share saved of the teacher's, paired by round."""
    length = answer_length(audit) if audit.spec.task == LANGUAGE_MODELS else None
    rounds = energy_rounds(audit.timings, length)
    if not rounds:
        return CheckResult(name="energy", skipped=OLD)
    method = method_of(audit)
    detail = {"method": method, "estimate": method.startswith(NO_METER)}
    common: dict[str, Any] = {"exact": False, "detail": detail}
    measures: list[Measure] = []
    for arm, wh in rounds.items():
        measures.append(measured("energy_per_1k_wh", geometric(wh), arm, unit="Wh", higher_is_better=False, **common))
        ratio = None if arm == TEACHER or TEACHER not in rounds else geometric_ratio(wh, rounds[TEACHER])
        if ratio is not None:
            saved = map_interval(ratio, lambda share: 100 * (1 - share))
            measures.append(
                measured("energy_saving", saved, arm, unit="%", versus=TEACHER, higher_is_better=True, **common)
            )
    return CheckResult(name="energy", measures=tuple(measures), findings=tuple(_findings(audit, measures)))


def energy_rounds(timings: pd.DataFrame, tokens: float | None = None) -> dict[str, pd.Series]:
    """Wh per 1,000 answers of each round, indexed by round, for each arm; only rounds with a positive reading.

    Args:
        timings: raw timings.
        tokens: of one answer, for models that write; None where a text is an answer.
    """
    if "kwh" not in timings:
        return {}
    rows = timings[(timings["mode"] == "energy") & (timings["kwh"] > 0)].set_index("round")
    return {
        str(arm): 1e6 * found["kwh"] / (found["texts"] if tokens is None else found["tokens"] / tokens)
        for arm, found in rows.groupby("arm", sort=False)
    }


def method_of(audit: AuditInput) -> str:
    """How the run's energy is known, in words."""
    found = audit.run.json("provenance").get("energy") or {}
    return str(found.get("method") or NO_METER) if isinstance(found, dict) else NO_METER


def _findings(audit: AuditInput, measures: list[Measure]) -> list[Finding]:
    """What the candidate's answers save, in one sentence."""
    candidate = audit.spec.candidate
    saving = next((m for m in measures if (m.name, m.arm) == ("energy_saving", candidate)), None)
    if saving is None or saving.value is None:
        return []
    word = "less" if saving.value >= 0 else "more"
    kind = "an estimate, no meter was read" if saving.detail.get("estimate") else "metered"
    claim = (
        f"An answer of '{candidate}' takes {abs(saving.value):.0f} % {word} energy than the teacher's (saving "
        f"{bracket(saving.low, saving.high, 0)}; {kind})."
    )
    return [Finding(check="energy", severity="info", claim=claim, evidence=(saving,))]
