"""The charts of Bias, made from an audit. Each function gives a figure and the table of the same data, or None."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from auditor.types import Measure
from distill.spec import RunSpec
from distill.store import TEACHER
from pages.ui import charts, figures, palette
from pages.ui.cache import Audited
from pages.ui.compare_charts import arm_label, arms_of, kind_of

Drawn = tuple[go.Figure, pd.DataFrame]
PEOPLE, SYNTHETIC = "people", "synthetic labels"
FOUR_FIFTHS = 0.8
RATES = ("selection rate", "impact ratio", "accuracy", "macro F1")


def gap_chart(audit: Audited, spec: RunSpec) -> Drawn | None:
    """The gender gap of every arm with its interval; the teacher's as a line to compare with."""
    found = [(arm, audit.measure("gender_bias", arm)) for arm in arms_of(audit, spec)]
    rows = [(arm_label(spec, arm), kind_of(spec, arm), m) for arm, m in found if m is not None]
    teacher = audit.measure("gender_bias", TEACHER)
    return _dots(rows, "gender gap G, probability", None if teacher is None else teacher.value)


def ledger_chart(audit: Audited, spec: RunSpec) -> Drawn | None:
    """Label-gender association along the way: people, teacher, synthetic labels, arms."""
    way = [PEOPLE, TEACHER, SYNTHETIC, *(arm for arm in arms_of(audit, spec) if arm != TEACHER)]
    found = [(line, audit.measure("label_gender_association", line)) for line in way]
    kinds = {PEOPLE: "people", SYNTHETIC: TEACHER}
    rows = [(arm_label(spec, line), kinds.get(line, kind_of(spec, line)), m) for line, m in found if m is not None]
    people = audit.measure("label_gender_association", PEOPLE)
    return _dots(rows, "label-gender association, Cramér's V", None if people is None else people.value)


def _dots(rows: Sequence[tuple[str, str, Measure]], title: str, reference: float | None) -> Drawn | None:
    """One dot a row with its interval, the first on top; a line at ``reference``."""
    if not rows:
        return None
    made = charts.figure(
        height=80 + 40 * len(rows),
        xaxis=charts.axis(title, rangemode="tozero"),
        yaxis=charts.axis(autorange="reversed", showgrid=False),
        margin={"l": 8, "r": 60, "t": 22, "b": 8},
    )
    if reference is not None:
        charts.line_at(made, x=reference)
    for name, kind, measure in rows:
        bounds = charts.bars(measure.value, measure.low, measure.high)
        made.add_scatter(
            x=[measure.value],
            y=[charts.label(name)],
            mode="markers+text",
            text=[f"  {figures.figure(measure.value)}"],
            textposition="top center",
            textfont={"size": 11},
            cliponaxis=False,
            error_x=bounds,
            marker={"size": 10, "color": palette.colour_of(kind), "symbol": palette.symbol_of(kind)},
            hovertemplate=f"{charts.label(name)}: %{{x:.3g}} {figures.interval(measure.low, measure.high)}, n = {measure.n:,}<extra></extra>",
        )
    table = pd.DataFrame(
        [
            {"": name, "value": m.value, "low": m.low, "high": m.high, "n": m.n, "problem": m.detail.get("problem", "")}
            for name, _, m in rows
        ]
    )
    return made, table if table["problem"].astype(bool).any() else table.drop(columns="problem")


