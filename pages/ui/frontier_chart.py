"""The frontier: quality kept against how much smaller, faster or cheaper. Front, knee and choice go by dev; what was chosen shows its test figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from auditor.frontier import FrontierOptions, knee, pareto
from auditor.types import Measure
from distill.spec import RunSpec
from distill.store import TEACHER
from pages.ui import charts, figures, palette, words
from pages.ui.cache import Audited
from pages.ui.compare_charts import arm_label, arms_of, kind_of

AXES = {
    "Size": ("compression", "times smaller on disk", "size"),
    "Speed": ("latency_speedup", "times faster, one text", "speed"),
    "Cost": ("cost_saving", "cost of running saved, %", "cost"),
}
GAINED = {"Size": "× smaller", "Speed": "× faster", "Cost": "% saved"}
CLAIMED = 20.0  # 'no more than 95 % compression without a major drop in quality' is a twentieth of the size
CHECK = "frontier"


@dataclass(frozen=True)
class Point:
    """An arm on the chart: what it gains, what it keeps on dev (None without dev figures) and on the test."""

    arm: str
    gain: Measure
    dev: Measure | None
    test: Measure

    @property
    def x(self) -> float:
        """Its place on the axis of gains."""
        return float(self.gain.value or 0)

    @property
    def y(self) -> float:
        """What it keeps where choices are made; on the test where there is no dev figure."""
        return float((self.dev or self.test).value or 0)


@dataclass(frozen=True)
class Frontier:
    """The chart, every arm's row, and the choices' rows (empty where dev could choose nothing)."""

    figure: go.Figure
    arms: pd.DataFrame
    choices: pd.DataFrame


def frontier_chart(audit: Audited, spec: RunSpec, against: str) -> Frontier | None:
    """Every arm against ``against`` of :data:`AXES`; None with fewer than two arms that have both figures."""
    points = _points(audit, spec, against)
    if len(points) < 2:
        return None
    on_dev = all(point.dev is not None for point in points)
    front = pareto([p.x for p in points], [p.y for p in points]) if on_dev else []
    bend = knee([points[p].x for p in front], [points[p].y for p in front])
    chosen = _chosen(audit, AXES[against][2])
    made = _empty(audit, spec, points, against)
    if front:
        made.add_scatter(x=[points[p].x for p in front], y=[points[p].y for p in front], mode="lines", line={"dash": "dot", "color": palette.NEUTRAL}, hoverinfo="skip")  # fmt: skip
    for point in points:
        _mark(made, spec, point, on_dev)
    if bend is not None:
        _ring(made, points[front[bend]])
    for point in points:
        if on_dev and point.arm in {choice["arm"] for choice in chosen}:
            _tested(made, spec, point)
    named = [points[p] for p in front] or points
    charts.mark_labels(made, [(charts.label(arm_label(spec, p.arm)), p.x, p.y) for p in named], pixels=260)
    places = {points[p].arm: "knee" if bend is not None and front[bend] == p else "front" for p in front}
    rows = [_row(spec, point, against, places.get(point.arm, "")) for point in sorted(points, key=lambda p: -p.x)]
    return Frontier(made, pd.DataFrame(rows), choice_table(audit, spec, against))


def _points(audit: Audited, spec: RunSpec, against: str) -> list[Point]:
    found = []
    for arm in arms_of(audit, spec):
        kept, gain = audit.measure("accuracy_retention", arm), audit.measure(AXES[against][0], arm)
        if arm != TEACHER and kept and gain and kept.value is not None and gain.value is not None:
            found.append(Point(arm, gain, audit.measure("dev_retention", arm), kept))
    return found


def _chosen(audit: Audited, axis: str) -> list[dict[str, Any]]:
    """The choices along an axis, and that by accuracy alone."""
    return [row for row in audit.table(CHECK, "choices") if row["axis"] in ("", axis)]


def _empty(audit: Audited, spec: RunSpec, points: list[Point], against: str) -> go.Figure:
    """Axes, the teacher's line, the line of what has to be kept, and the published limit."""
    limit = FrontierOptions.model_validate(spec.audit.checks.get(CHECK, {})).keep
    made = charts.figure(
        height=420,
        xaxis=charts.axis(AXES[against][1]),
        yaxis=charts.axis("quality kept, %"),
        margin={"l": 8, "r": 80, "t": 24, "b": 8},
    )
    charts.line_at(made, y=100, label="teacher, 100 %", side="top right")
    charts.line_at(made, y=limit, label=f"to be kept, {limit:g} %", side="bottom right")
    if against == "Size":
        charts.line_at(made, x=CLAIMED, label="published limit, 95 % smaller", side="bottom left")
        made.update_xaxes(range=[0, 1.06 * max(CLAIMED, *(point.x for point in points))])
    return made


