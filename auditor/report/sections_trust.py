"""The sections that say why a report may be believed: bias, review, lineage, published claims, sign-off, verification."""

from __future__ import annotations

from auditor.expectations import LABEL, expected
from auditor.report.blocks import Block, Section, facts, listing, paragraph, table
from auditor.report.material import Material
from auditor.report.sections import NO_AUDIT, day
from auditor.report.wording import between, name_of, number, size, with_interval, written
from distill.spec import LANGUAGE_MODELS
from distill.store import TEACHER

LANGUAGE_CHECKS = ("lm_bias", "lm_stereotypes", "lm_honest")
BIAS_CHECKS = ("gender_bias", "gender_swaps", "gender_ledger", "groups", *LANGUAGE_CHECKS)


def bias(m: Material) -> Section:
    """The gender gap, the ledger and the groups; skipped with the reason."""
    if m.report is None:
        return Section("bias", "Bias", (paragraph(NO_AUDIT, "missing"),))
    blocks: list[Block] = []
    change = m.measure("gender_bias_change", m.candidate)
    if change is not None:
        blocks.append(
            paragraph(f"Change of the gender gap, student against teacher: {with_interval(change)}, n = {change.n:,}.")
        )
    whole = [x for x in m.of_check("gender_bias", "gender_swaps", "lm_bias") if x.seed is None and x.group is None]
    if whole:
        body = [(m.name(x.arm), name_of(x.name), written(x), between(x), f"{x.n:,}") for x in whole]
        blocks.append(table("Gender gap", _HEADS, body, numeric=(2, 3, 4), widths=_WIDTHS, small=True))
    ledger = [x for x in m.of_check("gender_ledger") if x.seed is None]
    if ledger:
        body = [(m.name(x.arm), name_of(x.name), written(x), between(x), f"{x.n:,}") for x in ledger]
        blocks.append(
            table("Label and gender, line by line", _HEADS, body, numeric=(2, 3, 4), widths=_WIDTHS, small=True)
        )
    blocks += _sets(m)
    rows = _groups(m)
    if rows:
        heads = ("measure", "groups", m.name(TEACHER), m.name(m.candidate))
        blocks.append(table("Groups, teacher and student", heads, rows, widths=(2.4, 2.6, 1.9, 1.9), small=True))
    skipped = [(check, m.skipped(check)) for check in BIAS_CHECKS]
    skipped = [(check, why) for check, why in skipped if why]
    if skipped:
        blocks.append(listing(f"{check.replace('_', ' ')} was skipped: {why}" for check, why in skipped))
    return Section("bias", "Bias", tuple(blocks))


def _sets(m: Material) -> list[Block]:
    """Of language models: each test set's figures, and what is to be said of the sets themselves."""
    found = [x for x in m.of_check(*LANGUAGE_CHECKS) if x.seed is None and x.group is not None]
    if not found:
        return []
    body = [(m.name(x.arm), f"{name_of(x.name)}, {x.group}", written(x), between(x), f"{x.n:,}") for x in found]
    claims = [f.claim for f in (m.report.findings if m.report else ()) if f.check in LANGUAGE_CHECKS]
    heads: Block = table("By test set", _HEADS, body, numeric=(2, 3, 4), widths=_WIDTHS, small=True)
    return [listing(claims), heads] if claims else [heads]


def _groups(m: Material) -> list[tuple[str, ...]]:
    """Differences and ratios between groups, teacher beside student; what they are made of stands among all measures."""
    found = {(x.name, x.group or "", x.arm): x for x in m.of_check("groups") if x.seed is None and x.value is not None}
    pairs = dict.fromkeys(key[:2] for key in found if key[0].endswith(("_difference", "_ratio")))
    arms = (TEACHER, m.candidate)
    return [(name_of(name), of, *(with_interval(found.get((name, of, arm))) for arm in arms)) for name, of in pairs]


_HEADS = ("arm", "measure", "value", "95 % interval", "n")
_WIDTHS = (2.0, 3.4, 1.2, 1.9, 0.9)


def review(m: Material) -> Section:
    """What people found in a sample of the synthetic labels or answers."""
    name, unit = ("lm_review", "answers") if m.spec.task == LANGUAGE_MODELS else ("review", "labels")
    title = f"Review of the synthetic {unit}"
    found = [x for x in m.of_check(name) if x.value is not None or x.high is not None]
    if not found:
        decided = sum(entry.action == "decision" for entry in m.chain)
        why = (
            f"Not reviewed. {decided:,} decisions were made and are not yet in an audit."
            if decided
            else "Not reviewed."
        )
        return Section("review", title, (paragraph(why, "missing"),))
    claims = [f.claim for f in (m.report.findings if m.report else ()) if f.check == name]
    body = [(name_of(x.name), x.group or "all", written(x), between(x), f"{x.n:,}") for x in found]
    heads = ("measure", "of", "value", "95 % interval", "n")
    return Section(
        "review",
        title,
        (
            listing(claims),
            table("What the sample says", heads, body, numeric=(2, 3, 4), widths=(3, 2, 1.2, 1.9, 0.9), small=True),
        ),
    )


