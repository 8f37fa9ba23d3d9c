"""How labels go with gender on the way from people to the student: where along it does the association grow?"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from auditor.bias.ledger import LedgerLine, ledger
from auditor.bias.scoring import LexiconOptions, lexicon_of
from auditor.check import AuditInput, check
from auditor.measuring import finite, measured, usable_arms
from auditor.types import CheckResult, Measure
from distill.errors import DataError
from distill.gender.swaps import gender_mentions
from distill.store import TEACHER
from distill.types import Strings

NAME = "gender_ledger"
PEOPLE = "people"
SYNTHETIC = "synthetic labels"


class LedgerOptions(LexiconOptions):
    """Whose gender is meant."""

    column: str = Field("gender", description="Group column with 'female' and 'male'; mentions are derived without it.")


@check(
    NAME,
    "How do labels go with gender, from people to teacher to student?",
    needs={"probabilities", "texts"},
    options=LedgerOptions,
    measures={
        "label_gender_association": "Strength of the association of label and gender (bias-corrected Cramér's V).",
        "label_gender_growth": "That strength minus the one of the line before, on the same rows.",
        "bias_amplification": "How far label shares moved the way they leaned in the line before (BiasAmp→, Wang & Russakovsky 2021).",
        "bias_amplification_zhao": "The same after Zhao et al. 2017.",
    },
)
def gender_ledger(audit: AuditInput, options: LedgerOptions) -> CheckResult:
    """People, teacher and every arm on the same test rows; the synthetic labels on the pool rows they were given to."""
    gender = _gender(audit, options, "test")
    lines = _test_lines(audit, gender, options)
    measures = [m for line in lines for m in _measures(line)]
    rows = [_row(line, audit.labels) for line in lines]
    if not audit.synthetic.empty:
        try:
            synthetic = _synthetic_line(audit, options)
        except DataError as error:
            rows.append({"line": SYNTHETIC, "problem": str(error)})
        else:
            measures += _measures(synthetic)
            rows.append({**_row(synthetic, audit.labels), "on": "pool"})
    return CheckResult(name=NAME, measures=tuple(measures), tables={"ledger": rows})


def _gender(audit: AuditInput, options: LedgerOptions, part: Any) -> Strings:
    """The user's gender column, or whom the words of the text mention."""
    rows = audit.test if part == "test" else audit.examples.part(part)
    if options.column in rows.groups:
        return np.array([str(value).strip().lower() for value in rows.groups[options.column]], dtype=object)
    lexicon = lexicon_of(audit.spec, options)
    return np.asarray(gender_mentions(rows.texts, lexicon.language, lexicon), dtype=object)


def _test_lines(audit: AuditInput, gender: Strings, options: LedgerOptions) -> tuple[LedgerLine, ...]:
    labels: dict[str, Any] = {}
    known = audit.labelled if audit.labelled.any() else np.ones(len(audit.test), dtype=bool)
    if audit.labelled.any():
        labels[PEOPLE] = audit.y[known]
    for arm in (TEACHER, *usable_arms(audit)):
        labels[arm] = audit.probs(arm).argmax(axis=-1)[:, known]
    references = {arm: TEACHER for arm in labels if arm not in (PEOPLE, TEACHER)}
    if PEOPLE in labels:
        references[TEACHER] = PEOPLE
    settings = {"resamples": options.resamples, "seed": audit.spec.audit.seed}
    return ledger(labels, gender[known], audit.labels, references, **settings)


def _synthetic_line(audit: AuditInput, options: LedgerOptions) -> LedgerLine:
    pool = audit.examples.part("pool")
    gender = dict(zip(pool.ids, _gender(audit, options, "pool"), strict=True))
    who = np.array([gender.get(row, "none") for row in audit.synthetic["row_id"]], dtype=object)
    labels = {SYNTHETIC: audit.synthetic["label"].to_numpy(dtype=np.int64)}
    return ledger(labels, who, audit.labels, {}, options.resamples, audit.spec.audit.seed)[0]


def _measures(line: LedgerLine) -> list[Measure]:
    detail = {"left_out": line.dropped}
    measures = [measured("label_gender_association", line.association, line.name, detail=detail)]
    if line.growth is not None and line.directional is not None and line.zhao is not None:
        common: dict[str, Any] = {"versus": line.reference, "higher_is_better": False}
        measures += [
            measured("label_gender_growth", line.growth, line.name, **common),
            measured("bias_amplification", line.directional, line.name, **common),
            measured("bias_amplification_zhao", line.zhao, line.name, **common),
        ]
    return measures


def _row(line: LedgerLine, labels: tuple[str, ...]) -> dict[str, Any]:
    gaps = {f"{label}: women − men": finite(line.gaps[label].value) for label in labels}
    return {"line": line.name, "association": finite(line.association.value), "n": line.n, **gaps, "on": "test"}
