"""The chart of every arm, and what all charts of a report share. A chart is a list of marks and the same data as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from auditor.report.blocks import FAINT, INK, Chart, Dot, Label, Line, Mark, Shape, table
from auditor.report.text import one_line
from auditor.types import AuditReport, Measure
from auditor.words import arm_of, between, name_of, with_interval, written
from distill.store import TEACHER

WIDTH = 720.0
# Okabe and Ito's palette by kind of arm, as everywhere in the product; the shape says the same
COLOURS: dict[str, tuple[str, Shape]] = {
    TEACHER: ("#0072B2", "diamond"),
    "distilled": ("#D55E00", "circle"),
    "given": ("#D55E00", "circle"),
    "token_kl": ("#D55E00", "circle"),
    "on_policy": ("#D55E00", "circle"),
    "step_by_step": ("#D55E00", "circle"),
    "hard_label": ("#767676", "square"),
    "sequence": ("#767676", "square"),
    "fine_tuned": ("#009E73", "triangle"),
    "quantised": ("#CC79A7", "square"),
    "pruned": ("#E69F00", "diamond"),
}
OTHER: tuple[str, Shape] = ("#5b6875", "ring")


def arms_chart(report: AuditReport, kinds: Mapping[str, str], names: Mapping[str, str]) -> Chart | None:
    """The measure that the verdict speaks of, arm by arm, with intervals; None where no arm has it."""
    for measure in ("accuracy", "agreement", "token_agreement"):
        found = [m for arm in kinds if (m := report.measure(measure, arm)) is not None and m.value is not None]
        if found:
            return _intervals(found, kinds, names, f"{name_of(measure).capitalize()} of every arm", "%")
    return None


def _intervals(
    found: Sequence[Measure], kinds: Mapping[str, str], names: Mapping[str, str], title: str, unit: str
) -> Chart:
    left, right, top, row = 210.0, WIDTH - 150.0, 12.0, 30.0
    bottom = top + row * len(found)
    values = [100 * v for m in found for v in (m.value, m.low, m.high) if v is not None]
    ticks = nice_ticks(min(values), max(values), high_limit=100.0)
    marks: list[Mark] = []

    def at(value: float) -> float:
        return left + (right - left) * (value - ticks[0]) / (ticks[-1] - ticks[0])

    for tick in ticks:
        marks += [
            Line(at(tick), top, at(tick), bottom),
            Label(at(tick), bottom + 16, f"{tick:g}", FAINT, 10.5, "middle"),
        ]
    marks.append(Label(right, bottom + 31, unit, FAINT, 10.5, "end"))
    for position, measure in enumerate(found):
        y = top + row * (position + 0.5)
        colour, shape = COLOURS.get(kinds[measure.arm], OTHER)
        if measure.low is not None and measure.high is not None:
            marks.append(Line(at(100 * measure.low), y, at(100 * measure.high), y, colour, 2.4))
        marks.append(Dot(at(100 * float(measure.value or 0)), y, colour, shape, 5.0))
        marks.append(Label(left - 14, y + 4, cut(names[measure.arm], 32), INK, 11.5, "end"))
        marks.append(Label(right + 14, y + 4, with_interval(measure), INK, 11))
    rows = [(names[m.arm], written(m), between(m), f"{m.n:,}") for m in found]
    says = "; ".join(f"{names[m.arm]} {with_interval(m)}" for m in found) + "."
    return Chart(
        title, one_line(says, 900), WIDTH, bottom + 38, tuple(marks),
        table(title, ("arm", "value", "95 % interval", "n"), rows, numeric=(1, 2, 3), widths=(3, 1.4, 2, 1)),
    )  # fmt: skip


def nice_ticks(low: float, high: float, high_limit: float = math.inf, most: int = 6) -> list[float]:
    """Round ticks (1, 2, 5 × 10ⁿ) that enclose ``low`` and ``high``; at least two, and none above ``high_limit``."""
    span = max(high - low, 1e-9 + abs(high) * 1e-3)
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(s * power for s in (1, 2, 5, 10, 20) if span / (s * power) <= most)
    first, last = math.floor(low / step), math.ceil(high / step)
    last = max(last, first + 1)
    return [round(k * step, 10) for k in range(first, last + 1) if k * step <= high_limit + 1e-9] or [
        first * step,
        last * step,
    ]


def cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def arm_names(arms: Sequence[str], kinds: Mapping[str, str]) -> dict[str, str]:
    """Names to show: the plain word for an arm that is called as its kind, else its own."""
    return {arm: arm_of(arm) if arm in (kinds[arm], TEACHER) else one_line(arm, 80) for arm in arms}
