"""The sections that say why a report may be believed: bias, review, lineage, published claims, sign-off, verification."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.check import checks_of
from auditor.expectations import LABEL, expected
from auditor.figures import figure, size
from auditor.report.blocks import Block, Section, facts, listing, paragraph, table
from auditor.report.material import Material
from auditor.report.sections import NO_AUDIT, day
from auditor.types import Measure
from auditor.words import arm_of, between, name_of, with_interval, written
from distill.spec import LANGUAGE_MODELS
from distill.store import TEACHER

LANGUAGE_CHECKS = ("lm_bias", "lm_stereotypes", "lm_honest")
BIAS_CHECKS = ("gender_bias", "gender_swaps", "gender_ledger", "groups", *LANGUAGE_CHECKS)
MOST_ARMS = 5  # columns of figures that fit on paper


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
    ledger = [x for x in m.of_check("gender_ledger") if x.seed is None]
    blocks += _by_arm(m, "Gender gap", whole)
    blocks += _by_arm(m, "Label and gender, line by line", ledger)
    blocks += _sets(m)
    rows = _groups(m)
    if rows:
        heads = ("measure", "groups", m.name(TEACHER), m.name(m.candidate))
        blocks.append(table("Groups, teacher and student", heads, rows, widths=(2.4, 2.6, 1.9, 1.9), small=True))
    asked = {entry.name for entry in checks_of(m.spec.task)}
    skipped = [(check, m.skipped(check)) for check in BIAS_CHECKS if check in asked]
    skipped = [(check, why) for check, why in skipped if why]
    if skipped:
        blocks.append(listing(f"{check.replace('_', ' ')} was skipped: {why}" for check, why in skipped))
    return Section("bias", "Bias", tuple(blocks))


def _sets(m: Material) -> list[Block]:
    """Of language models: each test set's figures, and what is to be said of the sets themselves."""
    found = [x for x in m.of_check(*LANGUAGE_CHECKS) if x.seed is None and x.group is not None]
    if not found:
        return []
    claims = [f.claim for f in (m.report.findings if m.report else ()) if f.check in LANGUAGE_CHECKS]
    shown = _by_arm(m, "By test set", found)
    return [listing(claims), *shown] if claims else shown


def _by_arm(m: Material, caption: str, found: Sequence[Measure]) -> list[Block]:
    """A table with a line for each measure and a column for each arm; with many arms only those that the verdict is about."""
    lines: dict[str, dict[str, Measure]] = {}
    for x in found:
        of = f", {x.group.removeprefix('set=')}" if x.group else ""
        lines.setdefault(f"{name_of(x.name)}{of}", {})[x.arm] = x
    arms = list(dict.fromkeys(x.arm for x in found))
    left_out = len(arms) > MOST_ARMS
    arms = [arm for arm in arms if not left_out or arm in (TEACHER, m.candidate, "people", "data")]
    body = [
        (line, *(with_interval(by[arm]) if arm in by else "" for arm in arms), f"{max(x.n for x in by.values()):,}")
        for line, by in lines.items()
        if any(arm in by for arm in arms)
    ]
    if not body:
        return []
    heads = ("measure", *(m.name(arm) for arm in arms), "n")
    widths = (2.4, *(8 / len(arms) for _ in arms), 0.8)
    shown: list[Block] = [table(caption, heads, body, numeric=(len(heads) - 1,), widths=widths, small=True)]
    return [*shown, paragraph("The other arms stand among all measures.", "note")] if left_out else shown


def _groups(m: Material) -> list[tuple[str, ...]]:
    """Differences and ratios between groups, teacher beside student; what they are made of stands among all measures."""
    found = {(x.name, x.group or "", x.arm): x for x in m.of_check("groups") if x.seed is None and x.value is not None}
    pairs = dict.fromkeys(key[:2] for key in found if key[0].endswith(("_difference", "_ratio")))
    arms = (TEACHER, m.candidate)
    return [(name_of(name), of, *(with_interval(found.get((name, of, arm))) for arm in arms)) for name, of in pairs]


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
    body = [
        (name_of(x.name), x.group or ("all" if x.arm == TEACHER else arm_of(x.arm)), written(x), between(x), f"{x.n:,}")
        for x in found
    ]
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
        ("Requirements (SHA-256)", ", ".join(f"{k} {v}" for k, v in code.get("requirements", {}).items()) or None),
        (
            "Seeds",
            "; ".join(
                f"{k} {', '.join(map(str, v)) if isinstance(v, list) else v}"
                for k, v in p.get("seeds", {}).items()
                if v is not None
            ),
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
            f"{figure(energy['kwh'])} kWh{', an estimate' if energy.get('estimate', True) else ''}: {energy.get('method', '')}"
            if energy.get("kwh")
            else None,
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
    whose = "Nobody who reviewed the run, or signed this report as reviewed, can approve it."
    blocks.append(paragraph(f"{m.unit.capitalize()} were decided by: {reviewers}. {whose}", "note"))
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
        ("Public key (Ed25519)", m.public_key),
    ]
    commands = (
        f"heirloom verify {m.run.id} --key {m.key}\n"
        f"heirloom report {m.run.id} --format bundle -o report.zip\n"
        f"heirloom verify report.zip --key {m.key}\n"
        f"heirloom anchor {m.run.id} -o head.json        # deposit it elsewhere; later: heirloom verify … --anchor head.json"
    )
    words = (
        "The first command checks the run in its workspace; the third one checks the bundle on any machine, without the workspace. Both check "
        "digests, chain and signature, and compute every figure again from the stored predictions, timings and decisions. Energy and "
        "memory are attested, not recomputed. A head that was deposited elsewhere shows that the chain was not written anew. Take the fingerprint from a place other than this report: a key inside a report proves only "
        "that the report agrees with itself."
    )
    return Section("verify", title, (facts(rows), paragraph(commands, "code"), paragraph(words)))
