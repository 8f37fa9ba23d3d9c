"""What came of applying decisions: the child runs of a review, each held against the run that was reviewed."""

from __future__ import annotations

import streamlit as st

from distill.errors import HeirloomError
from distill.store import Run
from pages.ui import cache, page, parts, words
from pages.ui.text import escaped


def draw(run: Run) -> None:
    """One line a child, and for a child its parent; nothing where there is neither."""
    here = _line(run)
    if run.spec.parent and run.spec.label_version and here:
        st.markdown(f"**This run** has label version {run.spec.label_version}. {escaped(here, 600)}")
    found = children(run)
    if not found:
        return
    st.markdown("**Runs that followed**")
    for child in found:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            with st.container(gap=None):
                st.markdown(f"{escaped(child.spec.name, 120)} · label version {child.spec.label_version}")
                st.caption(
                    escaped(
                        _line(child)
                        or "It is compared with this run, on the same test texts, as soon as it is audited.",
                        600,
                    )
                )
            parts.status_badge(child.status())
            page.link("run", "Open", icon=":material/open_in_new:", run=child.id)


def children(run: Run) -> list[Run]:
    """The runs that learnt from corrections of this run's labels, the oldest first."""
    found = []
    for other in reversed(cache.store().all()):
        try:
            spec = other.spec
        except HeirloomError:
            continue  # a spec that cannot be read is told on the page Runs
        if spec.parent == run.id and spec.label_version > run.spec.label_version:
            found.append(other)
    return found


def _line(run: Run) -> str:
    """What the check 'parent' says of a run; why it says nothing where it was skipped; empty before the audit."""
    try:
        audit = cache.audited(run)
    except HeirloomError as error:
        return error.message
    result = audit.report.result("parent") if audit else None
    if result is None:
        return ""
    if result.skipped:
        return f"Not compared, because {result.skipped}"
    return " ".join(words.in_words(finding.claim) for finding in result.findings)
