"""How far does a lower precision move the answers of the model that it was made from? int8, bf16, or another runtime alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.check import AuditInput, check
from auditor.measuring import has_teacher, proportion, usable_arms
from auditor.types import CheckResult, Finding, Measure
from distill.errors import SpecError
from distill.plugins import NoOptions
from distill.spec import ArmSpec
from distill.store import TEACHER
from distill.types import Floats

KIND = "quantised"
FAR = 0.1  # a probability that moves by this much is no rounding any more


@check(
    "precision",
    "How far does a lower precision move the answers of the model it was made from?",
    needs={"probabilities", "student"},
    measures={
        "probability_moved_largest": "Largest difference of a probability to that of the model that the arm was made from.",
        "probability_moved_p99": "99 of 100 probabilities move by no more than this.",
        "agreement_with_source": "Share of test texts with the label of the model that the arm was made from.",
    },
)
def precision(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Every quantised arm against its own source, seed by seed, on the test texts."""
    have = [*([TEACHER] if has_teacher(audit) else []), *usable_arms(audit)]
    measures: list[Measure] = []
    findings: list[Finding] = []
    for arm in have:
        spec = _spec(audit, arm)
        source = None if spec is None or spec.kind != KIND else str(spec.options.get("of", TEACHER))
        if spec is None or source is None or source not in have:
            continue
        found = _against(audit, arm, source)
        measures += found
        findings += _finding(spec, source, found)
    if not measures:
        return CheckResult(name="precision", skipped="no arm is another one in a lower precision")
    return CheckResult(name="precision", measures=tuple(measures), findings=tuple(findings))


def _spec(audit: AuditInput, arm: str) -> ArmSpec | None:
    try:
        return audit.spec.arm(arm)
    except SpecError:  # the teacher, and arms of another version
        return None


def pairs(audit: AuditInput, arm: str, source: str) -> tuple[Floats, Floats]:
    """Probabilities of ``arm`` and of what each of its seeds was made from, [seeds, n, k] both."""
    seeds, theirs = audit.seeds(arm), audit.seeds(source)
    mine = np.stack([audit.signal(arm, seed).probs for seed in seeds])
    return mine, np.stack([audit.signal(source, seed if seed in theirs else theirs[0]).probs for seed in seeds])


def _against(audit: AuditInput, arm: str, source: str) -> list[Measure]:
    mine, before = pairs(audit, arm, source)
    apart = np.abs(mine - before)
    settings = audit.spec.audit
    common: dict[str, Any] = {"arm": arm, "versus": source, "n": mine.shape[1], "higher_is_better": False}
    same = (mine.argmax(axis=-1) == before.argmax(axis=-1)).astype(np.float64)
    drawn: dict[str, Any] = {"resamples": settings.resamples, "seed": settings.seed}
    return [
        Measure(name="probability_moved_largest", value=float(apart.max()), **common),
        Measure(name="probability_moved_p99", value=float(np.quantile(apart, 0.99)), **common),
        proportion("agreement_with_source", same, arm, versus=source, higher_is_better=True, **drawn),
    ]


def _finding(spec: ArmSpec, source: str, found: list[Measure]) -> list[Finding]:
    """A sentence where probabilities moved by more than rounding."""
    largest, usual, same = found
    if (largest.value or 0) < FAR:
        return []
    what = spec.options.get("precision", "int8")
    claim = (
        f"'{spec.name}' ({what}) moves a probability of '{source}' by up to {largest.value:.2f} ({usual.value:.2f} in 99 of 100) "
        f"and gives the same label on {100 * (same.value or 0):.1f} % of the texts."
    )
    action = "Look at its own calibration and bias: those of its source do not hold for it."
    return [Finding(check="precision", severity="notice", claim=claim, evidence=tuple(found), action=action)]
