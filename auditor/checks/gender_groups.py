"""Are groups of people served alike? Quality and fairness by every group column, and by gendered mentions where there is none for gender."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from pydantic import Field

from auditor.bias.groups import (
    SMALL_CELL,
    GroupAudit,
    GroupColumn,
    audit_groups,
    cross_groups,
    positive_class,
    tidy_groups,
)
from auditor.bias.scoring import LexiconOptions, lexicon_of
from auditor.check import AuditInput, check
from auditor.measuring import bracket, finite, measured, usable_arms
from auditor.stats.interval import Interval
from auditor.types import CheckResult, Finding, Measure
from distill.errors import DataError
from distill.gender.swaps import gender_mentions
from distill.store import TEACHER

NAME = "groups"
DERIVED = "mentions (derived)"
_SHORT = {
    "demographic parity": "demographic_parity",
    "equalised odds": "equalized_odds",
    "equal opportunity": "equal_opportunity",
}


class GroupsOptions(LexiconOptions):
    """What counts as a small group, and whether columns are crossed."""

    small: int = Field(SMALL_CELL, ge=1, description="Groups with fewer rows are greyed; they are never hidden.")
    intersections: bool = Field(True, description="Also look at two columns crossed.")
    most_values: int = Field(20, ge=2, description="The commonest values of a column; the rest are joined.")


@check(
    NAME,
    "Are groups of people served alike?",
    needs={"human_labels", "probabilities", "texts"},
    options=GroupsOptions,
    measures={
        "demographic_parity_difference": "Largest difference between groups in the share that gets the positive label (group: a column; without one the worst column).",
        "demographic_parity_ratio": "Smallest ratio between groups of that share.",
        "equalized_odds_difference": "Largest difference between groups in true or false positive rate.",
        "equalized_odds_ratio": "Smallest ratio between groups of true or false positive rate.",
        "equal_opportunity_difference": "Largest difference between groups in true positive rate.",
        "equal_opportunity_ratio": "Smallest ratio between groups of true positive rate.",
        "selection_rate": "Share of a group that gets the positive label.",
        "true_positive_rate": "Share of a group's positives that get the positive label.",
        "false_positive_rate": "Share of a group's negatives that get the positive label.",
        "impact_ratio": "A group's share of positive labels divided by the best group's; four fifths is the mark.",
    },
)
def gender_groups(audit: AuditInput, options: GroupsOptions) -> CheckResult:
    """fairlearn's figures for every group column and arm, each the mean over the arm's seeds, with intervals; and the worst over all columns."""
    positive_class(audit.labels, audit.spec.data.positive)
    columns, notes = _columns(audit, options)
    known = audit.labelled
    columns = [GroupColumn(c.name, c.values[known], c.notes, c.skipped) for c in columns]
    measures: list[Measure] = []
    rows: list[dict[str, Any]] = []
    for column in columns:
        if column.skipped is not None:
            notes.append(f"{column.name}: {column.skipped}")
            continue
        for arm in (TEACHER, *usable_arms(audit)):
            predicted = audit.probs(arm).argmax(axis=-1)[:, known]
            settings: dict[str, Any] = {"small": options.small, "seed": audit.spec.audit.seed}
            found = audit_groups(audit.y[known], predicted, column, audit.labels, audit.spec.data.positive, **settings)
            measures += _measures(found, arm)
            rows += [_row(found, arm, index) for index in range(len(found.rows))]
        notes += [f"{column.name}: {note}" for note in column.notes]
    if not measures:
        return CheckResult(name=NAME, skipped="; ".join(notes) or "the data have no group column")
    measures += _worst(measures)
    findings = [Finding(check=NAME, severity="info", claim=note) for note in dict.fromkeys(notes)]
    findings += [_four_fifths(m) for m in measures if m.detail.get("below") and m.arm == audit.spec.candidate]
    return CheckResult(name=NAME, measures=tuple(measures), findings=tuple(findings), tables={"groups": rows})


def _columns(audit: AuditInput, options: GroupsOptions) -> tuple[list[GroupColumn], list[str]]:
    """The data's own columns, the derived one, and their crossings; and what could not be derived."""
    notes = []
    columns = [tidy_groups(name, values, options.most_values) for name, values in audit.test.groups.items()]
    try:
        lexicon = lexicon_of(audit.spec, options)
        mentions = gender_mentions(audit.test.texts, lexicon.language, lexicon)
        columns.append(tidy_groups(DERIVED, mentions, options.most_values))
        notes.append(f"'{DERIVED}' says whom the words of a text mention, not who wrote it.")
    except DataError as error:
        notes.append(str(error))
    usable = [column for column in columns if column.skipped is None]
    if options.intersections:
        columns += [cross_groups(one, two, options.most_values) for one, two in combinations(usable, 2)]
    return columns, notes


