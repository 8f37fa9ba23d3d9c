"""Commands about evidence: verify, sign off, erase a row, anchor a chain's head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.support import JsonOption, RunArgument, settled, who, workspace

if TYPE_CHECKING:
    from distill.store import Run, RunStore

MARKS = {"ok": "✔", "failed": "✖", "attested": "~", "not checked": "-"}
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]
ByOption = Annotated[str, typer.Option("--by", help="Who; your user name when empty (self-declared).")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(verify)
    app.command(name="sign-off")(sign_off)
    app.command()(erase)
    app.command()(anchor)


def verify(
    target: Annotated[str, typer.Argument(metavar="RUN|FILE", help="A run id, or a bundle (REPORT.zip).")],
    key: Annotated[str, typer.Option("--key", help="Fingerprint of the signing key, known from elsewhere.")] = "",
    anchored: Annotated[
        Path | None, typer.Option("--anchor", exists=True, dir_okay=False, help="A head that was deposited elsewhere.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify digests, chain, signature and every figure; works on a bundle without any workspace. Exit 1 where something differs."""
    from auditor.cli.support import print_json
    from auditor.evidence.anchor import read_anchor
    from auditor.evidence.verify import verify_bundle, verify_run
    from distill.store import RunStore

    path = Path(target)
    head = read_anchor(anchored.read_bytes()) if anchored else None
    if path.is_file():
        found = verify_bundle(path.read_bytes(), key or None, path.name, head)
    else:
        home = workspace()
        found = verify_run(home, settled(_run_named(RunStore(home), target)), key or None, head)
    if as_json:
        lines = [{"what": line.what, "state": line.state, "sentence": line.sentence} for line in found.lines]
        print_json({"ok": found.ok, "key": found.fingerprint, "lines": lines})
    else:
        for line in found.lines:
            typer.echo(f"{MARKS[line.state]} {line.what}: {line.sentence}")
        typer.echo("Verified." if found.ok else "NOT verified: see the lines marked ✖.")
    if not found.ok:
        raise typer.Exit(1)


def _run_named(store: RunStore, target: str) -> Run:
    """The run, or a sentence about the path that was given in its place."""
    from distill.errors import ReportError, RunNotFoundError

    try:
        return store.get(target)
    except RunNotFoundError as error:
        path = Path(target)
        if path.is_dir():
            exported, run = path / "SHA256SUMS", (path / "spec.yaml").exists()
            hint = "Name the bundle in it, a ZIP file, or a run's id."
            if exported.exists():
                hint = f"It is an export: `cd {path} && sha256sum -c {exported.name}` checks its files."
            elif run:
                home = path.resolve().parent.parent
                hint = f"It is a run's folder: `HEIRLOOM_HOME={home} heirloom verify {path.resolve().name}`."
            raise ReportError(f"{path} is a folder, neither a bundle nor a run's id.", hint=hint) from error
        if path.suffix or len(path.parts) > 1:
            raise ReportError(f"There is no file {path}.", hint="Name a bundle (REPORT.zip) or a run's id.") from error
        raise


def sign_off(
    run_id: RunArgument,
    state: Annotated[str, typer.Argument(help="reviewed, approved or refused.")],
    reason: ReasonOption,
    by: ByOption = "",
) -> None:
    """Sign a run's report: draft → reviewed → approved or refused. The approver is not a reviewer of the run."""
    from auditor.evidence.signoff import STEPS, sign_off
    from distill.errors import ReportError, nearest
    from distill.store import RunStore

    step = next((known for known in STEPS if known == state and known != "draft"), None)
    if step is None:
        raise ReportError(
            f"'{state}' is no step of a sign-off.", hint=nearest(state, [s for s in STEPS if s != "draft"])
        )
    home = workspace()
    done = sign_off(home, RunStore(home).get(run_id), step, by or who(), reason)
    typer.echo(f"The report is {done.state}, by {done.by} (self-declared).")


def erase(
    run_id: RunArgument, row: Annotated[str, typer.Argument(help="Row id.")], reason: ReasonOption, by: ByOption = ""
) -> None:
    """Erase the text of one row from a run, or finish an erasure that was stopped. The evidence chain still verifies; figures on texts are no
    longer recomputable."""
    from auditor.evidence.erase import NOT_TOUCHED, erase
    from distill.store import RunStore

    home = workspace()
    erase(home, RunStore(home).get(run_id), row, by or who(), reason)
    typer.echo(f"The text of row {row} is erased from run {run_id}; its evidence chain still verifies.")
    typer.echo(f"Not touched: {NOT_TOUCHED}.", err=True)


def anchor(
    run_id: RunArgument,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; RUN-anchor.json when empty.")
    ] = None,
) -> None:
    """Write the signed head of a run's evidence chain to a file, to be deposited elsewhere; `heirloom verify --anchor FILE` holds against it."""
    from auditor.evidence.anchor import make_anchor
    from distill.files import atomic_path
    from distill.store import RunStore

    home = workspace()
    run = RunStore(home).get(run_id)
    path = out or Path(f"{run.id}-anchor.json")
    with atomic_path(path) as part:
        part.write_bytes(make_anchor(home, run))
    typer.echo(str(path))
