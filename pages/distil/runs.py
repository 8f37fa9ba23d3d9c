"""Runs: what has been tried, what is under way?"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from distill.store import Status
from pages.ui import actions, cache, charts, figures, frame, overview, page, palette, parts, people, state, words
from pages.ui.overview import RunLine
from pages.ui.page import PageInfo
from pages.ui.text import escaped, one_line

PAGE = PageInfo(
    group="Distil",
    title="Runs",
    icon=":material/list_alt:",
    order=30,
    url_path="runs",
    question="What has been tried, and what is under way?",
    default=True,
)
PER_PAGE = 20
_SELECTED = "runs_selected"


def render() -> None:
    """Draw the page."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        frame.heading(PAGE)
        if people.may("engineer"):
            page.link("new", "New run", icon=":material/add_circle:")
    lines = overview.run_lines()
    _unreadable()
    if not lines:
        parts.empty(
            "No run yet.",
            "A run teaches a small model what a large one knows, then shows what was kept and what was lost. "
            "Look at your data first, or start at once with a ready data set.",
            to="data",
            label="Choose data",
        )
        return
    shown = _filtered(lines)
    if not shown:
        parts.empty("No run matches.", "Clear the search or the status filter.")
        return
    part = _page_of(shown)
    for line in part:
        _row(line)
    _compare(lines)


def _unreadable() -> None:
    for run_id, error in overview.unreadable_runs():
        st.warning(f"Run {escaped(run_id)} is left out: {escaped(error.message, 400)}", icon=":material/warning:")


def _filtered(lines: list[RunLine]) -> list[RunLine]:
    there = {line.status for line in lines}
    present = [status for status in words.STATUS_MARKS if status in there]
    with st.container(horizontal=True, vertical_alignment="center"):
        wanted = st.text_input(
            "Search runs",
            key="runs_search",
            type="search",
            placeholder="Name or id",
            label_visibility="collapsed",
            width=260,
        )
        statuses = st.pills(
            "Status",
            present,
            selection_mode="multi",
            format_func=lambda s: " ".join(words.STATUS_MARKS[s]),
            key="runs_status",
            label_visibility="collapsed",
        )
    needle = (wanted or "").strip().casefold()
    return [
        line
        for line in lines
        if (not statuses or line.status in statuses) and (needle in line.name.casefold() or needle in line.id)
    ]