def association_chart(rows: Sequence[dict[str, Any]], spec: RunSpec, arm: str, score: str) -> Drawn | None:
    """She − he ``score`` of each occupation against the share of women in it, teacher and arm; the farthest ones are named."""
    frame = pd.DataFrame(rows)
    if frame.empty:
        return None
    frame = frame[frame["arm"].isin((TEACHER, arm))]
    made = charts.figure(
        height=420,
        showlegend=True,
        xaxis=charts.axis("women in the occupation, %", range=[-2, 104]),
        yaxis=charts.axis(score),
        margin={"l": 8, "r": 24, "t": 24, "b": 8},
    )
    charts.line_at(made, y=0.0, label="no gap", side="bottom right")
    for who in (TEACHER, arm):
        points = frame[frame["arm"] == who]
        if points.empty:
            continue
        named = set(points["gap"].abs().nlargest(6).index) if who == arm else set()
        made.add_scatter(
            x=100 * points["share_women"],
            y=points["gap"],
            mode="markers+text",
            text=[charts.label(o, 24) if i in named else "" for i, o in points["occupation"].items()],
            textposition=["middle left" if share > 0.8 else "middle right" for share in points["share_women"]],
            textfont={"size": 11},
            name=charts.label(arm_label(spec, who)),
            customdata=[[charts.label(o)] for o in points["occupation"]],
            marker={
                "size": 8,
                "color": palette.colour_of(kind_of(spec, who)),
                "symbol": palette.symbol_of(kind_of(spec, who)),
                "opacity": 0.85,
            },
            hovertemplate="%{customdata[0]}: %{x:.0f} % women, gap %{y:.4f}<extra></extra>",
        )
    keep = [c for c in ("occupation", "share_women", "gap", "pairs", "arm", "source", "year") if c in frame.columns]
    return made, frame[keep].reset_index(drop=True)


def impact_chart(rows: Sequence[dict[str, Any]], spec: RunSpec, arm: str) -> Drawn | None:
    """Impact ratio of each group of one column, teacher and arm, with the four-fifths line; small groups are grey."""
    frame = pd.DataFrame([row for row in rows if row["arm"] in (TEACHER, arm) and row["impact ratio"] is not None])
    if frame.empty:
        return None
    groups = list(dict.fromkeys(frame["group"]))
    top = max(1.0, float(frame["impact ratio"].max()))
    made = charts.figure(
        height=110 + 40 * len(groups),
        showlegend=True,
        barmode="group",
        xaxis=charts.axis("share of positive labels ÷ the best group's", range=[0, 1.06 * top]),
        yaxis=charts.axis(autorange="reversed", ticklabelstandoff=4),
    )
    for who in (TEACHER, arm):
        mine = frame[frame["arm"] == who]
        colour = palette.colour_of(kind_of(spec, who))
        made.add_bar(
            y=[charts.label(f"{g}, n = {n:,}", 60) for g, n in zip(mine["group"], mine["n"], strict=True)],
            x=mine["impact ratio"],
            orientation="h",
            name=charts.label(arm_label(spec, who)),
            marker={"color": colour, "opacity": [0.3 if small else 0.9 for small in mine["small"]]},
            hovertemplate="%{y}: %{x:.2f}<extra></extra>",
        )
    made.add_vline(
        x=FOUR_FIFTHS, line_dash="dash", line_color=palette.FAINT_STRONG, line_width=1.5,
        annotation_text="four fifths", annotation_position="bottom left",
    )  # fmt: skip
    return made, frame.drop(columns="column").reset_index(drop=True)


def groups_heat(rows: Sequence[dict[str, Any]], spec: RunSpec, arm: str) -> Drawn | None:
    """Groups × measures of one column: the arm's figure in each cell, coloured by how far it is from the mean of all rows."""
    frame = pd.DataFrame([row for row in rows if row["arm"] == arm])
    if frame.empty:
        return None
    names = [c for c in RATES if c in frame.columns]
    names += [c for c in frame.columns if c.startswith(("recall: ", "precision: "))][:8]
    table = frame[names].astype(float)  # in the order of the names under the columns
    weights = frame["n"].to_numpy(dtype=float)
    mean = table.apply(
        lambda column: (column * weights)[column.notna()].sum() / max(1.0, weights[column.notna()].sum())
    )
    away = table - mean
    small = frame["small"].to_numpy(dtype=bool)
    shown = away.copy()
    shown.loc[small] = float("nan")
    text = [
        [figures.figure(v) + ("*" if s else "") for v in row] for row, s in zip(table.to_numpy(), small, strict=True)
    ]
    limit = max(0.05, float(shown.abs().max().max()) if shown.notna().any().any() else 0.05)
    made = charts.figure(height=90 + 34 * len(frame), margin={"l": 8, "r": 8, "t": 30, "b": 8})
    made.add_heatmap(
        z=shown.to_numpy(),
        x=[charts.label(name, 26) for name in names],
        y=[charts.label(f"{g}, n = {n:,}", 60) for g, n in zip(frame["group"], frame["n"], strict=True)],
        customdata=text,
        zmin=-limit,
        zmax=limit,
        colorscale=[[0, "rgba(213,94,0,0.5)"], [0.5, "rgba(127,140,153,0.06)"], [1, "rgba(0,114,178,0.5)"]],
        showscale=False,
        xgap=2,
        ygap=2,
        hoverongaps=True,
        hovertemplate="%{y}, %{x}: %{customdata}<extra></extra>",
    )
    # annotations take the theme's colour of text, which figures inside the cells do not; those of small groups are grey
    for position, (row, is_small) in enumerate(zip(text, small, strict=True)):
        font = {"size": 12, **({"color": palette.NEUTRAL} if is_small else {})}
        for column, figure in enumerate(row):
            made.add_annotation(x=column, y=position, text=figure, showarrow=False, font=font)
    made.update_xaxes(side="top", showgrid=False)
    made.update_yaxes(autorange="reversed", showgrid=False)
    return made, frame.drop(columns="column").reset_index(drop=True)


