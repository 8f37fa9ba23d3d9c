"""Computes every figure of an audit again from the run's files, and holds figures, findings, gates and verdict against the stored ones."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from auditor.check import CHECKS, NEEDS
from auditor.types import AuditReport, Finding, Measure
from distill.provenance import made_by
from distill.store import Run

State = Literal["ok", "failed", "attested", "not checked"]
TOLERANCE = 1e-6  # relative: what another processor may change in the last digits
# read once from a meter, or from a model of one: no file holds what they were computed from
ATTESTED = {
    "peak_memory_bytes",
    "model_memory_bytes",
    "memory_ratio",
    "making_energy_kwh",
    "energy_per_1k_wh",
    "energy_saving",
}
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Line:
    """One thing that was verified, how it ended, and in a sentence what was found."""

    what: str
    state: State
    sentence: str


def recompute(run: Run) -> list[Line]:
    """Audit the run again from its files and hold every figure, gate and the verdict against the stored audit."""
    from auditor.audit import audit_run, load_report

    stored = load_report(run)
    if stored is None:
        return [Line("figures", "failed", "There is no audit to hold the figures against.")]
    again = audit_run(run)
    unread, lacking = _unread(run, stored, again)
    left_out = unread | set(lacking)
    lines = [_figures(stored, again, left_out), _findings(stored, again, left_out), _gates(stored, again)]
    if unread:
        why = "rows were erased" if erased_rows(run) else "the texts are not in this bundle"
        lines.append(Line("texts", "attested", f"No longer recomputable, because {why}: {', '.join(sorted(unread))}."))
    lines += [Line("figures", "not checked", f"Not recomputed here, {name}: {why}") for name, why in lacking.items()]
    attested = sorted({m.name for m in stored.measures if m.name in ATTESTED})
    if attested:
        said = ", ".join(attested)
        lines.append(Line("attested", "attested", f"Measured once, attested and not recomputable: {said}."))
    return lines


def erased_rows(run: Run) -> int:
    """How many rows of the run were erased."""
    return len(run.json("erased").get("rows", []))


def rests_on_texts(check: str) -> bool:
    """True for a check whose figures rest on users' texts; they cannot be recomputed when one is erased."""
    return check in CHECKS.names() and "texts" in CHECKS.get(check).needs


def _unread(run: Run, stored: AuditReport, again: AuditReport) -> tuple[set[str], dict[str, str]]:
    """Checks whose texts are gone, and checks that were made once and cannot be made here, with the reason."""
    unread = {result.name for result in again.results if result.skipped == NEEDS["texts"]}
    if erased_rows(run):
        unread |= {result.name for result in again.results if rests_on_texts(result.name)}
    made = {result.name for result in stored.results if not result.skipped}
    absent = {r.name: r.skipped for r in again.results if r.skipped and "not installed" in r.skipped}
    return unread, {name: why for name, why in absent.items() if name in made and name not in unread}


def _figures(stored: AuditReport, again: AuditReport, left_out: set[str]) -> Line:
    """Every stored figure against the recomputed one; and none that the same code computes may be missing."""
    fresh = {_key(r.name, m): m for r in again.results if r.name not in left_out for m in r.measures}
    told = {_key(r.name, m): m for r in stored.results if r.name not in left_out for m in r.measures}
    told = {key: measure for key, measure in told.items() if measure.name not in ATTESTED}
    differing = [measure for key, measure in told.items() if not _same(measure, fresh.get(key))]
    same_code = _same_code(stored, again)
    if same_code:
        differing += [m for key, m in fresh.items() if key not in told and m.name not in ATTESTED]
    if differing:
        shown = "; ".join(f"{m.name} of {m.arm}" + (f" ({m.group})" if m.group else "") for m in differing[:5])
        sentence = f"{len(differing)} of {len(told)} figures do not follow from the files: {shown}."
        return Line("figures", "failed", sentence + ("" if same_code else _other_code(stored)))
    return Line("figures", "ok", f"All {len(told):,} figures were computed again from the files and agree.")


