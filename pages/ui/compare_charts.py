"""The charts of Compare, made from an audit. Each function gives a figure and the table of the same data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from auditor.types import Measure
from distill.export import Verified
from distill.spec import LANGUAGE_MODELS, RunSpec
from distill.store import TEACHER
from pages.ui import charts, figures, palette, words
from pages.ui.cache import Audited

Drawn = tuple[go.Figure, pd.DataFrame]


def kind_of(spec: RunSpec, arm: str) -> str:
    """The kind of an arm; the teacher is its own."""
    return next((each.kind for each in spec.arms if each.name == arm), arm)


def arm_label(spec: RunSpec, arm: str) -> str:
    """What an arm is called on a page: plain words for a kind that carries no name of its own."""
    kind = kind_of(spec, arm)
    return words.arm_name(arm) if arm == kind else arm


def arms_of(audit: Audited, spec: RunSpec) -> list[str]:
    """Arms of the run that have measures, the teacher first."""
    measured = set(audit.arms())
    return [TEACHER, *(arm.name for arm in spec.arms if arm.name in measured)]


def by_group(audit: Audited, spec: RunSpec, found: list[Measure], named: Callable[[str], str]) -> pd.DataFrame:
    """One row a group of the measures ``found``, one column an arm; ``named`` says what a group is called."""
    rows = []
    for group in dict.fromkeys(m.group for m in found):
        of = {m.arm: m for m in found if m.group == group}
        cells = {arm_label(spec, arm): words.with_interval(of.get(arm)) for arm in arms_of(audit, spec)}
        rows.append({"set": named(str(group)), "n": max(m.n for m in of.values()), **cells})
    return pd.DataFrame(rows)


def arms_chart(audit: Audited, spec: RunSpec) -> Drawn | None:
    """Quality kept against latency, one mark an arm, area = cost; the teacher is the line at 100 %."""
    rows = [row for arm in arms_of(audit, spec) if (row := _arm_row(audit, arm)) is not None]
    if len(rows) < 2:
        return None
    writes = spec.task == LANGUAGE_MODELS
    made = charts.figure(
        height=390,
        xaxis=charts.axis(
            "time of one token, p50, ms" if writes else "latency of one text, p50, ms", rangemode="tozero"
        ),
        yaxis=charts.axis("teacher's tokens chosen, %" if writes else "quality kept, %"),
        margin={"l": 8, "r": 130, "t": 24, "b": 8},
    )
    charts.line_at(made, y=100, label="teacher, 100 %", side="top left")
    dearest = max((row["cost"] or 0.0 for row in rows), default=0.0)
    for row in rows:
        kind = kind_of(spec, row["arm"])
        share = (row["cost"] or dearest) / dearest if dearest else 0.5
        made.add_scatter(
            x=[row["latency"]],
            y=[row["kept"][0]],
            mode="markers",
            cliponaxis=False,
            marker={
                "size": 11 + 19 * share**0.5,
                "color": palette.colour_of(kind),
                "symbol": palette.symbol_of(kind),
                "opacity": 0.92,
                "line": {"width": 1, "color": palette.colour_of(kind)},
            },
            error_y=charts.bars(*row["kept"]),
            hovertemplate=f"<b>{charts.label(arm_label(spec, row['arm']))}</b><br>kept %{{y:.1f}} %<br>p50 %{{x:.3g}} ms<br>"
            f"{figures.money(row['cost'])} per 1,000<extra></extra>",
        )
    marks = [(charts.label(arm_label(spec, row["arm"])), row["latency"], row["kept"][0]) for row in rows]
    charts.mark_labels(made, marks, pixels=290)
    return made, arms_table(audit, spec)


def _arm_row(audit: Audited, arm: str) -> dict[str, Any] | None:
    latency = audit.measure("latency_p50_ms", arm) or audit.measure("time_per_output_token_p50_ms", arm)
    kept = (100.0, None, None) if arm == TEACHER else _kept(audit, arm)
    if latency is None or latency.value is None or kept is None or kept[0] is None:
        return None
    cost = audit.measure(ranked_cost(audit), arm)
    return {"arm": arm, "latency": latency.value, "kept": kept, "cost": cost.value if cost else None}


def ranked_cost(audit: Audited) -> str:
    """The measure that arms are ranked by where money counts: running and errors together where the reader has given prices of errors."""
    return "total_cost_per_1k" if audit.measure("total_cost_per_1k", TEACHER) else "cost_per_1k"


def _kept(audit: Audited, arm: str) -> tuple[float | None, float | None, float | None] | None:
    names = ("accuracy_retention", "agreement", "token_agreement")
    measure = next((found for name in names if (found := audit.measure(name, arm)) is not None), None)
    return None if measure is None else charts.as_percent(measure)


def arms_table(audit: Audited, spec: RunSpec) -> pd.DataFrame:
    """Every arm in a row, with the figures that the page talks about and their intervals."""
    names = (
        "accuracy", "macro_f1", "accuracy_retention", "agreement", "ece", "latency_p50_ms", "latency_p95_ms",
        "throughput_per_s", "token_agreement", "kl_divergence", "perplexity_on_teacher", "time_to_first_token_p50_ms",
        "time_per_output_token_p50_ms", "tokens_per_s", "cost_per_1k_tokens", "cost_per_1k", "error_cost_per_1k", "total_cost_per_1k",
        "energy_per_1k_wh", "worst_slice", "worst_text_slice", "size_bytes",
    )  # fmt: skip
    rows = []
    for arm in arms_of(audit, spec):
        found = {name: audit.measure(name, arm) for name in names}
        rows.append({"arm": arm_label(spec, arm), **{words.word_of(n).name: _cell(m) for n, m in found.items()}})
    table = pd.DataFrame(rows)
    return table[[c for c in table.columns if c == "arm" or (table[c] != figures.NOTHING).any()]]


def exported_table(found: Sequence[tuple[str, Verified]], spec: RunSpec) -> pd.DataFrame:
    """Exported models, one a row: whether they answer as their arm does, and how they do by themselves."""
    return pd.DataFrame(
        [
            {
                "arm": arm_label(spec, one.arm),
                "format": one.format,
                "the arm's label": f"{figures.figure(100 * one.agreement, places=2)} % of {figures.count(one.texts)}",
                "probabilities apart, mean / most": f"{one.mean_difference:.1e} / {one.largest_difference:.1e}",
                "first answer, s": figures.figure(one.cold_start_seconds),
                "one text, one thread, ms": figures.figure(one.latency_ms),
                "peak memory": figures.size(one.peak_memory_bytes),
                "on disk": figures.size(one.bytes),
                "exported": at[:16].replace("T", " "),
            }
            for at, one in found
        ]
    )


def _cell(measure: Measure | None) -> str:
    """Figure and interval; of the worst slice also which it is and how many rows it has."""
    where = measure.detail.get("slice") if measure else None
    return words.with_interval(measure) + (f" · {where}, n = {measure.n:,}" if measure and where else "")


def classes_chart(audit: Audited, spec: RunSpec, arm: str, measure: str, limit: int = 25) -> Drawn | None:
    """One measure per class, teacher and arm side by side with intervals; the classes with the largest loss come first."""
    rows = _class_rows(audit, arm, measure)
    if not rows:
        return None
    table = pd.DataFrame(
        [
            {
                "class": name,
                f"teacher, {measure}": words.with_interval(teacher),
                f"{arm_label(spec, arm)}, {measure}": words.with_interval(mine),
                "n": mine.n if mine else None,
            }
            for name, teacher, mine in rows
        ]
    )
    shown = rows[:limit]
    made = charts.figure(
        height=max(240, 90 + 46 * len(shown)),
        showlegend=True,
        barmode="group",
        bargap=0.35,
        xaxis=charts.axis(f"{words.word_of(measure).name}, %", range=[0, 104]),
        yaxis=charts.axis(autorange="reversed", ticklabelstandoff=4),
    )
    columns = {TEACHER: [(name, m) for name, m, _ in shown], arm: [(name, m) for name, _, m in shown]}
    for who, picked in columns.items():
        found = [(charts.label(name, 28), charts.as_percent(m)) for name, m in picked if m is not None]
        made.add_bar(
            y=[name for name, _ in found],
            x=[v[0] for _, v in found],
            orientation="h",
            name=charts.label(arm_label(spec, who)),
            marker={"color": palette.colour_of(kind_of(spec, who)), "opacity": 0.9},
            error_x=charts.whiskers(
                [v[0] or 0 for _, v in found],
                [v[1] if v[1] is not None else v[0] or 0 for _, v in found],
                [v[2] if v[2] is not None else v[0] or 0 for _, v in found],
            ),
            hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        )
    return made, table


def _class_rows(audit: Audited, arm: str, measure: str) -> list[tuple[str, Measure | None, Measure | None]]:
    groups = audit.groups(measure, "class=")
    rows = [
        (g.removeprefix("class="), audit.measure(measure, TEACHER, g), audit.measure(measure, arm, g)) for g in groups
    ]

    def lost(row: tuple[str, Measure | None, Measure | None]) -> float:
        before, after = (m.value if m is not None and m.value is not None else 0.0 for m in row[1:])
        return after - before

    return sorted(rows, key=lost) if len(rows) > 6 else rows


def confusion_chart(rows: Sequence[dict[str, Any]], spec: RunSpec, arm: str, limit: int = 12) -> Drawn | None:
    """The confusion matrices of teacher and arm side by side on one colour scale: share of each true class."""
    frame = pd.DataFrame([row for row in rows if row["arm"] in (TEACHER, arm)])
    if frame.empty:
        return None
    sums = frame[frame["arm"] == frame["arm"].iloc[0]].groupby("true", sort=False)["count"].sum()
    order = list(sums.index) if len(sums) <= limit else list(sums.sort_values(ascending=False).index[:limit])
    who = [name for name in (TEACHER, arm) if (frame["arm"] == name).any()]
    made = make_subplots(
        1, len(who), shared_yaxes=True, horizontal_spacing=0.06,
        subplot_titles=[charts.label(arm_label(spec, name)) for name in who],
    )  # fmt: skip
    for column, name in enumerate(who, start=1):
        part = frame[frame["arm"] == name]
        share = part.pivot_table(index="true", columns="predicted", values="share").reindex(index=order, columns=order)
        counts = part.pivot_table(index="true", columns="predicted", values="count").reindex(index=order, columns=order)
        made.add_heatmap(
            z=100 * share.to_numpy(),
            x=[charts.label(label, 18) for label in order],
            y=[charts.label(label, 18) for label in order],
            customdata=counts.to_numpy(),
            coloraxis="coloraxis",
            hovertemplate="true %{y}, predicted %{x}: %{z:.1f} %, about %{customdata:.0f} texts<extra></extra>",
            xgap=2,
            ygap=2,
            row=1,
            col=column,
        )
        _cell_figures(made, 100 * share.to_numpy(), [charts.label(label, 18) for label in order], column)
    made.update_annotations(font_size=13)
    made.update_layout(
        height=110 + 46 * min(max(len(order), 3), 10),
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        coloraxis={
            "colorscale": [[0, "rgba(0,114,178,0.04)"], [1, palette.BLUE]], "cmin": 0, "cmax": 100, "showscale": False
        },
    )  # fmt: skip
    made.update_xaxes(title="predicted", showgrid=False, automargin=True)
    made.update_yaxes(autorange="reversed", showgrid=False, automargin=True)
    made.update_yaxes(title="true", row=1, col=1)
    table = frame.assign(arm=[arm_label(spec, name) for name in frame["arm"]], share=(100 * frame["share"]).round(1))
    return made, table.rename(columns={"share": "share, %"})


def _cell_figures(made: go.Figure, shares: Any, names: list[str], column: int) -> None:
    """Write the shares into the cells: white on the dark ones, in the theme's own colour on the pale ones."""
    for dark in (True, False):
        cells = [
            (x, y, f"{shares[i][j]:.0f}")
            for i, y in enumerate(names)
            for j, x in enumerate(names)
            if shares[i][j] == shares[i][j] and bool(shares[i][j] > 45) is dark
        ]
        xs, ys, texts = ([cell[k] for cell in cells] for k in range(3))
        font = {"color": "white"} if dark else None
        made.add_scatter(
            x=xs, y=ys, text=texts, mode="text", textfont=font, hoverinfo="skip", showlegend=False, row=1, col=column
        )


