"""Published claims about distillation, with their sources. Shown as 'published expectation' beside a measured figure, never as one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

FILE = Path(__file__).with_name("expectations.yaml")
LABEL = "published expectation"


class Expectation(BaseModel):
    """One claim.

    Attributes:
        kinds: arm kinds it is about.
        measure: the measure it can be held against.
        low, high: claimed range in ``unit``; None where the claim leaves it open.
        source: who says so, as text.
        single: a figure of one system, where others are ranges over many.
        contested: sources disagree.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    kinds: tuple[str, ...]
    measure: str
    claim: str
    source: str
    low: float | None = None
    high: float | None = None
    unit: str = "1"
    single: bool = False
    contested: bool = False

    @property
    def span(self) -> str:
        """The claimed range in a few characters: '89-93 %', '12.3 %', 'at most 95 %', 'open'."""
        unit = {"1": "", "×": "×"}.get(self.unit, f" {self.unit}")
        if self.low is None and self.high is None:
            return "open"
        if self.low is None or self.high is None:
            return f"{'at most' if self.low is None else 'at least'} {_number(self.high, self.low)}{unit}"
        if self.low == self.high:
            return f"{self.low:g}{unit}"
        return f"{self.low:g}-{self.high:g}{unit}"


def _number(*values: float | None) -> str:
    return next(f"{value:g}" for value in values if value is not None)


@cache
def expectations() -> tuple[Expectation, ...]:
    """All claims in the order of the file."""
    raw = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return tuple(Expectation(**{**claim, "source": raw["sources"][claim["source"]]}) for claim in raw["claims"])


def expected(measure: str, kind: str) -> tuple[Expectation, ...]:
    """Claims about this measure of this kind of arm; ranges over many systems before single figures."""
    found = [claim for claim in expectations() if claim.measure == measure and kind in claim.kinds]
    return tuple(sorted(found, key=lambda claim: claim.single))
