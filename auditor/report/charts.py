"""The charts of a report: every arm's accuracy, F1 of each class, reliability. Each is a list of marks and the same data as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from auditor.report.blocks import FAINT, GRID, INK, Box, Chart, Dot, Label, Line, Mark, Shape, table
from auditor.report.text import one_line
from auditor.report.wording import arm_of, between, name_of, number, with_interval, written
from auditor.types import AuditReport, Measure
from distill.store import TEACHER

WIDTH = 720.0
# Okabe and Ito's palette by kind of arm, as everywhere in the product; the shape says the same
COLOURS: dict[str, tuple[str, Shape]] = {
    TEACHER: ("#0072B2", "diamond"),
    "distilled": ("#D55E00", "circle"),
    "given": ("#D55E00", "circle"),
    "hard_label": ("#767676", "square"),
    "fine_tuned": ("#009E73", "triangle"),
    "quantised": ("#CC79A7", "square"),
    "pruned": ("#E69F00", "diamond"),
}
OTHER: tuple[str, Shape] = ("#5b6875", "ring")


def arms_chart(report: AuditReport, kinds: Mapping[str, str], names: Mapping[str, str]) -> Chart | None:
    """The measure that the verdict speaks of, arm by arm, with intervals; None where no arm has it."""
    for measure in ("accuracy", "agreement"):
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
        marks.append(Label(left - 14, y + 4, _cut(names[measure.arm], 32), INK, 11.5, "end"))
        marks.append(Label(right + 14, y + 4, with_interval(measure), INK, 11))
    rows = [(names[m.arm], written(m), between(m), f"{m.n:,}") for m in found]
    says = "; ".join(f"{names[m.arm]} {with_interval(m)}" for m in found) + "."
    return Chart(
        title, one_line(says, 900), WIDTH, bottom + 38, tuple(marks),
        table(title, ("arm", "value", "95 % interval", "n"), rows, numeric=(1, 2, 3), widths=(3, 1.4, 2, 1)),
    )  # fmt: skip


def classes_chart(
    report: AuditReport, arms: Sequence[str], kinds: Mapping[str, str], names: Mapping[str, str], most: int = 12
) -> Chart | None:
    """F1 of each class as bars with intervals, teacher and candidate; the most frequent ``most`` classes."""
    found = {(m.arm, m.group): m for m in report.measures if m.name == "f1" and m.seed is None and m.value is not None}
    groups = list(dict.fromkeys(m.group for m in found.values() if m.group))
    groups = sorted(groups, key=lambda g: -max(m.n for m in found.values() if m.group == g))[:most]
    if not groups:
        return None
    left, right, top, bar, gap = 210.0, WIDTH - 150.0, 30.0, 13.0, 14.0
    marks: list[Mark] = []
    height = top + len(groups) * (bar * len(arms) + gap)

    def at(share: float) -> float:
        return left + (right - left) * share

    for tick in (0, 0.25, 0.5, 0.75, 1):
        marks.append(Line(at(tick), top, at(tick), height, INK if tick == 0 else GRID))
        marks.append(Label(at(tick), height + 15, f"{100 * tick:g}", FAINT, 10.5, "middle"))
    marks.append(Label(right, height + 30, "F1, %", FAINT, 10.5, "end"))
    x = left
    for arm in arms:  # the legend, in the order of the bars
        marks += [
            Box(x, 6, 10, 10, COLOURS.get(kinds[arm], OTHER)[0]),
            Label(x + 15, 15, _cut(names[arm], 28), INK, 11),
        ]
        x += 30 + 6.4 * min(28, len(names[arm]))
    rows = []
    for number_, group in enumerate(groups):
        y = top + 6 + number_ * (bar * len(arms) + gap)
        label = one_line(group.removeprefix("class="), 200)
        marks.append(Label(left - 14, y + bar * len(arms) / 2 + 4, _cut(label, 32), INK, 11.5, "end"))
        for position, arm in enumerate(arms):
            measure = found.get((arm, group))
            if measure is None or measure.value is None:
                continue
            middle = y + bar * position + bar / 2
            marks.append(
                Box(
                    left,
                    y + bar * position + 1,
                    max(0.5, at(measure.value) - left),
                    bar - 2,
                    COLOURS.get(kinds[arm], OTHER)[0],
                )
            )
            if measure.low is not None and measure.high is not None:
                marks.append(Line(at(measure.low), middle, at(measure.high), middle, INK, 1.2))
            marks.append(Label(right + 14, middle + 4, with_interval(measure), INK, 10))
            rows.append((label, names[arm], written(measure), between(measure), f"{measure.n:,}"))
    says = f"F1 of {len(groups)} classes for {' and '.join(names[a] for a in arms)}, as bars with 95 % intervals."
    return Chart(
        "F1 of each class", one_line(says, 900), WIDTH, height + 36, tuple(marks),
        table("F1 of each class", ("class", "arm", "F1", "95 % interval", "n"), rows, numeric=(2, 3, 4), widths=(2, 2, 1, 1.6, 0.8)),
    )  # fmt: skip


def reliability_chart(
    report: AuditReport, arms: Sequence[str], kinds: Mapping[str, str], names: Mapping[str, str]
) -> Chart | None:
    """How often each is right against how sure it says it is; None where there is nothing to hold confidence against."""
    result = report.result("calibration")
    lines = [row for row in (result.tables.get("reliability", []) if result else []) if not row.get("scaled")]
    lines = [row for row in lines if row["arm"] in arms and row["n"]]
    if not lines:
        return None
    left, top, side = 70.0, 14.0, 300.0
    marks: list[Mark] = []

    def at(x: float, y: float) -> tuple[float, float]:
        return left + side * x, top + side * (1 - y)

    for tick in (0, 0.25, 0.5, 0.75, 1):
        marks += [Line(*at(tick, 0), *at(tick, 1)), Line(*at(0, tick), *at(1, tick))]
        (x, y), (_, across) = at(tick, 0), at(0, tick)
        marks += [
            Label(x, y + 15, f"{100 * tick:g}", FAINT, 10.5, "middle"),
            Label(left - 8, across + 4, f"{100 * tick:g}", FAINT, 10.5, "end"),
        ]
    marks.append(Line(*at(0, 0), *at(1, 1), FAINT, 1.2, dashed=True))
    marks.append(Label(left + side / 2, top + side + 32, "confidence, %", FAINT, 10.5, "middle"))
    marks.append(Label(left, top - 3, "right, %", FAINT, 10.5))
    rows = []
    for position, arm in enumerate(arms):
        colour, shape = COLOURS.get(kinds[arm], OTHER)
        mine = sorted((row for row in lines if row["arm"] == arm), key=lambda row: float(row["confidence"]))
        places = [at(float(row["confidence"]), float(row["accuracy"])) for row in mine]
        marks += [Line(*one, *two, colour, 1.4) for one, two in pairwise(places)]
        for (x, y), row in zip(places, mine, strict=True):
            marks.append(
                Line(x, at(0, float(row["accuracy_low"]))[1], x, at(0, float(row["accuracy_high"]))[1], colour, 0.8)
            )
            marks.append(Dot(x, y, colour, shape, 3.6))
            rows.append(
                (
                    names[arm],
                    *(
                        number(100 * float(row[k]), 1)
                        for k in ("confidence", "accuracy", "accuracy_low", "accuracy_high")
                    ),
                    f"{row['n']:,}",
                )
            )
        marks += [
            Dot(left + side + 34, top + 20 + 40 * position, colour, shape, 4.5),
            Label(left + side + 46, top + 24 + 40 * position, _cut(names[arm], 36), INK, 11.5),
        ]
        error = report.measure("ece", arm)
        marks.append(
            Label(left + side + 46, top + 39 + 40 * position, f"{name_of('ece')} {with_interval(error)}", FAINT, 10.5)
        )
    marks.append(Label(left + side + 34, top + side - 16, "on the dashed line: confidence is honest", FAINT, 10.5))
    marks.append(Label(left + side + 34, top + side - 1, "above it: right more often than it claims", FAINT, 10.5))
    says = "Accuracy against confidence in bins of equal mass, for " + " and ".join(names[arm] for arm in arms) + "."
    heads = ("arm", "confidence, %", "right, %", "low", "high", "n")
    return Chart(
        "Is its confidence honest?", one_line(says, 900), WIDTH, top + side + 42, tuple(marks),
        table("Reliability", heads, rows, numeric=(1, 2, 3, 4, 5), widths=(3, 1.4, 1.2, 1, 1, 1), small=True),
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


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def arm_names(arms: Sequence[str], kinds: Mapping[str, str]) -> dict[str, str]:
    """Names to show: the plain word for an arm that is called as its kind, else its own."""
    return {arm: arm_of(arm) if arm in (kinds[arm], TEACHER) else one_line(arm, 80) for arm in arms}
