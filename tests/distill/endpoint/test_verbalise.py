"""What an answer says about the labels, and what is no answer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.endpoint.verbalise import Form, Reading, Verbaliser
from distill.endpoint.wire import Answer, Choice, Token
from distill.errors import SpecError
from distill.types import Floats

LABELS = ("negative", "neutral", "positive")


def _verbaliser(form: Form = "letter", labels: tuple[str, ...] = LABELS, **changed: Any) -> Verbaliser:
    known = {"instruction": "Which?", "system": "", "shots": (), "longest": 500, "least_mass": 0.5, **changed}
    return Verbaliser(labels, (("negative", "It complains."),), form, **known)


def _answer(*tokens: list[tuple[str, float]], text: str | None = None) -> Answer:
    """The first choice of each place is the one that was taken; numbers are probabilities."""
    made = []
    for choices in tokens:
        top = tuple(Choice(word, math.log(p)) for word, p in choices)
        made.append(Token(top[0], tuple(sorted(top, key=lambda choice: -choice.logprob))))
    said = "".join(choices[0][0] for choices in tokens) if text is None else text
    return Answer(said, "stop", tuple(made), 1, 1, "m")


def _probs(found: Reading) -> Floats:
    assert found.probs is not None
    return found.probs


def test_letters_in_all_spellings_are_summed() -> None:
    reading = _verbaliser().read(_answer([("B", 0.5), (" B", 0.1), ("b", 0.1), ("A", 0.2), ("C", 0.05), ("x", 0.05)]))
    assert reading.exact
    np.testing.assert_allclose(_probs(reading), np.array([0.2, 0.7, 0.05]) / 0.95)


def test_a_label_beyond_the_top_gets_the_most_that_it_can_have() -> None:
    reading = _verbaliser().read(_answer([("A", 0.9), ("x", 0.04)]))
    # 0.06 are left for two labels, and neither can be more probable than the least of the top
    np.testing.assert_allclose(_probs(reading), np.array([0.9, 0.03, 0.03]) / 0.96)


def test_too_little_mass_is_no_answer() -> None:
    reading = _verbaliser().read(_answer([("The", 0.7), ("A", 0.2), ("B", 0.1)]))
    assert reading.probs is None
    assert "0.30" in reading.reason


def test_a_letter_that_begins_a_sentence_is_no_answer() -> None:
    words = _answer([("A", 0.8), ("B", 0.1)], [(" good", 0.9)], [(" day", 0.9)])
    assert _verbaliser().read(words).probs is None
    for text in ("A.", "A)", "(A)", "A", "A: negative", "**A**"):
        whole = _verbaliser().read(_answer([("A", 0.8), ("B", 0.1)], text=text))
        assert whole.probs is not None and whole.probs.argmax() == 0, text


def test_names_by_their_first_token() -> None:
    reading = _verbaliser("name").read(_answer([("neg", 0.6), ("pos", 0.3), ("Neu", 0.05)], [("ative", 1.0)]))
    np.testing.assert_allclose(_probs(reading), np.array([0.6, 0.05, 0.3]) / 0.95)


def test_names_that_begin_alike_are_told_apart_where_they_part() -> None:
    labels = ("refund request", "refund status", "other")
    found = _verbaliser("name", labels).read(
        _answer([("ref", 0.8), ("other", 0.2)], [("und", 1.0)], [(" request", 0.75), (" status", 0.25)])
    )
    np.testing.assert_allclose(_probs(found), [0.6, 0.2, 0.2])
    # where the way that was taken was another, the shared beginning could be either: its mass belongs to nobody
    other = _verbaliser("name", labels, least_mass=0.7).read(_answer([("other", 0.6), ("ref", 0.4)]))
    assert other.probs is None


def test_a_name_that_is_the_beginning_of_another() -> None:
    labels = ("pos", "positive")
    short = _verbaliser("name", labels).read(_answer([("pos", 0.9), ("x", 0.1)], [(".", 0.8), ("itive", 0.2)]))
    np.testing.assert_allclose(_probs(short), [0.8, 0.2], atol=1e-9)


def test_a_name_that_turns_into_another_word_is_no_answer() -> None:
    assert _verbaliser("name").read(_answer([("neg", 0.9)], [("otiable", 0.9)])).probs is None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("B", 1),
        (" b. ", 1),
        ("'C'", 2),
        ("neutral", 1),
        ("Neutral.", 1),
        ("A - negative", 0),
        ("A negative", 0),
        ("B: negative", None),
        ("A or B", None),
        ("A good day", None),
        ("", None),
        ("D", None),
        ("It is neutral", None),
        ("not negative", None),
    ],
)
def test_an_answer_without_log_probabilities_names_one_label_and_nothing_else(text: str, label: int | None) -> None:
    reading = _verbaliser().read(Answer(text, "stop", (), 1, 1, "m"))
    assert not reading.exact
    assert (reading.probs is None) == (label is None)
    if label is not None:
        assert reading.probs is not None and reading.probs.tolist() == np.eye(3)[label].tolist()
    else:
        assert reading.reason


def test_a_log_probability_that_is_missing_is_no_mass() -> None:
    broken = Answer("A", "stop", (Token(Choice("A", -math.inf), (Choice("A", -math.inf),)),), 1, 1, "m")
    assert _verbaliser().read(broken).probs is None
    assert _verbaliser(least_mass=0.0).read(broken).probs is None


@given(
    st.sampled_from(["letter", "name"]),
    st.lists(
        st.lists(
            st.tuples(
                st.text(max_size=6) | st.sampled_from(["A", "B", " C", "neg", "pos", "ative", "neutral"]),
                st.floats(-30, 0),
            ),
            min_size=1,
            max_size=5,
            unique_by=lambda pair: pair[0],
        ),
        max_size=4,
    ),
    st.text(max_size=20),
)
def test_whatever_a_server_says_gives_a_distribution_or_a_reason(
    form: Form, places: list[list[tuple[str, float]]], text: str
) -> None:
    tokens = tuple(Token(Choice(*place[0]), tuple(Choice(*choice) for choice in place)) for place in places)
    reading = _verbaliser(form).read(Answer(text, "stop", tokens, 1, 1, "m"))
    if reading.probs is None:
        assert reading.reason
    else:
        assert reading.probs.shape == (3,) and (reading.probs >= 0).all() and np.isfinite(reading.probs).all()
        assert math.isclose(float(reading.probs.sum()), 1.0)


def test_the_prompt() -> None:
    verbaliser = _verbaliser(shots=(("so late", None, 0),), system="Label.")
    question = verbaliser.question("thanks " * 200, "and more")
    roles = [role for role, _ in question.messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert question.messages[2][1] == "A"
    last = question.messages[-1][1]
    assert "A: negative – It complains.\nB: neutral\nC: positive" in last
    assert "Second text: and more" in last
    assert len(last) < 750, "long texts are cut"
    assert question.bound > len(last)


def test_labels_that_cannot_be_asked_for() -> None:
    with pytest.raises(SpecError, match="30 labels have no letters"):
        _verbaliser(labels=tuple(f"label {i}" for i in range(30)))
    with pytest.raises(SpecError, match="differ in capitals"):
        _verbaliser("name", labels=("Yes", "yes."))
