"""The sections of a report, each from what is known of the run. Where something is not there, the section says so."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.evidence.recompute import rests_on_texts
from auditor.figures import size
from auditor.report.blocks import Block, Section, facts, listing, paragraph, table
from auditor.report.charts import arms_chart
from auditor.report.charts_detail import classes_chart, reliability_chart
from auditor.report.material import Material
from auditor.types import Finding, GateResult, Measure
from auditor.words import between, in_words, limit, meaning_of, name_of, with_interval, written
from distill.store import TEACHER, ModelCard

MARKS = {"pass": "✔\u00a0pass", "fail": "✖\u00a0fail", "cannot tell": "? cannot tell"}
_PRICE = ("latency_speedup", "cost_saving", "size_bytes")
SHOWN = {
    "classification": ("accuracy", "agreement", "ece", *_PRICE),
    "generation": ("token_agreement", "kl_divergence", "perplexity_on_teacher", *_PRICE),
}
NO_AUDIT = "Not measured: there is no audit of this run."


def verdict(m: Material) -> Section:
    """Gates, what each rests on, and the findings."""
    if m.report is None:
        return Section("verdict", "Verdict and gates", (paragraph(NO_AUDIT, "missing"),))
    blocks: list[Block] = [
        table(
            "Limits that were set before the run",
            ("measure", "limit", "measured", "n", "", "result"),
            [_gate(m, gate) for gate in m.report.gates],
            numeric=(3,),
            widths=(2.2, 1.7, 2.5, 0.8, 1.1, 1.4),
        )
    ]
    if m.report.verdict.scope == "fidelity":
        blocks.append(
            paragraph("No human label stands behind this: it speaks of fidelity to the teacher, not of quality.")
        )
    told = [finding for finding in m.report.findings if finding.severity != "info"]
    if told:
        blocks += [paragraph("What the audit found, the most serious first:"), listing(map(_finding, told))]
    quiet = [finding for finding in m.report.findings if finding.severity == "info"]
    if quiet:
        blocks += [paragraph("For information:"), listing(map(_finding, quiet))]
    return Section("verdict", "Verdict and gates", tuple(blocks))


def _gate(m: Material, gate: GateResult) -> tuple[str, ...]:
    measure = m.measure(gate.measure, m.candidate)
    unit = measure.unit if measure else "1"
    seen = Measure(name=gate.measure, value=gate.value, low=gate.low, high=gate.high, unit=unit)
    needed = f"; about n = {gate.needed_n:,} would decide it" if gate.needed_n else ""
    shown = with_interval(seen) if gate.value is not None else in_words(gate.reason)
    return (
        name_of(gate.measure),
        limit(gate.measure, gate.limit, gate.direction, unit),
        shown,
        f"{gate.n:,}",
        "required" if gate.required else "advisory",
        MARKS[gate.state] + needed,
    )


def _finding(finding: Finding) -> str:
    lead = "" if finding.severity == "info" else f"{finding.severity.capitalize()}: "
    return f"{lead}{in_words(finding.claim)} {in_words(finding.action)}".strip()


def use(m: Material) -> Section:
    """What people stated."""
    title = "Intended use and limits"
    if m.use is None:
        said = paragraph("Not stated. The intended use is never assumed: state it on the page Report.", "missing")
        return Section("use", title, (said,))
    value = m.use.value
    rows = [
        ("Purpose", value.purpose), ("People it is about", value.people), ("Oversight", value.oversight),
        ("Not for", value.not_for), ("Known limits", value.limits),
    ]  # fmt: skip
    stated = paragraph(f"Stated by {m.use.by} on {day(m.use.at)}; kept in the evidence chain.", "note")
    return Section("use", title, (facts(rows), stated))


def data(m: Material) -> Section:
    """Where the rows come from, how they were split, and whose labels they carry."""
    d = m.data
    if not d:
        return Section("data", "Data and labelling", (paragraph("The data were not read yet.", "missing"),))
    personal = d.get("personal_data", {})
    dropped = "; ".join(f"{count:,} {why}" for why, count in d.get("dropped", {}).items())
    synthetic, corrected = m.labels
    rows = [
        ("Source", d.get("source") or m.spec.data.source.kind),
        ("Licence", d.get("licence")),
        ("Digest of the source", d.get("source_digest")),
        ("Rows", f"{d.get('rows', 0):,}"),
        ("Left out", dropped),
        ("Duplicates found", f"{d.get('duplicates', 0):,}"),
        ("Near-duplicates across the split", f"{d.get('near_duplicates', 0):,} removed"),
        (f"Rows without a {'reference' if m.writes else 'human label'}", f"{d.get('unlabelled', 0):,}"),
        ("Likely personal data", f"{personal.get('rows', 0):,} rows; handling: {personal.get('handling', 'keep')}"),
        (
            f"Synthetic {m.unit}",
            f"{synthetic:,} by the teacher, {corrected:,} of them corrected by people" if synthetic else "none",
        ),
        ("Erased rows", f"{m.erased:,}; figures on texts are no longer recomputable" if m.erased else None),
    ]
    blocks: list[Block] = [facts(rows)]
    balance = d.get("balance_by_split") or {}
    labels = list(d.get("labels", []))
    if balance:
        order = [split for split in ("train", "pool", "dev", "test") if split in balance]
        body = [(label, *(f"{balance[split].get(label, 0):,}" for split in order)) for label in labels]
        total = ("all rows", *(f"{d['splits'].get(split, 0):,}" for split in order))
        head = "label" if labels else ""
        caption = "Labels by split" if labels else "Rows by split"
        blocks.append(table(caption, (head, *order), [*body, total], numeric=range(1, len(order) + 1)))
    if d.get("notes"):
        blocks.append(listing(d["notes"]))
    return Section("data", "Data and labelling", tuple(blocks))


def models(m: Material) -> Section:
    """Teacher, candidate and the other arms."""
    if m.teacher is None:
        return Section("models", "Teacher and student", (paragraph("There is no teacher yet.", "missing"),))
    t = m.training
    asking = m.spec.asking if m.writes else None
    blocks: list[Block] = [
        table(
            "Models",
            ("model", "layers", "parameters", "size", "trained on", "human labels", "licence"),
            [_model(m, card) for card in (m.teacher, *_first_seeds(m.cards))],
            numeric=(1, 2, 3, 4, 5),
            widths=(2.4, 0.7, 1.4, 1.1, 1.1, 1.1, 1.3),
        ),
        facts(
            [
                ("Candidate", m.name(m.candidate)),
                ("Teacher", f"{m.teacher.id} {m.teacher.version}".strip()),
                ("Teacher's weights", m.teacher.weights_digest),
                ("Student's weights", m.student.weights_digest if m.student else None),
                ("Softening temperature", f"{t.temperature:g}"),
                ("Share of the hard-label loss", None if m.writes else f"{t.hard_label_weight:g}"),
                (
                    "How the teacher was asked",
                    f"temperature {asking.temperature:g}, top-p {asking.top_p:g}, at most {asking.max_new_tokens} tokens, "
                    f"{asking.samples} answer(s) a prompt, seed {asking.seed}"
                    if asking
                    else None,
                ),
                ("System prompt", asking.system if asking else None),
                ("Training", f"{t.epochs} epochs, batch {t.batch_size}, learning rate {t.learning_rate:g}"),
                ("Seeds", ", ".join(map(str, m.spec.seeds))),
            ]
        ),
    ]
    notes = [f"{m.name(card.name)}: {note}" for card in (m.teacher, *_first_seeds(m.cards)) for note in card.notes]
    if notes:
        blocks.append(listing(notes))
    return Section("models", "Teacher and student", tuple(blocks))


def _first_seeds(cards: Sequence[ModelCard]) -> list[ModelCard]:
    return list({card.name: card for card in reversed(cards)}.values())[::-1]


def _model(m: Material, card: ModelCard) -> tuple[str, ...]:
    return (
        m.name(card.name) + (" (candidate)" if card.name == m.candidate else ""),
        "" if card.layers is None else str(card.layers),
        "" if card.parameters is None else f"{card.parameters:,}",
        "" if card.bytes is None else size(card.bytes),
        f"{card.trained_on:,}" if card.trained_on else "–",
        f"{card.human_labels:,}" if card.human_labels else "–",
        card.licence or "not stated",
    )


def results(m: Material) -> Section:
    """Charts and the table of the measures that decide."""
    if m.report is None:
        return Section("results", "Results", (paragraph(NO_AUDIT, "missing"),))
    pair = [arm for arm in (TEACHER, m.candidate) if arm in m.kinds]
    charts = (
        arms_chart(m.report, m.kinds, m.names),
        classes_chart(m.report, pair, m.kinds, m.names),
        reliability_chart(m.report, pair, m.kinds, m.names),
    )
    shown = SHOWN.get(m.spec.task, SHOWN["classification"])
    rows = [(m.name(arm), *(with_interval(m.measure(name, arm)) for name in shown)) for arm in m.kinds]
    heads = ("arm", *(name_of(name) for name in shown))
    blocks: list[Block] = [
        table("Every arm, mean over the seeds", heads, rows, widths=(1.7, 1.5, 1.5, 1.5, 1.3, 1.4, 0.9), small=True),
        *(chart for chart in charts if chart is not None),
    ]
    skipped = [f"{result.name.replace('_', ' ')}: {result.skipped}" for result in m.report.results if result.skipped]
    if skipped:
        blocks += [paragraph("Checks that were skipped, because …"), listing(skipped)]
    return Section("results", "Results", tuple(blocks))


def measures(m: Material) -> Section:
    """Every measure with its interval, check by check."""
    title = "All measures"
    if m.report is None:
        return Section("measures", title, (paragraph(NO_AUDIT, "missing"),))
    note = "Intervals are 95 %. A seed is named where a figure is about one seed; the others are means over the seeds. ~ marks an estimate or an attested figure."
    blocks: list[Block] = [paragraph(note, "note")]
    for result in m.report.results:
        if result.name == "gates":
            continue
        if result.skipped:
            blocks.append(
                paragraph(
                    f"{result.name.replace('_', ' ').capitalize()}: skipped, because {result.skipped}.", "missing"
                )
            )
        elif result.measures:
            if m.erased and rests_on_texts(result.name):
                blocks.append(paragraph(no_longer(m, result.name), "missing"))
            body = [_row(m, x) for x in result.measures]
            caption = result.name.replace("_", " ").capitalize()
            blocks.append(
                table(
                    caption,
                    ("measure", "arm", "of", "value", "95 % interval", "n"),
                    body,
                    numeric=(3, 4, 5),
                    widths=(2.6, 2.0, 2.2, 1.3, 1.9, 0.8),
                    small=True,
                )
            )
            glossary = {x.name: meaning_of(x.name) for x in result.measures}
            blocks.append(paragraph(" ".join(f"{name_of(k)}: {v}" for k, v in glossary.items() if v), "note"))
    return Section("measures", title, tuple(blocks))


def no_longer(m: Material, check: str) -> str:
    """What is said of figures that rested on texts of which some were erased."""
    gone = "the text of 1 row was" if m.erased == 1 else f"the texts of {m.erased:,} rows were"
    return f"{check.replace('_', ' ').capitalize()}: no longer recomputable, because {gone} erased."


def _row(m: Material, x: Measure) -> tuple[str, ...]:
    of = ", ".join(part for part in (x.group or "", f"seed {x.seed}" if x.seed is not None else "") if part)
    against = f" (against {m.name(x.versus)})" if x.versus and x.versus != TEACHER else ""
    value = written(x) if x.value is not None or not x.detail.get("reason") else str(x.detail["reason"])
    return name_of(x.name) + against, m.name(x.arm), of, ("" if x.exact else "~ ") + value, between(x), f"{x.n:,}"


def day(at: str) -> str:
    """Day and minute of an ISO 8601 moment."""
    return at[:16].replace("T", " ")
