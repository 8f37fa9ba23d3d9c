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
from auditor.measuring import finite, measured, usable_arms
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
        "demographic_parity_difference": "Largest difference between groups in the share that gets the positive label.",
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
    """fairlearn's figures for every group column and arm, each the mean over the arm's seeds."""
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
            found = audit_groups(
                audit.y[known], predicted, column, audit.labels, audit.spec.data.positive, small=options.small
            )
            measures += _measures(found, arm)
            rows += [_row(found, arm, index) for index in range(len(found.rows))]
        notes += [f"{column.name}: {note}" for note in column.notes]
    if not measures:
        return CheckResult(name=NAME, skipped="; ".join(notes) or "the data have no group column")
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
        for suffix, value in (("difference", parity.difference), ("ratio", parity.ratio)):
            measures.append(
                Measure(
                    name=f"{_SHORT[parity.name]}_{suffix}",
                    value=finite(value),
                    n=n,
                    arm=arm,
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
            Measure(
                name="impact_ratio",
                value=finite(row.impact_ratio),
                n=row.n,
                arm=arm,
                group=group,
                higher_is_better=True,
                detail={**detail, "below": row.below_four_fifths and not row.small},
            ),
        ]
    return measures


def _row(found: GroupAudit, arm: str, index: int) -> dict[str, Any]:
    row = found.rows[index]
    return {
        "column": found.column,
        "group": row.group,
        "arm": arm,
        "n": row.n,
        "small": row.small,
        "selection rate": finite(row.selection_rate.value),
        "impact ratio": finite(row.impact_ratio),
        **{name: finite(value) for name, value in row.measures.items()},
    }


def _four_fifths(measure: Measure) -> Finding:
    return Finding(
        check=NAME,
        severity="warning",
        claim=f"'{measure.arm}' gives the positive label to {measure.group} less than four fifths as often as to the best group "
        f"({measure.value:.2f}).",
        evidence=(measure,),
        action="Compare with the teacher's ratio in the same group, and look at the human labels there.",
    )
