"""One check on one fake run."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.audit import run_check
from auditor.check import CHECKS, AuditInput
from auditor.types import CheckResult, Measure
from distill.store import Run
from distill.types import ClassSignal, Floats


def result_of(run: Run, check: str, prices: dict[str, Any] | None = None) -> CheckResult:
    """What ``check`` says of ``run``."""
    return run_check(AuditInput(run, prices=prices or {}), CHECKS.get(check))


def one(result: CheckResult, name: str, arm: str, group: str | None = None, seed: int | None = None) -> Measure:
    """The one measure with these keys."""
    found = [m for m in result.measures if (m.name, m.arm, m.group, m.seed) == (name, arm, group, seed)]
    assert len(found) == 1, f"{len(found)} measures {name} of {arm}, {group}, {seed}"
    return found[0]


def value(measure: Measure) -> float:
    """Its value, which must be there."""
    assert measure.value is not None
    return measure.value


def overwrite(run: Run, arm: str, seed: int, probs: Floats) -> None:
    """Replace an arm's test predictions."""
    ids = run.examples.part("test").ids
    ClassSignal(ids, np.asarray(probs, dtype=np.float64)).write(run.prediction_path(arm, seed, "test"))