def _same_code(stored: AuditReport, again: AuditReport) -> bool:
    """Whether the very code that made the audit recomputes it, so that nothing may be missing from it."""
    return bool(stored.made_by) and stored.made_by == again.made_by and "modified" not in again.made_by


def _other_code(stored: AuditReport) -> str:
    """Why a figure may differ without anybody having changed it."""
    who = stored.made_by or "an earlier version"
    return f" They were computed by {who}, this is {made_by()}: verify with that version, or audit the run again."


def _findings(stored: AuditReport, again: AuditReport, left_out: set[str]) -> Line:
    """The sentences drawn from the figures, with what they claim and how serious it is; and none that the same code draws may be missing."""
    told, fresh = ([f for r in each.results if r.name not in left_out for f in r.findings] for each in (stored, again))
    if any(m.name in ATTESTED for f in (*told, *fresh) for m in f.evidence):
        told, fresh = ([f for f in each if not any(m.name in ATTESTED for m in f.evidence)] for each in (told, fresh))
    wrong, missing = _not_in(told, fresh), _not_in(fresh, told)
    same_code = _same_code(stored, again)
    if not wrong and (not missing or not same_code):
        return Line("findings", "ok", f"All {len(told)} findings follow from the figures.")
    if not wrong:
        return Line("findings", "failed", f"{len(missing)} findings were left out: {missing[0][:200]}")
    if not same_code:
        return Line(
            "findings",
            "not checked",
            f"{len(wrong)} of {len(told)} findings read otherwise here." + _other_code(stored),
        )
    return Line("findings", "failed", f"{len(wrong)} findings do not follow from the figures: {wrong[0][:200]}")


def _not_in(some: Iterable[Finding], others: Iterable[Finding]) -> list[str]:
    """Claims of the findings in ``some`` that ``others`` do not make, or make with another severity."""
    there = list(others)
    return [f.claim for f in some if not any(_same_claim(f.claim, g.claim) and f.severity == g.severity for g in there)]


def _same_claim(one: str, two: str) -> bool:
    """Equal but for the last printed digit of a number, which another processor may round otherwise."""
    if one == two:
        return True
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", two):
        return False
    return all(_near(a, b) for a, b in zip(_NUMBER.findall(one), _NUMBER.findall(two), strict=True))


def _near(one: str, two: str) -> bool:
    decimals = len(one.partition(".")[2])
    a, b = (float(each.replace(",", "")) for each in (one, two))
    return len(two.partition(".")[2]) == decimals and abs(a - b) <= 1.01 * 10**-decimals and (decimals > 0 or a == b)


def _key(check: str, measure: Measure) -> tuple[Any, ...]:
    return check, measure.name, measure.arm, measure.group, measure.seed, measure.versus


def _same(one: Measure, two: Measure | None) -> bool:
    if two is None:
        return False
    pairs = ((one.value, two.value), (one.low, two.low), (one.high, two.high))
    return one.n == two.n and all(_close(a, b) for a, b in pairs)


def _close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=1e-9)


def _gates(stored: AuditReport, again: AuditReport) -> Line:
    because = "" if _same_code(stored, again) else _other_code(stored)
    states = [[(g.measure, g.limit, g.direction, g.required, g.state) for g in r.gates] for r in (stored, again)]
    if states[0] != states[1] or stored.verdict.answer != again.verdict.answer:
        sentence = f"The verdict reads '{stored.verdict.answer}'; the files say '{again.verdict.answer}'."
        return Line("verdict", "failed", sentence + because)
    if not _same_claims((stored.verdict.sentence,), (again.verdict.sentence,)) or not _same_claims(
        stored.verdict.reasons, again.verdict.reasons
    ):
        return Line("verdict", "failed", "The verdict's words are not the ones that the files give." + because)
    return Line("verdict", "ok", f"Gates and verdict follow from the figures: {stored.verdict.answer}.")


def _same_claims(one: Iterable[str], two: Iterable[str]) -> bool:
    first, second = list(one), list(two)
    return len(first) == len(second) and all(_same_claim(a, b) for a, b in zip(first, second, strict=True))
