"""The last step of New run: preflight, estimate, start, and the same as YAML."""

from __future__ import annotations

import streamlit as st

from distill import jobs
from distill.errors import HeirloomError
from distill.spec import RunSpec
from pages.ui import cache, draft, page, parts, people, preflight_view, state


def draw() -> None:
    """Check the draft, say what will happen and what it will cost, and start it."""
    spec = _checked()
    if spec is not None:
        found = preflight_view.draw(spec)
        _start(spec, found.ok)
    _yaml(spec)


def _checked() -> RunSpec | None:
    if not draft.values().get("data"):
        parts.empty(
            "No data are chosen.",
            "Choose them on the page Data, or paste a whole spec below.",
            to="data",
            label="Choose data",
        )
        return None
    if not draft.values().get("name"):
        parts.empty("The run has no name.", "Give it one above, so that you find it again.")
        return None
    try:
        return draft.spec()
    except HeirloomError as error:
        page.show_error(error)
        return None


def _start(spec: RunSpec, ok: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        who = people.name_or_ask("Your name stands in the run's log as the one who started it.", key="start_name")
        pressed = st.button(
            "Start",
            type="primary",
            icon=":material/play_arrow:",
            key="start",
            disabled=not ok or not who,
            help=None if ok and who else "Give your name first." if ok else "Something stands in the way; see above.",
        )
    if pressed:
        people.need("engineer")
        run = jobs.submit(cache.workspace(), spec, who)
        state.choose_run(run.id)
        page.go("run", run=run.id)


def _yaml(spec: RunSpec | None) -> None:
    with st.expander("Show as YAML", icon=":material/code:"):
        if spec is None:
            st.caption("The spec is not whole yet; see above.")
        else:
            st.caption("The same run from the command line: save it and call `heirloom run SPEC.yaml`.")
            st.code(spec.to_yaml(), language="yaml")
    with st.expander("Paste YAML", icon=":material/content_paste:"):
        pasted = st.text_area("A RunSpec as YAML", key=draft.key("yaml"), height=220, placeholder="name: …\ndata: …")
        if st.button("Use this YAML", key="yaml_use", disabled=not (pasted or "").strip()):
            try:
                draft.from_yaml(pasted or "")
            except HeirloomError as error:
                page.show_error(error)
            else:
                st.rerun()
