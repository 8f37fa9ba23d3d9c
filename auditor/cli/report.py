"""The command ``report``: a run's report in any format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.support import RunArgument, settled, who, workspace


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)


def report(
    run_id: RunArgument,
    form: Annotated[str, typer.Option("--format", "-f", help="html, pdf, md, json, bom, card or bundle.")] = "html",
    out: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; RUN-report.… when empty.")] = None,
    no_texts: Annotated[bool, typer.Option("--no-texts", help="Of a bundle: leave the texts out.")] = False,
    beside_model: Annotated[
        bool,
        typer.Option("--beside-model", help="Also write the model card as README.md beside the student's weights."),
    ] = False,
) -> None:
    """Write a run's report. A bundle is one zip that `heirloom verify` reads on any machine."""
    from auditor.report.card import write_beside_model
    from auditor.report.content import build
    from auditor.report.render import FORMATS, draw, file_name
    from distill.errors import ReportError, nearest
    from distill.files import atomic_path
    from distill.store import RunStore

    name = next((known for known in FORMATS if known == form), None)
    if name is None:
        raise ReportError(f"'{form}' is no format of a report.", hint=nearest(form, list(FORMATS)))
    home = workspace()
    run = RunStore(home).get(run_id)
    run = settled(run) if name == "bundle" else run
    content = build(home, run)
    if beside_model:
        for readme in write_beside_model(home, run, content, who() or "command line"):
            typer.echo(f"Wrote {readme}", err=True)
        content = build(home, run)
    data = draw(home, content, name, texts=not no_texts)
    path = out or Path(file_name(content, name))
    if not path.parent.is_dir():
        raise ReportError(f"There is no folder {path.parent}.", hint="Make it first, or choose another place with -o.")
    with atomic_path(path) as part:
        part.write_bytes(data)
    typer.echo(str(path))
