"""The command suite: one recipe over several tasks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.support import JsonOption, follow, plain, print_json, print_table, who, workspace

if TYPE_CHECKING:
    from auditor.types import Measure


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(suite)


def suite(
    spec: Annotated[
        str, typer.Argument(metavar="[SPEC.yaml|ID]", help="A suite to start or go on with; an id to show; empty: all.")
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait for all runs, then show what they measured.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run one recipe over several tasks, or show what suites measured. The same suite again goes on where it stopped."""
    from distill.store import RunStore
    from distill.suite import load_suite, record_of, records, submit_suite

    is_file = spec.endswith((".yaml", ".yml", ".json")) or bool(spec and Path(spec).is_file())
    home = workspace(make=is_file)
    if not spec:
        found = records(home)
        if as_json:
            print_json([record.model_dump(mode="json") for record in found])
        elif found:
            print_table(
                ("suite", "name", "tasks", "made"), [(r.id, r.name, len(r.runs), r.made_at[:16]) for r in found]
            )
        else:
            typer.echo(f"There are no suites yet in {home.root}: heirloom suite specs/suite-tiny.yaml")
        return
    record = submit_suite(home, load_suite(Path(spec)), who()) if is_file else record_of(home, spec)
    if wait:
        for run_id in record.runs.values():
            try:
                follow(home, run_id)
            except typer.Exit:
                typer.echo(f"Run {run_id} did not end well; the suite goes on.", err=True)
    from auditor.suite import summary

    lines = summary(RunStore(home), record)
    if as_json:
        print_json({**record.model_dump(mode="json"), "tasks": [_plain(asdict(line)) for line in lines]})
        return
    rows = [(n.task, n.domain, n.status, _said(n.retention, 1), _said(n.student, 100), _said(n.teacher, 100), n.remark) for n in lines]  # fmt: skip
    print_table(("task", "domain", "status", "kept, %", "student, %", "teacher, %", "remark"), rows)
    typer.echo(record.id)


def _plain(line: dict[str, Any]) -> dict[str, Any]:
    return {k: v.model_dump(mode="json") if hasattr(v, "model_dump") else v for k, v in line.items()}


def _said(measure: Measure | None, factor: float) -> str:
    if measure is None or measure.value is None:
        return ""
    low, high = (None if b is None else f"{factor * b:.1f}" for b in (measure.low, measure.high))
    return plain(f"{factor * measure.value:.1f} [{low or '?'}, {high or '?'}]")
