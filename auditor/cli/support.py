"""What several command groups share. Heavy imports stay inside the functions."""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from distill.store import Run
    from distill.workspace import Workspace

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Run id, or its beginning where that is unique.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other tools.")]
WIDE = 240  # columns
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def workspace(make: bool = False) -> Workspace:
    """The workspace that HEIRLOOM_HOME names; made only for commands that begin something, so that looking leaves no folder behind."""
    from distill.workspace import Workspace

    return Workspace.default(make)


def settled(run: Run) -> Run:
    """``run``, when nobody works on it; raises StoreError that says how far it is, and not what to do with a run that stopped."""
    from auditor.cli._summary import how_far
    from distill.errors import StoreError
    from distill.store import ACTIVE

    status = run.status()
    if status not in ACTIVE:
        return run
    doing = "waits in the queue" if status == "queued" else "is still running"
    far = how_far(run)
    raise StoreError(
        f"Run {run.id} {doing}{f' ({far})' if far else ''}.",
        hint=f"Wait for it: `heirloom show {run.id}` says how far it is.",
    )


def who() -> str:
    """The name of whoever types, for the log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return ""


def plain(value: object) -> str:
    """Text for a terminal: no escape sequences, no direction overrides, one line."""
    return _CONTROL.sub("\ufffd", str(value).replace("\n", " ").replace("\t", " "))


def print_json(value: Any) -> None:
    """Print indented JSON to stdout."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table to stdout; numbers to the right. Cells are text, never markup."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    body = [[cell if cell is not None else "" for cell in row] for row in rows]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for position, name in enumerate(columns):
        numbers = bool(body) and all(isinstance(row[position], int | float) for row in body)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in body:
        table.add_row(*(Text(plain(f"{cell:.4g}" if isinstance(cell, float) else cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = WIDE  # whoever reads a pipe wants one line a row
    console.print(table)


def follow(home: Workspace, run_id: str) -> None:
    """Show a run's progress until it ends; exits with 1 where it did not end well."""
    from auditor.cli._progress import watch
    from distill.store import RunStore

    run = RunStore(home).get(run_id)
    status = watch(home, run)
    if status not in {"complete", "awaiting_review"}:
        raise typer.Exit(1)
