"""What the page Alternatives draws: the methods table, the scores, and quality against speed with the published boxes."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from auditor.alternatives import CRITERIA, METHODS, Method, Recommendation, method_of
from auditor.expectations import Expectation, expected
from auditor.types import Measure
from distill.energy import NO_METER
from distill.spec import RunSpec
from pages.ui import charts, figures, palette, words
from pages.ui.cache import Audited
from pages.ui.compare_charts import arm_label, arms_of, kind_of

NOT_TRIED = "no such arm in this run"


def method_table(audit: Audited, spec: RunSpec) -> pd.DataFrame:
    """The article's methods, a row for each arm of the method: what was published, what was measured here, what making it took here."""
    rows = []
    for method in METHODS:
        known = {arm.name: arm for arm in spec.arms}
        arms = [arm for arm in arms_of(audit, spec) if arm in known and method_of(spec, known[arm]) == method.name]
        for number, arm in enumerate(arms or [None]):
            named = {"method": method.name, "published": _published(method)} if number == 0 else {}
            rows.append(
                {
                    "method": named.get("method", ""),
                    "published": named.get("published", ""),
                    "arm": NOT_TRIED if arm is None else arm_label(spec, arm),
                    "measured here, with 95 % interval": figures.NOTHING if arm is None else _measured(audit, arm),
                    "training cost, measured": figures.NOTHING if arm is None else _making(audit, arm),
                }
            )
    return pd.DataFrame(rows)


def _published(method: Method) -> str:
    """'keeps 89-93 % · 3-7× faster · training cost high (needs teacher output) · best for reasoning, general tasks'."""
    if not method.published_cost:
        return "the article says nothing of it"
    kept, speed = _span(method, "accuracy_retention"), _span(method, "latency_speedup")
    pieces = [f"keeps {kept}" if kept else "", f"{speed} faster" if speed else f"speed gain {method.published_speed}"]
    pieces += [f"training cost {method.published_cost}", f"best for {method.best_for}"]
    return " · ".join(piece for piece in pieces if piece)


def _measured(audit: Audited, arm: str) -> str:
    """'keeps 98.5 % [97.5, 99.6] · 2.99× [2.9, 3.12] as fast · 0.12 Wh [0.11, 0.13] for 1,000 answers (estimate)'."""
    kept, speed = audit.measure("accuracy_retention", arm), audit.measure("latency_speedup", arm)
    energy = audit.measure("energy_per_1k_wh", arm)
    pieces = [f"keeps {words.with_interval(kept)}"] if kept else []
    pieces += [f"{words.with_interval(speed)} as fast"] if speed else []
    if energy:
        estimate = " (estimate)" if energy.detail.get("estimate", True) else ""
        wh = f"{figures.figure(energy.value)} Wh {figures.interval(energy.low, energy.high)}"
        pieces.append(f"{wh} for 1,000 answers{estimate}")
    return " · ".join(pieces) or "not measured"


def _range(method: Method, measure: str) -> Expectation | None:
    """The article's range over many systems."""
    claims = [claim for kind in method.kinds for claim in expected(measure, kind) if not claim.single]
    return claims[0] if claims else None


def _span(method: Method, measure: str) -> str:
    claim = _range(method, measure)
    return claim.span if claim else ""


def _making(audit: Audited, arm: str) -> str:
    """'1 min 40 s · 0.6 Wh (estimate, no meter) · no human labels of its own · 10,000 synthetic labels': what is known of it."""
    seconds, energy = audit.measure("making_seconds", arm), audit.measure("making_energy_kwh", arm)
    human, synthetic = (audit.measure(f"making_{kind}_labels", arm) for kind in ("human", "synthetic"))
    pieces = [figures.duration(seconds.value)] if seconds else []
    if energy:
        estimate = f" ({NO_METER})" if energy.detail.get("estimate", True) else ""
        pieces.append(f"{figures.figure(figures.scaled(energy.value, 1000))} Wh{estimate}")
    pieces += (
        [f"{figures.count(human.value)} human labels" if human.value else "no human labels of its own"] if human else []
    )
    if synthetic and synthetic.value:
        pieces.append(f"{figures.count(synthetic.value)} synthetic labels{_behind(synthetic)}")
    return " · ".join(pieces) or figures.NOTHING


def _behind(synthetic: Measure) -> str:
    """' (0.05 Wh; made by a teacher trained on 12,000 human labels)': what it took to have the labels, for all arms together."""
    wh, human = (
        figures.scaled(synthetic.detail.get("labelling_kwh"), 1000),
        synthetic.detail.get("teacher_human_labels"),
    )
    pieces = [f"{figures.figure(wh)} Wh"] if wh is not None else []
    pieces += [f"made by a teacher trained on {figures.count(human)} human labels"] if human else []
    return f" ({'; '.join(pieces)})" if pieces else ""


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


