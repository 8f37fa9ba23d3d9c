"""A run in one line: what lists, the frame and the run page say of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from auditor.types import AuditReport, GateResult, Measure
from distill.errors import HeirloomError
from distill.events import STAGES, Cancelled, Event, Failed, Finished, Note, Progress, Queued, Started, Waiting
from distill.store import ACTIVE, Run, Status
from pages.ui import cache, figures, words
from pages.ui.cache import stamp
from pages.ui.text import escaped

QUALITY = ("accuracy_retention", "agreement", "token_agreement")
SPEED = ("latency_speedup",)
UNDER_WAY = "under way"
BIAS = ("gender_bias_change",)
SAVED = ("total_cost_saving",)
MONEY = ("total_cost_per_1k",)


@dataclass(frozen=True)
class RunLine:
    """A run as lists show it. Figures are None where the audit has none.

    Attributes:
        progress: share of the current stage that is done, 0..1.
        rate: in ``unit`` per second; ``left`` in seconds.
        kept: share of the teacher's accuracy (agreement where no human label stands behind it) that the candidate keeps.
        spend: USD that a teacher over the network has taken so far; None where nobody is paid.
        speedup: teacher's batch-1 latency over the candidate's.
        saved, money: share saved of running and errors together, and USD of both for 1,000 answers; None without prices of errors.
    """

    id: str
    name: str
    status: Status
    created: str
    ended: str
    stage: str
    progress: float | None
    rate: float | None
    unit: str
    left: float | None
    message: str
    answer: str
    candidate: str
    kept: Measure | None
    speedup: Measure | None
    bias: Measure | None
    gates: tuple[GateResult, ...]
    parent: str | None
    spend: float | None = None
    saved: Measure | None = None
    money: Measure | None = None

    @property
    def active(self) -> bool:
        """True while it waits for the runner or runs."""
        return self.status in ACTIVE


def run_line(run: Run) -> RunLine:
    """One run as lists show it."""
    stamps = tuple(stamp(run.folder / name) for name in ("events.jsonl", "manifest.json", "audit.json"))
    return _run_line(str(run.folder), stamps, run.status())


def run_lines() -> list[RunLine]:
    """All runs that can be read, newest first."""
    return [run_line(run) for run in cache.store().all() if _problem(run) is None]


def unreadable_runs() -> list[tuple[str, HeirloomError]]:
    """Runs whose spec cannot be read, with what is wrong."""
    return [(run.id, error) for run in cache.store().all() if (error := _problem(run)) is not None]


def _problem(run: Run) -> HeirloomError | None:
    return _spec_problem(str(run.folder), stamp(run.folder / "spec.yaml"))


@st.cache_resource(max_entries=500, show_spinner=False)
def _spec_problem(folder: str, stamp_: tuple[int, int]) -> HeirloomError | None:
    try:
        _ = Run(Path(folder)).spec
    except HeirloomError as error:
        return error
    return None


@st.cache_resource(max_entries=500, show_spinner=False)
def _run_line(folder: str, stamps: tuple[tuple[int, int], ...], status: Status) -> RunLine:
    return make_line(Run(Path(folder)), status)


def make_line(run: Run, status: Status) -> RunLine:
    """Read one run's spec, log and audit and sum them up."""
    events = run.events()
    report = cache.report(run) if (run.folder / "audit.json").exists() else None
    progress = next((e for e in reversed(events) if isinstance(e, Progress)), None)
    candidate = report.verdict.candidate if report else run.spec.candidate
    last = events[-1] if events else None
    return RunLine(
        id=run.id,
        name=run.spec.name,
        status=status,
        created=events[0].at if events else "",
        ended=last.at if last else "",
        stage=current_stage(events),
        progress=_overall(events, progress),
        rate=progress.rate if progress else None,
        unit=progress.unit if progress else "",
        left=progress.left if progress else None,
        message=_message(last, progress),
        answer=report.verdict.answer if report else "",
        candidate=candidate,
        kept=first_measure(report, QUALITY, candidate),
        speedup=first_measure(report, SPEED, candidate),
        bias=first_measure(report, BIAS, candidate),
        saved=first_measure(report, SAVED, candidate),
        money=first_measure(report, MONEY, candidate),
        gates=report.gates if report else (),
        parent=run.spec.parent,
        spend=progress.spend if progress else None,
    )


