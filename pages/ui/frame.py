"""The frame around every page: title and question, and on pages about a run the run under inspection with its status."""

from __future__ import annotations

import streamlit as st

from distill.errors import RunNotFoundError
from distill.store import Run
from pages.ui import cache, overview, page, parts, people, state
from pages.ui.page import FoundPage, PageInfo
from pages.ui.text import escaped, one_line
from pages.ui.words import STATUS_MARKS


def draw(found: FoundPage) -> None:
    """Draw one page in its frame, behind the gate of its role and inside the error boundary."""
    info = found.info
    with page.boundary():
        if not people.may(info.role):
            parts.empty(
                f"{info.title} is for people with the role '{info.role}'.",
                people.ASK,
            )
            return
        if info.needs_run and not _choose_run(info):
            return
        found.render()


def heading(info: PageInfo) -> None:
    """The page's name and its question."""
    with st.container(width="content", gap=None):
        st.title(info.title, anchor=False)
        if info.question:
            st.caption(info.question)


def run() -> Run:
    """The run under inspection; raises RunNotFoundError when the address names none that is there."""
    chosen = state.run_id()
    if not chosen:
        raise RunNotFoundError("No run is chosen.", hint="Choose one on the page Runs.")
    return cache.store().get(chosen)


def _choose_run(info: PageInfo) -> bool:
    """Draw the bar with the run under inspection; False when there is nothing to inspect, which it then says."""
    lines = overview.run_lines()
    wanted = state.run_id()
    offered = [line for line in lines if info.needs_run == "any" or line.answer]
    known = {line.id: line for line in lines}
    if wanted and wanted not in known:
        state.forget_run()
        heading(info)
        parts.empty(
            f"There is no run called '{escaped(wanted)}' here.",
            "It may have been deleted.",
            to="runs",
            label="See all runs",
        )
        return False
    if not wanted and offered:
        wanted = offered[0].id
    if not wanted:
        heading(info)
        parts.empty(
            "There is no finished run to look at yet." if lines else "There are no runs yet.",
            "Start one: choose data, a teacher and a student, and Heirloom does the rest.",
            to="new",
            label="New run",
        )
        return False
    state.choose_run(wanted)
    _bar(info, known[wanted], offered if known[wanted] in offered else [known[wanted], *offered])
    return True


def _bar(info: PageInfo, line: overview.RunLine, offered: list[overview.RunLine]) -> None:
    names = {each.id: f"{STATUS_MARKS[each.status][0]} {one_line(each.name, 60)} · {each.id[:15]}" for each in offered}
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute", key="run_bar"):
        heading(info)
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            parts.status_badge(line.status)
            if line.answer:
                parts.answer_badge(line.answer)
            chosen = st.selectbox(
                "Run under inspection",
                list(names),
                index=list(names).index(line.id),
                format_func=names.__getitem__,
                key=f"frame_run_{info.url_path}_{line.id}",
                label_visibility="collapsed",
                width=380,
            )
    if chosen != line.id:
        state.choose_run(chosen)
        st.rerun()
