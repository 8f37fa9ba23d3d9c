"""What the page Lineage draws: the graph of runs, and how figures drift from one generation to the next."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from auditor.lineage import Family, unlike
from auditor.types import Measure
from distill.errors import HeirloomError
from distill.store import TEACHER, Run
from pages.ui import cache, charts, figures, palette, words

SHARES = ("accuracy", "agreement_with_origin", "rarest_class_recall")
OTHERS = ("prediction_entropy", "answer_entropy", "ece", "gender_bias")
TITLES = {
    "accuracy": "accuracy on people's labels",
    "agreement_with_origin": "agreement with generation 0",
    "rarest_class_recall": "recall of the rarest label",
    "prediction_entropy": "entropy of a prediction, nats",
    "answer_entropy": "entropy of the labels given, nats",
    "ece": "calibration error",
    "gender_bias": "gender gap",
}
_COLOURS = {"accuracy": palette.SKY, "agreement_with_origin": palette.VERMILLION, "rarest_class_recall": palette.GREEN}


@dataclass(frozen=True)
class Generation:
    """One point of a drift curve: a model by its run and arm; ``why_not`` says why it is not comparable."""

    number: int
    run: str
    arm: str
    audit: cache.Audited | None
    why_not: str = ""

    def measure(self, name: str) -> Measure | None:
        """The model's measure; None where it has none or is not comparable."""
        return self.audit.measure(name, self.arm) if self.audit and not self.why_not else None


def generations(runs: list[Run], problem: str) -> list[Generation]:
    """Generation 0 (the first run's teacher) and one for each run of the chain, all held against the first run's test rows."""
    first = runs[0]
    found = []
    start = 0
    audit, why = _audit(first, None)
    if not problem:
        found.append(Generation(0, first.id, TEACHER, audit, why))
    else:
        start = max(0, _generation(first) - 1)
        found.append(Generation(start, first.id, TEACHER, audit, why))
    for offset, run in enumerate(runs, start=1):
        audit, why = _audit(run, first)
        found.append(Generation(start + offset, run.id, run.spec.candidate, audit, why))
    return found


def _generation(run: Run) -> int:
    try:
        return int(run.teacher.extra.get("generation", 0)) + 1
    except (HeirloomError, TypeError, ValueError):
        return 1


def _audit(run: Run, first: Run | None) -> tuple[cache.Audited | None, str]:
    try:
        audit = cache.audited(run)
        if audit is None:
            return None, "it has no audit yet"
        if first is not None and first.id != run.id:
            ids = [one.prediction(TEACHER, 0).ids for one in (first, run)]
            return audit, unlike(ids[0], ids[1], first.id)
    except HeirloomError as error:
        return None, error.message
    return audit, ""


def drift_chart(found: list[Generation]) -> tuple[go.Figure, pd.DataFrame] | None:
    """Shares that people care about, in per cent, by generation."""
    names = [name for name in SHARES if any(one.measure(name) for one in found)]
    if not names:
        return None
    made = charts.figure(
        height=340,
        xaxis=charts.axis("generation", dtick=1, range=[found[0].number - 0.15, found[-1].number + 0.15]),
        yaxis=charts.axis("%"),
        margin={"l": 8, "r": 210, "t": 16, "b": 8},
    )
    ends = []
    for shift, name in enumerate(names):
        points = _points(found, name, 100)
        colour = _COLOURS[name]
        _line(made, points, colour, TITLES[name], 0.03 * (shift - 1), "%{y:.1f} %")
        ends.append((TITLES[name], points[-1][1], colour))
    charts.end_labels(made, ends)
    spread = [bound for name in names for point in _points(found, name, 100) for bound in point[2:]]
    made.update_yaxes(range=[max(-2, min(spread) - 3), min(103, max(spread) + 3)])
    return made, table(found, SHARES)


def small_chart(found: list[Generation], name: str) -> tuple[go.Figure, pd.DataFrame] | None:
    """One measure by generation."""
    points = _points(found, name, 1)
    if not points:
        return None
    made = charts.figure(
        height=220, xaxis=charts.axis("generation", dtick=1), yaxis=charts.axis(TITLES[name], rangemode="tozero")
    )
    _line(made, points, palette.VERMILLION, TITLES[name], 0, "%{y:.3f}")
    return made, table(found, (name,))


