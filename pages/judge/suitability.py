"""Suitability: which tasks does a recipe suit?"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from auditor.suite import Line, summary
from distill.suite import records
from pages.ui import cache, charts, frame, palette, parts, words
from pages.ui.page import PageInfo
from pages.ui.text import escaped, one_line

PAGE = PageInfo(
    group="Judge",
    title="Suitability",
    icon=":material/checklist:",
    order=60,
    url_path="suitability",
    question="Which tasks does this recipe suit?",
)


def render() -> None:
    """Draw the page."""
    frame.heading(PAGE)
    found = records(cache.workspace())
    if not found:
        parts.empty(
            "No suite yet.",
            "A suite runs one recipe over several tasks. Start the ready one: `heirloom suite specs/suite.yaml`.",
        )
        return
    names = {record.id: f"{one_line(record.name, 60)} · {record.made_at[:10]}" for record in found}
    chosen = st.selectbox("Suite", list(names), format_func=names.__getitem__, key="suite")
    record = next(one for one in found if one.id == chosen)
    lines = summary(cache.store(), record)
    known = [line for line in lines if line.retention is not None and line.retention.value is not None]
    with st.container(border=True, key="suite_answer"):
        st.subheader(escaped(_sentence(lines, known), 500), anchor=False)
    if known:
        st.caption(
            "Left the accuracy kept of the teacher's, the best first; right the student's own accuracy, beside it its teacher's (|) and that of "
            "always saying the commonest label (×). With 95 % intervals; each task is a run of its own. Diamonds are legal, medical and "
            "multi-step tasks; where a mark is open, the teacher itself is at chance."
        )
        charts.show(_chart(known), _table(lines), key="suite_kept", says="Quality kept of each task, ordered.")
    else:
        charts.frame(_table(lines), key="suite_lines")
    for line in lines:
        if line.remark:
            told = f"**{escaped(line.task)}**: {escaped(line.remark, 400)}"
            if line.warned:
                st.warning(told, icon=":material/warning:")
            else:
                st.caption(told)


def _sentence(lines: list[Line], known: list[Line]) -> str:
    """The answer: most and least kept, among the tasks of which what is kept says something."""
    telling = [line for line in known if not line.at_chance]
    more = []
    if len(telling) < len(known):
        noun = "task" if len(known) - len(telling) == 1 else "tasks"
        more.append(
            f"On {len(known) - len(telling)} {noun} the teacher itself is at chance, so what is kept says nothing."
        )
    if len(known) < len(lines):
        more.append(f"{len(lines) - len(known)} tasks have no figure yet.")
    if not known:
        return f"None of {len(lines)} tasks has been measured yet."
    if not telling:
        return " ".join(["Nothing can be said yet.", *more])
    first, last = telling[0], telling[-1]
    if len(telling) == 1:
        said = f"'{first.task}' keeps {words.with_interval(first.retention)}."
    else:
        said = f"It keeps most on '{first.task}', {words.with_interval(first.retention)}, and least on '{last.task}', {words.with_interval(last.retention)}."
    return " ".join([said, *more])


def _chart(known: list[Line]) -> go.Figure:
    """Left what is kept of the teacher, right what the student can do by itself; one line a task, in the same order."""
    made = charts.figure(
        height=110 + 46 * len(known),
        margin={"l": 8, "r": 16, "t": 32, "b": 8},
        xaxis=charts.axis("quality kept, %", domain=[0, 0.48]),
        xaxis2=charts.axis("the student's own accuracy, %", domain=[0.54, 1], range=[0, 103], anchor="y"),
        yaxis=charts.axis(autorange="reversed"),
    )
    names = [charts.label(f"{line.task} ({line.domain})") for line in known]
    look = {
        "size": 11,
        "color": [palette.VERMILLION if line.domain == "general" else palette.PURPLE for line in known],
        "symbol": [
            ("circle" if line.domain == "general" else "diamond") + ("-open" if line.at_chance else "")
            for line in known
        ],
    }
    for panel, measures in (("x", [line.retention for line in known]), ("x2", [line.student for line in known])):
        spans = [charts.as_percent(one) if one else (None, None, None) for one in measures]
        values = [[span[place] or 0.0 for span in spans] for place in range(3)]
        made.add_scatter(
            x=[span[0] for span in spans],
            y=names,
            xaxis=panel,
            mode="markers",
            marker=look,
            error_x=charts.whiskers(*values),
            hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        )
    _references(made, known, names)
    charts.line_at(made, x=100)
    made.add_annotation(x=100, y=1, yref="paper", yanchor="bottom", text="teacher", showarrow=False)
    return made


def _references(made: go.Figure, known: list[Line], names: list[str]) -> None:
    """Beside the student's level its teacher's, and what always saying the commonest label would reach."""
    for symbol, says, values in (
        ("line-ns-open", "teacher", [charts.as_percent(line.teacher)[0] if line.teacher else None for line in known]),
        (
            "x-thin-open",
            "always the commonest label",
            [None if line.commonest is None else 100 * line.commonest for line in known],
        ),
    ):
        colour = palette.colour_of("teacher") if says == "teacher" else palette.NEUTRAL
        made.add_scatter(
            x=values,
            y=names,
            xaxis="x2",
            mode="markers",
            marker={"symbol": symbol, "size": 12, "color": colour, "line": {"width": 2, "color": colour}},
            hovertemplate=f"%{{y}}, {says}: %{{x:.1f}} %<extra></extra>",
        )


def _table(lines: list[Line]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "task": line.task,
                "domain": line.domain,
                "status": line.status.replace("_", " "),
                "kept": words.with_interval(line.retention),
                "student": words.with_interval(line.student),
                "teacher": words.with_interval(line.teacher),
                "always the commonest label": "" if line.commonest is None else f"{100 * line.commonest:.1f} %",
                "run": line.run,
            }
            for line in lines
        ]
    )
