"""Plans against scipy and published values; what is promised before is what is judged after."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from auditor.review.outcome import lot_outcome
from auditor.review.plan import Wishes, draw_sample, limits, make_plan, promise, wishes_from
from distill.errors import ReviewError


def test_the_published_plan_of_a_huge_lot_is_found() -> None:
    plan = make_plan(10_000_000, "f", Wishes(method="limiting quality", aql=0.01, lq=0.05))
    assert (plan.n, plan.accept_up_to, plan.refuse_from) == (132, 3, 4)
    said = promise(plan)
    assert "at most 3 wrong" in said.sentence
    assert said.accepted[np.argmin(abs(said.rates - 0.01))] >= 0.95
    assert said.accepted[np.argmin(abs(said.rates - 0.05))] <= 0.101


def test_the_default_is_fifteen_per_cent_with_at_least_fifty_double_cards() -> None:
    plan = make_plan(10_000, "f", Wishes())
    assert (plan.n, plan.doubles) == (1_500, 150)
    assert make_plan(1_000, "f", Wishes()).doubles == 50
    assert make_plan(100, "f", Wishes()).doubles == 15


@settings(max_examples=40, deadline=None)
@given(lot=st.integers(20, 4_000), share=st.floats(0.02, 1), limit=st.floats(0.01, 0.3))
def test_both_limits_are_the_outermost_counts_that_the_exact_test_allows(lot: int, share: float, limit: float) -> None:
    n = max(1, int(share * lot))
    accept, refuse = limits(n, lot, limit, 0.95)
    allowed = int(np.floor(limit * lot + 1e-9))
    for wrong in {accept, accept + 1} & set(range(n + 1)):
        # accepted exactly when one more bad label in the lot than allowed would be too unlikely to show so few
        possible = wrong <= allowed and (
            allowed + 1 > lot - n + wrong or hypergeom.cdf(wrong, lot, allowed + 1, n) <= 0.05 + 1e-12
        )
        assert (wrong <= accept) == possible
    if refuse is not None:
        assert hypergeom.sf(refuse - 1, lot, allowed, n) <= 0.05 + 1e-12
        assert refuse - 1 <= accept or hypergeom.sf(refuse - 2, lot, allowed, n) > 0.05 - 1e-12


@settings(max_examples=30, deadline=None)
@given(lot=st.integers(50, 2_000), wrong=st.integers(0, 40), skipped=st.integers(0, 5), done=st.floats(0.1, 1))
def test_an_early_word_is_never_taken_back(lot: int, wrong: int, skipped: int, done: float) -> None:
    plan = make_plan(lot, "f", Wishes(fraction=0.3))
    n = max(1, int(done * plan.n))
    wrong, skipped = min(wrong, n), min(skipped, max(0, n - min(wrong, n)))
    early = lot_outcome(plan, n, wrong, skipped)
    rest = plan.n - n
    ends = {lot_outcome(plan, plan.n, wrong + more, skipped).word for more in (0, rest)}
    if early.certain:
        assert ends == {early.word}
    assert early.final == (rest == 0)


def test_skipped_cards_count_as_wrong_for_acceptance_and_not_for_refusal() -> None:
    plan = make_plan(1_000, "f", Wishes(fraction=0.15))
    c, r = plan.accept_up_to, plan.refuse_from
    assert r is not None
    assert lot_outcome(plan, plan.n, c, 0).word == "accepted"
    assert lot_outcome(plan, plan.n, c, 1).word == "not decidable"
    assert lot_outcome(plan, plan.n, 0, r).word == "not decidable"
    assert lot_outcome(plan, plan.n, r, 0).word == "refused"


def test_the_draw_is_simple_random_and_repeatable() -> None:
    counts = np.zeros(40)
    for seed in range(600):
        positions, slots = draw_sample(make_plan(40, "f", Wishes(fraction=0.25, seed=seed, double_items=2)))
        assert len(set(positions.tolist())) == 10
        assert (slots == 2).sum() == 2
        counts[positions] += 1
    assert abs(counts / 600 - 0.25).max() < 0.09
    plan = make_plan(40, "f", Wishes())
    assert draw_sample(plan)[0].tolist() == draw_sample(plan)[0].tolist()


def test_the_curve_stands_at_whole_numbers_of_wrong_labels() -> None:
    plan = make_plan(372, "f", Wishes())
    said = promise(plan)
    wrong = said.rates * 372
    assert np.allclose(wrong, np.round(wrong)) and len(set(wrong)) == len(wrong)
    assert (np.diff(said.accepted) < 0).all()
    assert np.allclose(said.accepted, hypergeom.cdf(plan.accept_up_to, 372, np.round(wrong).astype(int), plan.n))
    assert "If none is wrong" in said.sentence


def test_a_sample_too_small_to_prove_anything_says_so() -> None:
    plan = make_plan(1_000, "f", Wishes(fraction=0.01))
    assert plan.accept_up_to == -1
    assert "Too few" in promise(plan).sentence
    assert promise(plan).accepted.max() == 0


def test_impossible_wishes_are_told_in_a_sentence() -> None:
    with pytest.raises(ReviewError, match="fraction"):
        wishes_from({"fraction": 2})
    with pytest.raises(ReviewError, match="no synthetic label"):
        make_plan(0, "f", Wishes())
    with pytest.raises(ReviewError, match="aql < lq"):
        make_plan(100, "f", Wishes(method="limiting quality", aql=0.05, lq=0.01))
