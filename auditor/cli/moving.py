"""Commands that move a whole workspace: backup and restore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.support import workspace

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The ZIP file.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backup)
    app.command()(restore)


def backup(
    file: FileArgument,
    with_cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Also what could be made again.")] = True,
) -> None:
    """Save the whole workspace in one file. It holds the signing key: keep it as safe as the workspace."""
    from auditor.backup import backup as save

    done = save(workspace(make=True), file, with_cache)
    typer.echo(f"Saved {done.files:,} files ({done.bytes / 1e6:,.1f} MB) in {file}.")


def restore(
    file: FileArgument,
    force: Annotated[bool, typer.Option("--force", help="Also where the workspace is not empty.")] = False,
) -> None:
    """Bring back a workspace from a backup, after checking every digest."""
    from auditor.backup import restore as bring_back

    home = workspace(make=True)
    done = bring_back(file, home, force)
    typer.echo(f"Restored {done.files:,} files ({done.bytes / 1e6:,.1f} MB) into {home.root}.")
    if done.aside is not None:
        typer.echo(f"What was there before lies in {done.aside}.")
