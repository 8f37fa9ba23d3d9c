"""One sentence for each thing that a run knows of itself, by key: what the annex fills its fields with."""

from __future__ import annotations

from auditor.figures import size
from auditor.report.material import Material
from auditor.report.text import one_line
from auditor.words import in_words, name_of, with_interval
from distill.spec import LANGUAGE_MODELS
from distill.store import TEACHER


def known(m: Material) -> dict[str, str]:
    """Sentences by key; a key without an answer is left out."""
    found = {**_stated(m), **_made(m), **_measured(m), **_evidence(m)}
    return {key: one_line(text, 700) for key, text in found.items() if text}


def _stated(m: Material) -> dict[str, str]:
    if m.use is None:
        return {}
    use = m.use.value
    parts = {
        "use": use.purpose,
        "people": use.people,
        "oversight": use.oversight,
        "not_for": use.not_for,
        "limits": use.limits,
    }
    return {key: f"Stated: {text}" for key, text in parts.items() if text}


def _made(m: Material) -> dict[str, str]:
    data, made = m.data, m.provenance.get("made_with", {})
    splits = ", ".join(f"{name} {count:,}" for name, count in data.get("splits", {}).items())
    personal = data.get("personal_data", {})
    energy = m.provenance.get("energy", {})
    hardware = made.get("hardware", {})
    versions = made.get("versions", {})
    training = m.training
    found = {
        "data": f"{data.get('rows', 0):,} rows from {data.get('source') or m.spec.data.source.kind}, "
        f"{data.get('duplicates', 0):,} duplicates found, {data.get('near_duplicates', 0):,} near-duplicates across the split removed."
        if data
        else "",
        "splits": f"Split: {splits}; the test is frozen before the teacher is asked." if splits else "",
        "labels": f"{m.labels[0]:,} synthetic {m.unit} by the teacher, {m.labels[1]:,} corrected by people."
        if m.labels[0]
        else "",
        "personal": f"Likely personal data in {personal.get('rows', 0):,} rows; handling: {personal.get('handling', 'keep')}."
        if personal
        else "",
        "synthetic": f"The student learnt from {m.labels[0]:,} synthetic {m.unit}; reports and exports say so in machine-readable form."
        if m.labels[0]
        else "",
        "training": f"Softening temperature {training.temperature:g}, hard-label weight {training.hard_label_weight:g}, "
        f"learning rate {training.learning_rate:g}, {training.epochs} epochs, batch {training.batch_size}.",
        "seeds": f"Seeds of the students: {', '.join(map(str, m.spec.seeds))}.",
        "hardware": f"{hardware.get('cpu')}, {hardware.get('cores')} cores, {size(hardware.get('memory_bytes'))} memory."
        if hardware
        else "",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "energy": f"Training and audit: {energy['kwh']:g} kWh ({'an estimate: ' if energy.get('estimate', True) else ''}{energy.get('method', '')})."
        if energy.get("kwh")
        else "",
        "seconds": ", ".join(f"{stage} {seconds:,.0f} s" for stage, seconds in m.provenance.get("seconds", {}).items()),
    }
    if m.teacher:
        found["teacher"] = f"Teacher {m.teacher.id} ({m.teacher.kind}), licence {m.teacher.licence or 'not stated'}."
    if m.student:
        parameters = f"{m.student.parameters:,} parameters" if m.student.parameters else "size not known"
        found["student"] = (
            f"Student '{m.candidate}' ({m.student.kind}), {m.student.layers or '?'} layers, {parameters}."
        )
    licences = sorted({card.licence for card in (m.teacher, m.student) if card and card.licence})
    found["licences"] = f"Licences: {', '.join(licences)}." if licences else ""
    return found


def _measured(m: Material) -> dict[str, str]:
    if m.report is None:
        return {}
    candidate = m.candidate
    pairs = {
        "quality": ("accuracy", "accuracy_retention", "agreement", "token_agreement", "rouge_l", "choice_accuracy"),
        "calibration": ("ece",),
        "bias": ("gender_bias", "gender_bias_change"),
        "resources": ("size_bytes", "latency_p95_ms", "time_to_first_token_p95_ms"),
    }
    found = {key: _list(m, names, candidate) for key, names in pairs.items()}
    gates = "; ".join(f"{name_of(g.measure)}: {g.state}" for g in m.report.gates)
    impact = [
        x for x in m.of_check("groups") if x.name == "impact_ratio" and x.arm == candidate and x.value is not None
    ]
    drift = [x for x in m.of_check("drift") if x.value is not None]
    unit = "answer" if m.spec.task == LANGUAGE_MODELS else "label"
    wrong = m.measure(f"{unit}_error_rate", TEACHER)
    bound = m.measure(f"{unit}_error_bound", TEACHER)
    early = "" if bound is None or bound.detail.get("final", True) else "An early look, not a result. "
    return {
        **found,
        "verdict": in_words(m.report.verdict.sentence),
        "gates": f"Pre-declared limits: {gates}." if gates else "",
        "audited": f"Audited by this product at {m.report.made_at[:16].replace('T', ' ')} UTC.",
        "groups": f"Compared by group: {', '.join(sorted({str(x.group) for x in impact})[:8])}." if impact else "",
        "impact": "; ".join(f"{x.group}: impact ratio {with_interval(x)}" for x in impact[:8]),
        "slices": f"{sum(x.name == 'slice_accuracy' and x.arm == candidate for x in m.report.measures)} slices were measured.",
        "drift": "; ".join(f"{name_of(x.name)} {with_interval(x)}" for x in drift[:3]),
        "review": f"{early}{unit.capitalize()} error rate by review: {with_interval(wrong)} (n = {wrong.n:,})."
        if wrong
        else f"{unit.capitalize()}s were not reviewed.",
    }


def _list(m: Material, names: tuple[str, ...], arm: str) -> str:
    measures = [(name, m.measure(name, arm)) for name in names]
    said = [f"{name_of(name)} {with_interval(x)}" for name, x in measures if x is not None and x.value is not None]
    return f"{'; '.join(said)}." if said else ""


def _evidence(m: Material) -> dict[str, str]:
    parent = m.spec.parent
    return {
        "chain": f"Evidence chain of {len(m.chain):,} entries, head {m.head[:12]}…." if m.chain else "",
        "lineage": f"Label version {m.spec.label_version}; parent run {parent}."
        if parent
        else "First run of its line.",
        "approver": f"Sign-off: {m.sign_off.state}{f' by {m.sign_off.by}' if m.sign_off.by else ''}.",
        "verify": "Every figure can be recomputed with `heirloom verify`." if m.sealed else "",
    }
