"""What the decisions say, against scipy and krippendorff and in simulations."""

from __future__ import annotations

import json
import math

import krippendorff
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom
from sklearn.metrics import cohen_kappa_score

from auditor.judged import earlier_finding, overconfident
from auditor.review.agreement import agreements, ratings
from auditor.review.outcome import (
    Lot,
    _Sample,
    earlier_rounds,
    earlier_sentence,
    item_verdicts,
    lot_outcome,
    lot_sentence,
    outcome,
)
from auditor.review.plan import Plan, Strata, Wishes, make_plan
from auditor.review.records import COLUMNS
from auditor.review.rounds import after_pilot
from auditor.stats.interval import Interval

N = 400


def lot(rng: np.random.Generator, n: int = N) -> Lot:
    ids = np.array([f"r{i}" for i in range(n)], dtype=object)
    groups = {"gender": rng.choice(np.array(["female", "male"], dtype=object), n)}
    return Lot(ids, rng.integers(0, 3, n), rng.uniform(0.4, 1, n), groups)


def decided(
    labels: Lot, plan: Plan, positions: list[int], wrong: set[int], *, queue: str = "sample", kind: str = "label"
) -> pd.DataFrame:
    """Decisions of one person on ``positions``; those in ``wrong`` get another label."""
    rows = []
    for place, index in enumerate(positions):
        machine = int(labels.label[index])
        label = (machine + 1) % 3 if index in wrong else machine
        rows.append(row(labels, plan, index, "Ada", label, place=place, queue=queue, kind=kind))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def row(labels: Lot, plan: Plan, index: int, who: str, label: int, **more: object) -> dict[str, object]:
    machine = int(labels.label[index])
    return {
        "round": 1,
        "queue": more.get("queue", "sample"),
        "row_id": labels.row_ids[index],
        "position": more.get("place", index),
        "why": "",
        "slots": more.get("slots", 1),
        "machine_label": machine,
        "reviewer": who,
        "role": more.get("role", "reviewer"),
        "revision": 0,
        "kind": more.get("kind", "label"),
        "label": label if more.get("kind", "label") == "label" else -1,
        "reason": "wrong" if label != machine else "",
        "seconds": 2.0,
        "source": "page",
        "at": "2026-01-01",
        "standing": True,
        "plan": json.dumps(plan.model_dump(mode="json")),
    }


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 200), bad=st.integers(0, 60))
def test_bounds_are_the_exact_hypergeometric_ones_overall_and_in_each_class(seed: int, n: int, bad: int) -> None:
    rng = np.random.default_rng(seed)
    labels = lot(rng)
    plan = make_plan(N, "f", Wishes(fraction=n / N))
    positions = rng.choice(N, plan.n, replace=False).tolist()
    wrong = set(positions[: min(bad, plan.n)])
    found = outcome(decided(labels, plan, positions, wrong), labels)
    for rate in (found.overall, *(s for s in found.slices if s.kind == "class" and s.n)):
        high, low = round(rate.interval.high * rate.size), round(rate.interval.low * rate.size)
        assert rate.how == "exact"
        assert hypergeom.cdf(rate.wrong, rate.size, high, rate.n) > 0.025 - 1e-9
        if high < rate.size - rate.n + rate.wrong:
            assert hypergeom.cdf(rate.wrong, rate.size, high + 1, rate.n) <= 0.025 + 1e-9
        if low > rate.wrong:
            assert hypergeom.sf(rate.wrong - 1, rate.size, low - 1, rate.n) <= 0.025 + 1e-9
    assert found.overall.wrong == len(wrong)


@pytest.mark.slow
def test_weighted_intervals_cover_the_truth_where_strata_differ() -> None:
    rng = np.random.default_rng(3)
    labels = lot(rng, 3_000)
    truth = rng.uniform(size=3_000) < np.where(labels.confidence < 0.6, 0.25, 0.03)
    wishes = Wishes(fraction=0.05, strata=Strata(extra=200, bands=(0.6,), by_class=False))
    plan = make_plan(3_000, "f", wishes)
    names = labels.confidence < 0.6
    hits, values = 0, []
    for _ in range(120):
        sample = rng.choice(3_000, plan.n, replace=False)
        rest = np.setdiff1d(np.flatnonzero(names), sample)
        more = rng.choice(rest, 200, replace=False)  # far too many from the bad stratum: weights must mend it
        bad = set(np.flatnonzero(truth).tolist())
        both = pd.concat(
            [
                decided(labels, plan, sample.tolist(), bad),
                decided(labels, plan, more.tolist(), bad, queue="strata"),
            ]
        )
        found = outcome(both, labels).overall
        assert found.how == "weighted"
        hits += found.interval.low <= truth.mean() <= found.interval.high
        values.append(found.interval.value)
    assert hits >= 108
    assert abs(np.mean(values) - truth.mean()) < 0.006


