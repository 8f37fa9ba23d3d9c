"""What the decisions say: error rate with its bound, the lot's verdict, slices. Pure functions of the decisions and the label frame.

Skipped cards and unsettled differences count as wrong in the upper bound and as right in the lower one; the share shown
leaves them out, so it always lies between the two. The targeted queue never enters an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from auditor.review.answers import Unit
from auditor.review.frame import bands_of, strata_of
from auditor.review.plan import Plan
from auditor.review.records import plan_of
from auditor.stats.interval import Interval
from auditor.stats.proportions import LotWord, hypergeometric_bound
from auditor.stats.sampling import stratified_estimate
from distill.types import Floats, Ints, Strings

HONESTY_BANDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
How = Literal["exact", "weighted"]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Lot:
    """The labels under review, as plain arrays of shape [n], so that any page, check or verifier can build one."""

    row_ids: Strings
    label: Ints
    confidence: Floats
    groups: Mapping[str, Strings]


@dataclass(frozen=True)
class Rate:
    """Share of wrong labels in the lot or in a slice of it.

    Attributes:
        kind, name: 'all', 'class', 'group:<column>' or 'confidence', and which one.
        size: labels of the lot in it.
        n: cards decided.
        wrong: of those, wrong ones.
        open: skipped or unsettled ones.
        interval: share with its 95 % bounds (nan value where only open cards are there).
        how: 'exact' (hypergeometric, from the simple random sample) or 'weighted' (strata).
        mean_confidence: the teacher's mean confidence in the slice, to hold 1 − share against.
    """

    kind: str
    name: str
    size: int
    n: int
    wrong: int
    open: int
    interval: Interval
    how: How
    mean_confidence: float


@dataclass(frozen=True)
class LotOutcome:
    """What the simple random sample says of the lot.

    Attributes:
        word: accepted, refused or not decidable; final only when ``final``.
        final: the sample is complete.
        certain: before the end: the rest of the sample cannot change ``word``.
        upper: one-sided upper bound on wrong labels in the lot, as a share.
        lower: one-sided lower bound.
    """

    word: LotWord
    final: bool
    certain: bool
    n: int
    planned: int
    wrong: int
    open: int
    upper: float
    lower: float
    limit: float


@dataclass(frozen=True)
class Outcome:
    """One round's result."""

    round: int
    plan: Plan
    lot: LotOutcome
    overall: Rate
    slices: tuple[Rate, ...]
    reasons: dict[str, int]
    targeted: tuple[int, int]
    unsettled: tuple[str, ...]


def item_verdicts(decisions: pd.DataFrame, number: int) -> pd.DataFrame:
    """One row per decided card of a round: row_id, queue, why, machine_label, final (label, −1 none fits), wrong, open, settled.

    Two people who agree settle a card, an adjudication settles a difference; until then the card is open, as a skipped one is.
    """
    columns = ["row_id", "queue", "why", "machine_label", "final", "kind", "wrong", "open", "differs", "reason"]
    if decisions.empty:
        return pd.DataFrame(columns=columns)
    here = decisions[decisions["standing"] & (decisions["round"] == number)]
    said, settled = here[here["role"] == "reviewer"], here[here["role"] == "adjudicator"]
    answers = said.drop_duplicates(["row_id", "kind", "label"])["row_id"].value_counts()
    cards = here.drop_duplicates("row_id").set_index("row_id")
    # the last word is the adjudicator's where there is one
    last = pd.concat([said, settled]).drop_duplicates("row_id", keep="last").set_index("row_id").loc[cards.index]
    differs = (answers.reindex(cards.index, fill_value=0) > 1) & ~cards.index.isin(settled["row_id"])
    answered = (last["kind"] != "skip") & ~differs
    found = cards[["queue", "why"]].assign(
        machine_label=cards["machine_label"].astype(int),
        final=last["label"].astype(int),
        kind=last["kind"],
        wrong=answered & (last["label"] != cards["machine_label"]),
        open=~answered,
        differs=differs,
        reason=last["reason"],
    )
    return found.reset_index()[columns]


