"""The card of a language model's answer: it stands, is mended, or is rejected with a reason. Keys, desk and progress are those of labels."""

from __future__ import annotations

import streamlit as st

from auditor.review.answers import ACCEPT, EDIT, LONGEST_EDIT, REASONS
from auditor.review.desk import Answer, Card
from auditor.review.frame import CardText, LabelFrame
from auditor.review.targeted import MEANING
from pages.ui import figures, review_card, state
from pages.ui.review_card import LONGEST, Desk, Last
from pages.ui.text import escaped, visible

KEYS = (
    ("Enter", "the answer stands as it is"),
    ("E", "mend it: students learn your words in its place. Ctrl+Enter in the field saves"),
    ("1–6", "reject it for that reason; it leaves the training set"),
    ("S", "skip: you can't say. Counts as wrong in the upper bound"),
    ("U", "take back your last answer"),
    ("N", "a note on this card, saved with your answer"),
    ("H", "show or hide these keys"),
)
SAID = {ACCEPT: "it stands", EDIT: "mended"}
ENDED = {"length": "stopped by the limit of tokens", "empty": "nothing was written", "stop": "ended by itself"}


def card(place: Desk, frame: LabelFrame, card: Card, last: Last | None) -> None:
    """Prompt, reference and answer on the left, what may be said of it on the right."""
    row = frame.card(card.row_index)
    left, right = st.columns([3, 1], gap="medium")
    with left, st.container(border=True, key="review_card"):
        _words("Prompt", row.text)
        if row.pair is not None:
            _words("Reference", row.pair)
        st.caption("Answer of the teacher")
        st.text(visible(row.answer or "", LONGEST) if (row.answer or "").strip() else "(nothing was written)")
        facts = [f"card {card.position + 1:,}", f"row {escaped(card.row_id, 60)}", ENDED.get(row.finish, "")]
        facts += ["two people decide this card"] if card.double else []
        st.caption(" · ".join(fact for fact in facts if fact))
    with left:
        if card.blind:
            st.caption(":material/visibility_off: How sure the teacher was, and what others say, is shown afterwards.")
        else:
            meaning = MEANING.get(card.why, f"Sent here: {card.why}.")
            st.caption(f":material/search: {escaped(meaning, 200)} Never part of the estimate. {_sure(row)}")
        _editor(place, card, row)
        review_card.note(place, card)
        said_before(place, frame, last)
        review_card.key_list(place, KEYS)
    with right:
        _buttons(place, card)


def _words(head: str, text: str) -> None:
    st.caption(head)
    st.text(visible(text, LONGEST))


def _sure(row: CardText) -> str:
    if row.confidence != row.confidence:  # nan: a teacher elsewhere without log-probabilities
        return "The teacher did not say how sure it was."
    return f"The teacher gave its tokens {figures.percent(row.confidence)} on average (geometric mean)."


def _buttons(place: Desk, card: Card) -> None:
    button = review_card.button
    item = card.item_id
    say = review_card.say
    button(place, "It stands", "Enter", f"accept_{item}", say(place, card, Answer("label", ACCEPT)), primary=True)
    button(place, "Edit", "E", f"edit_{item}", lambda: review_card.toggle(place, "editing"))
    st.caption("Reject: it is …")
    for k, reason in enumerate(REASONS):
        rejected = Answer("none", reason=reason)
        button(place, reason, str(k + 1), f"reject{k}_{item}", say(place, card, rejected))
    review_card.aside(place, card)


def _editor(place: Desk, card: Card, row: CardText) -> None:
    """The field for better words; it begins with the teacher's, or with what was written here before an undo."""
    if not state.get(place.key("editing")):
        return
    field = f"edit_text_{card.item_id}"

    def save() -> None:
        words = str(state.widget(field) or "").strip()
        if words == (row.answer or "").strip():
            state.put(place.key("notice"), "Nothing was changed. Press Enter outside the field if the answer stands.")
            return
        review_card.decide(place, card, Answer("label", EDIT, edit=words))

    with st.form(f"edit_form_{card.item_id}", border=False):
        st.text_area(
            "The answer as it should be",
            value=state.get(place.key(f"draft_{card.item_id}"), row.answer or ""),
            key=field,
            height=180,
            max_chars=LONGEST_EDIT,
        )
        st.form_submit_button("Save the edit", on_click=save, icon=":material/edit:", type="primary")


def said_before(place: Desk, frame: LabelFrame, last: Last | None) -> None:
    """What was just said, how sure the teacher had been, and the reason of an edit."""
    if last is None:
        return
    row, answer = frame.card(last.card.row_index), last.answer
    with st.container(border=True, gap="xsmall", key="review_last"):
        if answer.kind == "skip":
            st.markdown("Last card: **skipped**")
        elif answer.kind == "none":
            st.markdown(f"Last card: **rejected**, {escaped(answer.reason, 40)}. {escaped(_sure(row), 200)}")
        else:
            st.markdown(f"Last card: **{SAID[answer.label or ACCEPT]}**. {escaped(_sure(row), 200)}")
        if answer.kind == "label" and answer.label == EDIT:
            review_card.why(place, last.card.item_id, REASONS, "wrong")
