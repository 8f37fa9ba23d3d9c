"""Two people differ on a language model's answer: a third one chooses between their words, or rejects it."""

from __future__ import annotations

import streamlit as st

from auditor.review import desk
from auditor.review.answers import ACCEPT, EDIT, REASONS
from auditor.review.desk import Answer
from auditor.review.frame import LabelFrame
from auditor.review.results import Difference
from distill.store import Run
from pages.ui import cache, people
from pages.ui.review_card import LONGEST
from pages.ui.text import escaped, visible


def draw(run: Run, frame: LabelFrame, first: Difference, waiting: int, by: str) -> None:
    """The card, what each of the two said, and the ways out."""
    row = frame.card(first.row_index)
    st.caption(f"{waiting:,} to settle")
    with st.container(border=True, key="review_difference"):
        for head, text in (("Prompt", row.text), ("Reference", row.pair), ("Answer of the teacher", row.answer)):
            if text is not None:
                st.caption(head)
                st.text(visible(text, LONGEST))
        for (who, kind, label), words in zip(first.said, first.edits, strict=True):
            said = {"none": "rejected", "skip": "skipped"}.get(kind, "it stands" if label == ACCEPT else "mended")
            st.markdown(f"- {escaped(who, 80)}: **{said}**")
            if words:
                st.text(visible(words, LONGEST))
    note = (
        st.text_input("Note", key=f"adjudicate_note_{first.item_id}", help="Needed when you are one of the two.") or ""
    )

    def settle(answer: Answer) -> None:
        people.need("reviewer")
        desk.adjudicate(cache.workspace(), run.id, first.item_id, by, answer, classes=2)
        st.rerun()

    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button("It stands", key=f"adjudicate_{first.item_id}_stands"):
            settle(Answer("label", ACCEPT, note=note))
        for (who, _, _), words in zip(first.said, first.edits, strict=True):
            key = f"adjudicate_{first.item_id}_{who}"
            if words and st.button(f"The words of {escaped(who, 40)}", key=key):
                settle(Answer("label", EDIT, note=note, edit=words))
        reason = st.selectbox(
            "Reject: it is …", REASONS, index=None, key=f"adjudicate_reason_{first.item_id}", width=200
        )
        if st.button("Reject", key=f"adjudicate_{first.item_id}_none", disabled=reason is None):
            settle(Answer("none", reason=reason or "", note=note))
    with st.form(f"adjudicate_form_{first.item_id}", border=False):
        own = st.text_area("Or words of your own", height=120, key=f"adjudicate_edit_{first.item_id}")
        if st.form_submit_button("Take these words"):
            settle(Answer("label", EDIT, note=note, edit=own or ""))