def lineage(m: Material) -> Section:
    """Parent, base weights, generation, and what the run was made with."""
    p = m.provenance
    made = p.get("made_with", {})
    hardware, code, energy = made.get("hardware", {}), made.get("code", {}), p.get("energy", {})
    rows = [
        ("Run", m.run.id),
        ("Parent run", m.spec.parent or "none"),
        ("Label version", str(m.spec.label_version)),
        ("Generation of the student", p.get("lineage", {}).get("generation")),
        ("Base weights", p.get("lineage", {}).get("base_weights")),
        (
            "Code",
            f"{code['commit']}{', with local changes' if code.get('modified') else ''}" if code.get("commit") else None,
        ),
        ("Versions", ", ".join(f"{name} {version}" for name, version in made.get("versions", {}).items())),
        (
            "Machine",
            f"{hardware.get('cpu')}, {hardware.get('cores')} cores, {size(hardware.get('memory_bytes'))}"
            if hardware
            else None,
        ),
        (
            "Energy",
            f"{number(energy['kwh'])} kWh, an estimate: {energy.get('method', '')}" if energy.get("kwh") else None,
        ),
        ("Resumed on", f"{len(p['resumed_on'])} other setting(s)" if p.get("resumed_on") else None),
    ]
    return Section("lineage", "Lineage and provenance", (facts(rows),))


def expectations(m: Material) -> Section:
    """Published claims beside what was measured: claims, never results."""
    kind = m.kinds.get(m.candidate, "distilled")
    names = ("accuracy_retention", "latency_speedup", "cost_saving", "gender_bias_change_pct", "parameters_removed")
    body = [
        (name_of(name), with_interval(m.measure(name, m.candidate)), claim.span, claim.claim + (" Contested." if claim.contested else ""), claim.source)
        for name in names
        for claim in expected(name, kind)
    ]  # fmt: skip
    note = paragraph(f"Each line is a {LABEL}: a claim of others, and no result of this run.", "note")
    if not body:
        return Section("expectations", "Published expectations", (note, paragraph("None for this kind of model.")))
    heads = ("measure", "measured here", "claimed", "claim", "source")
    shown = table("Claims", heads, body, widths=(1.4, 1.6, 1, 3.4, 2.2), small=True)
    return Section("expectations", "Published expectations", (note, shown))


def approval(m: Material) -> Section:
    """Who signed, why, and who reviewed."""
    steps = [entry for entry in m.chain if entry.action == "sign-off"]
    now = m.sign_off
    said = f"The report is '{now.state}'." + (
        " It was signed before, and a later change reopened it." if now.reopened else ""
    )
    blocks: list[Block] = [paragraph(said, "plain" if now.state in ("approved", "refused") else "missing")]
    if steps:
        body = [(day(e.at), str(e.payload.get("state", "")), e.actor, str(e.payload.get("reason", ""))) for e in steps]
        blocks.append(table("Sign-off", ("when (UTC)", "step", "by", "reason"), body, widths=(1.6, 1.1, 2, 4)))
    reviewers = ", ".join(sorted(now.reviewers)) or "nobody"
    blocks.append(paragraph(f"Labels were decided by: {reviewers}. A reviewer of the run cannot approve it.", "note"))
    return Section("approval", "Who approved", tuple(blocks))


def verification(m: Material) -> Section:
    """How anybody can check this report, with the exact commands."""
    title = "How to verify"
    if not m.sealed:
        why = "This run is not sealed, so nothing can be verified yet. Audit it again: `heirloom audit RUN`."
        return Section("verify", title, (paragraph(why, "missing"),))
    state = f"broken: {m.broken[0]}" if m.broken else "unbroken"
    rows = [
        ("Evidence chain", f"{len(m.chain):,} {'entry' if len(m.chain) == 1 else 'entries'}, {state}"),
        ("Head", m.head),
        ("Signing key (fingerprint)", m.key),
    ]
    commands = (
        f"heirloom verify {m.run.id} --key {m.key}\n"
        f"heirloom report {m.run.id} --format bundle -o report.zip\n"
        f"heirloom verify report.zip --key {m.key}"
    )
    words = (
        "The first command checks the run in its workspace; the last one checks the bundle on any machine, without the workspace. Both check "
        "digests, chain and signature, and compute every figure again from the stored predictions, timings and decisions. Energy and peak "
        "memory are attested, not recomputed. Take the fingerprint from a place other than this report: a key inside a report proves only "
        "that the report agrees with itself."
    )
    return Section("verify", title, (facts(rows), paragraph(commands, "code"), paragraph(words)))
