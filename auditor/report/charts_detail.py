"""The charts of teacher and candidate side by side: F1 of each class, and reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from auditor.figures import figure
from auditor.report.blocks import FAINT, GRID, INK, Box, Chart, Dot, Label, Line, Mark, table
from auditor.report.charts import COLOURS, OTHER, WIDTH, cut
from auditor.report.text import one_line
from auditor.types import AuditReport, Measure
from auditor.words import between, name_of, with_interval, written

LEFT, RIGHT = 210.0, WIDTH - 150.0  # of the bars
BAR, GAP = 13.0, 14.0
PLOT_LEFT, PLOT_TOP, SIDE = 70.0, 14.0, 300.0  # of the square
QUARTERS = (0, 0.25, 0.5, 0.75, 1)


def classes_chart(
    report: AuditReport, arms: Sequence[str], kinds: Mapping[str, str], names: Mapping[str, str], most: int = 12
) -> Chart | None:
    """F1 of each class as bars with intervals, teacher and candidate; the most frequent ``most`` classes."""
    found = {(m.arm, m.group): m for m in report.measures if m.name == "f1" and m.seed is None and m.value is not None}
    groups = list(dict.fromkeys(m.group for m in found.values() if m.group))
    groups = sorted(groups, key=lambda g: -max(m.n for m in found.values() if m.group == g))[:most]
    if not groups:
        return None
    top = 30.0
    bottom = top + len(groups) * (BAR * len(arms) + GAP)
    marks: list[Mark] = [*_shares(top, bottom), *_legend(arms, kinds, names)]
    rows = []
    for position, group in enumerate(groups):
        y = top + 6 + position * (BAR * len(arms) + GAP)
        label = one_line(group.removeprefix("class="), 200)
        marks.append(Label(LEFT - 14, y + BAR * len(arms) / 2 + 4, cut(label, 32), INK, 11.5, "end"))
        for place, arm in enumerate(arms):
            measure = found.get((arm, group))
            if measure is not None:
                marks += _bar(measure, y + BAR * place, COLOURS.get(kinds[arm], OTHER)[0])
                rows.append((label, names[arm], written(measure), between(measure), f"{measure.n:,}"))
    says = f"F1 of {len(groups)} classes for {' and '.join(names[a] for a in arms)}, as bars with 95 % intervals."
    heads = ("class", "arm", "F1", "95 % interval", "n")
    data = table("F1 of each class", heads, rows, numeric=(2, 3, 4), widths=(2, 2, 1, 1.6, 0.8))
    return Chart("F1 of each class", one_line(says, 900), WIDTH, bottom + 36, tuple(marks), data)


def _across(share: float) -> float:
    return LEFT + (RIGHT - LEFT) * share


def _shares(top: float, bottom: float) -> list[Mark]:
    """The grid of the bars, in per cent."""
    marks: list[Mark] = [Label(RIGHT, bottom + 30, "F1, %", FAINT, 10.5, "end")]
    for tick in QUARTERS:
        x = _across(tick)
        marks.append(Line(x, top, x, bottom, INK if tick == 0 else GRID))
        marks.append(Label(x, bottom + 15, f"{100 * tick:g}", FAINT, 10.5, "middle"))
    return marks


def _legend(arms: Sequence[str], kinds: Mapping[str, str], names: Mapping[str, str]) -> list[Mark]:
    """Names of the arms in the order of the bars."""
    marks: list[Mark] = []
    x = LEFT
    for arm in arms:
        name = cut(names[arm], 28)
        marks += [Box(x, 6, 10, 10, COLOURS.get(kinds[arm], OTHER)[0]), Label(x + 15, 15, name, INK, 11)]
        x += 30 + 6.4 * len(name)
    return marks


def _bar(measure: Measure, y: float, colour: str) -> list[Mark]:
    """One bar with its interval and its figure."""
    middle = y + BAR / 2
    marks: list[Mark] = [Box(LEFT, y + 1, max(0.5, _across(float(measure.value or 0)) - LEFT), BAR - 2, colour)]
    if measure.low is not None and measure.high is not None:
        marks.append(Line(_across(measure.low), middle, _across(measure.high), middle, INK, 1.2))
    return [*marks, Label(RIGHT + 14, middle + 4, with_interval(measure), INK, 10)]


def reliability_chart(
    report: AuditReport, arms: Sequence[str], kinds: Mapping[str, str], names: Mapping[str, str]
) -> Chart | None:
    """How often each is right against how sure it says it is; None where there is nothing to hold confidence against."""
    result = report.result("calibration")
    lines = [row for row in (result.tables.get("reliability", []) if result else []) if not row.get("scaled")]
    lines = sorted((row for row in lines if row["arm"] in arms and row["n"]), key=lambda row: float(row["confidence"]))
    if not lines:
        return None
    marks = _square()
    rows = []
    for position, arm in enumerate(arms):
        mine = [row for row in lines if row["arm"] == arm]
        marks += _curve(mine, kinds[arm])
        marks += _key(report, arm, kinds[arm], names[arm], PLOT_TOP + 20 + 40 * position)
        rows += [(names[arm], *_figures(row), f"{row['n']:,}") for row in mine]
    says = "Accuracy against confidence in bins of equal mass, for " + " and ".join(names[arm] for arm in arms) + "."
    heads = ("arm", "confidence, %", "right, %", "low", "high", "n")
    data = table("Reliability", heads, rows, numeric=range(1, 6), widths=(3, 1.4, 1.2, 1, 1, 1), small=True)
    title = "Is its confidence honest?"
    return Chart(title, one_line(says, 900), WIDTH, PLOT_TOP + SIDE + 42, tuple(marks), data)


def _at(x: float, y: float) -> tuple[float, float]:
    return PLOT_LEFT + SIDE * x, PLOT_TOP + SIDE * (1 - y)


def _square() -> list[Mark]:
    """The grid, its diagonal and what the diagonal means."""
    marks: list[Mark] = []
    for tick in QUARTERS:
        marks += [Line(*_at(tick, 0), *_at(tick, 1)), Line(*_at(0, tick), *_at(1, tick))]
        (x, y), (left, across) = _at(tick, 0), _at(0, tick)
        marks.append(Label(x, y + 15, f"{100 * tick:g}", FAINT, 10.5, "middle"))
        marks.append(Label(left - 8, across + 4, f"{100 * tick:g}", FAINT, 10.5, "end"))
    (left, bottom), (right, top) = _at(0, 0), _at(1, 1)
    return [
        *marks,
        Line(left, bottom, right, top, FAINT, 1.2, dashed=True),
        Label((left + right) / 2, bottom + 32, "confidence, %", FAINT, 10.5, "middle"),
        Label(left, top - 3, "right, %", FAINT, 10.5),
        Label(right + 34, bottom - 16, "on the dashed line: confidence is honest", FAINT, 10.5),
        Label(right + 34, bottom - 1, "above it: right more often than it claims", FAINT, 10.5),
    ]


def _curve(rows: Sequence[Mapping[str, Any]], kind: str) -> list[Mark]:
    """One arm's bins as dots with intervals, joined by a line."""
    colour, shape = COLOURS.get(kind, OTHER)
    places = [_at(float(row["confidence"]), float(row["accuracy"])) for row in rows]
    marks: list[Mark] = [Line(*one, *two, colour, 1.4) for one, two in pairwise(places)]
    for (x, y), row in zip(places, rows, strict=True):
        low, high = (_at(0, float(row[bound]))[1] for bound in ("accuracy_low", "accuracy_high"))
        marks += [Line(x, low, x, high, colour, 0.8), Dot(x, y, colour, shape, 3.6)]
    return marks


def _key(report: AuditReport, arm: str, kind: str, name: str, y: float) -> list[Mark]:
    """An arm's marker, name and calibration error beside the square."""
    x = PLOT_LEFT + SIDE
    error = f"{name_of('ece')} {with_interval(report.measure('ece', arm))}"
    return [
        Dot(x + 34, y, *COLOURS.get(kind, OTHER), 4.5),
        Label(x + 46, y + 4, cut(name, 36), INK, 11.5),
        Label(x + 46, y + 19, error, FAINT, 10.5),
    ]


def _figures(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        figure(100 * float(row[key]), places=1) for key in ("confidence", "accuracy", "accuracy_low", "accuracy_high")
    )
