"""Small views that several pages draw: badges, gates, cards, empty states."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from auditor.types import GateResult, Verdict
from distill.store import Status
from pages.ui import figures, page, palette, words
from pages.ui.cache import Audited
from pages.ui.palette import BadgeColour
from pages.ui.text import escaped

_STATUS_COLOURS: dict[Status, BadgeColour] = {
    "queued": "gray",
    "running": "blue",
    "awaiting_review": "violet",
    "complete": "green",
    "failed": "red",
    "cancelled": "gray",
    "interrupted": "yellow",
}


def status_badge(status: Status) -> None:
    """A run's status: glyph, word, colour."""
    mark, word = words.STATUS_MARKS[status]
    st.badge(f"{mark} {word}", color=_STATUS_COLOURS[status])


def answer_badge(answer: str) -> None:
    """A verdict in two words with its shape."""
    st.badge(words.VERDICT_WORDS[answer], icon=palette.STATE_ICONS[answer], color=palette.STATE_COLOURS[answer])


def empty(what: str, todo: str, *, to: str | None = None, label: str = "") -> None:
    """An empty state: what is missing, what to do, and a link that does it. ``what`` and ``todo`` are our own or escaped words."""
    with st.container(border=True):
        st.markdown(f"**{what}**")
        st.write(todo)
        if to:
            page.link(to, label, icon=":material/arrow_forward:")


def verdict(found: Verdict, limits: Iterable[GateResult]) -> None:
    """The verdict as the page's first sentence, with what it rests on and the gates."""
    head, _, rest = words.in_words(found.sentence).partition(". ")
    with st.container(border=True, key="verdict", gap="small"):
        st.subheader(
            f"{palette.STATE_ICONS[found.answer]} :{palette.STATE_COLOURS[found.answer]}[{escaped(head.rstrip('.'), 400)}.]",
            anchor=False,
        )
        if rest:
            st.markdown(escaped(rest, 1_500))
        gates(limits)
        if found.reasons:
            with st.expander("What each gate rests on", type="compact"):
                for reason in found.reasons:
                    st.markdown(f"- {escaped(words.in_words(reason), 600)}")
        if found.scope == "fidelity":
            st.caption(
                "No human label stands behind this: it speaks of fidelity to the teacher only, until a review supplies labels."
            )


def gates(found: Iterable[GateResult]) -> None:
    """Required and advisory gates as badges, each with mark, name and word."""
    listed = list(found)
    for required, title in ((True, "Required"), (False, "Advisory")):
        some = [gate for gate in listed if gate.required is required]
        if not some:
            continue
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(title, width=64)
            for gate in some:
                _gate(gate)


def _gate(gate: GateResult) -> None:
    word = words.word_of(gate.measure)
    sign = "≥" if gate.direction == "at_least" else "≤"
    limit = words.limit_written(gate.measure, gate.limit)
    explain = [f"{escaped(word.name)}: limit {sign} {escaped(limit)}"]
    if gate.value is not None:
        explain.append(f"measured {escaped(words.limit_written(gate.measure, gate.value))}")
    if gate.n:
        explain.append(f"n = {figures.count(gate.n)}")
    if gate.needed_n:
        explain.append(f"about {figures.count(gate.needed_n)} items would decide it")
    if gate.reason:
        explain.append(escaped(gate.reason, 300))
    st.badge(
        f"{escaped(word.name)} {palette.STATE_MARKS[gate.state]} {gate.state}",
        color=palette.STATE_COLOURS[gate.state],
        help=" · ".join(explain),
    )


def skipped(audit: Audited, check: str) -> None:
    """Why a check has nothing to show."""
    result = audit.report.result(check)
    if result is None:
        reason = "the audit of this run is older than this check"
    else:
        reason = result.skipped or "the audit made no such measure"
    st.caption(f"Skipped, because {escaped(reason.rstrip('.'), 400)}.")
