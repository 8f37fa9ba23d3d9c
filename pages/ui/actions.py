"""What a person does to a run: cancel, resume, retry, audit again, delete. One call each into the queue."""

from __future__ import annotations

import streamlit as st

from distill import jobs
from distill.errors import HeirloomError
from distill.store import Status
from pages.ui import cache, page, people, state
from pages.ui.overview import RunLine
from pages.ui.text import escaped

_OFFERED: dict[Status, tuple[str, ...]] = {
    "queued": ("Cancel",),
    "running": ("Cancel",),
    "awaiting_review": ("Resume", "Delete"),
    "complete": ("Audit again", "Run again", "Delete"),
    "failed": ("Resume", "Run again", "Delete"),
    "cancelled": ("Resume", "Run again", "Delete"),
    "interrupted": ("Resume", "Run again", "Delete"),
}
_ICONS = {
    "Cancel": ":material/stop_circle:",
    "Resume": ":material/play_arrow:",
    "Run again": ":material/replay:",
    "Audit again": ":material/fact_check:",
    "Delete": ":material/delete:",
}


def menu(line: RunLine) -> None:
    """The action that fits the run's status as a button, the others in a menu behind it."""
    if not people.may("engineer"):
        return
    offered = _OFFERED[line.status]
    if line.active:
        _button(line, "Cancel", "secondary")
        return
    with st.popover("Actions", type="tertiary", width="stretch", key=f"actions_{line.id}"):
        for action in offered:
            _button(line, action, "tertiary")


def buttons(line: RunLine) -> None:
    """All actions that fit the run's status, side by side."""
    if not people.may("engineer"):
        return
    for action in _OFFERED[line.status]:
        _button(line, action, "secondary" if action in {"Cancel", "Resume"} else "tertiary")


def _button(line: RunLine, action: str, kind: str) -> None:
    if st.button(action, key=f"{action}_{line.id}", icon=_ICONS[action], type=kind):  # type: ignore[arg-type]
        if action == "Delete":
            _confirm_delete(line.id, line.name)
        else:
            _do(line, action)


def _do(line: RunLine, action: str) -> None:
    workspace, by = cache.workspace(), people.current().signature
    try:
        people.need("engineer")
        if action == "Cancel":
            jobs.cancel(workspace, line.id, by)
        elif action == "Resume":
            jobs.resume(workspace, line.id, by)
        elif action == "Audit again":
            jobs.audit_again(workspace, line.id, by)
        else:
            made = jobs.retry(workspace, line.id, by)
            page.go("run", run=made.id)
    except HeirloomError as error:
        page.show_error(error)
        return
    said = {
        "Cancel": "Asked to stop. What is done is kept.",
        "Resume": "Queued again.",
        "Audit again": "The audit is queued.",
    }
    st.toast(said.get(action, "Done."))
    st.rerun()


@st.dialog("Delete this run?")
def _confirm_delete(run_id: str, name: str) -> None:
    with page.boundary():
        run = cache.store().get(run_id)
        token = state.once(f"delete_{run_id}", lambda: jobs.delete_token(run))
        st.markdown(
            f"**{escaped(name)}** and everything in its folder will be gone: models, predictions, audit. Cached signals stay."
        )
        with st.container(horizontal=True):
            sure = st.button("Delete for good", type="primary", key="delete_yes", icon=":material/delete:")
            keep = st.button("Keep it", key="delete_no")
        if sure or keep:
            state.forget(f"delete_{run_id}")
        if sure:
            people.need("engineer")
            jobs.delete(cache.workspace(), run_id, token)
            if state.run_id() == run_id:
                state.forget_run()
        if sure or keep:
            st.rerun()


def keep_runner_alive() -> None:
    """See to a runner while something is queued: one cheap query at each poll."""
    jobs.ensure_runner(cache.workspace())