def outcome(decisions: pd.DataFrame, lot: Lot, number: int | None = None) -> Outcome:
    """The result of a round (the newest when None).

    Args:
        decisions: what :func:`auditor.review.decisions_frame` gave; not empty.
        lot: the labels under review.
        number: which round.
    """
    number = int(decisions["round"].max()) if number is None else number
    plan = Plan.model_validate(plan_of(decisions, number))
    verdicts = item_verdicts(decisions, number)
    sample = _Sample.of(verdicts, lot, plan)
    everything = np.ones(len(lot.label), dtype=np.bool_)
    targeted = verdicts[verdicts["queue"] == "targeted"]
    changed = verdicts[verdicts["wrong"] & (verdicts["reason"] != "")]
    return Outcome(
        round=number,
        plan=plan,
        lot=lot_outcome(plan, *sample.counts()),
        overall=sample.rate("all", "all", everything),
        slices=tuple(sample.rate(kind, name, mask) for kind, name, mask in _slices(lot, plan.unit) if mask.any()),
        reasons={str(k): int(v) for k, v in changed["reason"].value_counts().items()},
        targeted=(len(targeted), int(targeted["wrong"].sum())),
        unsettled=tuple(verdicts.loc[verdicts["differs"], "row_id"]),
    )


def earlier_rounds(decisions: pd.DataFrame, lot: Lot, number: int) -> list[tuple[int, LotOutcome]]:
    """What the rounds before ``number`` said of the same lot, the oldest first."""
    before = sorted(int(each) for each in decisions["round"].unique() if each < number)
    standing = decisions[decisions["standing"].astype(bool)]
    return [(each, outcome(decisions, lot, each).lot) for each in before if (standing["round"] == each).any()]


def earlier_sentence(before: list[tuple[int, LotOutcome]]) -> str:
    """The earlier rounds in words, so that nobody plans rounds until one pleases; empty without any."""
    if not before:
        return ""
    told = "; ".join(
        f"round {number} {lot.word if lot.final else 'was closed early'} ({lot.wrong:,} of {lot.n:,} wrong)"
        for number, lot in before
    )
    return f"The same labels were judged before: {told}. A later round does not undo that."


def lot_outcome(plan: Plan, n: int, wrong: int, still_open: int) -> LotOutcome:
    """Judge the lot by the simple random sample: ``n`` decided, ``wrong`` of them wrong, ``still_open`` skipped or unsettled."""
    rest = plan.n - n
    refused = plan.refuse_from is not None and wrong >= plan.refuse_from
    accepted = wrong + still_open + rest <= plan.accept_up_to
    word: LotWord = "refused" if refused else "accepted" if accepted else "not decidable"
    bad = wrong + still_open
    confidence = plan.wishes.confidence
    upper = hypergeometric_bound(bad, n, plan.lot, confidence, side="upper").high / plan.lot
    lower = hypergeometric_bound(wrong, n, plan.lot, confidence, side="lower").low / plan.lot
    return LotOutcome(word, rest == 0, word != "not decidable", n, plan.n, wrong, still_open, upper, lower, plan.limit)


def lot_sentence(lot: LotOutcome, confidence: float) -> str:
    """The lot's verdict in words; an early look is called one."""
    sure = f"{100 * confidence:.3g} %"
    proof = f"at most {100 * lot.upper:.3g} % of the lot are wrong ({sure})"
    if not lot.final:
        head = f"Early look at {lot.n:,} of {lot.planned:,} cards, not a result"
        if lot.certain:
            return f"{head}: whatever the rest says, this lot will be {lot.word}."
        return f"{head}: {lot.wrong:,} wrong so far."
    counts = f"{lot.wrong:,} of {lot.planned:,} wrong"
    counts += f", {lot.open:,} skipped or unsettled" if lot.open else ""
    if lot.word == "accepted":
        return f"The lot is accepted: {counts}; {proof}."
    if lot.word == "refused":
        return f"The lot is refused: {counts}; at least {100 * lot.lower:.3g} % of the lot are wrong ({sure})."
    return (
        f"Not decidable: {counts}; {proof}, at least {100 * lot.lower:.3g} % are; the limit is {100 * lot.limit:.3g} %."
    )


