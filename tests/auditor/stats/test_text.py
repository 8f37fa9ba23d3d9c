"""How alike texts are, against rouge-score 0.1.2 (values written down: it is no dependency) and the formulas of SQuAD's script."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.stats.text import distinct_share, exact_match, longest_common, repeated_share, rouge_l, token_f1, tokens

WORDS = st.lists(st.sampled_from(["cat", "the", "sat", "a", "dog", "3", "mat.", "it's"]), max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("The cat sat on the mat.", "the cat is on the mat", 0.8333333333333334),
        ("police kill the gunman", "police killed the gunman", 0.75),
        ("A quick brown fox jumps over the lazy dog", "The lazy dog was jumped over by a quick brown fox", 0.4),
        ("It's 3.5 km, e-mail me!", "it s 3 5 km email me", 0.8),
        ("", "x", 0.0),
    ],
)
def test_rouge_l_is_that_of_rouge_score(answer: str, reference: str, score: float) -> None:
    assert rouge_l(answer, reference) == pytest.approx(score)


def test_other_scripts_count_where_rouge_score_gives_nothing() -> None:
    assert rouge_l("кошка сидит на коврике", "кошка сидит на коврике") == 1
    assert rouge_l("私は学生です", "私は学生だ") == pytest.approx(2 * 4 / 11)  # of six and five characters
    assert tokens("straße, 2 Äpfel") == ["straße", "2", "äpfel"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from("abcd"), max_size=14), st.lists(st.sampled_from("abcd"), max_size=14))
def test_longest_common_is_the_table_of_the_textbook(one: list[str], other: list[str]) -> None:
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    assert longest_common(one, other) == table[-1][-1]


def _squad(text: str) -> str:
    bare = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


@settings(max_examples=200, deadline=None)
@given(WORDS, WORDS)
def test_exact_match_and_f1_are_those_of_the_squad_script(answer: str, reference: str) -> None:
    mine, theirs = _squad(answer).split(), _squad(reference).split()
    assert exact_match(answer, reference) == float(mine == theirs)
    shared = sum((Counter(mine) & Counter(theirs)).values())
    if not mine or not theirs:
        expected = float(mine == theirs)
    else:
        expected = 2 * shared / (len(mine) + len(theirs)) if shared else 0.0
    assert token_f1(answer, reference) == pytest.approx(expected)


def test_repetition_and_distinct() -> None:
    assert repeated_share("a b c d e f") == 0
    assert repeated_share("a b c d a b c d") == pytest.approx(1 / 5)  # 5 runs of four, of which 'a b c d' twice
    assert repeated_share("a b c") is None
    assert distinct_share("a b a b") == pytest.approx(2 / 3)
    assert distinct_share("a") is None