def _measures(found: GroupAudit, arm: str) -> list[Measure]:
    n = sum(row.n for row in found.rows)
    measures = []
    large = sum(not row.small for row in found.rows) >= 2
    for parity in found.parity_large if large else found.parity:
        for suffix, apart in (("difference", parity.difference), ("ratio", parity.ratio)):
            measures.append(
                measured(
                    f"{_SHORT[parity.name]}_{suffix}",
                    apart,
                    arm,
                    n=n,
                    group=found.column,
                    higher_is_better=suffix == "ratio",
                    detail={"groups": "with enough rows" if large else "all, though small"},
                )
            )
    for row in found.rows:
        group = f"{found.column}={row.group}"
        detail = {"small": row.small}
        measures += [
            measured("selection_rate", row.selection_rate, arm, group=group, detail=detail),
            measured("true_positive_rate", row.true_positive_rate, arm, group=group, detail=detail),
            measured("false_positive_rate", row.false_positive_rate, arm, group=group, detail=detail),
            measured(
                "impact_ratio",
                row.impact,
                arm,
                n=row.n,
                group=group,
                higher_is_better=True,
                detail={**detail, "below": row.below_four_fifths and not row.small},
            ),
        ]
    return measures


def _worst(measures: list[Measure]) -> list[Measure]:
    """Each notion of fairness over all columns, for gates: the worst column, with bounds that no column lies beyond."""
    together: dict[tuple[str, str], list[Measure]] = {}
    for m in measures:
        if m.name.endswith(("_difference", "_ratio")) and m.name != "impact_ratio" and m.value is not None:
            together.setdefault((m.name, m.arm), []).append(m)
    made = []
    for (name, arm), each in together.items():
        far = max if name.endswith("_difference") else min
        value, low, high = (far(bounds) for bounds in zip(*((m.value, m.low, m.high) for m in each), strict=True))
        worst = next(m for m in each if m.value == value)
        interval = Interval(value, low, high, worst.n)
        detail = {"column": worst.group, "of": len(each)}
        made.append(measured(name, interval, arm, higher_is_better=worst.higher_is_better, detail=detail))
    return made


def _row(found: GroupAudit, arm: str, index: int) -> dict[str, Any]:
    row = found.rows[index]
    return {
        "column": found.column,
        "group": row.group,
        "arm": arm,
        "n": row.n,
        "small": row.small,
        "selection rate": finite(row.selection_rate.value),
        "impact ratio": finite(row.impact.value),
        **{name: finite(value) for name, value in row.measures.items()},
    }


_MENTIONED = {"female": "women", "male": "men", "both": "women and men", "none": "neither women nor men"}


def in_words(group: str) -> str:
    """A group as people say it: 'mentions (derived)=male' is 'texts that mention men', 'age=old' 'texts with age = old'."""
    column, _, value = group.partition("=")
    if column == DERIVED and value in _MENTIONED:
        return f"texts that mention {_MENTIONED[value]}"
    return f"texts with {column} = {value}" if value else group


def _four_fifths(measure: Measure) -> Finding:
    return Finding(
        check=NAME,
        severity="warning",
        claim=f"'{measure.arm}' gives the positive label to {in_words(measure.group or '')} less than four fifths as often as to the best group "
        f"({measure.value:.2f} {bracket(measure.low, measure.high, 2)}).",
        evidence=(measure,),
        action="Compare with the teacher's ratio in the same group, and look at the human labels there.",
    )