def reliability_chart(rows: Sequence[dict[str, Any]], spec: RunSpec, arms: Sequence[str], scaled: bool) -> Drawn | None:
    """Accuracy against confidence, one panel an arm on the same axes; on the dotted line a model is as right as it says."""
    frame = pd.DataFrame([row for row in rows if row["arm"] in arms and bool(row["scaled"]) is scaled])
    if frame.empty:
        return None
    who = [arm for arm in arms if (frame["arm"] == arm).any()]
    made = make_subplots(
        1, len(who), shared_yaxes=True, horizontal_spacing=0.05,
        subplot_titles=[charts.label(arm_label(spec, name)) for name in who],
    )  # fmt: skip
    for column, name in enumerate(who, start=1):
        part = frame[frame["arm"] == name].sort_values("confidence")
        colour = palette.colour_of(kind_of(spec, name))
        made.add_scatter(
            x=[0, 100], y=[0, 100], mode="lines", line={"color": palette.FAINT_STRONG, "dash": "dot", "width": 1.2},
            hoverinfo="skip", row=1, col=column,
        )  # fmt: skip
        made.add_scatter(
            x=100 * part["confidence"],
            y=100 * part["accuracy"],
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"color": colour, "size": 7, "symbol": palette.symbol_of(kind_of(spec, name))},
            error_y=charts.whiskers(*(list(100 * part[c]) for c in ("accuracy", "accuracy_low", "accuracy_high"))),
            customdata=part["n"],
            hovertemplate="says %{x:.0f} %, right in %{y:.0f} %, n = %{customdata:,}<extra></extra>",
            row=1,
            col=column,
        )
    lowest = 100 * float(frame["confidence"].min())
    made.update_annotations(font_size=13)
    made.update_layout(height=330, showlegend=False, margin={"l": 8, "r": 8, "t": 34, "b": 8})
    made.update_xaxes(
        title="confidence, %",
        range=[max(0.0, lowest - 5), 101],
        gridcolor=palette.GRID,
        zeroline=False,
        automargin=True,
    )
    made.update_yaxes(range=[0, 101], gridcolor=palette.GRID, zeroline=False, automargin=True)
    made.update_yaxes(title="right, %", row=1, col=1)
    columns = ["confidence", "accuracy", "accuracy_low", "accuracy_high"]
    table = frame.assign(
        arm=[arm_label(spec, name) for name in frame["arm"]], **{c: (100 * frame[c]).round(1) for c in columns}
    )
    return made, table[["arm", *columns, "n"]].rename(columns={c: f"{c.replace('_', ' ')}, %" for c in columns})


def all_measures(audit: Audited, spec: RunSpec) -> pd.DataFrame:
    """Every measure in a row, as it stands in the audit."""
    return pd.DataFrame(
        [
            {
                "measure": m.name,
                "arm": arm_label(spec, m.arm),
                "group": m.group or "",
                "seed": "mean" if m.seed is None else str(m.seed),
                "value": m.value,
                "low": m.low,
                "high": m.high,
                "unit": m.unit,
                "n": m.n,
                "against": arm_label(spec, m.versus) if m.versus else "",
            }
            for m in audit.report.measures
        ]
    )
