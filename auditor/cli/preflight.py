"""The command that looks before anything costs time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.support import JsonOption, plain, print_json, workspace

MARKS = {"ok": "✓", "warn": "!", "fail": "✗"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(preflight)


def preflight(
    spec: Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="A RunSpec; ready ones lie in specs/.")],
    change: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key.")] = None,
    preset: Annotated[str | None, typer.Option(help="Lay a preset over the spec.")] = None,
    ask_teacher: Annotated[
        bool, typer.Option("--ask-teacher", help="Also try a teacher that exists on some labelled rows.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check SPEC.yaml on this machine and estimate its time, memory and disk. Exits with 2 when it cannot work."""
    from auditor.cli._specs import read_spec
    from auditor.foreseen import unanswerable
    from distill.preflight import preflight as look
    from distill.probe import probe

    wanted = read_spec(spec, change or [], preset)
    found = look(wanted, workspace(make=True))
    items = [*found.items, *unanswerable(wanted), *([probe(wanted)] if ask_teacher else [])]
    well = all(item.state != "fail" for item in items)
    if as_json:
        estimate = asdict(found.estimate) if found.estimate is not None else None
        print_json({"ok": well, "items": [asdict(item) for item in items], "estimate": estimate})
    else:
        for item in items:
            typer.echo(plain(f"{MARKS[item.state]} {item.sentence} {item.hint}".rstrip()))
    if not well:
        raise typer.Exit(2)
