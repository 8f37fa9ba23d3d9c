"""Preflight: what was checked before anything costs time, and an estimate of what the run will need."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import streamlit as st

from auditor.foreseen import unanswerable
from distill.preflight import Preflight, PreflightItem, preflight
from distill.spec import LANGUAGE_MODELS, RunSpec, parse_spec
from distill.workspace import Workspace
from pages.ui import cache, figures
from pages.ui.text import escaped

_LOOK = {
    "fail": (":red[✖]", "stands in the way"),
    "warn": (":orange[⚠]", "worth knowing"),
    "ok": (":green[✔]", "in order"),
}


def draw(spec: RunSpec) -> Preflight:
    """Draw the estimate and every item, those that stand in the way first; returns what was found."""
    with st.spinner("Checking data, models and this machine …"):
        found = _preflight(spec.model_dump_json(), str(cache.workspace().root))
    _estimate(found, spec)
    for state, (mark, _) in _LOOK.items():
        for item in found.items:
            if item.state == state:
                _item(mark, item)
    return found


def _estimate(found: Preflight, spec: RunSpec) -> None:
    needed = found.estimate
    if needed is None:
        return
    basis = (
        "from rates measured on this machine"
        if needed.measured
        else "an estimate from another machine's rates, within a factor of 3"
    )
    with st.container(horizontal=True, gap="small"):
        st.metric("Time on this machine", f"about {figures.duration(needed.seconds)}", border=True, help=basis)
        made = "Synthetic answers" if spec.task == LANGUAGE_MODELS else "Synthetic labels"
        st.metric(made, figures.count(needed.labels), border=True)
        st.metric("Disk", figures.size(needed.disk_bytes), border=True)
        st.metric("Memory", figures.size(needed.memory_bytes), border=True)
        elsewhere = "At most, by the price book: the teacher is elsewhere." if needed.spend else "Nothing is paid for."
        st.metric("Spend", figures.money(needed.spend) if needed.spend else "none", border=True, help=elsewhere)


def _item(mark: str, item: PreflightItem) -> None:
    hint = f"  \n:small[:gray[{escaped(item.hint, 300)}]]" if item.hint else ""
    st.markdown(f"{mark} {escaped(item.sentence, 500)}{hint}")


@st.cache_resource(max_entries=8, ttl=120, show_spinner=False)
def _preflight(spec: str, root: str) -> Preflight:
    wanted = parse_spec(json.loads(spec))
    found = preflight(wanted, Workspace(Path(root)))
    return replace(found, items=[*found.items, *unanswerable(wanted)])
