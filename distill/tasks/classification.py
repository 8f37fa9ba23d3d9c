"""Classification: one label for each text, or for each pair of texts."""

from __future__ import annotations

import numpy as np

from distill.errors import DataError
from distill.plugins import task
from distill.stages.data import run_data
from distill.stages.frame import Task
from distill.stages.labels import run_labels
from distill.stages.predictions import run_predictions
from distill.stages.review import run_review
from distill.stages.students import run_students
from distill.stages.teacher import run_teacher
from distill.stages.timings import run_timings
from distill.types import Examples

FEW = 2  # a label with fewer examples than this cannot stand on both sides of the split


def validate(examples: Examples) -> list[str]:
    """Warnings about rows that serve, a sentence each.

    Raises:
        DataError: fewer than two labels, no test row, one class only, or pairs that are partly missing.
    """
    if len(examples.labels) < 2:
        named = f" ('{examples.labels[0]}')" if examples.labels else ""
        raise DataError(
            f"Classification needs at least two labels; the data have {len(examples.labels)}{named}.",
            hint="Check the label column, or name the labels in data.labels.",
        )
    if not len(examples.part("test")):
        raise DataError("The test split is empty.", hint="Give split.test a share, or mark test rows in the data.")
    pairs = examples.frame["pair"]
    if pairs.notna().any() and pairs.isna().any():
        raise DataError(
            f"{int(pairs.isna().sum()):,} of {len(examples):,} rows have no second text.",
            hint="Fill the pair column, or leave it out of data.columns.",
        )
    return _thin_classes(examples)


def _thin_classes(examples: Examples) -> list[str]:
    labels = examples.y[examples.y >= 0]
    if not len(labels):
        return ["No row has a human label: the audit will speak of fidelity to the teacher only."]
    counts = np.bincount(labels, minlength=len(examples.labels))
    present = np.flatnonzero(counts)
    if len(present) == 1:
        raise DataError(
            f"All {len(labels):,} labelled rows have the label '{examples.labels[int(present[0])]}'.",
            hint="A classifier needs rows of at least two labels: check the label column.",
        )
    thin = [f"'{name}' ({count})" for name, count in zip(examples.labels, counts, strict=True) if count < FEW]
    return [f"Labels with fewer than {FEW} labelled rows cannot be judged: {', '.join(thin)}."] if thin else []


@task("classification", "One label for each text or pair of texts.")
def classification() -> Task:
    """Its stages are the shared ones."""
    return Task(
        "classification",
        validate,
        (
            ("data", run_data),
            ("teacher", run_teacher),
            ("labels", run_labels),
            ("review", run_review),
            ("students", run_students),
            ("predictions", run_predictions),
            ("timings", run_timings),
        ),
    )
