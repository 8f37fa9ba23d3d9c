"""``heirloom show`` for people: the verdict first, then what it stands on."""

from __future__ import annotations

from typing import Any

import typer

from auditor.cli.support import plain, print_table
from distill import events
from distill.store import TEACHER, Run

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
    about = document["run"]
    typer.echo(f"{plain(about['spec']['name'])}  ({about['id']}, {about['status'].replace('_', ' ')})")
    if about["status"] != "complete":
        _stages(run)
    if document.get("verdict"):
        verdict = document["verdict"]
        typer.echo(f"\n{plain(verdict['answer']).upper()}: {plain(verdict['sentence'])}")
        for reason in verdict.get("reasons", ()):
            typer.echo(f"  - {plain(reason)}")
    if document.get("gates"):
        rows = [(g["measure"], _limit(g), _interval(g), _MARKS.get(g["state"], g["state"])) for g in document["gates"]]
        print_table(("gate", "limit", "measured", "state"), rows)
    if document.get("measures"):
        _measures(document["measures"])
    for finding in document.get("findings", ()):
        if finding["severity"] in {"serious", "warning"}:
            typer.echo(f"{finding['severity']}: {plain(finding['claim'])} {plain(finding.get('action', ''))}".rstrip())


def _stages(run: Run) -> None:
    """One line a stage, with the last that was heard of it."""
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
    for stage, text in heard.items():
        typer.echo(f"  {stage:<12} {plain(text)}")


def _measures(measures: list[dict[str, Any]]) -> None:
    """A table of the best-known measures of every arm, seeds averaged, all items together."""
    cells = {
        (measure["arm"], measure["name"]): measure
        for measure in measures
        if measure["name"] in SHOWN and measure.get("group") is None and measure.get("seed") is None
    }
    arms = sorted({arm for arm, _ in cells}, key=lambda arm: (arm != TEACHER, arm))
    names = [name for name in SHOWN if any(key[1] == name for key in cells)]
    if names:
        rows = [(arm, *(_interval(cells.get((arm, name), {})) for name in names)) for arm in arms]
        print_table(("arm", *names), rows)


def _limit(gate: dict[str, Any]) -> str:
    sign = "≥" if gate["direction"] == "at_least" else "≤"
    return f"{sign} {gate['limit']:.4g}{'' if gate['required'] else ' (advisory)'}"


def _interval(measure: dict[str, Any]) -> str:
    if measure.get("value") is None:
        return ""
    low, high = measure.get("low"), measure.get("high")
    between = f" [{low:.3g}, {high:.3g}]" if low is not None and high is not None else ""
    return f"{measure['value']:.3g}{between}"
