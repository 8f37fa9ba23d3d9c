"""The split: every row once, seeded, stratified, units whole, the data's own split kept."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.split import deal_out, given_parts, sample, seats
from distill.errors import DataError
from distill.spec import SplitSpec
from distill.types import SPLITS, Strings


def single(n: int) -> Strings:
    return np.array([f"{i:05d}" for i in range(n)], dtype=object)


def words(*parts: str | None) -> Strings:
    return np.array(parts, dtype=object)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=12, max_size=300), st.integers(0, 2**32))
def test_each_class_has_its_share_within_one_row(labels: list[int], seed: int) -> None:
    y = np.array(labels, dtype=np.int64)
    spec = SplitSpec(seed=seed)
    split = deal_out(y, single(len(y)), None, spec).split
    assert set(split) <= set(SPLITS) and len(split) == len(y)
    totals = {part: int((split == part).sum()) for part in SPLITS}
    for label, size in Counter(labels).items():
        for part in SPLITS:
            exact = size * totals[part] / len(y)
            assert abs(int(((split == part) & (y == label)).sum()) - exact) < 1 + 2 * size / len(y)
    for part, share in (("test", spec.test), ("dev", spec.dev), ("train", spec.teacher_train)):
        assert abs(totals[part] - max(1, round(share * len(y)))) <= 1


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=30),
    st.lists(st.floats(0.01, 1.0), min_size=2, max_size=4),
)
def test_seats_round_each_cell_up_or_down(sizes: list[int], weights: list[float]) -> None:
    total = sum(sizes)
    targets = [total * weight / sum(weights) for weight in weights]
    table = seats(sizes, targets)
    assert (table.sum(axis=1) == sizes).all()
    exact = np.outer(sizes, np.array(targets) / total)
    assert (np.abs(table - exact) < 1 + 1e-6).all()
    assert (np.abs(table.sum(axis=0) - np.array(targets)) < 1.5).all()


def test_seeded_and_stable_whatever_the_order_of_the_rows() -> None:
    y = np.arange(200, dtype=np.int64) % 3
    units = single(200)
    one = deal_out(y, units, None, SplitSpec(seed=5)).split
    order = np.random.default_rng(0).permutation(200)
    other = deal_out(y[order], units[order], None, SplitSpec(seed=5)).split
    assert (one[order] == other).all()
    assert (one != deal_out(y, units, None, SplitSpec(seed=6)).split).any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(-1, 2)), min_size=30, max_size=150))
def test_units_are_never_torn_and_unlabelled_rows_go_to_the_pool(rows: list[tuple[int, int]]) -> None:
    units = np.array([f"u{u}" for u, _ in rows], dtype=object)
    y = np.array([label for _, label in rows], dtype=np.int64)
    try:
        split = deal_out(y, units, None, SplitSpec()).split
    except DataError:
        assert sum(bool((y[units == u] >= 0).all()) for u in set(units)) < 2 <= len(y)
        return
    for unit in set(units):
        assert len(set(split[units == unit])) == 1
    if (y >= 0).any():
        assert set(split[y < 0]) <= {"pool"}


def test_without_any_label_test_and_dev_are_unlabelled_and_train_is_empty() -> None:
    split = deal_out(np.full(100, -1), single(100), None, SplitSpec()).split
    assert Counter(split) == {"pool": 80, "test": 12, "dev": 8}


def test_counts_and_shares_that_exceed_the_rows() -> None:
    y = np.arange(100, dtype=np.int64) % 2
    deal = deal_out(y, single(100), None, SplitSpec(test=20, dev=10, teacher_train=30, pool=0.1))
    assert Counter(deal.split) == {"pool": 40, "train": 30, "test": 20, "dev": 10}
    greedy = deal_out(y, single(100), None, SplitSpec(test=90, dev=50, teacher_train=50))
    assert Counter(greedy.split) == {"test": 90, "dev": 10}
    assert any("only 10" in note for note in greedy.notes) and any("pool" in note for note in greedy.notes)


@pytest.mark.parametrize("n", [5, 15, 101, 250])
def test_nothing_is_left_for_a_pool_that_nobody_asked_for(n: int) -> None:
    deal = deal_out(np.arange(n) % 2, single(n), None, SplitSpec(teacher_train=0, pool=0, dev=0.3, test=0.7))
    assert set(deal.split) == {"test", "dev"} and not deal.notes


def test_the_given_test_is_kept_and_the_rest_cut_from_train() -> None:
    y = np.arange(200, dtype=np.int64) % 2
    given = words(*["train"] * 150, *["test"] * 50)
    split = deal_out(y, single(200), given, SplitSpec()).split
    assert set(split[150:]) == {"test"} and "test" not in set(split[:150])
    counts = Counter(split[:150])
    assert counts["train"] == round(150 * 0.3 / 0.88) and counts["dev"] == round(150 * 0.08 / 0.88)


def test_given_dev_and_pool_are_kept_and_a_missing_test_is_cut_from_train() -> None:
    y = np.arange(100, dtype=np.int64) % 2
    given = words(*["train"] * 60, *["dev"] * 20, *["pool"] * 20)
    split = deal_out(y, single(100), given, SplitSpec()).split
    assert set(split[60:80]) == {"dev"} and set(split[80:]) == {"pool"}
    assert set(split[:60]) == {"train", "pool", "test"}


def test_an_audit_needs_no_more_than_test_rows() -> None:
    deal = deal_out(np.zeros(5, dtype=np.int64), single(5), words(*["test"] * 5), SplitSpec())
    assert set(deal.split) == {"test"} and not deal.notes


def test_words_for_a_split() -> None:
    found = given_parts(words("Train", "validation", "TEST", None, "unlabeled", " "), "split")
    assert list(found) == ["train", "dev", "test", None, "pool", None]
    with pytest.raises(DataError, match=r"'tset'.*1 rows") as caught:
        given_parts(words("train", "tset"), "fold")
    assert "'test'" in caught.value.hint


def test_a_sample_keeps_the_shares_of_classes_and_splits() -> None:
    y = np.repeat([0, 1, 2], [600, 300, 100]).astype(np.int64)
    given = words(*["train", "test"] * 500)
    chosen = sample(y, single(1000), given, 100, seed=3)
    assert len(chosen) == 100 and (np.diff(chosen) > 0).all()
    assert [int((y[chosen] == k).sum()) for k in range(3)] == [60, 30, 10]
    assert Counter(given[chosen]) == {"train": 50, "test": 50}
    assert (chosen == sample(y, single(1000), given, 100, seed=3)).all()
