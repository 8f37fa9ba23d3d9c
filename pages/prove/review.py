"""Review: are the teacher's labels, or answers, right?"""

from __future__ import annotations

import numpy as np
import streamlit as st

from auditor.review.answers import unit_of
from auditor.review.frame import load_frame
from auditor.review.results import differences
from auditor.review.rounds import Round, current_round
from auditor.review.targeted import add_rows, similar
from distill.store import Run
from pages.ui import (
    cache,
    frame,
    parts,
    people,
    review_answer,
    review_card,
    review_moves,
    review_plan,
    review_results,
    state,
)
from pages.ui.page import PageInfo
from pages.ui.text import escaped

PAGE = PageInfo(
    group="Prove",
    title="Review",
    icon=":material/rate_review:",
    order=10,
    url_path="review",
    question="Is what the teacher said right?",
    needs_run="any",
)
CARDS, TARGETED, DIFFERENCES, RESULTS, FOLLOWS, FILES = (
    "Cards",
    "Targeted",
    "Differences",
    "Results",
    "What follows",
    "In and out",
)


def render() -> None:
    """Draw the page."""
    run = frame.run()
    unit = unit_of(run)
    if not (run.folder / "labels.parquet").exists():
        parts.empty(
            f"This run has no synthetic {unit} to review.",
            "They appear when its stage 'labels' has ended. A run of given predictions has none.",
            to="run",
            label="Open the run",
        )
        return
    now = current_round(cache.workspace(), run.id)
    if now is None:
        if _may_review(f"No review of these {unit} is planned yet."):
            review_plan.draw(run)
        return
    if now.closed:
        st.warning(f"Round {now.number} was closed early: {escaped(now.closed, 300)}", icon=":material/block:")
    top = st.container()
    found = review_results.found(run, now)
    done = now.closed or (found is not None and found.lot.final)
    if done and people.may("reviewer") and st.toggle("Plan another round", key="review_again"):
        review_plan.draw(run)
        return
    _sent_here(run, now)
    view = _view(now, bool(done))
    with top:
        # while cards are decided only they are redrawn: a count up here would be stale, the plan is not
        if view in {CARDS, TARGETED} and not done:
            review_results.aim(now)
        else:
            review_results.answer(found, now)
    if view == RESULTS:
        review_results.draw(run, now, found)
        return
    if not _may_review():
        return
    reviewer = people.name_or_ask("Your name stands beside every decision.", "review_name")
    if not reviewer:
        st.write(
            "Say who you are, then the first card comes."
            if view in {CARDS, TARGETED}
            else "Say who you are first: your name stands beside what is done here."
        )
        return
    _work(run, now, reviewer, view)


def _view(now: Round, done: bool) -> str:
    waiting = len(differences(cache.workspace(), now))
    names = {DIFFERENCES: f"{DIFFERENCES} {waiting:,}"} if waiting else {}
    chosen = st.segmented_control(
        "View",
        [CARDS, TARGETED, DIFFERENCES, RESULTS, FOLLOWS, FILES],
        default=RESULTS if done else CARDS,
        required=True,
        format_func=lambda name: names.get(name, name),
        key="review_view",
        label_visibility="collapsed",
    )
    return chosen or CARDS


def _may_review(otherwise: str = "Only reviewers decide cards.") -> bool:
    if people.may("reviewer"):
        return True
    parts.empty(otherwise, f"Reviewing needs {people.in_words('reviewer')}; results are open to all. {people.ASK}")
    return False


def _work(run: Run, now: Round, reviewer: str, view: str) -> None:
    people.need("reviewer")
    face = review_card.Face(review_answer.card, review_answer.said_before) if now.unit == "answers" else None
    if view in {CARDS, TARGETED} and now.closed:
        st.write("This round is closed.")
    elif view == CARDS:
        review_card.draw(review_card.Desk(run, now, reviewer, "sample"), face)
    elif view == TARGETED:
        review_card.draw(review_card.Desk(run, now, reviewer, "targeted"), face)
    elif view == DIFFERENCES:
        review_moves.draw_differences(run, now, reviewer)
    elif view == FOLLOWS:
        review_moves.draw_apply(run, now, reviewer)
    else:
        review_moves.draw_exchange(run, reviewer)


def _sent_here(run: Run, now: Round) -> None:
    """An example that somebody sent to review: a label of the lot goes to the targeted queue; of a test row the labels most like it."""
    item = state.item()
    reviewer = people.current().signature
    if not item or now.closed or not people.current().name or not people.may("reviewer"):
        return
    labels = load_frame(run)
    with st.container(border=True, key="review_sent"):
        here = labels.index_of.get(item)
        if here is not None:
            st.write(f"This row's {now.unit.removesuffix('s')} may go to the targeted queue.")
            chosen = np.array([here], dtype=np.int64)
        else:
            st.write(
                f"This row is not in the lot: only synthetic {now.unit} are reviewed. The ten prompts or texts most like it may go to the"
                " targeted queue."
            )
        if st.button("Send to the targeted queue", key="review_send"):
            people.need("reviewer")
            if here is None:
                texts = dict(zip(cache.examples(run).ids, cache.examples(run).texts, strict=True))
                chosen = similar(labels, texts.get(item, ""))
            added = add_rows(cache.workspace(), run, chosen, "sent from Examples", reviewer)
            st.toast(f"{added:,} cards added to the targeted queue.")
            state.choose_item(None)
            st.rerun()
