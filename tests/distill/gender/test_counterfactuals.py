from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import DataError
from distill.gender.counterfactuals import counterfactual_pairs
from distill.gender.fillers import match_fillers
from distill.gender.lexicon import load_lexicon

LEXICON = load_lexicon("en")
TEXTS = [
    "she was rude at the gate",
    "bag lost again",
    "landed early",
    "no answer for two hours",
    "great crew",
    "what a mess",
]


def test_a_text_with_a_gendered_word_is_paired_with_its_swap() -> None:
    pairs = counterfactual_pairs(TEXTS, LEXICON, insert=0.0).pairs
    assert [(p.row, p.text, p.twin, p.swapped) for p in pairs] == [(0, TEXTS[0], "he was rude at the gate", True)]


def test_the_two_sides_of_a_frame_differ_in_the_person_only_and_hold_the_text() -> None:
    found = counterfactual_pairs(TEXTS, LEXICON, insert=1.0, filler_share=1.0)
    people = {m.id: (m.female, m.male) for m in match_fillers(LEXICON)[0]}
    assert len(found.pairs) == len(TEXTS)
    for pair in found.pairs[1:]:
        assert TEXTS[pair.row] in pair.text
        assert TEXTS[pair.row] in pair.twin
        assert pair.text != pair.twin
        frames = [
            pair.text.lower().replace(form.lower(), "?")
            for sides in people.values()
            for form in {*sides[0].values(), *sides[1].values()}
            if form.lower() in pair.text.lower()
        ]
        others = [
            pair.twin.lower().replace(form.lower(), "?")
            for sides in people.values()
            for form in {*sides[0].values(), *sides[1].values()}
            if form.lower() in pair.twin.lower()
        ]
        assert set(frames) & set(others)


def test_held_out_people_stand_in_no_frame() -> None:
    texts = [f"seat {n} was taken" for n in range(300)]
    found = counterfactual_pairs(texts, LEXICON, insert=1.0, filler_share=0.5)
    assert found.held_out
    assert not set(found.fillers) & set(found.held_out)
    names = [name for each in found.held_out for name in each.split("/") if name.istitle()]
    said = " ".join(p.text + " " + p.twin for p in found.pairs).split()
    words = {word.strip(".:").removesuffix("'s") for word in said}
    assert not words & set(names)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=6), st.floats(0.6, 1))
def test_the_same_texts_give_the_same_pairs(texts: list[str], insert: float) -> None:
    def made() -> object:
        try:
            return counterfactual_pairs(texts, LEXICON, insert=insert).pairs
        except DataError as error:
            return str(error)

    assert made() == made()


def test_nothing_to_pair_and_no_list_are_said() -> None:
    with pytest.raises(DataError, match="can be paired"):
        counterfactual_pairs(TEXTS[1:], LEXICON, insert=0.0)
    with pytest.raises(DataError, match="no swap list"):
        counterfactual_pairs(TEXTS, replace(LEXICON, swaps=None))


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("swaps: {frames: ['{subj} said: {text}, {text}']}", "text} once"),
        ("swaps: {frames: ['{subj} was there']}", "text} once"),
        ("words: {emotion: 5}", "words > emotion"),
    ],
)
def test_a_file_of_the_users_own_with_a_fault_is_named(tmp_path: Path, section: str, told: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"language: en\n{section}\n", encoding="utf-8")
    with pytest.raises(DataError, match=told):
        load_lexicon("en", [tmp_path / "mine.yaml"])
