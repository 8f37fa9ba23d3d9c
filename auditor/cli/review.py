"""`heirloom review`: plan, status, export, import, apply."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.support import JsonOption, RunArgument, who, workspace

if TYPE_CHECKING:
    from distill.store import Run
    from distill.workspace import Workspace

ByOption = Annotated[str, typer.Option("--by", help="Who; your user name when empty (self-declared).")]
FormatOption = Annotated[
    str, typer.Option("--format", help="csv, jsonl, parquet or label-studio; from the file's name when empty.")
]
_BY_SUFFIX = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet", ".json": "label-studio"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command()(plan)
    group.command()(status)
    group.command()(export)
    group.command(name="import")(import_)
    group.command()(apply)
    app.add_typer(group, name="review", help="Let people check a sample of a run's synthetic labels or answers.")


def plan(
    run_id: RunArgument,
    fraction: Annotated[float | None, typer.Option(help="Share to check; the spec's when empty (15 %).")] = None,
    max_wrong: Annotated[
        float | None, typer.Option(help="Acceptable share of wrong labels; the spec's when empty.")
    ] = None,
    aql: Annotated[float | None, typer.Option(help="With --lq: lots up to this share wrong shall pass.")] = None,
    lq: Annotated[
        float | None, typer.Option(help="Limiting quality: lots with this share wrong shall be refused.")
    ] = None,
    producer_risk: Annotated[
        float | None, typer.Option(help="With --lq: how often a good lot may be refused (0.05).")
    ] = None,
    consumer_risk: Annotated[float | None, typer.Option(help="With --lq: how often a bad lot may pass (0.10).")] = None,
    doubles: Annotated[
        float | None, typer.Option(help="Share of cards that two people decide (0.1, at least 50).")
    ] = None,
    strata: Annotated[int, typer.Option(help="About so many further cards, by confidence and class.")] = 0,
    group: Annotated[str, typer.Option(help="A group column for the strata.")] = "",
    minimum: Annotated[int, typer.Option(help="At least so many cards in each stratum.")] = 5,
    neyman: Annotated[
        bool,
        typer.Option(
            "--neyman", help="Add --strata cards to the open round where its cards so far, the pilot, found errors."
        ),
    ] = False,
    targeted: Annotated[int, typer.Option(help="So many cards from each source of the targeted queue.")] = 0,
    seed: Annotated[int | None, typer.Option(help="Seed of the sample; the spec's when empty.")] = None,
    start: Annotated[bool, typer.Option("--start", help="Freeze the plan and deal its cards.")] = False,
    by: ByOption = "",
) -> None:
    """Say what a sample will prove; with --start freeze the plan, log it and deal its cards."""
    from auditor.review.rounds import begin

    home, run = _run(run_id)
    if neyman:
        _after_pilot(home, run, strata, group, minimum, by or who())
        return
    risks = {"producer_risk": producer_risk, "consumer_risk": consumer_risk, "double_share": doubles}
    wishes = _wishes(
        run,
        fraction=fraction,
        max_wrong=max_wrong,
        aql=aql,
        lq=lq,
        strata=strata,
        group=group,
        minimum=minimum,
        seed=seed,
        **risks,
    )
    _promise(run, wishes)
    if not start:
        typer.echo("Nothing is frozen yet: add --start.")
        return
    made = begin(home, run, wishes, by or who())
    typer.echo(f"Round {made.number} is frozen and logged; its cards are dealt.")
    if targeted:
        _deal_targeted(home, run, targeted, by or who())


def _promise(run: Run, wishes: Any) -> None:
    """Say what a sample by these wishes will prove."""
    from auditor.review.plan import promise
    from auditor.review.rounds import propose

    proposed = propose(run, wishes)
    said = promise(proposed)
    typer.echo(said.sentence)
    typer.echo(f"Double-review cards: {proposed.doubles:,}. Seed {wishes.seed}. Frame {proposed.frame[:16]}…")
    for share in (0.25, 0.5, 0.75, 1.0, 1.5, 2.0):
        rate = share * proposed.limit
        if rate <= said.rates[-1]:
            chance = float(said.accepted[abs(said.rates - rate).argmin()])
            typer.echo(f"  a lot with {100 * rate:5.2f} % wrong is accepted {100 * chance:5.1f} % of the time")


def _deal_targeted(home: Workspace, run: Run, cards: int, by: str) -> None:
    """Deal the targeted queue: so many cards from each source."""
    from auditor.review.frame import load_frame
    from auditor.review.targeted import add_targeted, sources_of

    dealt = add_targeted(home, run, tuple(sources_of(load_frame(run))), cards, by)
    for name, number in dealt.cards.items():
        typer.echo(f"  targeted, {name}: {number:,}")
    for name, reason in dealt.missing.items():
        typer.echo(f"  targeted, {name}: none, {reason}")


def _after_pilot(home: Workspace, run: Run, extra: int, group: str, minimum: int, by: str) -> None:
    from auditor.review.plan import wishes_from
    from auditor.review.rounds import add_strata

    chosen = {"extra": extra, "group": group or None, "minimum": minimum, "allocation": "Neyman"}
    strata = wishes_from({"strata": chosen}).strata
    assert strata is not None
    typer.echo(f"{add_strata(home, run, strata, by):,} cards within strata are added to the open round.")


def status(run_id: RunArgument, as_json: JsonOption = False) -> None:
    """How far the review is and what it says; before its end that is an early look."""
    from auditor.cli.support import plain, print_json
    from auditor.review.desk import progress
    from auditor.review.rounds import current_round

    home, run = _run(run_id)
    now = current_round(home, run.id)
    if now is None:
        typer.echo(f"No review is planned. Plan it: heirloom review plan {run.id}.")
        return
    done = progress(home, now, "", "sample")
    aimed = progress(home, now, "", "targeted")
    found = _figures(home, run)
    if as_json:
        counts = {"cards": done.total, "decided": done.decided, "waiting_for_second": done.waiting_for_second}
        targeted = {"cards": aimed.total, "decided": aimed.decided}
        plan = now.plan.model_dump(mode="json")
        print_json(
            {"round": now.number, "closed": now.closed, "plan": plan, "sample": counts, "targeted": targeted, **found}
        )
        return
    closed = f", closed: {plain(now.closed)}" if now.closed else ""
    typer.echo(f"Round {now.number}, planned by {plain(now.by)}{closed}")
    typer.echo(
        f"Sample: {done.decided:,} of {done.total:,} decided, {done.waiting_for_second:,} wait for a second person"
    )
    typer.echo(f"Targeted: {aimed.decided:,} of {aimed.total:,} decided")
    if found:
        typer.echo(found["sentence"])


def export(
    run_id: RunArgument,
    out: Annotated[Path, typer.Option("-o", "--out", help="File to write.")],
    what: Annotated[str, typer.Option(help="cards, decisions or labels.")] = "cards",
    kind: FormatOption = "",
    by: ByOption = "",
) -> None:
    """Write cards, decisions or labels for another tool. Synthetic data are marked in every row."""
    from auditor.review.exchange.exporting import export as make
    from distill.files import atomic_path

    home, run = _run(run_id)
    content = make(home, run, what, kind or _BY_SUFFIX.get(out.suffix.lower(), out.suffix), by or who())
    with atomic_path(out) as part:
        part.write_bytes(content)
    typer.echo(f"{out}: {len(content):,} bytes")


def import_(
    run_id: RunArgument,
    file: Annotated[Path, typer.Argument(help="File with row_id and label (of answers: accept, edit, reject).")],
    kind: FormatOption = "",
    by: ByOption = "",
) -> None:
    """Enter decisions that were made elsewhere: the whole file, or nothing and a line for each mistake."""
    from auditor.cli.support import plain
    from auditor.review.exchange.importing import ReviewImportError, import_decisions
    from distill.errors import ReviewError

    home, run = _run(run_id)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ReviewError(f"{file} cannot be read: {error.strerror}.") from error
    try:
        entered = import_decisions(home, run, content, kind or _BY_SUFFIX.get(file.suffix.lower(), ""), by or who())
    except ReviewImportError as error:
        for problem in error.problems:
            typer.echo(f"line {problem.line}: {plain(problem.what)}", err=True)
        typer.echo("Nothing was imported.", err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{entered:,} decisions entered.")


def apply(
    run_id: RunArgument,
    name: Annotated[str, typer.Option(help="Name of the child run.")] = "",
    unchanged: Annotated[
        bool, typer.Option("--unchanged", help="Go on with the labels as they are (a run that awaits its review).")
    ] = False,
    by: ByOption = "",
) -> None:
    """Make label version n + 1 and a child run from the decisions; every signal is reused."""
    from auditor.review.answers import unit_of
    from auditor.review.applying import apply_decisions, go_on_unchanged

    home, run = _run(run_id)
    if unchanged:
        go_on_unchanged(home, run, by or who())
        typer.echo(f"Run {run.id} goes on with the teacher's {unit_of(run)}.")
        return
    child = apply_decisions(home, run, by or who(), name)
    typer.echo(f"Run {child.id} follows from {run.id} with label version {child.spec.label_version}.")


def _run(run_id: str) -> tuple[Workspace, Run]:
    from distill.store import RunStore

    home = workspace()
    return home, RunStore(home).get(run_id)


def _wishes(run: Run, **given: Any) -> Any:
    from auditor.review.plan import wishes_from
    from distill.errors import ReviewError

    values: dict[str, Any] = {
        "fraction": run.spec.review.fraction,
        "max_wrong": run.spec.review.max_wrong,
        "seed": run.spec.review.seed,
    }
    plain = ("fraction", "max_wrong", "aql", "lq", "producer_risk", "consumer_risk", "double_share", "seed")
    values |= {key: given[key] for key in plain if given[key] is not None}
    if given["lq"] is not None:
        values["method"] = "limiting quality"
    for key in ("aql", "producer_risk", "consumer_risk"):
        if given[key] is not None and given["lq"] is None:
            name = key.replace("_", "-")
            raise ReviewError(f"--{name} belongs to a limiting-quality plan.", hint="Give --lq too.")
    if given["strata"]:
        chosen = {"extra": given["strata"], "group": given["group"] or None, "minimum": given["minimum"]}
        values["strata"] = chosen
    return wishes_from(values)


def _figures(home: Workspace, run: Run) -> dict[str, Any]:
    """What the decisions of the newest round say, as plain data; empty before the first."""
    import math

    from auditor.review.answers import unit_of
    from auditor.review.outcome import lot_sentence, outcome
    from auditor.review.records import decisions_frame
    from auditor.review.results import lot_of_run

    decisions = decisions_frame(home, run.id)
    if decisions.empty or not decisions["standing"].any():
        return {}
    found = outcome(decisions, lot_of_run(run))
    rate = found.overall
    value = None if math.isnan(rate.interval.value) else rate.interval.value
    return {
        "sentence": lot_sentence(found.lot, found.plan.wishes.confidence),
        "lot": {"word": found.lot.word, "final": found.lot.final, "upper": found.lot.upper, "lower": found.lot.lower},
        f"{unit_of(run).removesuffix('s')}_error_rate": {
            "value": value,
            "low": rate.interval.low,
            "high": rate.interval.high,
            "n": rate.n,
        },
        "unsettled": len(found.unsettled),
    }
