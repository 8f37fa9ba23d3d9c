"""Where did a student lose? Accuracy against the teacher by class, rarity of the class, group and the teacher's confidence."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from auditor.check import AuditInput, check
from auditor.measuring import teacher_probs
from auditor.slicing import Mask, SlicesOptions, by_value, judged
from auditor.types import CheckResult, Measure
from distill.types import Ints

BANDS = (0.0, 0.5, 0.7, 0.9, 1.0)
RARE, COMMON = (
    0.2,
    0.5,
)  # the rarest labels with a fifth of the rows together; the commonest that begin within the first half
FEWEST_LABELS = 3  # with two labels, rarity would only repeat them


@check(
    "slices",
    "In which classes and groups did a student lose against its teacher?",
    needs={"human_labels", "probabilities", "student"},
    options=SlicesOptions,
    measures={
        "slice_accuracy": "Accuracy within a slice.",
        "slice_difference": "Accuracy minus the teacher's within a slice; p values by Benjamini-Hochberg.",
        "worst_slice": "Accuracy minus the teacher's in the worst slice by class, group or the teacher's confidence.",
    },
)
def slices(audit: AuditInput, options: SlicesOptions) -> CheckResult:
    """Accuracy of each arm in each slice, the paired difference, the worst one, and findings for the candidate."""
    y = audit.y[audit.labelled]
    found: dict[str, Mask] = {f"class={label}": y == index for index, label in enumerate(audit.labels)}
    found |= rarity(y, len(audit.labels))
    crowded: dict[str, int] = {}
    for column, values in audit.test.groups.items():
        parts = by_value(column, values[audit.labelled])
        if len(parts) > options.max_values:
            crowded[column] = len(parts)
        else:
            found |= parts
    found |= confidence_bands(audit)
    result = judged(audit, "slices", "worst_slice", found, options)
    if result.skipped:
        return result
    return result.model_copy(update={"measures": (*result.measures, *_crowded(audit, crowded, int(y.size)))})


def rarity(y: Ints, classes: int) -> dict[str, Mask]:
    """Rows of common, middling and rare labels, by the number of labelled test rows of each label; empty for two labels."""
    if classes < FEWEST_LABELS or not y.size:
        return {}
    counts = np.bincount(y, minlength=classes)
    order = np.argsort(-counts, kind="stable")
    before = np.concatenate([[0.0], np.cumsum(counts[order])[:-1] / y.size])
    kinds = np.full(classes, "middling", dtype=object)
    kinds[order[before < COMMON]] = "common"
    kinds[order[before >= 1 - RARE - 1e-9]] = "rare"
    rows = kinds[y]
    return {
        f"class rarity={kind}": np.asarray(rows == kind) for kind in ("common", "middling", "rare") if kind in kinds
    }


def confidence_bands(audit: AuditInput) -> dict[str, Mask]:
    """Rows by the teacher's largest probability, in fixed bands."""
    top = teacher_probs(audit)[audit.labelled].max(axis=-1)
    return {
        f"teacher confidence={low:g} to {high:g}": (top >= low) & ((top < high) | (high == BANDS[-1]))
        for low, high in pairwise(BANDS)
    }


def _crowded(audit: AuditInput, crowded: dict[str, int], n: int) -> list[Measure]:
    """Columns with more values than are taken apart: named, not dropped."""
    return [
        Measure(
            name="slice_difference", value=None, arm=audit.spec.candidate, group=column, n=n,
            detail={"p": None, "p_adjusted": None, "reason": f"{values} values: too many to take apart"},
        )
        for column, values in crowded.items()
    ]  # fmt: skip
