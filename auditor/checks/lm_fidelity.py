"""How closely does each small language model follow its teacher's next token, on the teacher's own held-out answers?

Every model reads the same text, the teacher's greedy answer to a frozen test prompt, and is measured at each of its tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.check import AuditInput, check
from auditor.language import (
    Resampled,
    column,
    commonest_share,
    compared,
    resampled,
    spoilt_writers,
    teacher_tokens,
    usable_writers,
)
from auditor.measuring import bootstrapped, bracket, control_of, finite, share, undistilled_of
from auditor.types import CheckResult, Finding, Measure, Severity
from distill.errors import DataError
from distill.plugins import GENERATION, NoOptions
from distill.store import TEACHER
from distill.types import Floats

NAME = "lm_fidelity"
SUMS = ("forced_tokens", "agree_sum", "nll_sum", "kl_sum")
KL_MARGIN = 0.02  # nats a token: a change of divergence that does not matter
PLACES = ((1, 1), (2, 4), (5, 8), (9, 16), (17, 32), (33, 64), (65, 10**9))  # tokens of an answer, for the chart


@check(
    NAME,
    "How closely does each language model follow its teacher, token by token?",
    needs={"answers", "student"},
    tasks=GENERATION,
    measures={
        "token_agreement": "Share of the teacher's tokens that the arm would have chosen too, given what stands before.",
        "kl_divergence": "Mean KL(teacher || arm) of the next token, over the whole vocabulary, on the teacher's answers.",
        "perplexity_on_teacher": "Perplexity of the teacher's answers: e to the mean negative log-probability of a token.",
        "token_agreement_over_control": "Token agreement minus that of the control, which saw the teacher's text alone.",
        "token_agreement_over_undistilled": "Token agreement minus that of the student before training.",
        "kl_over_control": "KL minus the control's; below 0 the teacher's distribution taught more than its text.",
        "kl_over_undistilled": "KL minus that of the student before training.",
        "kl_removed": "Share of the untrained student's (or the control's) KL that is gone, in %.",
    },
)
def lm_fidelity(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Agreement, divergence and perplexity with intervals over prompts; each arm paired with control and untrained student."""
    arms = usable_writers(audit)
    spoilt = [Finding(check=NAME, severity="warning", claim=claim) for claim in spoilt_writers(audit).values()]
    if not arms:
        return CheckResult(name=NAME, findings=tuple(spoilt), skipped=None if spoilt else "no arm has usable measures")
    sums = {arm: {name: column(audit, arm, name) for name in SUMS} for arm in (TEACHER, *arms)}
    whole = resampled(audit, _table(sums))
    measures = _perplexity(TEACHER, sums, whole)
    for arm in arms:
        measures += _own(audit, arm, sums, whole)
    measures += _slices(audit, arms, sums)
    for versus, suffix in (
        (control_of(audit.spec, arms), "control"),
        (undistilled_of(audit.spec, arms), "undistilled"),
    ):
        if versus is not None:
            for arm in arms:
                measures += _over(audit, arm, versus, suffix, sums, whole) if arm != versus else []
    findings = [*spoilt, *_findings(audit, measures)]
    rows = [row for arm in arms for row in _places(audit, arm)]
    return CheckResult(name=NAME, measures=tuple(measures), findings=tuple(findings), tables={"positions": rows})


def _table(sums: dict[str, dict[str, Floats]]) -> dict[str, Floats]:
    """Rows for the resampling; what is not known is left out."""
    return {
        f"{arm} {name}": values
        for arm, mine in sums.items()
        for name, values in mine.items()
        if np.isfinite(values).all()
    }


