"""The reviewer's desk on the page: one card, keys, the last answer. One small rerun a decision."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from auditor.review import desk
from auditor.review.desk import REASONS, Answer, Card, Progress, Queue
from auditor.review.frame import LabelFrame, load_frame
from auditor.review.outcome import LotOutcome
from auditor.review.results import early_look
from auditor.review.rounds import Round
from auditor.review.targeted import MEANING
from distill.errors import HeirloomError
from distill.store import Run
from pages.ui import bars, cache, figures, page, people, state
from pages.ui.text import escaped, visible

LONGEST = 20_000  # characters of a text on a card
FRESH = 2.0  # seconds for which counts are kept: they read a lot of rows, a keypress should not
KEYED = 9
MOST_BUTTONS = 12  # beyond, labels are chosen from a list
KEYS = (
    ("1–9", "the label with that number"),
    ("Enter", "accept the teacher's label (targeted queue only: cards of the sample are blind)"),
    ("X", "no label fits; the row is left out of training"),
    ("S", "skip: you can't say. Counts as wrong in the upper bound"),
    ("U", "take back your last answer"),
    ("N", "a note on this card, saved with your answer"),
    ("H", "show or hide these keys"),
)


@dataclass(frozen=True)
class Last:
    """The answer just given, to be shown with the teacher's."""

    card: Card
    answer: Answer


@dataclass(frozen=True)
class Facts:
    """How far a queue is, as counted ``at`` a moment; ``lot`` is the early look, for the sample alone."""

    at: float
    progress: Progress
    pace: float | None
    lot: LotOutcome | None


@dataclass(frozen=True)
class Desk:
    """What the callbacks need."""

    run: Run
    now: Round
    reviewer: str
    queue: Queue

    def key(self, name: str) -> str:
        """Name of this desk's entry in the session."""
        return f"review_{name}_{self.run.id}_{self.queue}"


@dataclass(frozen=True)
class Face:
    """How a card is drawn, and what was just said of the one before."""

    card: Callable[[Desk, LabelFrame, Card, Last | None], None]
    last: Callable[[Desk, LabelFrame, Last | None], None]


def draw(place: Desk, face: Face | None = None) -> None:
    """Draw the desk as a fragment: a key redraws it and nothing else. ``face`` draws cards of another kind than labels."""

    def desk_of_this_run() -> None:
        _draw(place, face or Face(_card, _last))

    page.live(desk_of_this_run, while_active=False)


def _draw(place: Desk, face: Face) -> None:
    workspace, frame = cache.workspace(), load_frame(place.run)
    notice = state.get(place.key("notice"))
    if notice:
        st.warning(escaped(notice, 300), icon=":material/info:")
        state.forget(place.key("notice"))
    handed: Card | None = state.get(place.key("next"))  # the decision just entered leased it
    state.forget(place.key("next"))
    card = handed or desk.next_card(workspace, place.run.id, place.reviewer, place.queue)
    facts = _facts(place, ending=card is None)
    _progress(place, facts)
    last: Last | None = state.get(place.key("last"))
    if card is None:
        _nothing_left(place, facts.progress)
        face.last(place, frame, last)
    else:
        shown = state.get(place.key("shown"))
        if shown is None or shown[0] != card.item_id:
            state.put(place.key("shown"), (card.item_id, time.monotonic()))
        face.card(place, frame, card, last)
    if place.queue == "sample":
        lot = facts.lot
        if lot is not None and lot.final and not state.get(place.key("final")):
            state.put(place.key("final"), True)
            st.rerun()  # the whole page: now there is a result
        _early(lot)


def _facts(place: Desk, ending: bool) -> Facts:
    """How far the queue is: counted anew every FRESH seconds and at the end, in between this person's own answers are added."""
    known: Facts | None = state.get(place.key("facts"))
    full = known is not None and known.progress.decided >= known.progress.total
    if known is None or ending or full or time.monotonic() - known.at > FRESH:
        workspace = cache.workspace()
        known = Facts(
            at=time.monotonic(),
            progress=desk.progress(workspace, place.now, place.reviewer, place.queue),
            pace=desk.pace(workspace, place.now, place.reviewer),
            lot=early_look(workspace, place.now) if place.queue == "sample" else None,
        )
        state.put(place.key("facts"), known)
    return known


def _one_more(place: Desk, card: Card) -> None:
    """Add an answer to the kept counts; of a card that two people decide only a count can tell whether it was the first."""
    known: Facts | None = state.get(place.key("facts"))
    if known is None or card.double:
        state.forget(place.key("facts"))
        return
    done = replace(
        known.progress, decided=known.progress.decided + 1, mine=known.progress.mine + 1, left=known.progress.left - 1
    )
    state.put(place.key("facts"), replace(known, progress=done))


