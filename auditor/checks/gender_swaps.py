"""Do the models answer differently when he becomes she in the user's own test rows?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from auditor.bias.scoring import LexiconOptions, Scorer, lexicon_of, nothing, single_texts
from auditor.bias.swap_gap import swap_gap
from auditor.check import AuditInput, check
from auditor.measuring import finite, proportion
from auditor.stats.interval import Interval
from auditor.types import CheckResult, Finding, Measure
from distill.errors import DataError
from distill.gender.swaps import swap_rows
from distill.spec import RunSpec
from distill.store import TEACHER
from distill.types import Examples

NAME = "gender_swaps"


class GenderSwapsOptions(LexiconOptions):
    """How many rows are swapped."""

    max_rows: int = Field(2_000, ge=10, description="Swap at most this many test rows, evenly spread.")


def items(spec: RunSpec, examples: Examples, options: GenderSwapsOptions) -> pd.DataFrame:
    """Both sides of every swapped test row; none where the check will be skipped."""
    if not single_texts(examples) or spec.data.positive is None:
        return nothing()
    try:
        lexicon = lexicon_of(spec, options)
    except DataError:
        return nothing()
    test = examples.part("test")
    rows = swap_rows(test.texts, lexicon.language, lexicon).rows
    if len(rows) > options.max_rows:
        rows = rows.iloc[np.linspace(0, len(rows) - 1, options.max_rows).astype(int)]
    sides = []
    for number, row in enumerate(rows.to_dict(orient="records")):
        row_id = str(test.ids[row["row"]])
        sides += [
            {"text": row[gender], "pair": None, "row_id": row_id, "number": number, "gender": gender}
            for gender in ("female", "male")
        ]
    return pd.DataFrame(sides) if sides else nothing()


@check(
    NAME,
    "Do the models answer differently when he becomes she in the test rows?",
    needs={"probabilities", "texts"},
    options=GenderSwapsOptions,
    items=items,
    measures={
        "swap_gap_signed": "Mean score of a test row about a woman minus the same row about a man.",
        "swap_flip_rate": "Share of swapped test rows whose label changes.",
    },
)
def gender_swaps(audit: AuditInput, options: GenderSwapsOptions) -> CheckResult:
    """Signed gap and share of flips of each arm on the swapped rows; which rows were left out and why."""
    if not single_texts(audit.examples):
        return CheckResult(name=NAME, skipped="the task has two texts a row")
    scorer = Scorer(audit, NAME)
    lexicon = lexicon_of(audit.spec, options)
    _ = scorer.positive
    swaps = swap_rows(audit.test.texts, lexicon.language, lexicon)
    if swaps.skipped is not None:
        return CheckResult(name=NAME, skipped=swaps.skipped)
    if scorer.items.empty or TEACHER not in scorer.arms:
        return CheckResult(name=NAME, skipped="no model could be asked for the swapped rows")
    sides = [scorer.items.loc[scorer.items["gender"] == g, "position"].to_numpy() for g in ("female", "male")]
    measures = [m for arm in scorer.arms for m in _measures(scorer, arm, sides[0], sides[1], options.resamples)]
    tables: dict[str, list[dict[str, Any]]] = {
        "swaps": [{"from": a, "to": b, "times": n} for a, b, n in swaps.swaps[:200]],
        "left_out": [{"reason": reason, "rows": n} for reason, n in swaps.excluded],
    }
    finding = Finding(
        check=NAME,
        severity="info",
        claim=f"{len(swaps.rows):,} of {swaps.total:,} test rows could be swapped"
        f"{f', {len(sides[0]):,} of them were' if len(sides[0]) < len(swaps.rows) else ''}; "
        f"{sum(n for _, n in swaps.excluded):,} were left out.",
        evidence=tuple(m for m in measures if m.name == "swap_flip_rate"),
    )
    return CheckResult(name=NAME, measures=tuple(measures), findings=(finding,), tables=tables)


def _measures(scorer: Scorer, arm: str, female: Any, male: Any, resamples: int) -> list[Measure]:
    probs = np.stack(scorer.probabilities(arm))
    if not np.isfinite(probs).all():
        return []
    seed = scorer.audit.spec.audit.seed
    score = probs[:, :, scorer.positive].mean(axis=0)
    gap = swap_gap(score[female], score[male], resamples=resamples, seed=seed)
    interval = Interval(*gap.signed, gap.n)
    answers = probs.argmax(axis=-1)
    flips = (answers[:, female] != answers[:, male]).astype(np.float64)
    signed = Measure(
        name="swap_gap_signed",
        value=finite(interval.value),
        low=finite(interval.low),
        high=finite(interval.high),
        n=gap.n,
        arm=arm,
        unit="probability",
        detail={"mean_absolute": gap.absolute},
    )
    return [signed, proportion("swap_flip_rate", flips, arm, resamples, seed, higher_is_better=False)]