def _page_of(lines: list[RunLine]) -> list[RunLine]:
    pages = -(-len(lines) // PER_PAGE)
    number = st.pagination(pages, key=f"runs_page_{pages}") if pages > 1 else 1
    return lines[(number - 1) * PER_PAGE : number * PER_PAGE]


def _row(line: RunLine) -> None:
    with st.container(border=True, key=f"row_{line.id}"):
        pick, what, state_, menu = st.columns([0.35, 4.9, 6.3, 1.55], vertical_alignment="center")
        with pick:
            st.checkbox(
                f"Select {escaped(line.name)} for comparison",
                key=f"pick_{line.id}",
                label_visibility="collapsed",
                disabled=not line.answer,
                value=line.id in state.get(_SELECTED, ()),
            )
        with what, st.container(gap=None, key=f"what_{line.id}"):
            page.link("run", f"**{escaped(line.name, 90)}**", icon=words.STATUS_ICONS[line.status], run=line.id)
            child = f" · follows from {escaped(line.parent)}" if line.parent else ""
            st.caption(f"{escaped(line.id)} · {figures.ago(line.ended)}{child}")
        with menu:
            actions.menu(line)
        with state_:
            page.live(lambda: _state(line.id, line.status), while_active=line.active)


def _state(run_id: str, was: Status) -> None:
    """The right half of a row; redraws itself while the run is active."""
    line = overview.run_line(cache.store().get(run_id))
    if line.status != was:
        st.rerun()
    if line.active:
        actions.keep_runner_alive()
        _moving(line)
    elif line.status == "complete" and line.answer:
        with st.container(horizontal=True, vertical_alignment="center"):
            parts.answer_badge(line.answer)
            st.markdown(_figures(line))
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            parts.status_badge(line.status)
            st.caption(_where(line))


def _where(line: RunLine) -> str:
    """Why and where a run stopped: ``at students, 71 %``."""
    where = (
        f"at {words.STAGE_NAMES.get(line.stage, line.stage)}" if line.stage and line.status != "awaiting_review" else ""
    )
    if where and line.progress is not None and line.progress < 1:
        where += f", {100 * line.progress:.0f} %"
    return " · ".join(piece for piece in (escaped(line.message, 200), where) if piece)


def _moving(line: RunLine) -> None:
    if line.status == "queued":
        with st.container(horizontal=True, vertical_alignment="center"):
            parts.status_badge("queued")
            st.caption("waits for the runner")
        return
    st.progress(line.progress or 0.0, text=overview.progress_text(line))


def _figures(line: RunLine) -> str:
    parts_ = []
    if line.kept:
        noun = "kept" if line.kept.name == "accuracy_retention" else "agrees"
        parts_.append(f"{noun} **{words.written(line.kept)}**")
    if line.speedup:
        parts_.append(f"**{words.written(line.speedup)}** faster")
    if line.money:
        parts_.append(f"errors and running **{figures.money(line.money.value)}** for 1,000")
    if line.bias:
        parts_.append(f"bias {figures.figure(line.bias.value, sign=True)}")
    return " · ".join(parts_)


def _compare(lines: list[RunLine]) -> None:
    audited = [line for line in lines if line.answer]
    if not audited:
        return
    chosen = [line for line in audited if state.widget(f"pick_{line.id}")] or audited[:50]
    some = len(chosen) < len(audited)
    st.subheader("Quality kept against speed", anchor=False)
    st.caption(f"{len(chosen)} selected runs." if some else "All finished runs. Tick runs above to compare only those.")
    plotted = [line for line in chosen if line.kept and line.speedup]
    if plotted:
        charts.show(_plot(plotted), _table(chosen), key="runs_plot", says="Quality kept against speed, one dot a run.")
    else:
        charts.frame(_table(chosen), key="runs_table")


def _plot(lines: list[RunLine]) -> go.Figure:
    fastest = max([1.0, *(line.speedup.value or 1.0 for line in lines if line.speedup)])
    made = charts.figure(
        height=380,
        xaxis=charts.axis("speed at batch 1, teacher = 1×", ticksuffix="×", range=[0.8, 1.3 * fastest]),
        yaxis=charts.axis("quality kept, teacher = 100 %", ticksuffix=" %"),
    )
    charts.line_at(made, y=100, label="teacher, 100 %")
    charts.line_at(made, x=1, label="teacher, 1×")
    symbols = {"yes": "circle", "no": "x", "cannot tell": "diamond-open"}
    for rank, line in enumerate(sorted(lines, key=lambda each: -(each.kept.value or 0.0) if each.kept else 0.0)):
        kept, speed = line.kept, line.speedup
        if kept is None or speed is None:
            continue
        share = charts.as_percent(kept)
        made.add_scatter(
            x=[speed.value],
            y=[share[0]],
            mode="markers+text",
            text=[f" {palette.STATE_MARKS[line.answer]} {charts.label(line.name)}"],
            textposition="top right" if rank % 2 == 0 else "bottom right",  # neighbours do not cover one another
            marker={"size": 12, "symbol": symbols[line.answer], "color": palette.colour_of(line.candidate)},
            error_y=charts.bars(*share),
            error_x=charts.bars(speed.value, speed.low, speed.high),
            hovertemplate=f"{charts.label(line.name, 80)}<br>kept {words.with_interval(kept)}<br>"
            f"{words.with_interval(speed)} faster<extra></extra>",
        )
    return made


def _table(lines: list[RunLine]) -> pd.DataFrame:
    """One row a run; with prices of errors in any of them also money, the cheapest first and runs without prices last."""
    priced = any(line.money for line in lines)
    if priced:
        lines = sorted(
            lines, key=lambda line: line.money.value if line.money and line.money.value is not None else float("inf")
        )
    return pd.DataFrame(
        [
            {
                "run": one_line(line.name),
                "verdict": f"{palette.STATE_MARKS[line.answer]} {words.VERDICT_WORDS[line.answer]}",
                "quality kept": words.with_interval(line.kept),
                "speed": words.with_interval(line.speedup),
                **(_priced(line) if priced else {}),
                "change of gender gap": words.with_interval(line.bias),
                "candidate": words.arm_name(line.candidate),
                "id": line.id,
            }
            for line in lines
        ]
    )


def _priced(line: RunLine) -> dict[str, str]:
    """What errors and running cost by the run's own prices of errors."""
    return {
        words.word_of("total_cost_per_1k").name: words.with_interval(line.money),
        words.word_of("total_cost_saving").name: words.with_interval(line.saved),
    }