def test_after_a_pilot_the_estimate_is_unbiased_and_covers() -> None:
    """Neyman's further cards pooled with the pilot that called for them gave 0.0517 where 0.0540 are wrong, and missed it from below in
    5.4 % of 500 reviews instead of 2.5 %."""
    rng = np.random.default_rng(1)
    sizes, rates = np.array([300, 900, 1_800]), np.array([0.25, 0.06, 0.02])
    member = np.repeat(np.arange(3), sizes)
    truth = rng.random(3_000) < rates[member]
    labels = Lot(np.arange(3_000).astype(str).astype(object), member, np.full(3_000, 0.9), {})
    strata, all_ = Strata(extra=200, minimum=5, allocation="Neyman"), np.ones(3_000, dtype=np.bool_)
    values, above, below = [], 0, 0
    for _ in range(300):
        first = rng.choice(3_000, 150, replace=False)
        n = np.bincount(member[first], minlength=3)
        wrong = np.bincount(member[first], weights=truth[first], minlength=3)
        more = after_pilot(sizes - n, n, wrong, strata)
        assert more.sum() == 200 and more.min() >= 5
        rest = np.setdiff1d(np.arange(3_000), first)
        second = np.concatenate([rng.choice(rest[member[rest] == k], more[k], replace=False) for k in range(3)])
        place = np.concatenate([first, second])
        names = member.astype(str).astype(object)
        sample = _Sample(
            labels, place, np.arange(350) < 150, truth[place], np.zeros(350, dtype=np.bool_), names, 0.95, pilot=True
        )
        found = sample.rate("all", "all", all_)
        assert (found.how, found.n) == ("weighted", 350)
        values.append(found.interval.value)
        above += truth.mean() > found.interval.high
        below += truth.mean() < found.interval.low
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - truth.mean()) < 3 * error
    assert above <= 15 and below <= 15


def test_a_pilot_is_counted_as_it_is() -> None:
    """Six of ten labels seen in the pilot, two of them wrong; of the other four the two further cards are right."""
    labels = Lot(np.arange(10).astype(str).astype(object), np.zeros(10, dtype=np.int64), np.full(10, 0.9), {})
    place, all_ = np.arange(8), np.ones(10, dtype=np.bool_)
    wrong, names = np.isin(place, [0, 1]), np.full(10, "a", dtype=object)
    sample = _Sample(labels, place, place < 6, wrong, place == 5, names, 0.95, pilot=True)
    found = sample.rate("all", "all", all_)
    assert found.interval.value == pytest.approx((2 + 0.0 * 5) / 10)
    assert found.interval.low == pytest.approx(0.2)
    assert found.interval.high >= 0.3  # the skipped card counts as wrong there
    everything = _Sample(
        labels, np.arange(10), all_, np.arange(10) < 2, np.zeros(10, dtype=np.bool_), names, 0.95, pilot=True
    )
    assert everything.rate("all", "all", all_).interval == Interval(0.2, 0.2, 0.2, 10)


def test_the_targeted_queue_never_enters_an_estimate() -> None:
    rng = np.random.default_rng(0)
    labels, plan = lot(rng), make_plan(N, "f", Wishes())
    sample = decided(labels, plan, list(range(plan.n)), {1, 2})
    aimed = decided(labels, plan, list(range(200, 260)), set(range(200, 260)), queue="targeted")
    alone, both = outcome(sample, labels), outcome(pd.concat([sample, aimed]), labels)
    assert both.overall == alone.overall
    assert both.lot == alone.lot
    assert both.targeted == (60, 60)


def test_skipped_and_unsettled_cards_widen_the_bounds_both_ways() -> None:
    rng = np.random.default_rng(0)
    labels, plan = lot(rng), make_plan(N, "f", Wishes(double_items=5, double_share=0.05))
    frame = decided(labels, plan, list(range(plan.n)), {1})
    frame.loc[0, "kind"] = "skip"
    frame.loc[0, "label"] = -1
    second = row(labels, plan, 2, "Ben", (int(labels.label[2]) + 1) % 3, slots=2)
    frame.loc[2, "slots"] = 2
    both = pd.concat([frame, pd.DataFrame([second])])
    found = outcome(both, labels)
    assert found.unsettled == ("r2",)
    assert (found.overall.wrong, found.overall.open) == (1, 2)
    assert found.overall.interval.value == 1 / (plan.n - 2)
    plain = outcome(decided(labels, plan, list(range(plan.n)), {1}), labels)
    three = outcome(decided(labels, plan, list(range(plan.n)), {0, 1, 2}), labels)
    assert found.overall.interval.low == plain.overall.interval.low
    assert found.overall.interval.high == three.overall.interval.high
    settled = pd.DataFrame([row(labels, plan, 2, "Cleo", int(labels.label[2]), role="adjudicator", slots=2)])
    assert outcome(pd.concat([both, settled]), labels).overall.open == 1


def test_none_fits_is_wrong_and_undone_decisions_are_gone() -> None:
    rng = np.random.default_rng(0)
    labels, plan = lot(rng), make_plan(N, "f", Wishes())
    frame = decided(labels, plan, list(range(10)), set())
    frame.loc[0, "kind"] = "none"
    frame.loc[0, "label"] = -1
    frame.loc[1, "standing"] = False
    verdicts = item_verdicts(frame, 1)
    assert len(verdicts) == 9
    assert verdicts["wrong"].tolist() == [True] + 8 * [False]


