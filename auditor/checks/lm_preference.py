"""Whose answers do people prefer, when they do not know who wrote which?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.check import AuditInput, check
from auditor.measuring import bracket, measured
from auditor.stats.paired import sign_test
from auditor.stats.proportions import clopper_pearson
from auditor.types import CheckResult, Finding, Measure, Severity
from distill.plugins import GENERATION, NoOptions

NAME = "lm_preference"
EVEN = 0.5


@dataclass(frozen=True)
class Tally:
    """Votes on one pair of arms, a prompt counting once: where several people voted the majority is the prompt's vote.

    Attributes:
        arm, versus: the pair.
        wins, losses, ties: prompts on which people prefer ``arm``, ``versus``, or neither.
        votes, voters: standing votes and the people who gave them.
        agree, shared: of ``shared`` prompts with several votes, those on which all said the same.
        p: two-sided exact sign test of wins against losses.
    """

    arm: str
    versus: str
    wins: int
    losses: int
    ties: int
    votes: int
    voters: int
    agree: int
    shared: int
    p: float


@check(
    NAME,
    "Whose answers do people prefer, not knowing who wrote which?",
    needs={"votes"},
    tasks=GENERATION,
    measures={
        "human_preference": "Share of prompts on which people prefer this arm's answer, ties left out; blind votes.",
        "human_preference_ties": "Share of voted prompts on which people see no difference, or are divided.",
    },
)
def lm_preference(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Exact binomial (Clopper-Pearson) share of prompts won, with the sign test; prompts with equal answers were not asked."""
    measures: list[Measure] = []
    findings: list[Finding] = []
    for tally in tallies(audit.votes):
        mine = _measures(tally)
        measures += mine
        findings.append(_finding(tally, tuple(mine)))
    return CheckResult(name=NAME, measures=tuple(measures), findings=tuple(findings))


def tallies(votes: pd.DataFrame) -> list[Tally]:
    """One tally a pair of arms that somebody compared, from the standing votes."""
    if votes.empty:
        return []
    standing = votes[votes["standing"].astype(bool)]
    return [_tally(str(arm), str(versus), rows) for (arm, versus), rows in standing.groupby(["arm", "versus"])]


def _tally(arm: str, versus: str, rows: pd.DataFrame) -> Tally:
    sign = rows["choice"].map({"arm": 1, "versus": -1, "tie": 0}).astype(int)
    by_prompt = sign.groupby(rows["row_id"])
    total = np.sign(by_prompt.sum().to_numpy())
    shared = by_prompt.agg(["size", "nunique"]).query("size > 1")
    wins, losses = int((total > 0).sum()), int((total < 0).sum())
    return Tally(
        arm=arm,
        versus=versus,
        wins=wins,
        losses=losses,
        ties=int((total == 0).sum()),
        votes=len(rows),
        voters=int(rows["voter"].nunique()),
        agree=int((shared["nunique"] == 1).sum()),
        shared=len(shared),
        p=sign_test(wins, losses),
    )


def _measures(tally: Tally) -> list[Measure]:
    decided = tally.wins + tally.losses
    detail = {
        "wins": tally.wins,
        "losses": tally.losses,
        "ties": tally.ties,
        "votes": tally.votes,
        "voters": tally.voters,
        "voters_agree": tally.agree,
        "shared_prompts": tally.shared,
        "sign_test_p": tally.p,
    }
    found = []
    if decided:
        share = clopper_pearson(tally.wins, decided)
        found.append(
            measured(
                "human_preference",
                share,
                tally.arm,
                n=decided,
                versus=tally.versus,
                higher_is_better=True,
                detail=detail,
            )
        )
    ties = clopper_pearson(tally.ties, decided + tally.ties)
    found.append(measured("human_preference_ties", ties, tally.arm, n=decided + tally.ties, versus=tally.versus))
    return found


def word_of(tally: Tally) -> str:
    """'better', 'worse' or 'cannot tell': the exact interval lies on one side of one half, or does not."""
    if not tally.wins + tally.losses:
        return "cannot tell"
    share = clopper_pearson(tally.wins, tally.wins + tally.losses)
    return "better" if share.low > EVEN else "worse" if share.high < EVEN else "cannot tell"


def sentence(tally: Tally) -> str:
    """What the votes say."""
    decided = tally.wins + tally.losses
    people = "one person" if tally.voters == 1 else f"{tally.voters} people"
    ties = f"; {tally.ties:,} more are ties" if tally.ties else ""
    if not decided:
        return f"On all {tally.ties:,} prompts {people} see no difference between '{tally.arm}' and '{tally.versus}'."
    share = clopper_pearson(tally.wins, decided)
    return (
        f"Blind votes of {people}: '{tally.arm}' is preferred over '{tally.versus}' on {tally.wins:,} of {decided:,} prompts, "
        f"{100 * share.value:.3g} % {bracket(100 * share.low, 100 * share.high, 1)}{ties} (sign test p = {tally.p:.2g}): "
        f"{word_of(tally)}."
    )


def _finding(tally: Tally, evidence: tuple[Measure, ...]) -> Finding:
    word = word_of(tally)
    severity: Severity = "warning" if word == "worse" else "notice" if word == "cannot tell" else "info"
    action = "More votes may decide it." if word == "cannot tell" else ""
    return Finding(check=NAME, severity=severity, claim=sentence(tally), evidence=evidence, action=action)