def _points(found: list[Generation], name: str, factor: float) -> list[tuple[int, float, float, float]]:
    points = []
    for one in found:
        measure = one.measure(name)
        if measure is None or measure.value is None:
            continue
        low = measure.value if measure.low is None else measure.low
        high = measure.value if measure.high is None else measure.high
        points.append((one.number, factor * measure.value, factor * low, factor * high))
    return points


def _line(
    made: go.Figure, points: list[tuple[int, float, float, float]], colour: str, title: str, shift: float, shape: str
) -> None:
    made.add_scatter(
        x=[point[0] + shift for point in points],
        y=[point[1] for point in points],
        mode="lines+markers",
        marker={"size": 9, "color": colour},
        line={"color": colour},
        error_y=charts.whiskers([p[1] for p in points], [p[2] for p in points], [p[3] for p in points]),
        hovertemplate=f"{title}: {shape}<extra></extra>",
    )


def table(found: list[Generation], names: tuple[str, ...]) -> pd.DataFrame:
    """One row a generation with intervals; what is not comparable says why."""
    rows = []
    for one in found:
        row = {"generation": str(one.number), "run": one.run, "arm": one.arm}
        for name in names:
            row[TITLES[name]] = words.with_interval(one.measure(name))
        row["remark"] = f"not comparable, because {one.why_not}" if one.why_not else ""
        rows.append(row)
    return pd.DataFrame(rows)


def graph(family: Family, here: str) -> tuple[go.Figure, pd.DataFrame]:
    """Runs from left to right by depth; a full line: its student teaches; a dotted one: follows from."""
    depth = _depths(family)
    rows: dict[str, int] = {}
    filled: dict[int, int] = {}
    for run in sorted(family.nodes, key=lambda name: (depth[name], name)):
        rows[run] = filled.get(depth[run], 0)
        filled[depth[run]] = rows[run] + 1
    tallest = max(filled.values())
    made = charts.figure(
        height=120 + 70 * tallest,
        xaxis=charts.axis(visible=False, range=[-0.4, max(depth.values()) + 0.7]),
        yaxis=charts.axis(visible=False, range=[-tallest + 0.3, 0.7]),
    )
    for start, end, link in family.edges:
        made.add_scatter(
            x=[depth[start], depth[end]], y=[-rows[start], -rows[end]], mode="lines", hoverinfo="skip",
            line={"color": palette.NEUTRAL, "width": 2 if link == "teacher" else 1.2, "dash": "solid" if link == "teacher" else "dot"},
        )  # fmt: skip
    for run, node in family.nodes.items():
        gone = not node.name
        made.add_scatter(
            x=[depth[run]],
            y=[-rows[run]],
            mode="markers+text",
            text=[_label(run, node.generation, gone)],
            textposition="bottom center",
            cliponaxis=False,
            marker={"size": 20 if run == here else 14, "color": palette.NEUTRAL if gone else palette.VERMILLION, "symbol": "x" if gone else "circle"},
            hovertemplate=f"{charts.label(node.name or 'not here', 60)}<br>{charts.label(run)}<extra></extra>",
        )  # fmt: skip
    listed = [
        {
            "run": run,
            "name": node.name or "not here",
            "status": node.status.replace("_", " ") or figures.NOTHING,
            "generation": str(node.generation or figures.NOTHING),
            "taught by a student of": node.teacher or figures.NOTHING,
            "follows from": node.parent or figures.NOTHING,
        }
        for run, node in family.nodes.items()
    ]
    return made, pd.DataFrame(listed)


def _label(run: str, generation: int | None, gone: bool) -> str:
    tail = "not here" if gone else f"generation {generation}" if generation else "no teacher yet"
    return f"{charts.label(run[-6:])}<br>{tail}"


def _depths(family: Family) -> dict[str, int]:
    """Longest way from a run without ancestors; rings are cut after as many steps as there are runs."""
    depth = dict.fromkeys(family.nodes, 0)
    for _ in family.nodes:
        for start, end, _link in family.edges:
            if start in depth and end in depth:
                depth[end] = min(max(depth[end], depth[start] + 1), len(family.nodes))
    return depth
