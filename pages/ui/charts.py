"""Plotly with one look in light and dark. Every chart is followed by a folded table of the same data."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from auditor.types import Measure
from pages.ui.palette import FAINT, FAINT_STRONG, GRID
from pages.ui.text import escaped, one_line

_CONFIG: dict[str, Any] = {"displayModeBar": False, "scrollZoom": False}


def figure(height: int = 340, **layout: Any) -> go.Figure:
    """An empty figure with the house's look. Colours of text and paper come from Streamlit's theme, so both modes work."""
    made = go.Figure()
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 8, "r": 16, "t": 36 if layout.get("title") else 16, "b": 8},
        "hovermode": "closest",
        "hoverlabel": {"namelength": -1},
        "bargap": 0.3,
        "showlegend": False,
        "legend": {
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "xanchor": "left",
            "title": {"text": ""},
        },
        "xaxis": axis(),
        "yaxis": axis(),
    }
    made.update_layout({**base, **layout})
    return made


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with faint grid lines, no zero line (draw one where a difference or ratio is shown) and room for its labels."""
    return {"title": {"text": title}, "gridcolor": GRID, "zeroline": False, "automargin": True, **more}


def line_at(
    figure_: go.Figure, *, x: float | None = None, y: float | None = None, label: str = "", side: str = ""
) -> None:
    """A reference line at ``x`` or ``y`` with its label at its end; ``side`` is 'top', 'bottom' and 'left', 'right' of it."""
    style = {"line_dash": "dot", "line_color": FAINT, "line_width": 1.5}
    if y is not None:
        figure_.add_hline(y=y, annotation_text=label, annotation_position=side or "top right", **style)
    if x is not None:
        figure_.add_vline(x=x, annotation_text=label, annotation_position=side or "top left", **style)


def show(
    figure_: go.Figure, table: pd.DataFrame, *, key: str, says: str, columns: dict[str, Any] | None = None
) -> None:
    """Draw a chart, and its data as a folded table.

    Args:
        figure_: the chart.
        table: the same data, one row a mark, columns named as people say them.
        key: unique on the page.
        says: one sentence for who cannot see the chart.
        columns: Streamlit's column configuration.
    """
    st.plotly_chart(figure_, key=key, config=_CONFIG, alt=says)
    with st.expander("Table", icon=":material/table_rows:", type="compact"):
        frame(table, key=f"{key}_table", columns=columns)


def frame(table: pd.DataFrame, *, key: str, columns: dict[str, Any] | None = None, height: int | None = None) -> None:
    """A table of text and numbers, nothing in it read as Markdown."""
    shown = table.copy()
    for name in shown.columns:
        if not pd.api.types.is_numeric_dtype(shown[name]) and not pd.api.types.is_bool_dtype(shown[name]):
            shown[name] = shown[name].map(lambda v: None if v is None or v is pd.NA else one_line(v, 400))
    st.dataframe(
        shown,
        hide_index=True,
        key=key,
        column_config=columns,
        height=height if height is not None else "auto" if len(shown) > 12 else "content",
    )


def wrapped(table: pd.DataFrame, *, key: str) -> None:
    """A short table whose cells are sentences: they wrap, where :func:`frame` would cut them off. Nothing in it is read as Markdown."""
    with st.container(key=key):
        st.table(table.map(lambda cell: escaped(cell, 400)), border="horizontal", hide_index=True)


def end_labels(figure_: go.Figure, ends: list[tuple[str, float, str]]) -> None:
    """Name lines at their right end, moved apart where they would cover one another.

    Args:
        figure_: with all lines already in it and room in the right margin.
        ends: label, y of the line's end, colour of its dot.
    """
    values = [float(y) for trace in figure_.data for y in trace.y]
    span = (max(values) - min(values)) or 1.0
    gap = 0.085 * span
    placed: list[float] = []
    for label_, y, colour in sorted(ends, key=lambda end: end[1]):
        at = y if not placed else max(y, placed[-1] + gap)
        placed.append(at)
        figure_.add_annotation(
            xref="paper", x=1.01, y=at, text=f"<span style='color:{colour}'>●</span> {label_}", showarrow=False, xanchor="left",
            font={"size": 12},
        )  # fmt: skip
    top = max([max(values), *placed])
    figure_.update_yaxes(range=[min(values) - 0.06 * span, top + 0.06 * span])


