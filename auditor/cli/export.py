"""The command ``export``: one model of a run as files for elsewhere, verified before it is handed over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.support import JsonOption, RunArgument, print_json, settled, workspace

if TYPE_CHECKING:
    from distill.export import Verified


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


def export(
    run_id: RunArgument,
    arm: Annotated[str, typer.Option("--arm", "-a", help="Which arm; the run's candidate when empty.")] = "",
    form: Annotated[str, typer.Option("--format", "-f", help="onnx, onnx-int8, hf, bundle or bundle-int8.")] = "bundle",
    seed: Annotated[int | None, typer.Option(help="Which of the arm's models; the first when empty.")] = None,
    out: Annotated[Path | None, typer.Option("--output", "-o", help="New folder; RUN-ARM-FORMAT when empty.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Export one model of a run. A bundle answers with onnxruntime and tokenizers alone. The last line is its folder."""
    from dataclasses import asdict

    from auditor.report.content import build
    from auditor.report.render import draw
    from distill.export import export as write
    from distill.store import RunStore

    home = workspace()
    run = settled(RunStore(home).get(run_id))
    arm = arm or run.spec.candidate
    card = draw(home, build(home, run), "card").decode() if arm == run.spec.candidate else ""
    target = out or Path(f"{run.id}-{arm}-{form}")
    found = write(run, arm, form, target, seed=seed, card_text=card or _card(arm, run.id))
    if as_json:
        print_json({**asdict(found), "folder": str(target)})
        return
    for line in _told(found):
        typer.echo(line, err=True)
    typer.echo(str(target))


def _card(arm: str, run_id: str) -> str:
    return (
        f"# {arm}\n\nA model of the Heirloom run {run_id} that is not the run's candidate: the verdict is not about it.\n"
        "What was measured of the export stands in verified.json.\n"
    )


def _told(found: Verified) -> list[str]:
    """What was verified, in sentences."""
    same = (
        f"Same label as '{found.arm}' on {100 * found.agreement:.2f} % of {found.texts} test texts; "
        f"probabilities differ by {found.mean_difference:.2g} on average, {found.largest_difference:.2g} at most."
    )
    lines = [same, f"{found.bytes / 1e6:.1f} MB on disk."]
    if found.cold_start_seconds is not None and found.latency_ms is not None:
        memory = f"{found.peak_memory_bytes / 1e6:.0f} MB" if found.peak_memory_bytes else "an unknown amount"
        lines.append(
            f"Alone, without torch: first answer after {found.cold_start_seconds:.2f} s, then {found.latency_ms:.2f} ms a text "
            f"on one thread, {memory} of memory at the peak."
        )
    return lines
