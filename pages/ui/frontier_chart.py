"""The frontier: quality kept against how much smaller, faster or cheaper, with the Pareto front, its knee and the claimed limit."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from auditor.frontier import knee, pareto
from distill.spec import RunSpec
from distill.store import TEACHER
from pages.ui import charts, palette, words
from pages.ui.cache import Audited
from pages.ui.compare_charts import arm_label, arms_of, kind_of

AXES = {
    "Size": ("compression", "times smaller on disk"),
    "Speed": ("latency_speedup", "times faster, one text"),
    "Cost": ("cost_saving", "cost saved, %"),
}
CLAIMED = 20.0  # 'no more than 95 % compression without a major drop in quality' is a twentieth of the size


def frontier_chart(audit: Audited, spec: RunSpec, against: str) -> tuple[go.Figure, pd.DataFrame] | None:
    """One mark an arm against ``against`` of :data:`AXES`; None with fewer than two arms that have both figures."""
    name, title = AXES[against]
    rows = []
    for arm in arms_of(audit, spec):
        kept, gain = audit.measure("accuracy_retention", arm), audit.measure(name, arm)
        if arm != TEACHER and kept and gain and kept.value is not None and gain.value is not None:
            rows.append((arm, gain, kept))
    if len(rows) < 2:
        return None
    x, y = [float(gain.value or 0) for _, gain, _ in rows], [float(kept.value or 0) for _, _, kept in rows]
    front = pareto(x, y)
    bend = knee([x[place] for place in front], [y[place] for place in front])
    made = charts.figure(height=400, xaxis=charts.axis(title), yaxis=charts.axis("quality kept, %"))
    charts.line_at(made, y=100, label="teacher, 100 %", side="top left")
    if against == "Size" and max(x) > CLAIMED / 2:
        charts.line_at(made, x=CLAIMED, label="published limit, 95 % smaller", side="top left")
    made.add_scatter(x=[x[p] for p in front], y=[y[p] for p in front], mode="lines", line={"dash": "dot"}, hoverinfo="skip")  # fmt: skip
    for place, (arm, _, kept) in enumerate(rows):
        kind = kind_of(spec, arm)
        made.add_scatter(
            x=[x[place]],
            y=[y[place]],
            mode="markers",
            marker={"size": 11, "color": palette.colour_of(kind), "symbol": palette.symbol_of(kind)},
            error_y=charts.bars(*charts.as_percent(kept)),
            hovertemplate=f"<b>{charts.label(arm_label(spec, arm))}</b><br>kept %{{y:.1f}} %, %{{x:.3g}}<extra></extra>",
        )
    marks = [(charts.label(arm_label(spec, rows[p][0])), x[p], y[p]) for p in front]
    charts.mark_labels(made, marks, pixels=240)
    places = {place: "knee" if bend is not None and front[bend] == place else "front" for place in front}
    table = [
        {
            "arm": arm_label(spec, arm),
            "kept": words.with_interval(kept),
            title: words.with_interval(gain),
            "on the front": places.get(place, ""),
        }
        for place, (arm, gain, kept) in enumerate(rows)
    ]
    return made, pd.DataFrame(table)
