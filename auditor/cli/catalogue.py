"""Commands that list what there is: packs, teachers, arms, checks, and the schema of a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.support import JsonOption, print_json, print_table

if TYPE_CHECKING:
    from distill.registry import Registry


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (packs, teachers, arms, checks, measures, schema):
        app.command()(command)


def packs(
    as_json: JsonOption = False,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Check the files' SHA-256 (some 250 MB).")] = True,
) -> None:
    """List the packs: models and data that come as Python packages, their licences, and whether their digests are right."""
    from distill.data.packs import INSTALL_HINT, status

    found = status(check)
    if as_json:
        print_json([pack.model_dump(mode="json") for pack in found])
        return
    columns = ("pack", "kind", "package", "digest", "licence", "use")
    rows = [(p.name, p.kind, f"{p.package} {p.version}", p.digest, p.licence, p.use) for p in found]
    print_table(columns, rows)
    if any(pack.digest == "missing" for pack in found):
        typer.echo(INSTALL_HINT)


def teachers(as_json: JsonOption = False) -> None:
    """List the kinds of teacher and their options."""
    from distill.plugins import TEACHERS

    _list(TEACHERS, as_json)


def arms(as_json: JsonOption = False) -> None:
    """List the ways of making a small model and their options."""
    from distill.plugins import ARMS

    _list(ARMS, as_json)


def checks(as_json: JsonOption = False) -> None:
    """List the checks of an audit and what they need."""
    from auditor.check import CHECKS

    _list(CHECKS, as_json)


def measures(as_json: JsonOption = False) -> None:
    """List the measures that checks make, and what each means."""
    from auditor.check import CHECKS, MEASURES

    CHECKS.names()  # a check says what it measures when it is loaded
    found = [{"name": name, "check": check, "meaning": meaning} for name, (check, meaning) in sorted(MEASURES.items())]
    if as_json:
        print_json(found)
    else:
        print_table(("measure", "check", "meaning"), [tuple(each.values()) for each in found])


def schema() -> None:
    """Print the JSON Schema of a RunSpec."""
    from distill.spec import RunSpec

    print_json(RunSpec.model_json_schema())


def _list(registry: Registry[Any], as_json: bool) -> None:
    entries = list(registry)
    if as_json:
        print_json(
            [
                {
                    "name": entry.name,
                    "summary": entry.summary,
                    "tasks": sorted(entry.tasks),
                    "needs": sorted(entry.needs),
                    "options": entry.options.model_json_schema(),
                }
                for entry in entries
            ]
        )
        return
    needed = any(entry.needs for entry in entries)
    columns = (registry.kind, "what it is", "tasks", "options", *(("needs",) if needed else ()))
    print_table(
        columns,
        [
            (
                entry.name,
                entry.summary,
                ", ".join(sorted(entry.tasks)),
                ", ".join(entry.options.model_fields),
                *((", ".join(sorted(entry.needs)),) if needed else ()),
            )
            for entry in entries
        ],
    )