def _progress(place: Desk, known: Facts) -> None:
    done, pace = known.progress, known.pace
    facts = [f"{done.decided:,} / {done.total:,} cards", f"{done.mine:,} by you"]
    if pace is not None and done.left:
        facts.append(f"{3600 / max(pace, 0.1):,.0f} an hour, about {figures.duration(pace * done.left)} left")
    if done.waiting_for_second:
        facts.append(f"{done.waiting_for_second:,} wait for a second person")
    st.progress(done.decided / done.total if done.total else 0.0, text=" · ".join(facts))


def _nothing_left(place: Desk, done: Progress) -> None:
    with st.container(border=True, key="review_done"):
        if not done.total:
            st.markdown("**This queue is empty.**")
            st.write("Add cards under 'What follows', More cards.")
            return
        st.markdown("**No card is left for you here.**" if done.left else "**Every card is decided.**")
        if done.left:
            st.write("What is still open is on somebody else's desk, or waits for a second person.")
        button(place, "Undo", "U", "undo_empty", lambda: undo(place))


def _card(place: Desk, frame: LabelFrame, card: Card, last: Last | None) -> None:
    row = frame.card(card.row_index)
    left, right = st.columns([3, 1], gap="medium")
    with left, st.container(border=True, key="review_card"):
        st.text(visible(row.text, LONGEST))
        if row.pair is not None:
            st.caption("Second text")
            st.text(visible(row.pair, LONGEST))
        facts = [f"card {card.position + 1:,}", f"row {escaped(card.row_id, 60)}"]
        facts += ["two people decide this card"] if card.double else []
        st.caption(" · ".join(facts))
    with left:
        if card.blind:
            st.caption(":material/visibility_off: Choose first, then see what the teacher said.")
        else:
            meaning = MEANING.get(card.why, f"Sent here: {card.why}.")
            st.caption(f":material/search: {escaped(meaning, 200)} Never part of the estimate.")
            _distribution(frame, row.probs)
        note(place, card)
        _last(place, frame, last)
        _definitions(place, frame)
    with right:
        _answers(place, frame, card)


def _answers(place: Desk, frame: LabelFrame, card: Card) -> None:
    many = len(frame.labels) > MOST_BUTTONS
    for k, name in enumerate(frame.labels[: KEYED if many else MOST_BUTTONS]):
        shortcut = str(k + 1) if k < KEYED else None
        answer = Answer("label", k)
        button(place, escaped(name, 28), shortcut, f"label{k}_{card.item_id}", say(place, card, answer))
    if many:
        chosen = f"any_{card.item_id}"
        st.selectbox(
            "Any label",
            range(len(frame.labels)),
            index=None,
            key=chosen,
            format_func=lambda k: visible(frame.labels[k], 60),
            on_change=lambda: decide(place, card, Answer("label", state.widget(chosen))),
        )
    if not card.blind:
        row = frame.card(card.row_index)
        accept = Answer("label", row.label)
        label = f"Accept: {escaped(frame.labels[row.label], 20)}"
        button(place, label, "Enter", f"accept_{card.item_id}", say(place, card, accept), primary=True)
    button(place, "None fits", "X", f"none_{card.item_id}", say(place, card, Answer("none")))
    aside(place, card)


def aside(place: Desk, card: Card) -> None:
    """What every card offers beside its answers."""
    item = card.item_id
    button(place, "Skip", "S", f"skip_{item}", say(place, card, Answer("skip")))
    with st.container(horizontal=True, gap="small"):
        button(place, "Undo", "U", f"undo_{item}", lambda: undo(place), quiet=True)
        button(place, "Note", "N", f"note_{item}", lambda: toggle(place, "noting"), quiet=True)
        button(place, "Keys", "H", f"keys_{item}", lambda: toggle(place, "keys"), quiet=True)


def key_list(place: Desk, keys: Sequence[tuple[str, str]]) -> None:
    """What each key does, when it was asked for."""
    if state.get(place.key("keys")):
        with st.container(border=True, key="review_keys"):
            st.markdown("\n".join(f"- `{key}` {meaning}" for key, meaning in keys))


def button(
    place: Desk,
    label: str,
    shortcut: str | None,
    name: str,
    act: Any,
    *,
    primary: bool = False,
    quiet: bool = False,
) -> None:
    """A button whose key carries the card: a press that arrives after the card has changed belongs to no button and does nothing."""
    kind: Any = "primary" if primary else "tertiary" if quiet else "secondary"
    width: Any = "content" if quiet else "stretch"
    st.button(label, key=f"rv_{place.queue}_{name}", shortcut=shortcut, on_click=act, type=kind, width=width)


def say(place: Desk, card: Card, answer: Answer) -> Any:
    """A button's action: give this answer."""
    return lambda: decide(place, card, answer)


