"""Generation: a language model answers prompts; students learn its answers and its distribution over each next token."""

from __future__ import annotations

import numpy as np

from distill.errors import DataError
from distill.plugins import task
from distill.stages.data import run_data
from distill.stages.frame import Task
from distill.stages.generation.labels import run_labels
from distill.stages.generation.predictions import run_predictions
from distill.stages.generation.students import run_students
from distill.stages.generation.timings import run_timings
from distill.stages.review import run_review
from distill.stages.teacher import run_teacher
from distill.types import Examples

LONG = 8_000  # characters beyond which a prompt hardly fits the context of a small model


def validate(examples: Examples) -> list[str]:
    """Warnings about prompts that serve, a sentence each.

    Raises:
        DataError: no test row, or a prompt of white space.
    """
    if not len(examples.part("test")):
        raise DataError("The test split is empty.", hint="Give split.test a share, or mark test rows in the data.")
    texts = examples.frame["text"].astype(str)
    blank = texts.str.strip() == ""
    if blank.any():
        raise DataError(
            f"{int(blank.sum()):,} of {len(examples):,} prompts are empty, the first is row"
            f" '{examples.ids[int(np.flatnonzero(blank.to_numpy())[0])]}'.",
            hint="Leave those rows out of the data.",
        )
    notes = []
    long = int((texts.str.len() > LONG).sum())
    if long:
        notes.append(f"{long:,} prompts have more than {LONG:,} characters and will lose their beginning.")
    references = examples.frame["pair"].notna() & (examples.frame["pair"].astype(str).str.strip() != "")
    test = (examples.frame["split"] == "test").to_numpy()
    if not references[test].any():
        notes.append("No test prompt has a reference answer: quality is judged against the teacher alone.")
    elif not references[test].all():
        notes.append(f"{int((~references[test]).sum()):,} test prompts have no reference answer.")
    return notes


@task("generation", "A language model answers prompts.")
def generation() -> Task:
    """Data, teacher and review are the shared stages."""
    return Task(
        "generation",
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
        labelled=False,
    )
