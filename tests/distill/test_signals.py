from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill import signals
from distill.errors import Cancelled, ModelError
from distill.monitor import Monitor
from distill.signals import SignalCache, check_probabilities, seeded_order, signal_key
from distill.store import ModelCard
from distill.types import Floats, Ints

CARD = ModelCard(name="teacher", kind="checkpoint", weights_digest="w", tokenizer_digest="t")
KEY = signal_key(CARD, ["a", "b"], max_tokens=8, precision="fp32")


class Oracle:
    """Answers depend on the shard that a text was asked with, as a real model's last bits do."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: list[int] = []
        self.calls = 0
        self.stop_after = stop_after

    def __call__(self, positions: Ints, done: int) -> Floats:
        if self.stop_after is not None and self.calls >= self.stop_after:
            raise Cancelled("stop")
        self.calls += 1
        self.asked += [int(p) for p in positions]
        p = 0.1 + 0.8 * (positions / 100 + positions.mean() / 1e4) / 2
        return np.stack([p, 1 - p], axis=1)


def ids(n: int) -> np.ndarray:
    return np.array([f"c{i:03d}" for i in range(n)], dtype=object)


def test_asking_twice_asks_nothing_and_gives_the_same(tmp_path: Path) -> None:
    cache, first, second = SignalCache(tmp_path, KEY, 2), Oracle(), Oracle()
    one = cache.ask(ids(20), [5] * 20, first, Monitor())
    two = cache.ask(ids(20)[::-1], [5] * 20, second, Monitor())
    assert (one.asked, one.reused, two.asked, two.reused) == (20, 0, 0, 20)
    assert second.asked == []
    np.testing.assert_array_equal(one.probs, two.probs[::-1])
    assert list(two.labelled_at) == list(one.labelled_at)


def test_only_what_is_missing_is_asked(tmp_path: Path) -> None:
    cache, oracle = SignalCache(tmp_path, KEY, 2), Oracle()
    cache.ask(ids(10), [1] * 10, Oracle(), Monitor())
    found = cache.ask(ids(15), [1] * 15, oracle, Monitor())
    assert sorted(oracle.asked) == list(range(10, 15))
    assert (found.asked, found.reused) == (5, 10)


def test_an_interrupted_labelling_goes_on_and_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "SHARD", 8)
    sizes = list(np.random.default_rng(1).integers(1, 50, 30))
    whole = SignalCache(tmp_path / "a", KEY, 2).ask(ids(30), sizes, Oracle(), Monitor())
    torn = SignalCache(tmp_path / "b", KEY, 2)
    with pytest.raises(Cancelled):
        torn.ask(ids(30), sizes, Oracle(stop_after=2), Monitor())
    rest = Oracle()
    ended = torn.ask(ids(30), sizes, rest, Monitor())
    assert len(rest.asked) == 14
    assert ended.reused == 16
    np.testing.assert_array_equal(ended.probs, whole.probs)


def test_a_torn_shard_is_asked_again(tmp_path: Path) -> None:
    cache = SignalCache(tmp_path, KEY, 2)
    cache.ask(ids(5), [1] * 5, Oracle(), Monitor())
    next(cache.folder.glob("*.parquet")).write_bytes(b"PAR1 half a file")
    assert cache.ask(ids(5), [1] * 5, Oracle(), Monitor()).asked == 5


@pytest.mark.parametrize(
    "change",
    [{"weights_digest": "x"}, {"tokenizer_digest": "x"}],
)
def test_another_model_has_another_key(change: dict[str, str]) -> None:
    other = CARD.model_copy(update=change)
    assert signal_key(other, ["a", "b"], max_tokens=8, precision="fp32") != KEY


def test_key_depends_on_labels_tokens_and_precision() -> None:
    keys = [
        signal_key(CARD, labels, max_tokens=tokens, precision=precision)
        for labels in (["a", "b"], ["b", "a"])
        for tokens in (8, 16)
        for precision in ("fp32", "bf16")
    ]
    assert len({str(key) for key in keys}) == 8


def test_a_model_without_digest_is_named_by_its_day() -> None:
    endpoint = ModelCard(name="teacher", kind="endpoint", id="gpt", version="1")
    assert "day" in signal_key(endpoint, ["a"], max_tokens=8, precision="fp32")["weights"]


@pytest.mark.parametrize(
    ("probs", "words"),
    [
        (np.array([[0.5, 0.5, 0.0]]), "2 labels"),
        (np.array([[np.nan, 0.5]]), "not numbers"),
        (np.array([[0.9, 0.5]]), "not probabilities"),
        (np.array([[-0.1, 1.1]]), "not probabilities"),
    ],
)
def test_what_is_no_distribution_is_refused(probs: Floats, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        check_probabilities(probs, 1, 2, "The teacher")


@given(st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=30), st.integers(0, 5), st.integers(0, 30))
def test_a_larger_cap_keeps_the_earlier_choice(names: list[str], seed: int, cap: int) -> None:
    order = [names[i] for i in seeded_order(names, seed)]
    without = [name for name in names if name != (names[0] if names else "")]
    shorter = [without[i] for i in seeded_order(without, seed)]
    assert sorted(order) == sorted(names)
    assert [name for name in order if name in set(without)] == shorter
    assert set(order[:cap]) <= set(order[: cap + 1])
