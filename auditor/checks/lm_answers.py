"""How near do the answers of each language model come to people's reference answers, and to the teacher's?

Answers are greedy, so each is one text a prompt and a seed. A figure against the teacher is fidelity; only one against references is quality.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from auditor.check import AuditInput, check
from auditor.comparing import share_change
from auditor.language import Resampled, answers, asked_again, compared, resampled
from auditor.measuring import bootstrapped, bracket, control_of, proportion
from auditor.stats.bootstrap import Bootstrap
from auditor.stats.text import exact_match, rouge_l, token_f1
from auditor.types import CheckResult, Finding, Measure
from distill.plugins import GENERATION, NoOptions
from distill.store import TEACHER
from distill.types import Floats, Strings

NAME = "lm_answers"
REFERENCE = "reference"
EITHER_OR = {"exact_match"}  # 0 or 1 an answer
FIGURES: dict[str, Callable[[str, str], float]] = {
    "exact_match": exact_match,
    "token_f1": token_f1,
    "rouge_l": rouge_l,
}


@check(
    NAME,
    "How near do the answers come to people's references and to the teacher's?",
    needs={"answers", "texts"},
    tasks=GENERATION,
    measures={
        "exact_match": "Share of answers that equal the other text after normalisation (group reference or teacher).",
        "token_f1": "Mean F1 of the words shared with the other text (SQuAD's; group reference or teacher).",
        "rouge_l": "Mean ROUGE-L of the other text: longest common subsequence of words (group reference or teacher).",
        "answer_difference": "One of these against references minus the teacher's own (group names it).",
        "answer_over_control": "One of these against references (against the teacher without any) minus the control's.",
    },
)
def lm_answers(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Exact match, token F1 and ROUGE-L against references where there are any, and against the teacher's answer."""
    written = {arm: answers(audit, arm) for arm in (TEACHER, *audit.arms)}
    references = audit.test.pairs
    measures: list[Measure] = []
    if references is not None:
        known = np.array([isinstance(text, str) and bool(text.strip()) for text in references], dtype=np.bool_)
        against = [text if isinstance(text, str) else "" for text in references]
        measures += _against(audit, written, against, REFERENCE, known)
    teacher = {arm: texts for arm, texts in written.items() if arm != TEACHER}
    everything = np.ones(len(audit.test), dtype=np.bool_)
    measures += _against(audit, teacher, written[TEACHER][0], TEACHER, everything)
    return CheckResult(name=NAME, measures=tuple(measures), findings=tuple(_findings(audit, measures)))


def _against(
    audit: AuditInput, written: dict[str, list[list[str]]], others: list[str], group: str, known: Any
) -> list[Measure]:
    """Every figure of every arm against one other text a prompt, and the paired differences."""
    if known.sum() < 2 or not written:
        return []
    control, clusters = control_of(audit.spec, audit.arms), asked_again(audit, known)
    measures = []
    for name, figure in FIGURES.items():
        scores = {arm: _scores(figure, seeds, others) for arm, seeds in written.items()}
        whole = resampled(audit, scores, known)
        for arm in written:
            versus = None if group == REFERENCE else TEACHER
            more: dict[str, Any] = {"group": group, "versus": versus, "higher_is_better": True}
            if name in EITHER_OR:
                more |= {"resamples": audit.spec.audit.resamples, "seed": audit.spec.audit.seed, "clusters": clusters}
                measures.append(proportion(name, scores[arm][:, known], arm, **more))
            else:
                measures.append(bootstrapped(name, _mean(whole, arm), arm, **more))
            others_of = {"answer_difference": TEACHER if group == REFERENCE else None, "answer_over_control": control}
            for change, versus in others_of.items():
                if versus in written and arm not in (TEACHER, versus):
                    pair = scores[str(versus)][:, known], scores[arm][:, known]
                    measures.append(_compared(audit, change, whole, pair, (arm, str(versus)), name, group, clusters))
    return measures


def _mean(whole: Resampled, arm: str) -> Bootstrap:
    return whole.of(lambda of: of(arm))


def _scores(figure: Callable[[str, str], float], seeds: list[list[str]], others: list[str]) -> Floats:
    """[seeds, n]."""
    return np.array([[figure(a, b) for a, b in zip(texts, others, strict=True)] for texts in seeds], dtype=np.float64)


def _compared(
    audit: AuditInput,
    change: str,
    whole: Resampled,
    pair: tuple[Floats, Floats],
    names: tuple[str, str],
    figure: str,
    group: str,
    clusters: Strings | None,
) -> Measure:
    """Arm against versus on one figure; ``pair`` are the scores of versus and arm, ``clusters`` their prompts where some stand twice."""
    arm, versus = names
    more: dict[str, Any] = {"group": f"{figure}, {group}"}
    if figure in EITHER_OR:
        return share_change(audit, change, *pair, arm, versus, clusters=clusters, **more)
    return compared(change, whole.of(lambda of: of(arm) - of(versus)), arm, versus, audit.spec.audit.margin, **more)


def _findings(audit: AuditInput, measures: list[Measure]) -> list[Finding]:
    candidate = audit.spec.candidate
    mine = {(m.name, m.group): m for m in measures if m.arm == candidate}
    near = mine.get(("rouge_l", TEACHER))
    if near is None:
        return []
    findings = [
        Finding(
            check=NAME,
            severity="info",
            claim=f"The answers of '{candidate}' share {near.value:.2f} {bracket(near.low, near.high, 2)} of their word "
            f"sequence with the teacher's (ROUGE-L, {near.n:,} prompts). One different word early on changes the rest, so read "
            "it beside the token agreement.",
            evidence=(near,),
        )
    ]
    change = mine.get(("answer_difference", f"rouge_l, {REFERENCE}"))
    if change is None:
        claim = "No prompt has a reference answer, so it cannot be told whether any answer is right."
        action = "Map a column of reference answers (data.columns.pair), or let people compare the answers."
        return [*findings, Finding(check=NAME, severity="notice", claim=claim, action=action)]
    word = change.detail["word"]
    findings.append(
        Finding(
            check=NAME,
            severity="warning" if word == "worse" else "notice" if word == "cannot tell" else "info",
            claim=f"Against people's references '{candidate}' differs from its teacher by {change.value:+.3f} "
            f"{bracket(change.low, change.high, 3, signed=True)} of ROUGE-L on {change.n:,} prompts: {word}.".replace(
                "by -", "by −"
            ),
            evidence=(change,),
            action="Read the worst answers side by side; more layers or more prompts may help."
            if word == "worse"
            else "",
        )
    )
    return findings