def test_sentences_call_an_early_look_one() -> None:
    plan = make_plan(1_000, "f", Wishes())
    assert plan.refuse_from is not None
    assert "Early look at 20 of 150 cards, not a result" in lot_sentence(lot_outcome(plan, 20, 1, 0), 0.95)
    assert "will be refused" in lot_sentence(lot_outcome(plan, 60, plan.refuse_from, 0), 0.95)
    assert lot_sentence(lot_outcome(plan, 150, 0, 0), 0.95).startswith("The lot is accepted: 0 of 150 wrong; at most")
    assert lot_sentence(lot_outcome(plan, 150, 10, 0), 0.95).startswith("Not decidable")
    assert "(90 %)" in lot_sentence(lot_outcome(plan, 150, 0, 0), 0.9)


def test_agreement_is_that_of_krippendorff_and_counts_double_cards_only() -> None:
    rng = np.random.default_rng(5)
    labels, plan = lot(rng), make_plan(N, "f", Wishes())
    rows = []
    for index in range(60):
        machine = int(labels.label[index])
        for who, error in (("Ada", 0.1), ("Ben", 0.2)):
            said = (machine + 1) % 3 if rng.random() < error else machine
            rows.append(row(labels, plan, index, who, said, slots=2))
    rows += [row(labels, plan, index, "Ada", 0) for index in range(60, 90)]
    frame = pd.DataFrame(rows)
    table = ratings(frame, 1, 3)
    assert table.shape == (2, 60)
    found = agreements(frame, 1, 3, resamples=300)
    assert found.people is not None
    assert found.people.alpha.value == pytest.approx(
        krippendorff.alpha(reliability_data=table.astype(float), level_of_measurement="nominal")
    )
    assert found.people.kappa is not None
    assert found.people_items == 60
    assert found.teacher is not None
    assert not math.isnan(found.teacher.raw.value)
    assert found.pairs == ()
    alone = agreements(frame[frame["reviewer"] == "Ada"], 1, 3, resamples=300)
    assert alone.people is None


def test_three_people_have_a_kappa_for_each_two_of_them() -> None:
    rng = np.random.default_rng(6)
    labels, plan = lot(rng), make_plan(N, "f", Wishes())
    rows = []
    for index in range(60):
        for who in (("Ada", "Ben"), ("Ben", "Cleo"), ("Ada", "Cleo"))[index % 3]:
            said = int(labels.label[index]) if rng.random() < 0.8 else int(rng.integers(0, 3))
            rows.append(row(labels, plan, index, who, said, slots=2))
    found = agreements(pd.DataFrame(rows), 1, 3, resamples=200)
    assert found.people is not None and found.people.kappa is None
    assert [(pair.who, pair.items) for pair in found.pairs] == [
        (("Ada", "Ben"), 20),
        (("Ada", "Cleo"), 20),
        (("Ben", "Cleo"), 20),
    ]
    table = ratings(pd.DataFrame(rows), 1, 3)
    both = table[:2][:, (table[:2] >= 0).all(axis=0)]
    kappa = found.pairs[0].agreement.kappa
    assert kappa is not None and kappa.value == pytest.approx(cohen_kappa_score(both[0], both[1]))


def test_rounds_before_this_one_are_told_and_a_chosen_one_is_a_warning() -> None:
    rng = np.random.default_rng(2)
    labels, plan = lot(rng), make_plan(N, "f", Wishes(double_share=0))
    assert plan.refuse_from is not None
    first = decided(labels, plan, list(range(plan.n)), set(range(plan.refuse_from)))
    second = decided(labels, plan, list(range(100, 100 + plan.n)), set()).assign(round=2)
    both = pd.concat([first, second])
    assert earlier_rounds(both, labels, 1) == []
    before = earlier_rounds(both, labels, 2)
    assert [(number, told.word) for number, told in before] == [(1, "refused")]
    assert f"round 1 refused ({plan.refuse_from} of {plan.n} wrong)" in earlier_sentence(before)
    (found,) = earlier_finding("review", both, labels, outcome(both, labels))
    assert found.severity == "warning" and "does not undo that" in found.claim
    half = pd.concat([first.head(5), second])
    assert "round 1 was closed early (5 of 5 wrong)" in earlier_sentence(earlier_rounds(half, labels, 2))


def test_a_boastful_teacher_is_found_out() -> None:
    rng = np.random.default_rng(1)
    labels, plan = lot(rng), make_plan(N, "f", Wishes(fraction=1))
    honest = {i for i in range(N) if rng.random() > labels.confidence[i]}
    boastful = {i for i in range(N) if rng.random() < 0.5}
    assert sum(map(overconfident, outcome(decided(labels, plan, list(range(N)), boastful), labels).slices)) >= 4
    sample = decided(labels, plan, list(range(0, N, 3)), honest)
    assert sum(map(overconfident, outcome(sample, labels).slices)) <= 1