def pareto_chart(runs: Sequence[tuple[str, str, Audited, RunSpec]], here: str) -> Drawn | None:
    """Quality against the gender gap, one mark an arm of each run of the family; better is up and to the left.

    Args:
        runs: id, what differs in words, audit, spec.
        here: id of the run under inspection, whose marks are filled.
    """
    rows = []
    for run_id, what, audit, spec in runs:
        for arm in arms_of(audit, spec):
            gap = audit.measure("gender_bias", arm)
            quality = audit.measure("accuracy", arm) or audit.measure("agreement", arm)
            if gap is None or quality is None or (arm == TEACHER and run_id != runs[0][0]):
                continue
            told = what if _changed(runs[0][3], spec, arm) else ""
            rows.append((run_id, told, arm_label(spec, arm), kind_of(spec, arm), gap, charts.as_percent(quality)))
    if len(rows) < 2:
        return None
    made = charts.figure(
        height=400,
        xaxis=charts.axis("gender gap G (less is better)", rangemode="tozero"),
        yaxis=charts.axis("quality, %"),
        margin={"l": 8, "r": 150, "t": 24, "b": 8},
    )
    names: list[tuple[str, float, float]] = []
    for run_id, what, name, kind, gap, share in rows:
        symbol = palette.symbol_of(kind)
        label = f"{name}, {what}" if what else name
        if (what or run_id == runs[0][0]) and gap.value is not None and share[0] is not None:
            names.append(
                (charts.label(label, 48), gap.value, share[0])
            )  # an arm that is the same in parent and child: once
        made.add_scatter(
            x=[gap.value],
            y=[share[0]],
            mode="markers",
            cliponaxis=False,
            error_x=charts.bars(gap.value, gap.low, gap.high),
            error_y=charts.bars(*share),
            marker={
                "size": 12,
                "color": palette.colour_of(kind),
                "symbol": symbol if run_id == here or symbol.endswith("-open") else f"{symbol}-open",
                "line": {"width": 1.5, "color": palette.colour_of(kind)},
            },
            hovertemplate=f"{charts.label(label, 80)}: G %{{x:.3g}}, quality %{{y:.1f}} %<extra></extra>",
        )
    charts.mark_labels(made, names, pixels=290)
    table = pd.DataFrame(
        [
            {
                "run": run_id, "differs by": what, "arm": name, "gap G": gap.value, "G low": gap.low, "G high": gap.high,
                "quality, %": share[0], "quality low": share[1], "quality high": share[2],
            }
            for run_id, what, name, _, gap, share in rows
        ]
    )  # fmt: skip
    return made, table


def _changed(head: RunSpec, spec: RunSpec, arm: str) -> bool:
    """True where an arm is not made in the same way as in the head of the family."""
    known = next((each for each in head.arms if each.name == arm), None)
    mine = next((each for each in spec.arms if each.name == arm), None)
    if known is None or mine is None:
        return known is not mine
    return (known, head.training_of(known)) != (mine, spec.training_of(mine))