def first_measure(report: AuditReport | None, names: tuple[str, ...], arm: str) -> Measure | None:
    """The first of these measures that the arm has over all items and seeds."""
    found = (report.measure(name, arm) for name in names) if report else iter(())
    return next((m for m in found if m is not None and m.value is not None), None)


def current_stage(events: list[Event]) -> str:
    """The stage that was worked on last; empty before the first."""
    return next((e.stage for e in reversed(events) if e.kind in {"started", "progress", "finished"}), "")


def _overall(events: list[Event], progress: Progress | None) -> float | None:
    """Share of the current stage that is done, 0..1; None while it cannot be known."""
    if progress is None or not progress.total or progress.stage != current_stage(events):
        return None
    return min(1.0, progress.step / progress.total)


def _message(last: Event | None, progress: Progress | None) -> str:
    if last is not None and last.kind in {"failed", "waiting"}:
        return str(getattr(last, "message", ""))
    return progress.note if progress else ""


def progress_text(line: RunLine) -> str:
    """``training · seed 2 of 3 · 71 % · 412 texts/s · about 2 min left``."""
    pieces = [words.STAGE_VERBS.get(line.stage, line.stage) or "starting"]
    if line.message:
        pieces.append(escaped(line.message, 80))
    if line.progress is not None:
        pieces.append(f"{100 * line.progress:.0f} %")
    if line.rate:
        pieces.append(f"{figures.figure(line.rate)} {escaped(line.unit or 'steps')}/s")
    if line.spend:
        pieces.append(f"{figures.money(line.spend)} spent")
    if line.left:
        pieces.append(f"about {figures.duration(line.left)} left")
    return "● " + " · ".join(pieces)


@dataclass(frozen=True)
class StageState:
    """One stage on the run page: its glyph and a few words."""

    mark: str
    words: str


def stage_states(events: list[Event], status: Status) -> dict[str, StageState]:
    """Glyph and words of every stage: ✔ done, ▶ under way, ◌ stopped in it, ✖ failed in it, ○ still to come."""
    states = dict.fromkeys(STAGES, StageState("○", ""))
    for event in events:
        stage = getattr(event, "stage", None)
        if stage not in states:
            continue
        if event.kind == "started":
            states[stage] = StageState("▶", UNDER_WAY)
        elif event.kind == "progress":
            total = f"/{figures.count(event.total)}" if event.total else ""
            states[stage] = StageState("▶", f"{figures.count(event.step)}{total}")
        elif event.kind == "finished":
            took = "was there already" if event.reused else figures.duration(event.seconds)
            states[stage] = StageState("✔", f"{took} {event.note}".strip())
        elif event.kind == "waiting":
            states[stage] = StageState("◔", "waits for people")
        elif event.kind == "failed":
            states[stage] = StageState("✖", "failed")
    if status not in ACTIVE:
        stopped = {name: s for name, s in states.items() if s.mark == "▶"}
        states.update(
            {
                name: StageState("◌", "stopped" if s.words == UNDER_WAY else f"stopped at {s.words}")
                for name, s in stopped.items()
            }
        )
    return {str(name): state for name, state in states.items()}


def working_seconds(events: list[Event]) -> float:
    """Seconds spent in finished stages."""
    return sum(event.seconds for event in events if event.kind == "finished")


def log_line(event: Event) -> str:
    """An event as a line of the log; empty for progress and curves, which are drawn."""
    then = figures.moment(event.at)
    said = _said(event)
    return f"{f'{then:%H:%M:%S}' if then else '        '}  {said}" if said else ""


def _said(event: Event) -> str:
    match event:
        case Queued():
            return f"queued by {event.by}" if event.by else "queued"
        case Started():
            return f"{event.stage} begins {event.note}".strip()
        case Finished():
            took = "was there already" if event.reused else f"done in {figures.duration(event.seconds)}"
            return f"{event.stage} {took} {event.note}".strip()
        case Note():
            return f"{'! ' if event.level == 'warning' else ''}{event.message}"
        case Waiting():
            return event.message
        case Cancelled():
            return f"cancelled by {event.by}" if event.by else "cancelled"
        case Failed():
            return f"failed: {event.message} {event.hint}".strip()
    return ""
