"""The command ``bias``: a run's gender bias, that of two checkpoints from elsewhere, or the estimator's own test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.support import JsonOption, follow, plain, print_json, print_table, who, workspace

if TYPE_CHECKING:
    from auditor.types import AuditReport, Measure
    from distill.store import Run

CHECKS = {
    "classification": ("gender_bias", "gender_swaps", "gender_ledger", "groups"),
    "generation": ("lm_bias", "lm_stereotypes", "lm_honest"),
}
COLUMNS = ("gender_bias", "gender_bias_signed", "gender_bias_change", "label_gender_association", "swap_flip_rate")
SET_COLUMNS = ("gender_bias", "gender_bias_change", "stereotype_preference", "stereotype_share", "perplexity")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bias)


def bias(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Run id, or its beginning.")] = None,
    model: Annotated[str | None, typer.Option(metavar="DIR", help="Checkpoint to audit, made elsewhere.")] = None,
    teacher: Annotated[str | None, typer.Option(metavar="DIR", help="Checkpoint it is compared with.")] = None,
    labels: Annotated[
        str, typer.Option(help="Label names in the teacher's order, with commas; its own when empty.")
    ] = "",
    positive: Annotated[str | None, typer.Option(help="The label that is good for the person concerned.")] = None,
    language: Annotated[str, typer.Option(help="ISO 639-1 code of the sentences.")] = "en",
    pairs: Annotated[int, typer.Option(min=2, max=50, help="Pairs of sentences in each cell.")] = 5,
    selftest: Annotated[bool, typer.Option("--selftest", help="Does the estimator find what was planted?")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a student inherited and what distillation added, by gender."""
    from distill.errors import SpecError
    from distill.store import RunStore

    if selftest:
        _selftest(as_json)
        return
    if (model is None) != (teacher is None) or (model is None) == (run_id is None):
        raise SpecError("Name either a run, or both --model and --teacher.", hint="`heirloom runs` lists the runs.")
    if model is not None and teacher is not None:
        from auditor.bias.outside import outside_spec
        from distill import jobs

        known = [label.strip() for label in labels.split(",") if label.strip()]
        home = workspace(make=True)
        spec = outside_spec(
            home, model, teacher, labels=known, positive=positive, language=language, pairs_per_cell=pairs
        )
        run = jobs.submit(home, spec, by=who())
        follow(home, run.id)
    else:
        run = RunStore(workspace()).get(str(run_id))
    _tell(run, as_json)


def _tell(run: Run, as_json: bool) -> None:
    from auditor.audit import load_report
    from distill.errors import StoreError

    report = load_report(run)
    if report is None:
        raise StoreError(f"Run {run.id} has no audit yet.", hint=f"`heirloom audit {run.id}` makes it.")
    if as_json:
        print_json(_document(run, report))
        return
    typer.echo(plain(f"{run.spec.name}  ({run.id})"))
    for check in CHECKS.get(run.spec.task, ()):
        result = report.result(check)
        if result is None or result.skipped:
            typer.echo(
                plain(f"{check}: skipped, because {result.skipped if result else 'the audit has no such check'}")
            )
            continue
        for finding in result.findings:
            typer.echo(plain(f"{check}: {finding.claim} {finding.action}".rstrip()))
    found = {(m.arm, m.name): m for m in report.measures if m.group is None and m.seed is None}
    names = [name for name in COLUMNS if any(key[1] == name for key in found)]
    arms = [arm for arm in dict.fromkeys(arm for arm, _ in found) if any((arm, name) in found for name in names)]
    if names:
        print_table(("arm", *names), [(arm, *(_cell(found.get((arm, name))) for name in names)) for arm in arms])
    _tell_sets(report)


def _tell_sets(report: AuditReport) -> None:
    """One row a test set and arm, where the audit asked several sets."""
    found = {
        (str(m.group), m.arm, m.name): m for m in report.measures if str(m.group).startswith("set=") and m.seed is None
    }
    names = [name for name in SET_COLUMNS if any(key[2] == name for key in found)]
    places = dict.fromkeys((group, arm) for group, arm, name in found if name in SET_COLUMNS)
    if names:
        body = [
            (group.removeprefix("set="), arm, *(_cell(found.get((group, arm, name))) for name in names))
            for group, arm in places
        ]
        print_table(("test set", "arm", *names), body)


def _cell(measure: Measure | None) -> str:
    if measure is None or measure.value is None:
        return ""
    between = "" if measure.low is None or measure.high is None else f" [{measure.low:.3g}, {measure.high:.3g}]"
    return f"{measure.value:.3g}{between}"


def _document(run: Run, report: AuditReport) -> dict[str, Any]:
    """Run id, candidate, and of each bias check its measures, findings and tables, or why it was skipped."""
    asked = CHECKS.get(run.spec.task, ())
    results = [result for result in (report.result(check) for check in asked) if result is not None]
    return {
        "run": run.id,
        "candidate": run.spec.candidate,
        "positive": run.spec.data.positive,
        "checks": {result.name: result.model_dump(mode="json") for result in results},
    }


def _selftest(as_json: bool) -> None:
    """Simulations with a known truth: coverage, unbiasedness, identity, exchange of genders, an untrained model."""
    from auditor.bias import selftest as test

    rows: list[tuple[str, str, bool]] = []
    typer.echo("2,000 simulations at each of three levels of noise: a minute or two.", err=True)
    for level in test.LEVELS:
        covered = test.signed_coverage(level)[0]
        told = (
            f"{100 * covered.covered:.1f} % of {covered.simulations:,} intervals hold the planted +{test.PLANTED:.2f}"
        )
        rows.append((f"coverage, {level.name} noise", told, covered.holds))
        for gap in (test.PLANTED, 0.0):
            square = test.square_bias(level, gap)
            told = f"mean {square.mean:.6f}, truth {square.truth:.6f} (uncorrected {square.plug_in_mean:.6f})"
            rows.append((f"G² unbiased at gap {gap:g}, {level.name} noise", told, square.holds))
    change = test.same_models().changes[0]
    rows.append(
        (
            "two identical models",
            f"change {change.change.value:g}: {change.word}",
            change.change.value == 0 and change.word == "equivalent",
        )
    )
    one, other = test.exchanged_genders()
    rows.append(("genders exchanged", f"{one:+.6f} and {other:+.6f}", abs(one + other) < 1e-12))
    untrained = test.untrained_model().changes[0]
    rows.append(("an untrained model", f"{untrained.word}. {untrained.reason}", untrained.word == "cannot tell"))
    if as_json:
        print_json([{"test": name, "found": told, "holds": bool(holds)} for name, told, holds in rows])
    else:
        print_table(("self-test", "found", "holds"), [(n, t, "yes" if h else "NO") for n, t, h in rows])
    if not all(holds for _, _, holds in rows):
        raise typer.Exit(1)
