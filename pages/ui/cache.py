"""Bounded caches over files, keyed by run id and modification time. Shared by all sessions: nothing mutates what they return."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from auditor.answers_view import AnswersView, load_answers
from auditor.examples_view import FILE, ViewMeta, view_meta
from auditor.types import AuditReport, Measure, meant
from distill.errors import StoreError
from distill.events import Event
from distill.store import TEACHER, ModelCard, Run, RunStore
from distill.types import Examples, read_frame
from distill.workspace import Workspace


class Audited:
    """A run's audit with its measures indexed, since a page looks up hundreds of them.

    Attributes:
        report: the audit itself.
    """

    def __init__(self, report: AuditReport) -> None:
        self.report = report
        together: dict[tuple[str, str, str | None, int | None], list[Measure]] = {}
        for m in report.measures:
            together.setdefault((m.name, m.arm, m.group, m.seed), []).append(m)
        self._index = {key: meant(found) for key, found in reversed(together.items())}

    def measure(self, name: str, arm: str, group: str | None = None, seed: int | None = None) -> Measure | None:
        """The one measure with this name, arm, group and seed, against the teacher where it is a comparison; None where it is missing or has
        no value."""
        found = self._index.get((name, arm, group, seed))
        return None if found is None or found.value is None else found

    def groups(self, name: str, prefix: str = "") -> list[str]:
        """The groups that a measure was taken in, in the audit's order."""
        found = dict.fromkeys(key[2] for key in reversed(self._index) if key[0] == name and key[2])
        return [group for group in found if group.startswith(prefix)]

    def arms(self) -> list[str]:
        """Arms that have measures, in the audit's order, the teacher among them."""
        return list(dict.fromkeys(key[1] for key in reversed(self._index) if key[3] is None))

    def table(self, check: str, name: str) -> list[dict[str, Any]]:
        """A table of one check; empty where there is none."""
        result = self.report.result(check)
        return result.tables.get(name, []) if result else []


def workspace() -> Workspace:
    """The workspace that HEIRLOOM_HOME names."""
    return Workspace.default()


def store() -> RunStore:
    """All runs of the workspace."""
    return RunStore(workspace())


def stamp(path: Path) -> tuple[int, int]:
    """What changes when a file changes: modification time in ns and size; (0, 0) when it is absent."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def audited(run: Run) -> Audited | None:
    """The audit of a run, its measures indexed, or None while there is none; raises StoreError when it cannot be read."""
    path = run.folder / "audit.json"
    return _audited(str(path), stamp(path)) if path.exists() else None


def report(run: Run) -> AuditReport | None:
    """The audit of a run, or None while there is none; raises StoreError when it cannot be read."""
    found = audited(run)
    return found.report if found else None


def events(run: Run) -> list[Event]:
    """The event log of a run."""
    return _events(str(run.folder), stamp(run.folder / "events.jsonl"))


def examples(run: Run) -> Examples:
    """The rows of a run."""
    return _examples(str(run.folder), stamp(run.folder / "examples.parquet"))


def cards(run: Run) -> list[ModelCard]:
    """Cards of the arms; the newest change below ``arms/`` decides whether they are read again."""
    newest = max((stamp(path) for path in (run.folder / "arms").glob("*/*/arm.json")), default=(0, 0))
    return _cards(str(run.folder), newest)


def data_json(run: Run, name: str) -> dict[str, Any]:
    """A JSON artefact of a run."""
    return _json(str(run.folder), name, stamp(run.folder / f"{name}.json"))


def table(path: Path, columns: tuple[str, ...] | None = None) -> pd.DataFrame:
    """A Parquet file of a run directory."""
    return _table(str(path), columns, stamp(path))


@st.cache_resource(max_entries=24, show_spinner=False)
def _audited(path: str, stamp_: tuple[int, int]) -> Audited:
    try:
        return Audited(AuditReport.model_validate_json(Path(path).read_text(encoding="utf-8")))
    except (ValidationError, ValueError, OSError) as error:
        raise StoreError(
            f"{path} is not a readable audit.", hint="Audit the run again: `heirloom audit RUN`."
        ) from error


@st.cache_resource(max_entries=16, show_spinner=False)
def _events(folder: str, stamp_: tuple[int, int]) -> list[Event]:
    return Run(Path(folder)).events()


@st.cache_resource(max_entries=3, show_spinner=False)
def _examples(folder: str, stamp_: tuple[int, int]) -> Examples:
    return Run(Path(folder)).examples


@st.cache_resource(max_entries=24, show_spinner=False)
def _cards(folder: str, newest: tuple[int, int]) -> list[ModelCard]:
    return Run(Path(folder)).cards()


@st.cache_resource(max_entries=64, show_spinner=False)
def _json(folder: str, name: str, stamp_: tuple[int, int]) -> dict[str, Any]:
    return Run(Path(folder)).json(name)


@st.cache_resource(max_entries=16, show_spinner=False)
def _table(path: str, columns: tuple[str, ...] | None, stamp_: tuple[int, int]) -> pd.DataFrame:
    return read_frame(Path(path), list(columns) if columns else None)


def examples_meta(run: Run) -> ViewMeta:
    """What the examples' view of a run holds; raises StoreError when it is torn."""
    return _examples_meta(str(run.folder), stamp(run.folder / FILE))


def answers(run: Run) -> AnswersView:
    """What the language models of a run answered; raises StoreError when the predictions are missing or torn."""
    return _answers(str(run.folder), stamp(run.prediction_path(TEACHER, 0, "test")))


@st.cache_resource(max_entries=8, show_spinner=False)
def _answers(folder: str, stamp_: tuple[int, int]) -> AnswersView:
    return load_answers(Run(Path(folder)))


@st.cache_resource(max_entries=24, show_spinner=False)
def _examples_meta(folder: str, stamp_: tuple[int, int]) -> ViewMeta:
    return view_meta(Run(Path(folder)))