@dataclass(frozen=True)
class _Sample:
    """The decided cards of the probability sample, by position in the lot."""

    lot: Lot
    place: Ints
    simple: Mask
    wrong: Mask
    open: Mask
    strata: Strings | None
    confidence: float
    pilot: bool = False  # the simple random sample said where the cards within strata were drawn

    @classmethod
    def of(cls, verdicts: pd.DataFrame, lot: Lot, plan: Plan) -> _Sample:
        cards = verdicts[verdicts["queue"] != "targeted"]
        where = pd.Series(np.arange(len(lot.row_ids)), index=lot.row_ids)
        place = where.reindex(cards["row_id"])
        known = place.notna().to_numpy()
        cards = cards[known]
        strata = None
        wanted = plan.wishes.strata
        if wanted is not None and (cards["queue"] == "strata").any():
            strata = strata_of(lot.label, lot.confidence, dict(lot.groups), wanted.bands, wanted.by_class, wanted.group)
        return cls(
            lot,
            place[known].to_numpy(dtype=np.int64),
            (cards["queue"] == "sample").to_numpy(),
            cards["wrong"].to_numpy(dtype=np.bool_),
            cards["open"].to_numpy(dtype=np.bool_),
            strata,
            plan.wishes.confidence,
            wanted is not None and wanted.allocation == "Neyman",
        )

    def counts(self) -> tuple[int, int, int]:
        """Decided, wrong and open cards of the simple random sample."""
        return int(self.simple.sum()), int(self.wrong[self.simple].sum()), int(self.open[self.simple].sum())

    def rate(self, kind: str, name: str, mask: Mask) -> Rate:
        """The share of wrong labels among the lot's rows that ``mask`` picks."""
        mean = float(self.lot.confidence[mask].mean())
        weighted = self._weighted(mask) if self.strata is not None else None
        here = mask[self.place] & (True if weighted is not None else self.simple)
        n, wrong, still = int(here.sum()), int(self.wrong[here].sum()), int(self.open[here].sum())
        size = int(mask.sum())
        if weighted is not None:
            return Rate(kind, name, size, n, wrong, still, weighted, "weighted", mean)
        low = hypergeometric_bound(wrong, n, size, self.confidence).rate.low
        high = hypergeometric_bound(wrong + still, n, size, self.confidence).rate.high
        value = wrong / (n - still) if n > still else float("nan")
        return Rate(kind, name, size, n, wrong, still, Interval(value, low, high, n), "exact", mean)

    def _weighted(self, mask: Mask) -> Interval | None:
        """The share by strata; None where a stratum has no card.

        Within a stratum and a slice both draws together are a simple random sample, unless the first was a pilot: then strata with
        luck in it got few further cards and would keep their luck, so the share would be too low (by a twentieth in simulations). A
        pilot is counted as it is, and the rest of the lot is estimated from the further cards alone.
        """
        assert self.strata is not None
        kinds, member = np.unique(self.strata.astype(str), return_inverse=True)
        here = mask[self.place]
        known = here & self.simple if self.pilot else np.zeros(len(here), dtype=np.bool_)
        sizes = np.bincount(member[mask], minlength=len(kinds)) - np.bincount(
            member[self.place[known]], minlength=len(kinds)
        )
        drawn = here & ~known
        cell = member[self.place[drawn]]
        wrong, still = self.wrong[drawn], self.open[drawn]
        checked = np.bincount(cell, minlength=len(kinds))
        answered = np.bincount(cell[~still], minlength=len(kinds))
        if np.any((sizes > 0) & (answered == 0)):
            return None
        bad = np.bincount(cell[wrong], minlength=len(kinds))
        worst = np.bincount(cell[wrong | still], minlength=len(kinds))
        rest, total = int(sizes.sum()), int(mask.sum())
        sure, doubtful = int(self.wrong[known].sum()), int(self.open[known].sum())
        if rest == 0:
            return Interval(sure / max(1, total - doubtful), sure / total, (sure + doubtful) / total, int(here.sum()))
        low = stratified_estimate(sizes, checked, bad, self.confidence).rate.low
        high = stratified_estimate(sizes, checked, worst, self.confidence).rate.high
        value = stratified_estimate(sizes, answered, bad, self.confidence).rate.value
        return Interval(
            (sure + value * (rest + doubtful)) / total,
            (sure + low * rest) / total,
            (sure + doubtful + high * rest) / total,
            int(here.sum()),
        )


def _slices(lot: Lot, unit: Unit) -> list[tuple[str, str, Mask]]:
    classes = np.unique(lot.label) if unit == "labels" else ()  # of an answer the 'label' is that it stands
    found: list[tuple[str, str, Mask]] = [("class", str(k), lot.label == k) for k in classes]
    for column, values in lot.groups.items():
        texts = values.astype(str)
        found += [(f"group:{column}", str(value), texts == value) for value in np.unique(texts) if value]
    names, order = bands_of(lot.confidence, HONESTY_BANDS)
    return found + [("confidence", name, names == name) for name in order]
