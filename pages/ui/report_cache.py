"""A report's content and its files, made once for each state of audit and chain; shared by all sessions, bounded, never mutated."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from auditor.evidence.anchor import make_anchor
from auditor.evidence.log import length
from auditor.report.content import ReportContent, build
from auditor.report.render import FormatName, draw
from distill.events import now
from distill.store import Run, Status
from distill.workspace import Workspace
from pages.ui import cache


def content(run: Run) -> tuple[ReportContent, str]:
    """The report as it reads now, and when its chain was last checked (ISO 8601)."""
    home = cache.workspace()
    return _content(str(home.root), run.id, _stamp(run))


def recheck(run: Run) -> None:
    """Forget the content, so that the chain is checked anew."""
    _content.clear()


def file(run: Run, name: FormatName, texts: bool) -> bytes:
    """One format of the report; the same bytes until something changes."""
    home = cache.workspace()
    return _file(str(home.root), run.id, _stamp(run), name, texts)


def anchor(run: Run) -> bytes:
    """The signed head of the chain, to be deposited elsewhere."""
    return make_anchor(cache.workspace(), run)


def _stamp(run: Run) -> tuple[int | str, ...]:
    """What changes when the report would read differently."""
    status: Status = run.status()
    files = (cache.stamp(run.folder / name) for name in ("audit.json", "manifest.json", "seal.json"))
    return status, length(cache.workspace(), run.id), *(part for each in files for part in each)


@st.cache_resource(max_entries=6, show_spinner=False)
def _content(home: str, run_id: str, stamp_: tuple[int | str, ...]) -> tuple[ReportContent, str]:
    workspace = Workspace(Path(home))
    return build(workspace, Run(workspace.runs / run_id)), now()


@st.cache_resource(max_entries=12, show_spinner=False)
def _file(home: str, run_id: str, stamp_: tuple[int | str, ...], name: FormatName, texts: bool) -> bytes:
    workspace = Workspace(Path(home))
    made, _ = _content(home, run_id, stamp_)
    return draw(workspace, made, name, texts=texts)