def mark_labels(figure_: go.Figure, marks: list[tuple[str, float, float]], pixels: int) -> None:
    """Name marks at their right, moved up where a name would cover another name or a reference line, and beyond a neighbour that it would cover.

    Args:
        figure_: the chart, with everything in it that decides how far its axes reach.
        marks: label, x and y of each mark.
        pixels: height of the plotting area.
    """
    wide, high = _extent(figure_, "x"), _extent(figure_, "y")
    line = 15 * high / pixels  # one line of text, in units of y
    lines = [float(shape.y0) for shape in figure_.layout.shapes if shape.y0 == shape.y1]
    lines += [
        float(y)
        for trace in figure_.data
        for y, size in zip(trace.y, trace.error_x.array or (), strict=False)
        if size > 0.05 * wide
    ]
    across = [(float("nan"), y) for y in lines]
    placed: list[tuple[float, float]] = []
    for name, x, y in sorted(marks, key=lambda mark: mark[2]):
        at = y
        for other_x, other_y in sorted([*placed, *across], key=lambda place: place[1]):
            covered = (
                other_x != other_x or abs(x - other_x) < 0.35 * wide
            )  # a line (no x of its own) runs below every name
            if covered and abs(at - other_y) < (0.5 if other_x != other_x else 1.0) * line:
                at = other_y + (0.6 if other_x != other_x else 1.0) * line
        placed.append((x, at))
        beyond = max(ox for _, ox, oy in marks if (0 <= ox - x < 0.1 * wide and abs(oy - at) < 2 * line) or ox == x)
        figure_.add_annotation(
            x=beyond, y=y, text=name, showarrow=False, xanchor="left", xshift=16, yshift=(at - y) * pixels / high,
            font={"size": 12},
        )  # fmt: skip


def _extent(figure_: go.Figure, axis: str) -> float:
    """How much of ``axis`` the chart shows: its range where one is set, else what lies in it."""
    set_ = figure_.layout[f"{axis}axis"]
    if set_.range is not None:
        return float(set_.range[1] - set_.range[0])
    values = [0.0] if set_.rangemode == "tozero" else []
    for trace in figure_.data:
        values += (shown := [float(v) for v in trace[axis] if v is not None])
        error = trace[f"error_{axis}"]
        for sign, sizes in ((1, error.array), (-1, error.arrayminus)):
            values += [v + sign * float(size) for v, size in zip(shown, () if sizes is None else sizes, strict=False)]
    for shape in figure_.layout.shapes:
        values += [float(shape[f"{axis}{end}"]) for end in (0, 1) if shape[f"{axis}ref"] in (None, axis)]
    return (max(values) - min(values)) or 1.0


def as_percent(measure: Measure) -> tuple[float | None, float | None, float | None]:
    """Value and bounds of a share in per cent, whether the measure is in '%' or a share of 1."""
    factor = 1.0 if measure.unit == "%" else 100.0
    value, low, high = (None if v is None else factor * v for v in (measure.value, measure.low, measure.high))
    return value, low, high


def bars(value: float | None, low: float | None, high: float | None) -> dict[str, Any] | None:
    """Plotly's asymmetric error bar of one point; None where an interval is missing."""
    if value is None or low is None or high is None:
        return None
    return whiskers([value], [low], [high])


def whiskers(values: list[float], lows: list[float], highs: list[float]) -> dict[str, Any]:
    """Plotly's asymmetric error bars of several points."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, high - value) for value, high in zip(values, highs, strict=True)],
        "arrayminus": [max(0.0, value - low) for value, low in zip(values, lows, strict=True)],
        "thickness": 1.4,
        "width": 3,
        "color": FAINT_STRONG,
    }


def label(value: object, limit: int = 40) -> str:
    """Text from data for a plotly label: plotly reads a few HTML tags, so the angle brackets and ampersands are written out."""
    return one_line(value, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
