"""Commands about runs: run, runs, show, cancel, resume, retry, delete, audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.support import JsonOption, RunArgument, follow, plain, print_json, print_table, settled, who, workspace

if TYPE_CHECKING:
    from distill.store import Run

WaitOption = Annotated[bool, typer.Option("--wait", "-w", help="Show the progress and wait for the end.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (run, runs, show, cancel, resume, retry, delete, audit):
        app.command()(command)


def run(
    spec: Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="A RunSpec; ready ones lie in specs/.")],
    wait: WaitOption = False,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key, such as training.epochs=1.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Lay a preset over the spec: quick, article or thorough.")] = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="No second run of the same spec: the one that is there goes on where it stopped."),
    ] = False,
) -> None:
    """Queue a run of SPEC.yaml. The last line printed is the run's id."""
    from auditor.cli._specs import read_spec
    from distill import jobs

    wanted = read_spec(spec, change or [], preset)
    home = workspace(make=True)
    there = jobs.same_spec(home, wanted) if once else None
    made = there or jobs.submit(home, wanted, by=who())
    if made.status() in {"failed", "cancelled", "interrupted"}:
        jobs.resume(home, made.id, by=who())
    _go_on(made.id, wait)


def runs(as_json: JsonOption = False) -> None:
    """List all runs, newest first."""
    from distill import jobs
    from distill.store import RunStore

    home = workspace()
    if home.runs.is_dir():
        jobs.reap(home)
    found = [_times(each) for each in RunStore(home).all()]
    if as_json:
        print_json(found)
    elif found:
        print_table(("run", "name", "status", "queued", "ended"), [_row(each) for each in found])
    else:
        typer.echo(
            f"There are no runs yet in {home.root}: heirloom run specs/demo.yaml. HEIRLOOM_HOME names another folder."
        )


def show(run_id: RunArgument, as_json: JsonOption = False) -> None:
    """Show what is known of a run: its stages, its verdict and its measures. The JSON is described in docs/SCHEMA.md."""
    from auditor.document import document
    from distill.store import RunStore

    found = RunStore(workspace()).get(run_id)
    shown = document(found)
    if as_json:
        print_json(shown)
        return
    from auditor.cli._summary import print_summary

    print_summary(found, shown)


def cancel(run_id: RunArgument) -> None:
    """Stop a run. What is finished is kept; resume goes on from there."""
    from distill import jobs

    jobs.cancel(workspace(), _id(run_id), by=who())
    typer.echo(f"Asked run {_id(run_id)} to stop.")


def resume(run_id: RunArgument, wait: WaitOption = False) -> None:
    """Go on with a run that was cancelled, failed or interrupted, or that waited for a review."""
    from distill import jobs

    jobs.resume(workspace(), _id(run_id), by=who())
    _go_on(_id(run_id), wait)


def retry(run_id: RunArgument, wait: WaitOption = False) -> None:
    """Start a new run with the same spec. The last line printed is its id."""
    from distill import jobs

    _go_on(jobs.retry(workspace(), _id(run_id), by=who()).id, wait)


def audit(
    run_id: RunArgument,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end.")] = True,
) -> None:
    """Audit a run again, from its files: nothing is trained or predicted."""
    from distill import jobs
    from distill.store import RunStore

    found = settled(RunStore(workspace()).get(run_id))
    jobs.audit_again(workspace(), found.id, by=who())
    _go_on(found.id, wait)


def delete(run_id: RunArgument, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Delete a run and all that it made. What lies in the cache stays."""
    from distill import jobs
    from distill.store import RunStore

    found = RunStore(workspace()).get(run_id)
    token = jobs.delete_token(found)
    if not yes:
        question = f"Delete run {found.id} ({plain(found.spec.name)}, {found.status()}) for good?"
        typer.confirm(question, abort=True, err=True)
    jobs.delete(workspace(), found.id, token)
    typer.echo(f"Deleted run {found.id}.")


def _id(run_id: str) -> str:
    from distill.store import RunStore

    return RunStore(workspace()).get(run_id).id


def _go_on(run_id: str, wait: bool) -> None:
    try:
        if wait:
            follow(workspace(), run_id)
    finally:
        typer.echo(run_id)


def _times(found: Run) -> dict[str, Any]:
    """Id, name, status and times of a run; times are ISO 8601 in UTC or null."""
    from distill.errors import HeirloomError

    happened = found.events()
    try:
        name = found.spec.name
    except HeirloomError as error:  # one damaged spec must not hide the other runs
        name = f"({error.message})"
    first = {kind: next((e.at for e in happened if e.kind == kind), None) for kind in ("queued", "started")}
    status = found.status()
    ended = happened[-1].at if happened and status not in {"queued", "running"} else None
    return {
        "id": found.id,
        "name": name,
        "status": status,
        "queued_at": first["queued"],
        "started_at": first["started"],
        "ended_at": ended,
    }


def _row(times: dict[str, Any]) -> tuple[str, ...]:
    def minute(moment: str | None) -> str:
        return moment[:16].replace("T", " ") if moment else ""

    status = times["status"].replace("_", " ")
    return times["id"], times["name"], status, minute(times["queued_at"]), minute(times["ended_at"])
