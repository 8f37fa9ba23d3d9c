"""What a review of a language model's answers is about: an answer stands, is mended, or is rejected with a reason.

The desk, the plans and the estimators know labels as numbers. Here the machine's 'label' is always ACCEPT: an answer that people mend (EDIT)
or reject (no label) is 'wrong' to them, so every bound is one on the share of answers that people would not let stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from auditor.evidence.seal import source_rows
from distill.spec import LANGUAGE_MODELS
from distill.store import Run
from distill.types import GROUP_PREFIX, Examples, Strings

Unit = Literal["labels", "answers"]
ACCEPT, EDIT = 0, 1
WORDS = ("accept", "edit")  # by code; what is neither is 'reject' or 'skip'
REJECT = "reject"
NOTHING: Mapping[Unit, str] = {"labels": "none", "answers": REJECT}  # what a file calls the decision that nothing fits
REASONS = ("hallucinated", "wrong", "does not answer", "unclear", "personal data", "offensive")
LONGEST_EDIT = 20_000  # characters


def unit_of(run: Run) -> Unit:
    """What the teacher of a run made."""
    return "answers" if run.spec.task == LANGUAGE_MODELS else "labels"


def slices_of(answers: pd.DataFrame, examples: Examples) -> Mapping[str, Strings]:
    """Columns by which answers are sliced: the data's groups, each of shape [n], and how the answer ended."""
    found: dict[str, Strings] = {"finish": answers["finish"].to_numpy(dtype=object)}
    if examples.groups:
        rows = examples.frame.set_index("row_id").reindex(source_rows(answers))
        for name in examples.groups:
            found[name] = rows[f"{GROUP_PREFIX}{name}"].fillna("").to_numpy(dtype=object)
    return found


def no_codes(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The 'label' of each of ``count`` answers: it stands, as long as nobody says otherwise."""
    return np.full(count, ACCEPT, dtype=np.int64)