def error_cost_table(audit: Audited, spec: RunSpec) -> pd.DataFrame:
    """What errors and running cost by the user's prices, the cheapest arm first."""
    names = ("total_cost_per_1k", "error_cost_per_1k", "error_cost_difference", "cost_per_1k")
    arms = [(arm, found.value) for arm in arms_of(audit, spec) if (found := audit.measure(names[0], arm))]
    ordered = sorted(arms, key=lambda pair: pair[1] or 0.0)
    return pd.DataFrame(
        [
            {"arm": arm_label(spec, arm)}
            | {words.word_of(name).name: words.with_interval(audit.measure(name, arm)) for name in names}
            for arm, _ in ordered
        ]
    )


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
    marks = [(charts.label(arm_label(spec, arm)), speed.value or 0.0, kept.value or 0.0) for arm, kept, speed in known]
    charts.mark_labels(made, marks, pixels=300)
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
        mode="markers",
        cliponaxis=False,
        marker={"size": 13, "color": palette.colour_of(kind), "symbol": palette.symbol_of(kind)},
        error_x=charts.bars(speed.value, speed.low, speed.high),
        error_y=charts.bars(kept.value, kept.low, kept.high),
        hovertemplate=f"<b>{name}</b><br>kept %{{y:.1f}} %<br>%{{x:.2f}} times faster<extra></extra>",
    )


def cascade_chart(audit: Audited, spec: RunSpec) -> tuple[go.Figure, pd.DataFrame] | None:
    """Accuracy of student and teacher together against the share that goes to the teacher; the chosen point is marked."""
    rows = audit.table("cascade", "curve")
    if not rows:
        return None
    made = charts.figure(
        height=320,
        xaxis=charts.axis("passed on to the teacher, %", range=[-3, 103]),
        yaxis=charts.axis("accuracy, %"),
    )
    colour = palette.colour_of(kind_of(spec, spec.candidate))
    made.add_scatter(
        x=[100 * row["deferred"] for row in rows],
        y=[100 * row["accuracy"] for row in rows],
        mode="lines+markers",
        marker={"size": 5},
        line={"color": colour},
        hovertemplate="%{x:.0f} % passed on: %{y:.1f} %<extra></extra>",
    )
    share, accuracy = (audit.measure(f"cascade_{name}", spec.candidate) for name in ("deferred", "accuracy"))
    if share is not None and accuracy is not None:
        made.add_scatter(
            x=[100 * (share.value or 0)],
            y=[100 * (accuracy.value or 0)],
            mode="markers+text",
            text=["chosen on dev"],
            textposition="bottom right" if (share.value or 0) < 0.5 else "bottom left",
            marker={"size": 13, "symbol": "diamond", "color": colour},
            hoverinfo="skip",
        )
    return made, pd.DataFrame(
        [
            {
                "threshold": figures.figure(min(1.0, row["threshold"])),
                "passed on": figures.percent(row["deferred"]),
                "accuracy": figures.percent(row["accuracy"]),
                "mean time, ms": figures.figure(row["latency_ms"]),
            }
            for row in rows
        ]
    )


def deferred_table(audit: Audited, spec: RunSpec) -> pd.DataFrame:
    """Share passed on to the teacher in each group."""
    groups = audit.groups("cascade_deferred")
    found = [(group, audit.measure("cascade_deferred", spec.candidate, group)) for group in groups]
    return pd.DataFrame(
        [
            {"group": group.replace("=", ": "), "passed on": words.with_interval(share), "texts": share.n}
            for group, share in found
            if share is not None
        ]
    )


def labels_chart(audit: Audited, spec: RunSpec) -> tuple[go.Figure, pd.DataFrame] | None:
    """Accuracy of fine-tuning minus the candidate's against the number of human labels (logarithmic)."""
    rows = audit.table("data_efficiency", "curve")
    if not rows:
        return None
    budgets = [row["labels"] for row in rows]
    made = charts.figure(
        height=320,
        xaxis=charts.axis("human labels", type="log", tickvals=budgets, ticktext=[figures.count(n) for n in budgets]),
        yaxis=charts.axis("points over the candidate"),
    )
    charts.line_at(made, y=0, label=charts.label(arm_label(spec, spec.candidate)), side="top left")
    points = [[100 * row[name] for row in rows] for name in ("difference", "low", "high")]
    colour = palette.colour_of("fine_tuned")
    made.add_scatter(
        x=budgets,
        y=points[0],
        mode="lines+markers",
        marker={"size": 9, "color": colour, "symbol": palette.symbol_of("fine_tuned")},
        line={"color": colour},
        error_y=charts.whiskers(*points),
        hovertemplate="%{x:,} labels: %{y:+.1f} points<extra></extra>",
    )
    return made, pd.DataFrame(
        [
            {
                "human labels": figures.count(row["labels"]),
                "against the candidate": f"{figures.points(row['difference'])} {figures.percent_interval(row['low'], row['high'], sign=True)}",
            }
            for row in rows
        ]
    )