def decide(place: Desk, card: Card, answer: Answer) -> None:
    """Enter an answer with its note and the time it took, and take the next card."""
    if answer.kind == "label" and answer.label is None:
        return
    shown = state.get(place.key("shown"))
    seconds = round(time.monotonic() - shown[1], 2) if shown and shown[0] == card.item_id else None
    written = str(state.widget(f"note_text_{card.item_id}") or "").strip()
    full = replace(answer, note=written, seconds=seconds)
    classes = len(load_frame(place.run).labels)
    try:
        people.need("reviewer")
        after = desk.decide_and_take(
            cache.workspace(), place.run.id, card.item_id, place.reviewer, full, classes=classes, queue=place.queue
        )
    except HeirloomError as error:
        state.forget(place.key("facts"))
        if not error.message.startswith("You have decided"):  # a key pressed twice is no news
            state.put(place.key("notice"), str(error))
        return
    state.put(place.key("next"), after)
    state.put(place.key("last"), Last(card, full))
    state.forget(place.key("noting"))
    state.forget(place.key("editing"))
    _one_more(place, card)


def undo(place: Desk) -> None:
    """Take back the last answer."""
    state.forget(place.key("facts"))
    try:
        people.need("reviewer")
        back = desk.undo(cache.workspace(), place.run.id, place.reviewer, place.queue)
    except HeirloomError as error:
        state.put(place.key("notice"), str(error))
        return
    before: Last | None = state.get(place.key("last"))
    if before is not None and before.answer.edit:
        state.put(place.key(f"draft_{before.card.item_id}"), before.answer.edit)  # nobody types an answer twice
    state.forget(place.key("last"))
    if back is None:
        state.put(place.key("notice"), "There is nothing to take back.")


def toggle(place: Desk, name: str) -> None:
    """Show or hide a part of the desk."""
    state.put(place.key(name), not state.get(place.key(name), False))


def note(place: Desk, card: Card) -> None:
    """The field for a note, when it was asked for."""
    if state.get(place.key("noting")):
        st.text_area(
            "Note on this card, saved with your answer",
            key=f"note_text_{card.item_id}",
            max_chars=desk.LONGEST_NOTE,
            height=80,
            placeholder="Click outside when done, then press a key for your answer.",
        )


def _definitions(place: Desk, frame: LabelFrame) -> None:
    definitions = place.run.spec.data.definitions
    lines = [
        f"- **{escaped(name)}**: {escaped(definitions[name], 600)}" for name in frame.labels if name in definitions
    ]
    if lines:
        st.caption("What the labels mean")
        st.markdown("\n".join(lines))
    key_list(place, KEYS)


def _distribution(frame: LabelFrame, probs: tuple[float, ...]) -> None:
    """The teacher's distribution, its most probable labels first."""
    order = sorted(range(len(probs)), key=lambda k: -probs[k])[: bars.MOST_LABELS]
    pieces = [f"{escaped(frame.labels[k], 28)} :blue[{bars.bar(probs[k], 8)}] {100 * probs[k]:.0f} %" for k in order]
    st.markdown("Teacher: " + "  ·  ".join(pieces))


def _last(place: Desk, frame: LabelFrame, last: Last | None) -> None:
    if last is None:
        return
    row = frame.card(last.card.row_index)
    answer = last.answer
    mine = (
        escaped(frame.labels[answer.label], 40)
        if answer.label is not None
        else {"none": "none fits"}.get(answer.kind, "skip")
    )
    same = answer.kind == "label" and answer.label == row.label
    with st.container(border=True, gap="xsmall", key="review_last"):
        mark = ":green[= agrees]" if same else ":gray[skipped]" if answer.kind == "skip" else ":orange[≠ differs]"
        st.markdown(f"Last card: you said **{mine}**, the teacher **{escaped(frame.labels[row.label], 40)}** {mark}")
        if last.card.blind:
            _distribution(frame, row.probs)
        if not same and answer.kind != "skip":
            why(place, last.card.item_id, REASONS, "not in label set" if answer.kind == "none" else "wrong")


def why(place: Desk, item: int, reasons: tuple[str, ...], default: str) -> None:
    """The reason of the change just made, to be corrected by a click."""
    st.pills("Why?", reasons, default=default, key=f"why_{item}", on_change=lambda: _amend(place, item))


def _amend(place: Desk, item_id: int) -> None:
    reason = state.widget(f"why_{item_id}")
    if reason:
        try:
            people.need("reviewer")
            desk.amend(cache.workspace(), place.run.id, item_id, place.reviewer, reason)
        except HeirloomError as error:
            state.put(place.key("notice"), str(error))


def _early(lot: LotOutcome | None) -> None:
    if lot is None or lot.final:
        return
    answered = lot.n - lot.open
    share = figures.percent(lot.wrong / answered if answered else None)
    span = figures.percent_interval(lot.lower, lot.upper)
    sentence = f"Early look, not a result: {lot.wrong:,} of {lot.n:,} wrong so far, {share} {span}"
    sentence += f": this lot will be {lot.word}." if lot.certain else "."
    st.caption(
        f":material/hourglass_top: {escaped(sentence)} The plan is judged when all {lot.planned:,} cards are decided."
    )