def _own(audit: AuditInput, arm: str, sums: dict[str, dict[str, Floats]], whole: Resampled) -> list[Measure]:
    mine = sums[arm]
    tokens = int(mine["forced_tokens"].mean(axis=0).sum())
    chance = finite(commonest_share(teacher_tokens(audit)))
    common: dict[str, Any] = {"arm": arm, "versus": TEACHER}
    by_seed = [
        Measure(
            name="token_agreement",
            value=float(mine["agree_sum"][row].sum() / mine["forced_tokens"][row].sum()),
            n=len(audit.test),
            seed=seed,
            higher_is_better=True,
            **common,
        )
        for row, seed in enumerate(audit.seeds(arm))
    ]
    measures = [
        *by_seed,
        bootstrapped(
            "token_agreement",
            whole.ratio(f"{arm} agree_sum", f"{arm} forced_tokens"),
            higher_is_better=True,
            detail={"tokens": tokens, "commonest_token": chance},
            **common,
        ),
        *_perplexity(arm, sums, whole),
    ]
    if f"{arm} kl_sum" in whole.rows:  # else teacher and arm have other tokens, or the teacher is elsewhere
        kl = whole.ratio(f"{arm} kl_sum", f"{arm} forced_tokens")
        measures.append(
            bootstrapped("kl_divergence", kl, unit="nats", higher_is_better=False, detail={"tokens": tokens}, **common)
        )
    return measures


def _perplexity(arm: str, sums: dict[str, dict[str, Floats]], whole: Resampled) -> list[Measure]:
    if f"{arm} nll_sum" not in whole.rows or f"{arm} forced_tokens" not in whole.rows:
        return []
    nll, tokens = f"{arm} nll_sum", f"{arm} forced_tokens"
    found = whole.of(lambda of: np.exp(np.minimum(of(nll) / of(tokens), 700.0)))
    return [bootstrapped("perplexity_on_teacher", found, arm, higher_is_better=False)]


def _slices(audit: AuditInput, arms: list[str], sums: dict[str, dict[str, Floats]]) -> list[Measure]:
    """Token agreement within each value of the user's group columns."""
    measures = []
    for name, values in audit.test.groups.items():
        for value in sorted({str(one) for one in values if isinstance(one, str) and one}):
            inside = np.array([one == value for one in values], dtype=np.bool_)
            table = {k: v for k, v in _table(sums).items() if k.endswith(("agree_sum", "forced_tokens"))}
            try:
                part = resampled(audit, table, inside)
            except DataError:
                continue  # one prompt has no interval
            measures += [
                bootstrapped(
                    "token_agreement",
                    part.ratio(f"{arm} agree_sum", f"{arm} forced_tokens"),
                    arm,
                    group=f"{name}={value}",
                    versus=TEACHER,
                    higher_is_better=True,
                )
                for arm in arms
            ]
    return measures


def _over(
    audit: AuditInput, arm: str, versus: str, suffix: str, sums: dict[str, dict[str, Floats]], whole: Resampled
) -> list[Measure]:
    """Paired changes of agreement and divergence, and the share of the other's divergence that is gone."""

    def change(what: str) -> Any:
        one, other = (f"{name} {what}" for name in (arm, versus))
        mine, theirs = (f"{name} forced_tokens" for name in (arm, versus))
        return whole.of(lambda of: of(one) / of(mine) - of(other) / of(theirs))

    found = [
        compared(f"token_agreement_over_{suffix}", change("agree_sum"), arm, versus, audit.spec.audit.margin),
    ]
    if not (f"{arm} kl_sum" in whole.rows and f"{versus} kl_sum" in whole.rows):
        return found
    kl = change("kl_sum")
    found.append(compared(f"kl_over_{suffix}", kl, arm, versus, KL_MARGIN, higher_is_better=False, unit="nats"))
    if undistilled_of(audit.spec, [arm]) == arm:
        return found  # what training removed is not asked of a model without any
    one, other = f"{arm} kl_sum", f"{versus} kl_sum"
    mine, theirs = f"{arm} forced_tokens", f"{versus} forced_tokens"
    removed = whole.of(
        lambda of: 100 * (1 - (of(one) / of(mine)) / np.where(of(other) == 0, np.nan, of(other) / of(theirs)))
    )
    return [
        *found,
        bootstrapped(
            "kl_removed", removed, arm, versus=versus, unit="%", group=f"against={suffix}", higher_is_better=True
        ),
    ]


