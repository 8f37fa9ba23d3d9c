"""What the page Alternatives draws: the methods table, the scores, and quality against speed with the published boxes."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from auditor.alternatives import CRITERIA, METHODS, Method, Recommendation
from auditor.expectations import Expectation, expected
from auditor.types import Measure
from distill.spec import RunSpec
from pages.ui import charts, figures, palette, words
from pages.ui.cache import Audited
from pages.ui.compare_charts import arm_label, arms_of, kind_of

NOT_TRIED = "no such arm in this run"


def method_table(audit: Audited, spec: RunSpec) -> pd.DataFrame:
    """The article's methods, a row for each arm of the method: published, measured here, and what making it cost."""
    rows = []
    for method in METHODS:
        arms = [arm for arm in arms_of(audit, spec) if kind_of(spec, arm) in method.kinds]
        rows += [_row(audit, spec, method, arm) for arm in arms] or [_row(audit, spec, method, None)]
    return pd.DataFrame(rows)


def _row(audit: Audited, spec: RunSpec, method: Method, arm: str | None) -> dict[str, str]:
    def measured(name: str) -> str:
        return figures.NOTHING if arm is None else words.with_interval(audit.measure(name, arm))

    return {
        "method": method.name,
        "arm": NOT_TRIED if arm is None else arm_label(spec, arm),
        "kept, published": _span(method, "accuracy_retention") or figures.NOTHING,
        "kept, measured": measured("accuracy_retention"),
        "speed, published": _span(method, "latency_speedup") or method.published_speed,
        "speed, measured": measured("latency_speedup"),
        "cost of making, published": method.published_cost,
        "cost of making, measured": figures.NOTHING if arm is None else _making(audit, arm),
        "best for, published": method.best_for,
    }


def _range(method: Method, measure: str) -> Expectation | None:
    """The article's range over many systems."""
    claims = [claim for kind in method.kinds for claim in expected(measure, kind) if not claim.single]
    return claims[0] if claims else None


def _span(method: Method, measure: str) -> str:
    claim = _range(method, measure)
    return claim.span if claim else ""


def _making(audit: Audited, arm: str) -> str:
    """'1 min 40 s · 0.6 Wh (estimate) · 10,000 synthetic labels': what is known of it."""
    seconds, energy = audit.measure("making_seconds", arm), audit.measure("making_energy_kwh", arm)
    labels = [(audit.measure(f"making_{kind}_labels", arm), kind) for kind in ("human", "synthetic")]
    pieces = [figures.duration(seconds.value)] if seconds else []
    pieces += [f"{figures.figure(figures.scaled(energy.value, 1000))} Wh (estimate)"] if energy else []
    pieces += [f"{figures.count(found.value)} {kind} labels" for found, kind in labels if found and found.value]
    return " · ".join(pieces) or figures.NOTHING


def score_table(found: Recommendation, spec: RunSpec) -> pd.DataFrame:
    """Every arm's score and its parts, the best first."""
    titles = {one.name: one.title for one in CRITERIA}
    rows: list[dict[str, Any]] = []
    for score in found.scores:
        between = figures.interval(score.low, score.high, places=2, sign=True)
        rows.append(
            {
                "arm": arm_label(spec, score.arm),
                "score": f"{figures.figure(score.value, places=2, sign=True)} {between}",
                **{titles[name]: figures.figure(part, places=2, sign=True) for name, part in score.parts.items()},
            }
        )
    return pd.DataFrame(rows)


def methods_chart(audit: Audited, spec: RunSpec) -> tuple[go.Figure, pd.DataFrame] | None:
    """Quality kept against speed-up, one mark an arm; published ranges of a method as faint boxes."""
    pairs = [(arm, audit.measure("accuracy_retention", arm), audit.measure("latency_speedup", arm)) for arm in arms_of(audit, spec)]  # fmt: skip
    known = [(arm, kept, speed) for arm, kept, speed in pairs if kept is not None and speed is not None]
    if not known:
        return None
    made = charts.figure(
        height=420,
        xaxis=charts.axis("times faster than the teacher, one text", rangemode="tozero"),
        yaxis=charts.axis("quality kept, %"),
        margin={"l": 8, "r": 130, "t": 24, "b": 8},
    )
    charts.line_at(made, y=100, label="teacher, 100 %", side="top left")
    charts.line_at(made, x=1)
    for method in METHODS:
        _box(made, method)
    for arm, kept, speed in known:
        _mark(made, spec, arm, kept, speed)
    table = pd.DataFrame(
        [
            {"arm": arm_label(spec, arm), "kept": words.with_interval(kept), "speed-up": words.with_interval(speed)}
            for arm, kept, speed in known
        ]
    )
    return made, table


def _box(made: go.Figure, method: Method) -> None:
    kept, speed = _range(method, "accuracy_retention"), _range(method, "latency_speedup")
    if kept is None or speed is None:
        return
    colour = palette.colour_of(method.kinds[0])
    made.add_shape(
        type="rect",
        x0=speed.low,
        x1=speed.high,
        y0=kept.low,
        y1=kept.high,
        line={"color": colour, "width": 1, "dash": "dot"},
        fillcolor=colour,
        opacity=0.12,
        layer="below",
    )
    made.add_annotation(
        x=speed.high, y=kept.low, text=f"{method.name}, published", showarrow=False, xanchor="right", yanchor="bottom",
        font={"size": 11, "color": palette.NEUTRAL},
    )  # fmt: skip


def _mark(made: go.Figure, spec: RunSpec, arm: str, kept: Measure, speed: Measure) -> None:
    kind, name = kind_of(spec, arm), charts.label(arm_label(spec, arm))
    made.add_scatter(
        x=[speed.value],
        y=[kept.value],
        mode="markers+text",
        text=[f"  {name}"],
        textposition="middle right",
        cliponaxis=False,
        marker={"size": 13, "color": palette.colour_of(kind), "symbol": palette.symbol_of(kind)},
        error_x=charts.bars(speed.value, speed.low, speed.high),
        error_y=charts.bars(kept.value, kept.low, kept.high),
        hovertemplate=f"<b>{name}</b><br>kept %{{y:.1f}} %<br>%{{x:.2f}} times faster<extra></extra>",
    )
