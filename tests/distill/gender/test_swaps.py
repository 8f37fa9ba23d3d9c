"""Swaps: grammatical, an involution, and counted where they are left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import DataError
from distill.gender.lexicon import load_lexicon
from distill.gender.swaps import BOTH, NO_WORD, Swapper, gender_mentions, swap_rows

SWAPPER = Swapper(load_lexicon())


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("I saw her today.", "I saw him today."),
        ("Her bag was lost", "His bag was lost"),
        ("He lost his bag and it is his.", "She lost her bag and it is hers."),
        ("the bag is hers", "the bag is his"),
        ("Thanks to her, all is well", "Thanks to him, all is well"),
        ("my Mom said HER flight was late", "my Dad said HIS flight was late"),
        ("he's late", "she's late"),
        ("Sarah lost her bag", "Ryan lost his bag"),
        ("a friend of his was there", "a friend of hers was there"),
        ("Mr. Lee waited with him", "Ms. Lee waited with her"),
        ("the old man left", "the old woman left"),
        ("my wife and his boss", None),
        ("She gave her money", None),
        ("I let her go", None),
        ("I saw her leaving", None),
        ("oh man! she was late", None),
        ("a pregnant lady", None),
        ("it took 500 ms", None),
        ("@her and #his https://x.org/she", None),
    ],
)
def test_swap(text: str, swapped: str | None) -> None:
    assert SWAPPER.swap(text).text == swapped


def test_reasons() -> None:
    assert SWAPPER.swap("nothing here").reason == NO_WORD
    assert SWAPPER.swap("she told him").reason == BOTH
    assert SWAPPER.swap("Mrs Smith").reason == "'mrs' has no single counterpart"
    assert "cannot be told" in SWAPPER.swap("let her go").reason


def test_every_pair_keeps_the_article() -> None:
    """'a' before one and 'an' before the other would make an ungrammatical swap."""
    swaps = load_lexicon().swaps
    assert swaps is not None
    vowel = [(f[0] in "aeiou") == (m[0] in "aeiou") for f, m in swaps.pairs]
    assert [pair for pair, same in zip(swaps.pairs, vowel, strict=True) if not same] == []


WORDS = [
    "she",
    "her",
    "hers",
    "he",
    "him",
    "his",
    "HER",
    "Sarah",
    "Ryan",
    "mother",
    "bag",
    "the",
    "is",
    "lost",
    "and",
    ",",
    ".",
    "gave",
    "man",
    "Mr",
    "saw",
    "!",
]


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=10))
def test_swapping_twice_gives_the_first_text(words: list[str]) -> None:
    text = " ".join(words)
    swapped = SWAPPER.swap(text)
    if swapped.text is not None:
        assert swapped.text != text
        assert SWAPPER.swap(swapped.text).text == text
        assert {SWAPPER.mention(text), SWAPPER.mention(swapped.text)} == {"female", "male"}


def test_rows_are_counted_and_sides_are_right() -> None:
    rows = ["she was late", "no word", "he told her", "my husband waited", "Mrs X"]
    found = swap_rows(rows)
    assert found.rows["row"].tolist() == [0, 3]
    assert found.rows["female"].tolist() == ["she was late", "my wife waited"]
    assert found.rows["male"].tolist() == ["he was late", "my husband waited"]
    assert len(found.rows) + sum(n for _, n in found.excluded) == found.total == 5
    assert found.example_rows[BOTH] == (2,)
    assert set(found.swaps) == {("she", "he", 1), ("husband", "wife", 1)}
    assert found.skipped is None


def test_nothing_to_swap_says_why() -> None:
    assert swap_rows(["plain", "text"]).skipped == "no row holds a gendered word"
    assert swap_rows([]).skipped == "there are no rows"
    assert "commonest reason" in str(swap_rows(["Mrs X", "text"]).skipped)
    unknown = swap_rows(["वह"], language="hi")
    assert unknown.skipped == "no swap list for the language 'hi'"
    assert unknown.total == 1


def test_gender_mentions() -> None:
    texts = ["she", "my brother", "he and she", "plain", "Mrs X", "Latoya wrote", "HIS"]
    assert gender_mentions(texts).tolist() == ["female", "male", "both", "none", "female", "female", "male"]
    with pytest.raises(DataError, match="no swap list for the language 'hi'"):
        gender_mentions(["x"], language="hi")
