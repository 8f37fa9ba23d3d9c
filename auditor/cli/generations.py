"""Commands about distilling again: generations, lineage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.support import JsonOption, RunArgument, follow, plain, print_json, print_table, who, workspace

if TYPE_CHECKING:
    from distill.store import Run


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(generations)
    app.command()(lineage)


def generations(
    spec: Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="A RunSpec.")],
    count: Annotated[int, typer.Option("--count", "-n", min=2, max=10, help="How many runs, the first counted.")] = 3,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for the last one.")] = False,
) -> None:
    """Distil again and again: the student of each run teaches the next. Prints the ids of the runs that are there by then."""
    from auditor.cli._specs import read_spec
    from distill import jobs

    home = workspace(make=True)
    run: Run | None = jobs.submit(home, read_spec(spec, [f"generations={count}"]), by=who())
    while run is not None:
        typer.echo(run.id)
        if not wait:
            return
        follow(home, run.id)
        run = _next(run.id)


def _next(run_id: str) -> Run | None:
    from distill.generations import children, queue_next
    from distill.store import RunStore

    home = workspace()
    run = RunStore(home).get(run_id)
    found = children(home, run)
    return found[0] if found else queue_next(home, run)


def lineage(run_id: RunArgument, as_json: JsonOption = False) -> None:
    """Show what a run descends from and what descends from it."""
    from dataclasses import asdict

    from auditor.lineage import family
    from distill.store import RunStore

    store = RunStore(workspace())
    found = family(store, store.get(run_id).id)
    if as_json:
        edges = [dict(zip(("from", "to", "link"), edge, strict=True)) for edge in found.edges]
        print_json({"runs": [asdict(node) for node in found.nodes.values()], "edges": edges, "problems": list(found.sentences)})  # fmt: skip
        return
    columns = ("run", "name", "status", "generation", "taught by", "follows from")
    print_table(columns, [(n.run, n.name or "(not here)", n.status, n.generation or "", n.teacher or "", n.parent or "") for n in found.nodes.values()])  # fmt: skip
    for sentence in found.sentences:
        typer.echo(plain(sentence), err=True)
