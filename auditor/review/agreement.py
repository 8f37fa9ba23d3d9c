"""Do people agree with one another, and with the teacher? Each figure with its interval, from the standing decisions alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from auditor.review.outcome import item_verdicts
from auditor.stats.agreement import Agreement, agreement_summary
from distill.types import Ints


@dataclass(frozen=True)
class Pair:
    """Two people on the double-review cards that both decided."""

    who: tuple[str, str]
    agreement: Agreement
    items: int


@dataclass(frozen=True)
class Agreements:
    """Between people on double-review cards, and between people and the teacher on the simple random sample; None without cards.

    ``pairs`` holds each two of more than two people: Cohen's κ is for two, so there it stands.
    """

    people: Agreement | None
    people_items: int
    teacher: Agreement | None
    teacher_items: int
    pairs: tuple[Pair, ...] = ()


def agreements(decisions: pd.DataFrame, number: int, classes: int, resamples: int = 2_000) -> Agreements:
    """Agreement in one round. 'None of the labels fits' counts as a class of its own; skipped cards say nothing.

    Args:
        decisions: see :func:`auditor.review.decisions_frame`.
        number: the round.
        classes: number of labels.
        resamples: bootstrap resamples of the items.
    """
    names, between = named_ratings(decisions, number, classes)
    several = int((np.sum(between >= 0, axis=0) >= 2).sum()) if between.size else 0
    people = agreement_summary(between, _used(between, classes), resamples=resamples) if several else None
    pairs = _pairs(names, between, classes, resamples) if len(names) > 2 else ()
    verdicts = item_verdicts(decisions, number)
    sample = verdicts[(verdicts["queue"] == "sample") & ~verdicts["open"].astype(bool)]
    if sample.empty:
        return Agreements(people, several, None, 0, pairs)
    final = np.where(sample["kind"] == "none", classes, sample["final"]).astype(np.int64)
    both = np.stack([final, sample["machine_label"].to_numpy(dtype=np.int64)])
    teacher = agreement_summary(both, _used(both, classes), resamples=resamples)
    return Agreements(people, several, teacher, len(sample), pairs)


def ratings(decisions: pd.DataFrame, number: int, classes: int) -> Ints:
    """What each person said of each double-review card of the probability sample, shape [people, cards]; −1 for nothing.

    Adjudications are no ratings. With a single reviewer the shape is [0, 0].
    """
    return named_ratings(decisions, number, classes)[1]


def named_ratings(decisions: pd.DataFrame, number: int, classes: int) -> tuple[tuple[str, ...], Ints]:
    """The same, and whose each row is."""
    nothing = ((), np.empty((0, 0), dtype=np.int64))
    if decisions.empty:
        return nothing
    here = decisions[
        decisions["standing"]
        & (decisions["round"] == number)
        & (decisions["role"] == "reviewer")
        & (decisions["queue"] != "targeted")
        & (decisions["slots"] > 1)
        & (decisions["kind"] != "skip")
    ]
    if here["reviewer"].nunique() < 2:
        return nothing
    said = here.assign(said=np.where(here["kind"] == "none", classes, here["label"]))
    table = said.pivot_table(index="reviewer", columns="row_id", values="said", aggfunc="last")
    return tuple(map(str, table.index)), np.asarray(table.fillna(-1).to_numpy(), dtype=np.int64)


def _pairs(names: tuple[str, ...], table: Ints, classes: int, resamples: int) -> tuple[Pair, ...]:
    """Each two people with cards in common."""
    found = []
    for i, j in combinations(range(len(names)), 2):
        both = table[[i, j]][:, (table[[i, j]] >= 0).all(axis=0)]
        if both.shape[1]:
            said = agreement_summary(both, _used(both, classes), resamples=resamples)
            found.append(Pair((names[i], names[j]), said, both.shape[1]))
    return tuple(found)


def _used(table: Ints, classes: int) -> int:
    """Number of classes for the chance terms: one more only where somebody said that no label fits."""
    return classes + 1 if (table == classes).any() else classes
