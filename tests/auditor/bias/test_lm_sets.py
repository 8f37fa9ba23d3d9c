"""The published test sets as pairs: what is taken, how the two sides differ, who is stereotyped. On the real packs."""

from __future__ import annotations

from collections import Counter

import pytest

from auditor.bias.lm_sets import READERS, apart, as_rows, bec_pro, by_content, chosen, winobias, winogender
from auditor.checks.lm_stereotypes import crows_pairs, stereoset

FEMALE, MALE = {"she", "her", "hers", "herself"}, {"he", "his", "him", "himself"}


def words(text: str) -> list[str]:
    return [word.strip(".,;:!?\"'") for word in text.lower().split()]


def test_apart_keeps_the_whole_sentence() -> None:
    context, female, male = apart("The cook said she was late.", "The cook said he was late.")
    assert (context, female, male) == ("The cook said", " she was late.", " he was late.")
    assert apart("She left.", "He left.") == ("", "She left.", "He left.")


def test_winobias_takes_single_word_pairs_alone() -> None:
    pairs = winobias()
    assert 1_500 <= len(pairs) <= 1_584 - 62
    for pair in pairs:
        one, other = words(pair.female), words(pair.male)
        differing = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
        assert len(differing) == 1 and differing[0][0] in FEMALE and differing[0][1] in MALE
    known = {pair.word: pair.stereotype for pair in pairs}
    assert known["nurse"] == 1 and known["mechanic"] == -1 and len(known) == 40
    balance = Counter(pair.stereotype for pair in pairs)
    assert abs(balance[1] - balance[-1]) < 60


def test_winogender_follows_the_official_shares() -> None:
    pairs = winogender()
    assert len(pairs) == 240 and len({pair.cell for pair in pairs}) == 120
    by_word = {pair.word: pair for pair in pairs if pair.stereotype}
    assert by_word["engineer"].stereotype == -1 and by_word["engineer"].share_women == pytest.approx(10.72)


def test_bec_pro_is_a_full_design_in_english() -> None:
    pairs = bec_pro()
    assert len(pairs) == 2_700
    assert set(Counter((p.template, p.word) for p in pairs).values()) == {9}
    part = chosen("bec_pro", 500)
    assert len(part) == 500 and min(Counter(p.cell for p in part).values()) >= 2


@pytest.mark.parametrize("name", sorted(READERS))
def test_a_smaller_audit_asks_a_part_of_a_larger_one(name: str) -> None:
    small, large = (chosen(name, items) for items in (40, 400))
    key = {(p.context, p.female, p.male) for p in large}
    if name != "bec_pro":  # there a larger audit takes more persons of each cell
        assert {(p.context, p.female, p.male) for p in small} <= key
    assert len(small) < len(large)
    assert all(p.female != p.male for p in large)
    cells = Counter(p.cell for p in large)
    assert max(cells.values()) >= 2


def test_bbq_has_three_answers_and_knows_the_right_one() -> None:
    pairs = chosen("bbq_gender", 200)
    for pair in pairs:
        assert pair.unknown and (pair.right == "unknown") == (pair.condition == "ambiguous")
    rows = as_rows(pairs[:1], first=7)
    assert [row["side"] for row in rows] == ["female", "male", "unknown"] and rows[0]["pair_number"] == 7


def test_the_disputed_sets_hold_their_gender_parts() -> None:
    assert len(crows_pairs()) == 262
    assert 250 <= len(stereoset()) <= 255


def test_order_by_content_does_not_depend_on_the_list() -> None:
    assert by_content(["b", "a", "c"]) == by_content(["c", "b", "a"])
