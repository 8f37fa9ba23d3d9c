"""Where did a student lose, by the text itself: its length and its language. Apart from 'slices', since it needs the texts."""

from __future__ import annotations

import numpy as np

from auditor.check import AuditInput, check
from auditor.slicing import Mask, SlicesOptions, by_value, judged
from auditor.tongues import LanguagesOptions, detect
from auditor.types import CheckResult
from distill.types import Ints, Strings

LANGUAGE = "language"


@check(
    "text_slices",
    "For which lengths and languages of text did a student lose against its teacher?",
    needs={"human_labels", "probabilities", "student", "texts"},
    options=SlicesOptions,
    measures={
        "slice_accuracy": "Accuracy within a slice.",
        "slice_difference": "Accuracy minus the teacher's within a slice; p values by Benjamini-Hochberg.",
        "worst_text_slice": "Accuracy minus the teacher's in the worst slice by length or language of the text.",
    },
)
def text_slices(audit: AuditInput, options: SlicesOptions) -> CheckResult:
    """Slices by quartile of length and by language, as 'slices' has those by class and group."""
    lengths = audit.test.frame["text"].fillna("").str.len().to_numpy(dtype=np.int64)
    if audit.test.pairs is not None:
        lengths = lengths + np.array([len(pair or "") for pair in audit.test.pairs], dtype=np.int64)
    found = quartiles(lengths[audit.labelled])
    languages = _languages(audit)
    if languages is not None:
        found |= by_value("text language", languages[audit.labelled])
    return judged(audit, "text_slices", "worst_text_slice", found, options)


def quartiles(lengths: Ints) -> dict[str, Mask]:
    """Rows by quartile of their length in characters, shape [n] each; fewer than four where lengths are tied."""
    edges = np.unique(np.quantile(lengths, [0.25, 0.5, 0.75], method="lower")) if lengths.size else np.array([])
    place = np.searchsorted(edges, lengths, side="left")
    found: dict[str, Mask] = {}
    for index in range(len(edges) + 1):
        mask = np.asarray(place == index)
        if mask.any():
            found[f"length={lengths[mask].min()} to {lengths[mask].max()} characters"] = mask
    return found


def _languages(audit: AuditInput) -> Strings | None:
    """The language of each test row as lingua guesses it; None where it is one by declaration, a group column, or not looked at."""
    if audit.spec.data.language or LANGUAGE in audit.test.groups or "languages" in audit.spec.audit.skip:
        return None
    return detect(audit.test.texts, LanguagesOptions.model_validate(audit.spec.audit.checks.get("languages", {})))