def _places(audit: AuditInput, arm: str) -> list[dict[str, Any]]:
    """Divergence and surprise by place in the answer: does the student lose the thread? Mean over seeds and prompts."""
    rows: list[dict[str, Any]] = []
    frames = [audit.outputs(arm, seed) for seed in audit.seeds(arm)]
    if not all({"token_p", "token_kl"} <= set(frame.columns) for frame in frames):
        return rows
    p = [np.asarray(one, dtype=np.float64) for frame in frames for one in frame["token_p"]]
    kl = [np.asarray(one, dtype=np.float64) for frame in frames for one in frame["token_kl"]]
    for first, last in PLACES:
        chosen, spread = (_between(lists, first, last) for lists in (p, kl))
        if len(chosen):
            rows.append(
                {
                    "arm": arm,
                    "from": first,
                    "to": min(last, max(len(one) for one in p)),
                    "tokens": len(chosen),
                    "probability": finite(float(np.mean(chosen))),
                    "kl": finite(float(np.mean(spread))) if len(spread) else None,
                }
            )
    return rows


def _between(lists: list[Floats], first: int, last: int) -> Floats:
    parts = [one[first - 1 : last] for one in lists]
    return np.concatenate(parts) if parts else np.empty(0)


def _findings(audit: AuditInput, measures: list[Measure]) -> list[Finding]:
    candidate = audit.spec.candidate
    mine = {m.name: m for m in measures if m.arm == candidate and m.seed is None and m.group is None}
    agreement = mine.get("token_agreement")
    if agreement is None:
        return []
    kl = mine.get("kl_divergence")
    apart = (
        "" if kl is None else f" Its distribution lies {kl.value:.3f} nats {bracket(kl.low, kl.high, 3)} a token away."
    )
    chance = agreement.detail.get("commonest_token")
    lost = chance is not None and (agreement.low or 0.0) <= chance
    findings = [
        Finding(
            check=NAME,
            severity="serious" if lost else "info",
            claim=f"'{candidate}' would choose the teacher's token {share(agreement.value)} of the time "
            f"[{share(agreement.low)}, {share(agreement.high)}], over {agreement.n:,} prompts.{apart}"
            + (" Always saying the commonest token would do as well." if lost else ""),
            evidence=tuple(m for m in (agreement, kl) if m is not None),
            action="It has not learnt to write: train longer, or keep more layers." if lost else "",
        )
    ]
    changes = {s: mine.get(f"kl_over_{s}") or mine.get(f"token_agreement_over_{s}") for s in ("control", "undistilled")}
    findings += [_against(change, suffix, candidate) for suffix, change in changes.items() if change is not None]
    if "control" not in {name.rpartition("_")[2] for name in mine}:
        findings.append(_no_control(candidate, audit))
    return findings


def _against(change: Measure, suffix: str, candidate: str) -> Finding:
    """What the teacher's distribution (against the control) or training (against the untrained student) brought."""
    word = change.detail["word"]
    severity: Severity = {"better": "info", "equivalent": "notice", "worse": "warning"}.get(word, "notice")  # type: ignore[assignment]
    unit = " nats a token of KL" if change.unit == "nats" else " of token agreement"
    what = "The teacher's distribution, against its text alone," if suffix == "control" else "Training, against none,"
    action = {
        ("control", "worse"): "Train on the text (sequence), or try another divergence or temperature.",
        (
            "control",
            "equivalent",
        ): "The stored distributions were not worth their price here; try more tokens or on-policy.",
        ("undistilled", "worse"): "Look at the loss: the learning rate may be too high.",
        ("undistilled", "equivalent"): "It learnt nothing: train longer.",
    }.get((suffix, word), "")
    return Finding(
        check=NAME,
        severity=severity,
        claim=f"{what} changed '{candidate}' by {change.value:+.3f}{unit} "
        f"{bracket(change.low, change.high, 3, signed=True)}: {word}.".replace("by -", "by −"),
        evidence=(change,),
        action=action,
    )


def _no_control(candidate: str, audit: AuditInput) -> Finding:
    action = "Add the arm 'sequence': the same student, trained on the teacher's text alone."
    if control_of(audit.spec, [arm.name for arm in audit.spec.arms]) == candidate:
        claim, action = f"'{candidate}' is the control itself: it saw the teacher's text alone.", ""
    else:
        claim = "There is no sequence-level control, so what the teacher's distribution added cannot be told."
    return Finding(check=NAME, severity="notice", claim=claim, action=action)
