"""The bundled words, and the sentences made of them."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pytest

from auditor.bias.items import ItemSet, build_items, differing_words
from distill.errors import DataError
from distill.gender.fillers import match_fillers
from distill.gender.lexicon import Lexicon, load_lexicon


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return load_lexicon()


@pytest.fixture(scope="module")
def items(lexicon: Lexicon) -> ItemSet:
    return build_items(lexicon)


def test_bundled_data_is_large_enough(lexicon: Lexicon) -> None:
    assert len(lexicon.templates) >= 12
    assert all(len(t.wordings) >= 2 for t in lexicon.templates)
    assert len(lexicon.occupations) >= 60
    per_gender = lexicon.names.groupby("gender").size()
    assert (per_gender >= 30).all()
    assert lexicon.names["origin"].nunique() >= 4


def test_gender_is_not_confounded_with_origin_or_frequency(lexicon: Lexicon) -> None:
    counts = lexicon.names.groupby(["origin", "gender"]).size().unstack()
    assert (counts["female"] == counts["male"]).all()
    frequency = (
        lexicon.names.assign(log=np.log(lexicon.names["frequency"]))
        .groupby(["origin", "gender"])["log"]
        .mean()
        .unstack()
    )
    assert (frequency["female"] - frequency["male"]).abs().max() < 0.15


def test_items_are_matched_pairs_that_differ_in_the_filler_only(items: ItemSet) -> None:
    female, male = items.frame.iloc[::2].reset_index(drop=True), items.frame.iloc[1::2].reset_index(drop=True)
    assert (female["gender"] == "female").all()
    assert (male["gender"] == "male").all()
    for column in ("cell", "wording", "filler_pair", "origin", "pair", "word"):
        assert (female[column] == male[column]).all()
    assert (female["text"] != male["text"]).all()
    assert 4_000 <= len(items.texts) <= 6_000
    assert len(set(items.texts)) == len(items.texts)
    assert [items.texts[k] for k in items.index[:50]] == items.frame["text"][:50].tolist()


def test_every_cell_has_two_pairs_and_names_are_used_evenly(items: ItemSet) -> None:
    pairs = items.frame.iloc[::2]
    assert (pairs.groupby("cell")["filler_pair"].nunique() >= 2).all()
    names = pairs[pairs["filler_kind"] == "name"]["filler_pair"].value_counts()
    assert names.max() < 1.5 * names.min()


def test_items_are_the_same_each_time(items: ItemSet) -> None:
    assert build_items(load_lexicon()).texts == items.texts


def test_sentences_start_with_a_capital_and_use_the_right_article(items: ItemSet) -> None:
    assert all(text[0].isupper() and text[-1] == "." for text in items.texts)
    assert not any(" a accountant" in t or " an nurse" in t or " a electrician" in t for t in items.texts)
    assert not any(brace in text for text in items.texts for brace in "{}")


def test_all_templates_fill_every_person_slot(lexicon: Lexicon) -> None:
    slots = {f for t in lexicon.templates for w in t.wordings for _, f, _, _ in string.Formatter().parse(w) if f}
    assert slots == {"subj", "obj", "poss", "word", "a_word"}


def test_fewer_than_two_pairs_a_cell_is_refused(lexicon: Lexicon) -> None:
    with pytest.raises(DataError, match="at least two pairs"):
        build_items(lexicon, pairs_per_cell=1)


def test_user_files_are_merged(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(
        "language: en\ntemplates:\n  - {id: mine, kind: event, wordings: ['{subj} said it was {word}.']}\nwords:\n  event: [on time]\n"
    )
    (tmp_path / "names.csv").write_text(
        "name,gender,origin,frequency\nAyşe,female,turkish,10\nMehmet,male,turkish,11\nFatma,female,turkish,3\n"
    )
    (tmp_path / "jobs.csv").write_text("occupation,share_women,source,year\nshepherd,0.2,Our own count,2024\n")
    lexicon = load_lexicon("en", [tmp_path])
    made = build_items(lexicon)
    assert "shepherd" in lexicon.occupations["occupation"].tolist()
    assert "mine" in made.frame["template"].unique()
    assert made.unmatched_names == ("Fatma",)
    assert "Ayşe/Mehmet" in {m.id for m in match_fillers(lexicon)[0]}


def test_a_new_language_with_inflected_words(tmp_path: Path) -> None:
    path = tmp_path / "de.yaml"
    path.write_text(
        "language: de\n"
        "templates:\n  - {id: arbeit, kind: job, wordings: ['{subj} arbeitet hier als {word}.']}\n"
        "words:\n  job: [{text: Pflegekraft}, {text: Lehrer, female: Lehrerin, male: Lehrer}]\n"
        "pairs:\n  - {female: sie, male: er}\n  - {female: meine Schwester, male: mein Bruder}\n"
    )
    made = build_items(load_lexicon("de", [path]))
    assert "Sie arbeitet hier als Lehrerin." in made.texts
    assert "Er arbeitet hier als Lehrer." in made.texts
    assert made.pairs == 4


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "language: en\ntemplates:\n  - {id: x, kind: event, wordings: ['{subj} is {wrod}.']}\n",
            "unknown slot '{wrod}'",
        ),
        ("language: en\ntemplates:\n  - {id: x, kind: event, wordings: ['It is {word}.']}\n", "lacks a person slot"),
        ("language: en\ntemplates:\n  - {id: x, kind: weather, wordings: ['{subj} is {word}.']}\n", "kind 'weather'"),
        ("language: en\ntemplates:\n  - {id: x, kind: event, wordings: ['{subj is {word}.']}\n", "'x'"),
        ("language: en\npairs:\n  - {female: {subj: she}, male: {subj: he}}\n", "does not fill the slots"),
        (
            "language: en\nnames:\n  - {name: Kim, gender: other, origin: x, frequency: 1}\n",
            "wrong at names > 1 > gender",
        ),
        ("language: en\nswaps:\n  pairs: [[queen, he]]\n", "names 'he' twice"),
        ("- a list\n", "not a mapping"),
        ("language: [\n", "not readable YAML"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        load_lexicon("en", [path])
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_bad_csv_and_missing_paths(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("occupation,share_women,source\nnurse,0.9,x\n")
    with pytest.raises(DataError, match="lacks the column 'year'"):
        load_lexicon("en", [path])
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="neither a column 'name'"):
        load_lexicon("en", [path])
    with pytest.raises(DataError, match="does not exist"):
        load_lexicon("en", [tmp_path / "none"])
    with pytest.raises(DataError, match="no swap list for the language 'hi'"):
        load_lexicon("hi")


def test_differing_words_are_marked() -> None:
    first, second = differing_words("My sister is here.", "My brother is here.")
    assert first == [("My", False), ("sister", True), ("is here.", False)]
    assert second[1] == ("brother", True)
