"""Which answer is better? Two answers side by side without names, in random order; one key a vote."""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st

from auditor.answers_view import AnswersView
from auditor.checks.lm_preference import Tally, sentence, tallies
from auditor.votes import Ballot, Choice, Question, ballots, cast, newest, voted, votes_frame
from distill.errors import HeirloomError
from distill.spec import RunSpec
from distill.store import TEACHER, Run
from pages.ui import cache, charts, figures, page, people, state
from pages.ui.compare_charts import arm_label
from pages.ui.text import escaped, one_line, visible

LONGEST = 8_000  # characters of a text


def draw(run: Run, view: AnswersView, students: list[str]) -> None:
    """The pair, the next two answers, and what the votes say so far, folded away."""
    spec = run.spec
    question = _question(run, view, students)
    if not people.may("reviewer"):
        st.write("Only reviewers vote. What the votes say is open to all.")
    else:
        voter = people.name_or_ask("Your name stands beside every vote.", "vote_name")
        if voter:
            _live(view, question, voter)
        else:
            st.write("Say who you are, then the first two answers come.")
    if st.toggle("Show what the votes say so far", key="vote_tally"):
        _tallies(run, spec)


def _live(view: AnswersView, question: Question, voter: str) -> None:
    def ballots_of_this_run() -> None:
        _desk(view, question, voter)

    page.live(ballots_of_this_run, while_active=False)


def _question(run: Run, view: AnswersView, students: list[str]) -> Question:
    spec = run.spec
    with st.container(horizontal=True):
        arm = st.selectbox(
            "Compare", students, index=students.index(spec.candidate) if spec.candidate in students else 0,
            format_func=lambda name: arm_label(spec, name), key="vote_arm", width=220,
        )  # fmt: skip
        others = [name for name in (TEACHER, *students) if name != arm]
        versus = st.selectbox(
            "with", others, format_func=lambda name: arm_label(spec, name), key=f"vote_versus_{arm}", width=220
        )
    return Question(run.id, arm, versus)


def _desk(view: AnswersView, question: Question, voter: str) -> None:
    """A fragment: a vote redraws it and nothing else."""
    asked = ballots(view, question, voter)
    done = voted(cache.workspace(), question, voter)
    seen = set(done)
    left = [ballot for ballot in asked if ballot.row_id not in seen]
    equal = len(view.frame) - len(asked)
    facts = [f"{len(done):,} / {len(asked):,} prompts by you"]
    facts += [f"{equal:,} prompts with equal answers are not asked"] if equal else []
    st.progress(len(done) / len(asked) if asked else 1.0, text=" · ".join(facts))
    notice = state.get("vote_notice")
    if notice:
        st.warning(escaped(notice, 300), icon=":material/info:")
        state.forget("vote_notice")
    if left:
        _ballot(question, voter, left[0])
    else:
        st.markdown("**You have voted on every prompt.**" if asked else "**Both wrote the same everywhere.**")
    if done:
        st.button(
            "Undo",
            shortcut="U",
            key="vote_undo",
            type="tertiary",
            on_click=_cast,
            args=(question, done[-1], voter, "undo"),
        )


def _ballot(question: Question, voter: str, ballot: Ballot) -> None:
    shown = state.get("vote_shown")
    if shown is None or shown[0] != ballot.row_id:
        state.put("vote_shown", (ballot.row_id, time.monotonic()))
    with st.container(border=True, key="vote_prompt"):
        st.text(visible(ballot.text, LONGEST))
        if ballot.reference is not None:
            st.caption(f"reference: {escaped(ballot.reference, 600)}")
    choices: tuple[Choice, Choice] = ("arm", "versus") if ballot.first == question.arm else ("versus", "arm")
    for k, (column, text) in enumerate(zip(st.columns(2, gap="medium"), ballot.answers, strict=True)):
        with column:
            with st.container(border=True, key=f"vote_answer_{k}"):
                st.caption(("First answer", "Second answer")[k])
                st.text(visible(text, LONGEST) if text.strip() else "(nothing was written)")
            _vote(question, voter, ballot, f"The {('first', 'second')[k]} is better", str(k + 1), choices[k])
    _vote(question, voter, ballot, "No difference", "3", "tie")


def _vote(question: Question, voter: str, ballot: Ballot, label: str, key: str, choice: Choice) -> None:
    """A button whose key carries the prompt: a press that arrives late belongs to no button and does nothing."""
    st.button(
        label, key=f"vote_{key}_{ballot.row_id}", shortcut=key, width="stretch", on_click=_cast,
        args=(question, ballot.row_id, voter, choice),
    )  # fmt: skip


def _cast(question: Question, row_id: str, voter: str, choice: Choice) -> None:
    shown = state.get("vote_shown")
    seconds = round(time.monotonic() - shown[1], 2) if shown and shown[0] == row_id else None
    try:
        people.need("reviewer")
        cast(cache.workspace(), question, row_id, voter, choice, seconds)
    except HeirloomError as error:
        state.put("vote_notice", str(error))


def _tallies(run: Run, spec: RunSpec) -> None:
    """A sentence and a row for each pair that somebody compared."""
    found = _counted(run.id, newest(cache.workspace(), run.id))
    if not found:
        st.write("Nobody has voted yet.")
        return
    st.caption(
        "An early look as long as people vote: prompts come in random order, so it is no biased one. Audit the run to keep it."
    )
    for tally in found:
        st.markdown(escaped(sentence(tally), 600))
    charts.frame(pd.DataFrame([_row(spec, tally) for tally in found]), key="vote_table")


@st.cache_resource(max_entries=8, show_spinner=False)
def _counted(run_id: str, newest_vote: int) -> list[Tally]:
    return tallies(votes_frame(cache.workspace(), run_id))


def _row(spec: RunSpec, tally: Tally) -> dict[str, object]:
    return {
        "preferred": one_line(arm_label(spec, tally.arm), 60),
        "over": one_line(arm_label(spec, tally.versus), 60),
        "prompts won": tally.wins,
        "lost": tally.losses,
        "ties": tally.ties,
        "votes": tally.votes,
        "people": tally.voters,
        "sign test p": figures.figure(tally.p),
    }
