"""Near-duplicates against brute force, against datasketch, and where texts are short, huge or in other scripts."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.near_duplicates import (
    PERMUTATIONS,
    RECALL,
    SHINGLE,
    _jaccard,
    _signatures,
    band_shape,
    find_matches,
    near_copies,
)

Row = tuple[str, str | None]


def brute(one: str, other: str) -> float:
    def shingles(text: str) -> set[str]:
        even = "\x02" * (SHINGLE - 1) + (" ".join(text.casefold().split()) or "\x02")
        return {even[i : i + SHINGLE] for i in range(len(even) - SHINGLE + 1)}

    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_jaccard_equals_that_of_the_plain_sets(one: str, other: str) -> None:
    (found,) = _jaccard([(one, None), (other, None)], np.array([0]), np.array([1]))
    assert found == pytest.approx(brute(one, other))


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=80))
def test_a_text_is_its_own_duplicate(text: str) -> None:
    (match,) = find_matches([(text, None)], [(text, None)], 1.0)
    assert match.similarity == 1.0


def _varied(seed: int, n: int) -> list[str]:
    """Sentences of which many are small changes of others, so that similarities of all sizes occur."""
    rng = random.Random(seed)
    words = [f"word{i}" for i in range(60)]
    texts = [" ".join(rng.choices(words, k=rng.randint(3, 14))) for _ in range(n // 3)]
    while len(texts) < n:
        tokens = rng.choice(texts).split()
        for _ in range(rng.randint(0, 3)):
            tokens[rng.randrange(len(tokens))] = rng.choice(words)
        texts.append(" ".join(tokens))
    rng.shuffle(texts)
    return texts


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.95, 1.0])
def test_finds_what_an_exhaustive_search_finds_and_nothing_else(threshold: float) -> None:
    texts = _varied(3, 240)
    kept: list[Row] = [(t, None) for t in texts[:100]]
    others: list[Row] = [(t, None) for t in texts[100:]]
    truth = {i for i, (t, _) in enumerate(others) if any(brute(t, k) >= threshold for k, _ in kept)}
    matches = find_matches(kept, others, threshold)
    assert {match.other for match in matches} <= truth
    assert len(matches) >= 0.97 * len(truth)
    for match in matches:
        assert match.similarity == pytest.approx(brute(kept[match.kept][0], others[match.other][0]))


def test_signatures_estimate_the_similarity_as_datasketch_does() -> None:
    datasketch = pytest.importorskip("datasketch")
    one, other = "the quick brown fox jumps over the lazy dog " * 3, "the quick brown fox jumped over one lazy dog " * 3
    ours = _signatures([(one, None), (other, None)], None)
    theirs = []
    for text in (one, other):
        even = "\x02" * (SHINGLE - 1) + " ".join(text.split())
        sketch = datasketch.MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch([even[i : i + SHINGLE].encode() for i in range(len(even) - SHINGLE + 1)])
        theirs.append(sketch)
    truth = brute(one, other)
    assert abs((ours[0] == ours[1]).mean() - truth) < 0.15
    assert abs(theirs[0].jaccard(theirs[1]) - truth) < 0.15


def test_the_estimate_is_unbiased() -> None:
    texts = _varied(11, 120)
    rows: list[Row] = [(t, None) for t in texts]
    signatures = _signatures(rows, None)
    errors = [
        (signatures[i] == signatures[i + 1]).mean() - brute(texts[i], texts[i + 1]) for i in range(len(texts) - 1)
    ]
    assert abs(float(np.mean(errors))) < 0.02


@given(st.floats(0.05, 1.0))
def test_bands_keep_the_promised_recall(threshold: float) -> None:
    bands, rows = band_shape(threshold)
    assert bands * rows <= PERMUTATIONS
    assert rows == 1 or 1 - (1 - threshold**rows) ** bands >= RECALL


def test_of_pairs_both_sentences_must_be_alike() -> None:
    passage = "A long passage about the history of the harbour and its ships. " * 4
    kept: list[Row] = [("is the harbour old", passage)]
    assert not find_matches(kept, [("who built the first of the ships", passage)], 0.8)
    assert find_matches(kept, [("is the harbour old?", passage + "Indeed.")], 0.8)


def test_case_space_and_scripts_without_spaces() -> None:
    assert find_matches([("Great  CREW\n today", None)], [("great crew today", None)], 1.0)
    japanese = "今日はとても良い天気ですね。映画を見に行きましょう。"
    assert find_matches([(japanese, None)], [(japanese + "！", None)], 0.8)
    assert not find_matches([(japanese, None)], [("昨日は雨が降っていたので家で本を読みました。", None)], 0.8)


def test_huge_empty_and_many_equal_texts() -> None:
    huge = "".join(random.Random(1).choices("abcdefgh ", k=100_000))
    assert find_matches([(huge, None), ("", None)], [(huge + "x", None)], 0.99)
    many: list[Row] = [(f"your order number {i % 7} is on its way to you now", None) for i in range(4_000)]
    assert len(find_matches(many[:2_000], many[2_000:], 0.8)) == 2_000
    assert find_matches([], many, 0.8) == find_matches(many, [], 0.8) == []


def test_progress_ends_at_the_total() -> None:
    seen: list[tuple[int, int]] = []
    find_matches([("a text", None)], [("another text", None)], 0.8, lambda step, total: seen.append((step, total)))
    assert seen[-1] == (2, 2)


@pytest.mark.parametrize("threshold", [0.6, 0.8, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_groups_of_near_copies_are_the_components_of_the_exhaustive_search(seed: int, threshold: float) -> None:
    texts = _varied(seed, 150)
    first = near_copies([(text, None) for text in texts], threshold)
    group = list(range(len(texts)))
    for one, here in enumerate(texts):
        for other in range(one):
            if brute(here, texts[other]) >= threshold - 1e-12:
                old, new = sorted((group[one], group[other]), reverse=True)
                group = [new if name == old else name for name in group]
    assert first.tolist() == group


def test_a_text_copied_many_times_is_one_group_and_costs_little() -> None:
    retweets = [
        (f"RT @someone: a studio at 45,000 feet, what a day this was http://t.co/{i:04d}", None) for i in range(4000)
    ]
    assert set(near_copies(retweets, 0.6).tolist()) == {0}
    assert near_copies([], 0.8).tolist() == [] and near_copies([("a", None)], 0.8).tolist() == [0]


def test_pairs_are_copies_only_where_both_halves_are() -> None:
    rows: list[Row] = [
        ("one passage of text", "is it?"),
        ("one passage of text", "who was it that went?"),
        ("one passage of text", "is it?"),
    ]
    assert near_copies(rows, 0.8).tolist() == [0, 1, 0]
