"""Answers of language models side by side: prompt, reference, teacher and students. Whatever they wrote stays text."""

from __future__ import annotations

import difflib

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from auditor.answers_view import KINDS, AnswersView, Kind
from distill.files import digest_of
from distill.spec import RunSpec
from distill.store import TEACHER, Run
from pages.ui import cache, charts, figures, palette, parts, state, vote
from pages.ui.compare_charts import arm_label, kind_of
from pages.ui.text import escaped, visible

SIZE = 10
ENDED = {"stop": "ended by itself", "length": "cut off by the limit", "empty": "nothing was written"}
PREVIEW = 1_200  # characters of an answer in the list; the prompt's own address shows more
NAMES: dict[Kind, str] = {"differ": "another answer", "cut": "cut off", "empty": "empty", "all": "all"}
UNLIKELY = ((0.1, "red"), (0.5, "yellow"))  # below such a probability a token of the teacher's is shaded so


def draw(run: Run) -> None:
    """The page Examples of a run that writes: a list, or the one prompt that the address points at."""
    view = cache.answers(run)
    spec = run.spec
    students = [arm for arm in view.arms if arm != TEACHER]
    if not students or view.frame.empty:
        parts.empty(
            "There is no answer to compare.",
            "No student of this run answered the test prompts.",
            to="run",
            label="Open the run",
        )
        return
    item = state.item()
    if item:
        _one(spec, view, item, students)
        return
    if _voting():
        vote.draw(run, view, students)
        return
    arm, kind, search = _asked(spec, view, students)
    found = view.chosen(arm, kind, search)
    if not found:
        parts.empty("No prompt matches.", "Clear the search, or choose another kind.")
        return
    pages = max(1, -(-len(found) // SIZE))
    # the search is part of the key, so that another one begins at its first page
    key = f"answers_{arm}_{kind}_{digest_of(search)[:12]}_{pages}"
    number = st.pagination(pages, key=key) if pages > 1 else 1
    first = (number - 1) * SIZE
    shown = found[first : first + SIZE]
    st.caption(f"{first + 1:,}–{first + len(shown):,} of {len(found):,} prompts, those farthest from the teacher first")
    for position in shown:
        _row(spec, view, position, arm)


def _voting() -> bool:
    """Whether people vote blind, in place of reading with names."""
    views = ["Read", "Vote blind"]
    chosen = st.segmented_control(
        "View", views, default=views[0], required=True, label_visibility="collapsed", key="answers_view"
    )
    return chosen == views[1]


def _asked(spec: RunSpec, view: AnswersView, students: list[str]) -> tuple[str, Kind, str]:
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        search = st.text_input("Search", type="search", placeholder="Words", width=180, key="answers_search")
        arm = st.selectbox(
            "Student", students, index=students.index(spec.candidate) if spec.candidate in students else 0,
            format_func=lambda name: arm_label(spec, name), width=180, key="answers_arm",
        )  # fmt: skip
    search = (search or "").strip()
    counts = {kind: len(view.chosen(arm, kind, search)) for kind in KINDS}
    kind: Kind | None = st.segmented_control(
        "Which", KINDS, default="differ" if counts["differ"] else "all", required=True, label_visibility="collapsed",
        format_func=lambda name: f"{NAMES[name]} {figures.count(counts[name])}", key="answers_kind",
    )  # fmt: skip
    return arm, kind or "all", search


def _row(spec: RunSpec, view: AnswersView, position: int, arm: str) -> None:
    row = view.frame.iloc[position]
    with st.container(border=True, gap="small", key=f"answer_{position}"):
        head, opener = st.columns([9, 1.2], vertical_alignment="top")
        with head:
            _prompt(row, PREVIEW)
        with opener, st.container(horizontal_alignment="right"):
            if st.button("Open", key=f"open_{position}", icon=":material/open_in_full:", type="tertiary"):
                state.choose_item(str(row["row_id"]))
                st.rerun()
        left, right = st.columns(2, gap="medium")
        with left:
            _answer(spec, row, TEACHER, None, PREVIEW)
        with right:
            _answer(spec, row, arm, str(row[f"{TEACHER}/answer"]), PREVIEW)


def _one(spec: RunSpec, view: AnswersView, item: str, students: list[str]) -> None:
    if st.button("All prompts", icon=":material/arrow_back:", key="back", type="tertiary"):
        state.choose_item(None)
        st.rerun()
    position = view.position(item)
    if position is None:
        parts.empty("There is no such prompt in this run.", "The address may be of another run.")
        return
    row = view.frame.iloc[position]
    st.caption(f"Prompt {escaped(item, 80)} · the address of this page leads back to it")
    with st.container(border=True):
        _prompt(row, 20_000)
    _answer(spec, row, TEACHER, None, 20_000)
    for arm in students:
        _answer(spec, row, arm, str(row[f"{TEACHER}/answer"]), 20_000)
    _tokens(spec, view, position, students)


def _prompt(row: pd.Series, limit: int) -> None:
    st.text(visible(row["text"], limit))
    if isinstance(row["reference"], str):
        st.caption(f"reference: {escaped(row['reference'], 400)}")


def _answer(spec: RunSpec, row: pd.Series, arm: str, teacher: str | None, limit: int) -> None:
    """One answer; words that the teacher did not write are marked."""
    colour = palette.markdown_colour(kind_of(spec, arm))
    finish = str(row[f"{arm}/finish"])
    facts = [ENDED.get(finish, finish)]
    if arm != TEACHER:
        facts.append(f"chooses {figures.percent(float(row[f'{arm}/agreement']))} of the teacher's tokens")
        facts.append(f"KL {figures.figure(float(row[f'{arm}/kl']))} nats a token")
    st.markdown(f":{colour}[●] **{escaped(arm_label(spec, arm), 60)}**")
    answer = str(row[f"{arm}/answer"])
    if not answer.strip():
        st.caption("nothing was written")
    elif teacher is None:
        st.text(visible(answer, limit))
    else:
        st.markdown(_marked(teacher, answer, limit))
    st.caption(escaped(" · ".join(facts), 300))


def _marked(teacher: str, answer: str, limit: int) -> str:
    """``answer`` on one line for Markdown: every mark of its own taken literally, runs of words the teacher did not write shaded."""
    theirs, words = visible(teacher, limit).split(), visible(answer, limit).split()
    pieces = []
    for kind, _, _, first, last in difflib.SequenceMatcher(None, theirs, words, autojunk=False).get_opcodes():
        text = escaped(" ".join(words[first:last]), limit)
        if text:
            pieces.append(text if kind == "equal" else f":orange-background[{text}]")
    return " ".join(pieces)


def _tokens(spec: RunSpec, view: AnswersView, position: int, students: list[str]) -> None:
    """The teacher's answer token by token, shaded where a student would hardly have written it."""
    tokens = view.tokens[position]
    if not tokens:
        return
    st.subheader("The teacher's tokens, and how likely a student finds them", anchor=False)
    st.caption(
        "Red: below 10 %. Yellow: below 50 %. The chart tells each figure under the pointer, the table all of them."
    )
    for arm in students:
        pieces = []
        for token, p in zip(tokens, view.probabilities[arm][position], strict=True):
            shade = next((colour for below, colour in UNLIKELY if p < below), None)
            text = escaped(token, 60) or "␣"
            pieces.append(f":{shade}-background[{text}]" if shade else text)
        st.markdown(f"**{escaped(arm_label(spec, arm), 60)}** " + " ".join(pieces))
    table = pd.DataFrame({"token": [visible(token, 60) for token in tokens]})
    for arm in (TEACHER, *students):
        table[f"{arm_label(spec, arm)}, %"] = (100 * pd.Series(view.probabilities[arm][position])).round(1)
    figure = _probabilities(spec, view, position, students)
    charts.show(figure, table, key="answer_tokens", says="Probability of each of the teacher's tokens, by model.")


def _probabilities(spec: RunSpec, view: AnswersView, position: int, students: list[str]) -> go.Figure:
    """Each token's probability under the pointer: the teacher's as a line, a mark for each student."""
    tokens = [charts.label(visible(token, 30), 30) or "blank" for token in view.tokens[position]]
    figure = charts.figure(
        height=260,
        showlegend=True,
        xaxis=charts.axis("token of the teacher's answer"),
        yaxis=charts.axis("probability, %", range=[-4, 104]),
        hovermode="x unified",
    )
    for arm in (TEACHER, *students):
        kind = kind_of(spec, arm)
        figure.add_scatter(
            x=list(range(1, len(tokens) + 1)),
            y=[100 * float(p) for p in view.probabilities[arm][position]],
            mode="lines" if arm == TEACHER else "markers",
            line={"color": palette.colour_of(kind), "width": 1.5},
            marker={"color": palette.colour_of(kind), "symbol": palette.symbol_of(kind), "size": 8},
            name=charts.label(arm_label(spec, arm)),
            customdata=[[token] for token in tokens],
            hovertemplate="%{customdata[0]}: %{y:.1f} %",
        )
    return figure
