"""``heirloom show`` for people: the verdict first, then what it stands on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from auditor.cli.support import plain, print_table
from distill import events
from distill.store import TEACHER, Run

if TYPE_CHECKING:
    from auditor.types import Measure

SHOWN = (
    "accuracy",
    "macro_f1",
    "agreement",
    "accuracy_retention",
    "token_agreement",
    "kl_divergence",
    "perplexity_on_teacher",
    "tokens_per_s",
    "latency_p50_ms",
    "cost_per_1k",
    "size_bytes",
)
_MARKS = {"pass": "✓ pass", "fail": "✗ fail", "cannot tell": "? cannot tell"}


def print_summary(run: Run, document: dict[str, Any]) -> None:
    """Print the run behind a ``show --json`` document.

    Args:
        run: for the stages that are under way.
        document: what :func:`auditor.document.document` made of it.
    """
    from auditor.types import Measure
    from auditor.words import in_words

    about = document["run"]
    typer.echo(f"{plain(about['spec']['name'])}  ({about['id']}, {about['status'].replace('_', ' ')})")
    if about["status"] != "complete":
        _stages(run)
    if document.get("verdict"):
        verdict = document["verdict"]
        typer.echo(f"\n{plain(verdict['answer']).upper()}: {plain(in_words(verdict['sentence']))}")
        for reason in verdict.get("reasons", ()):
            typer.echo(f"  - {plain(in_words(reason))}")
    measures = [Measure.model_validate(measure) for measure in document.get("measures", ())]
    if document.get("gates"):
        units = {m.name: m.unit for m in measures if m.arm == about["candidate"]}
        rows = [_gate(gate, units.get(gate["measure"], "1")) for gate in document["gates"]]
        print_table(("gate", "limit", "measured", "state"), rows)
    if measures:
        _measures(measures)
    for finding in document.get("findings", ()):
        if finding["severity"] in {"serious", "warning"}:
            typer.echo(
                f"{finding['severity']}: {plain(in_words(finding['claim']))} {plain(in_words(finding.get('action', '')))}".rstrip()
            )


def how_far(run: Run) -> str:
    """The stage that was heard of last and how far it is: ``predictions: 120 of 3,611``; empty before the first."""
    told = [(stage, text) for stage, text in _heard(run).items() if stage not in {"failed", "waiting"}]
    open_ones = [f"{stage}: {text}" for stage, text in told if not text.startswith(("done", "already"))]
    return open_ones[-1] if open_ones else f"after {told[-1][0]}" if told else ""


def _stages(run: Run) -> None:
    """One line a stage, with the last that was heard of it."""
    for stage, text in _heard(run).items():
        typer.echo(f"  {stage:<12} {plain(text)}")


def _heard(run: Run) -> dict[str, str]:
    """By stage, in order, what was heard of it last; a failure and what is waited for under names of their own."""
    heard: dict[str, str] = {}
    for event in run.events():
        if isinstance(event, events.Started):
            heard[event.stage] = "began"
        elif isinstance(event, events.Progress):
            heard[event.stage] = f"{event.step:,} of {event.total:,}" if event.total else f"{event.step:,}"
        elif isinstance(event, events.Finished):
            heard[event.stage] = "already there" if event.reused else f"done in {event.seconds:,.1f} s"
        elif isinstance(event, events.Failed):
            heard["failed"] = f"{event.message} {event.hint}"
        elif isinstance(event, events.Waiting):
            heard["waiting"] = event.message
        elif isinstance(event, events.Queued):
            heard.clear()
    return heard


def _measures(measures: list[Measure]) -> None:
    """A table of the best-known measures, seeds averaged, all items together: one line a measure, one column an arm, in the pages' words."""
    from auditor.words import arm_of, name_of, with_interval

    cells = {(m.arm, m.name): m for m in measures if m.name in SHOWN and m.group is None and m.seed is None}
    arms = sorted({arm for arm, _ in cells}, key=lambda arm: (arm != TEACHER, arm))
    names = [name for name in SHOWN if any(key[1] == name for key in cells)]
    if names:
        rows = [(name_of(name), *(_cell(cells.get((arm, name)), with_interval) for arm in arms)) for name in names]
        heads = (
            arm if arm_of(arm) == arm else f"{arm_of(arm)}\n{arm}" for arm in arms
        )  # the second is what --arm takes
        print_table(("measure", *heads), rows)


def _cell(measure: Measure | None, write: Callable[[Measure], str]) -> str:
    return "" if measure is None or measure.value is None else write(measure)


def _gate(gate: dict[str, Any], unit: str) -> tuple[str, ...]:
    """A line of the table of gates; ``unit`` is that of its measure."""
    from auditor.types import Measure
    from auditor.words import limit_written, name_of, with_interval

    name = gate["measure"]
    seen = Measure(name=name, value=gate["value"], low=gate["low"], high=gate["high"], unit=unit)
    sign = "≥" if gate["direction"] == "at_least" else "≤"
    limit = f"{sign} {limit_written(name, gate['limit'], unit)}{'' if gate['required'] else ' (advisory)'}"
    return name_of(name), limit, _cell(seen, with_interval), _MARKS.get(gate["state"], gate["state"])
