"""Report: what do we sign, and can someone else check it?"""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from auditor.evidence.chain import Entry
from auditor.report.content import ReportContent
from auditor.report.render import FORMATS, file_name
from distill.store import Run
from pages.ui import cache, charts, figures, frame, page, report_cache, report_forms, report_verify
from pages.ui.page import PageInfo
from pages.ui.palette import BadgeColour
from pages.ui.text import escaped, one_line

PAGE = PageInfo(
    group="Prove",
    title="Report",
    icon=":material/description:",
    order=20,
    url_path="report",
    question="What do we sign, and can someone else check it?",
    needs_run="any",
)
STATES: dict[str, tuple[BadgeColour, str]] = {
    "draft": ("yellow", ":material/edit_note:"),
    "reviewed": ("blue", ":material/rate_review:"),
    "approved": ("green", ":material/verified:"),
    "refused": ("red", ":material/block:"),
}
LINES = {"ok": ":green[✔]", "failed": ":red[✖]", "attested": "~", "not checked": "–"}
PAPER = 1_000  # px that the preview is high


def render() -> None:
    """Draw the page."""
    run = frame.run()
    content, checked = report_cache.content(run)
    _state(content)
    _evidence(run, content, checked)
    _downloads(run, content)
    preview, use, annex, signing, chain = st.tabs(
        ["Preview", "Intended use", "Rules that apply", "Sign-off", f"Evidence chain · {len(content.material.chain):,}"]
    )
    with preview:
        # the file forbids itself to run or load anything, and every text in it is escaped
        st.iframe(
            report_cache.file(run, "html", True).decode(), height=PAPER, alt=f"The report of {one_line(content.name)}"
        )
    with use:
        report_forms.intended_use(run, content)
    with annex:
        report_forms.annex(run, content)
    with signing:
        report_forms.signing(run, content)
    with chain:
        _chain(content)


def _state(content: ReportContent) -> None:
    """Where the report stands, and what is missing."""
    colour, icon = STATES[content.state]
    missing = len(content.missing)
    what = f"{missing} thing{'s' if missing > 1 else ''} missing" if missing else "nothing is missing"
    with st.container(border=True, key="report_state", gap="small"):
        st.subheader(f"{icon} :{colour}[{content.state.capitalize()}] · {what}", anchor=False)
        st.markdown(f"{escaped(content.headline, 500)} {escaped(content.detail, 1_500)}")
        if content.missing:
            st.markdown("\n".join(f"- {escaped(sentence, 300)}" for sentence in content.missing))


def _evidence(run: Run, content: ReportContent, checked: str) -> None:
    """The chain in one line, and the full verification beside it."""
    m = content.material
    found = report_verify.last(cache.workspace(), run)
    running = found is not None and found.state == "running"
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        if not m.chain:
            st.markdown("Evidence chain: no entry yet.")
        elif m.broken:
            st.markdown(f":red[✖ The evidence chain is broken:] {escaped(m.broken[0], 300)}")
        else:
            since = f" up to {m.unsigned:,} {_entries(m.unsigned)} ago" if m.unsigned else ""
            sealed = f"signed by {escaped(m.key)}{since}" if m.sealed else "not signed yet"
            said = f":green[✔] Evidence chain of {figures.count(len(m.chain))} {_entries(len(m.chain))}, links checked {escaped(figures.ago(checked))} · head `{m.head[:12]}…` · {sealed}"
            st.markdown(said)
        pressed = st.button(
            "Verify now", icon=":material/fact_check:", key=f"verify_{run.id}", disabled=running or not m.sealed,
            help="Checks digests, chain and signature, and computes every figure again, in a process of its own.",
        )  # fmt: skip
    if pressed:
        report_cache.recheck(run)
        report_verify.start(cache.workspace(), run, m.head)
        st.rerun()

    def verified() -> None:
        _verified(run, m.head, running)

    page.live(verified, while_active=running, every=1.5)


def _entries(n: int) -> str:
    return "entry" if n == 1 else "entries"


def _verified(run: Run, head: str, was_running: bool) -> None:
    """The last verification, line by line; redraws the page when it ends."""
    found = report_verify.last(cache.workspace(), run)
    if found is None:
        return
    if found.state == "running":
        st.caption(
            f":material/progress_activity: Verifying since {escaped(figures.ago(found.at))}: every figure is computed again."
        )
        return
    if was_running:
        st.rerun()
    if found.state == "died":
        st.warning(
            "The verification ended without an answer. Its output is in the workspace under verifications/.",
            icon=":material/error:",
        )
        return
    stale = "" if found.head == head else " The chain has grown since."
    word = ":green[✔ Verified]" if found.state == "ok" else ":red[✖ Not verified]"
    with st.expander(
        f"{word} {escaped(figures.ago(found.at))}.{stale}", expanded=found.state == "failed", type="compact"
    ):
        for what, state, sentence in found.lines:
            st.markdown(f"{LINES.get(state, '–')} **{escaped(what)}**: {escaped(sentence, 600)}")


def _downloads(run: Run, content: ReportContent) -> None:
    """Every format, made when it is asked for."""
    m = content.material
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="report_downloads"):
        for name, each in FORMATS.items():
            ready = name != "bundle" or (m.status == "complete" and m.sealed)
            st.download_button(
                each.title, data=partial(report_cache.file, run, name, True), file_name=file_name(content, name), mime=each.mime,
                icon=":material/download:", on_click="ignore", key=f"get_{name}_{run.id}", disabled=not ready,
                type="primary" if name == "bundle" else "secondary",
                help="One zip that `heirloom verify` reads on any machine; it holds the texts." if name == "bundle" else None,
            )  # fmt: skip
        if m.status == "complete" and m.sealed:
            st.download_button(
                "Bundle without texts", data=partial(report_cache.file, run, "bundle", False), file_name=f"{run.id}-report-no-texts.zip",
                mime="application/zip", icon=":material/download:", on_click="ignore", key=f"get_bare_{run.id}", type="tertiary",
            )  # fmt: skip


def _chain(content: ReportContent) -> None:
    """The newest entries as a table; payloads are ids, numbers and digests."""
    entries = content.material.chain
    if not entries:
        st.caption("No entry yet.")
        return
    st.caption(
        "Newest first. Each entry names the digest of the one before it: change one, and every later one is wrong."
    )
    run = content.material.run
    st.download_button(
        "Anchor", data=partial(report_cache.anchor, run), file_name=f"{run.id}-anchor.json", mime="application/json",
        icon=":material/anchor:", on_click="ignore", key=f"get_anchor_{run.id}",
        help="The signed head of the chain. Deposit it elsewhere: `heirloom verify … --anchor FILE` then shows that the chain was not written anew.",
    )  # fmt: skip
    charts.frame(_table(entries[-500:][::-1]), key="chain_table", height=420)


def _table(entries: tuple[Entry, ...]) -> pd.DataFrame:
    rows = [
        {
            "entry": entry.seq,
            "when (UTC)": entry.at[:19].replace("T", " "),
            "by": one_line(entry.actor, 80),
            "what": one_line(entry.action, 40),
            "with": one_line(", ".join(f"{k} {v}" for k, v in entry.payload.items()), 200),
            "digest": f"{entry.digest[:12]}…",
        }
        for entry in entries
    ]
    return pd.DataFrame(rows)