def _mark(made: go.Figure, spec: RunSpec, point: Point, on_dev: bool) -> None:
    """An arm by its dev figure as an open mark; by its test figure, with its interval, where nothing was chosen."""
    kind, name = kind_of(spec, point.arm), charts.label(arm_label(spec, point.arm))
    symbol = palette.symbol_of(kind)
    colour = palette.colour_of(kind)
    where = "dev" if on_dev else "test"
    made.add_scatter(
        x=[point.x],
        y=[point.y],
        mode="markers",
        marker={"size": 9, "color": colour, "symbol": f"{symbol.removesuffix('-open')}-open" if on_dev else symbol, "line": {"width": 1.8}},
        error_y=None if on_dev else charts.bars(*charts.as_percent(point.test)),
        hovertemplate=f"<b>{name}</b><br>{where}: kept %{{y:.1f}} %, %{{x:.3g}}<extra></extra>",
    )  # fmt: skip


def _ring(made: go.Figure, point: Point) -> None:
    made.add_scatter(x=[point.x], y=[point.y], mode="markers", marker={"size": 22, "symbol": "circle-open", "color": palette.NEUTRAL, "line": {"width": 2}}, hoverinfo="skip")  # fmt: skip
    made.add_annotation(
        x=point.x, y=point.y, text="knee", showarrow=False, xanchor="right", xshift=-13, font={"size": 12}
    )


def _tested(made: go.Figure, spec: RunSpec, point: Point) -> None:
    """What the test says of a chosen arm, joined with its dev mark."""
    kind, tested = kind_of(spec, point.arm), charts.as_percent(point.test)
    made.add_scatter(x=[point.x, point.x], y=[point.y, tested[0]], mode="lines", line={"width": 1, "color": palette.FAINT_STRONG}, hoverinfo="skip")  # fmt: skip
    made.add_scatter(
        x=[point.x],
        y=[tested[0]],
        mode="markers",
        marker={"size": 12, "color": palette.colour_of(kind), "symbol": palette.symbol_of(kind).removesuffix("-open")},
        error_y=charts.bars(*tested),
        hovertemplate=f"<b>{charts.label(arm_label(spec, point.arm))}</b><br>test: kept %{{y:.1f}} %<extra></extra>",
    )


def _row(spec: RunSpec, point: Point, against: str, place: str) -> dict[str, str]:
    return {
        "arm": arm_label(spec, point.arm),
        "kept on dev": words.with_interval(point.dev) if point.dev else figures.NOTHING,
        "kept on the test": words.with_interval(point.test),
        AXES[against][1]: words.with_interval(point.gain),
        "on dev's front": place,
    }


def choice_table(audit: Audited, spec: RunSpec, against: str) -> pd.DataFrame:
    """What dev chose along an axis, and what the test says of it; narrow enough to stand beside the chart."""
    measure, _, axis = AXES[against]
    rows = []
    for choice in _chosen(audit, axis):
        arm = str(choice["arm"])
        dev, gain = audit.measure("dev_retention", arm), audit.measure(measure, arm)
        test = audit.measure("chosen_retention", arm, f"choice={choice['rule']}")
        rows.append(
            {
                "chosen on dev": choice["rule"],
                "arm": arm_label(spec, arm),
                "kept, dev": figures.NOTHING if dev is None or dev.value is None else f"{dev.value:.1f} %",
                "kept, test": words.with_interval(test),
                GAINED[against]: figures.NOTHING if gain is None else figures.figure(gain.value),
            }
        )
    return pd.DataFrame(rows)


def sentences(audit: Audited, against: str) -> list[str]:
    """What the check says of the choices along an axis, and of a limit that nothing keeps."""
    result = audit.report.result(CHECK)
    rules = {f"choice={choice['rule']}" for choice in _chosen(audit, AXES[against][2])}
    return [
        finding.claim
        for finding in (result.findings if result else ())
        if not finding.evidence or finding.evidence[0].group in rules
    ]
