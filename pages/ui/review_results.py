"""What the review says: error rate, slices, agreement, and what the bound means elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from auditor.judged import FEWEST, overconfident
from auditor.review.agreement import Agreements, agreements
from auditor.review.frame import load_frame
from auditor.review.outcome import Outcome, Rate, earlier_rounds, earlier_sentence, lot_sentence, outcome
from auditor.review.plan import promise
from auditor.review.records import decisions_frame
from auditor.review.results import lot_of_run, newest_decision
from auditor.review.rounds import Round
from auditor.stats.agreement import Agreement
from distill.store import Run
from pages.ui import cache, charts, figures, palette, review_meaning
from pages.ui.text import escaped, visible

_WORDS = {"accepted": "pass", "refused": "fail", "not decidable": "cannot tell"}


def found(run: Run, now: Round) -> Outcome | None:
    """The outcome of a round, None before its first decision; computed once for each state of the decisions."""
    newest = newest_decision(cache.workspace(), run.id)
    return _outcome(run.id, now.number, newest, cache.stamp(run.folder / "labels.parquet")) if newest else None


@st.cache_resource(max_entries=8, show_spinner=False)
def _outcome(run_id: str, number: int, newest: int, stamp: tuple[int, int]) -> Outcome | None:
    decisions = decisions_frame(cache.workspace(), run_id)
    here = decisions[(decisions["round"] == number) & decisions["standing"]]
    return None if here.empty else outcome(decisions, lot_of_run(cache.store().get(run_id)), number)


@st.cache_resource(max_entries=8, show_spinner=False)
def _earlier(run_id: str, number: int, newest: int) -> str:
    if number == 1:
        return ""
    decisions = decisions_frame(cache.workspace(), run_id)
    return earlier_sentence(earlier_rounds(decisions, lot_of_run(cache.store().get(run_id)), number))


@st.cache_resource(max_entries=8, show_spinner=False)
def _agreements(run_id: str, number: int, newest: int, classes: int) -> Agreements:
    return agreements(decisions_frame(cache.workspace(), run_id), number, classes)


def aim(now: Round) -> None:
    """The plan and what it proves, as long as there is no result."""
    with st.container(border=True, key="review_answer", gap="xsmall"):
        st.markdown(f"**Plan.** {escaped(promise(now.plan).sentence, 700)}")
        _planned(now)


def answer(found: Outcome | None, now: Round) -> None:
    """The page's first sentence."""
    if found is None:
        sentence, state = (
            f"Nothing is decided yet: {now.plan.n:,} of {now.plan.lot:,} {now.unit} are to be checked.",
            "cannot tell",
        )
    else:
        sentence = lot_sentence(found.lot, now.plan.wishes.confidence)
        state = _WORDS[found.lot.word] if found.lot.final else "cannot tell"
    icon, colour = palette.STATE_ICONS[state], palette.STATE_COLOURS[state]
    with st.container(border=True, key="review_answer", gap="xsmall"):
        st.subheader(f"{icon} :{colour}[{escaped(sentence, 500)}]", anchor=False)
        _planned(now)


def _planned(now: Round) -> None:
    strata = " Further cards within strata serve the estimates." if now.plan.wishes.strata else ""
    st.caption(
        f"Round {now.number}, planned by {escaped(now.by)} {figures.ago(now.at)}: seed {now.plan.wishes.seed}, frame "
        f"{now.plan.frame[:12]}…, frozen and logged before the first card.{strata}"
    )


def draw(run: Run, now: Round, result: Outcome | None) -> None:
    """Everything under the first sentence."""
    if result is None:
        st.write("Figures appear with the first decision. Until the sample is complete they are an early look.")
        return
    before = _earlier(run.id, now.number, newest_decision(cache.workspace(), run.id))
    if before:
        st.warning(escaped(before, 600), icon=":material/history:")
    if not result.lot.final:
        st.info("An early look. The sample is not complete, so these are not results.", icon=":material/hourglass_top:")
    newest = newest_decision(cache.workspace(), run.id)
    names = load_frame(run).labels
    said = _agreements(run.id, now.number, newest, len(names))
    _cards(result, said)
    left, right = st.columns(2, gap="large")
    with left:
        _honesty(result)
    with right:
        _slices(result, names)
    review_meaning.agreement_table(said, result.plan.unit)
    if result.plan.unit == "labels":
        review_meaning.meaning(run, result)
    _targeted(result)


def _cards(result: Outcome, said: Agreements) -> None:
    """The four figures, each with its interval, what it rests on, and what it says."""
    unit, sure = result.plan.unit, f"{100 * result.plan.wishes.confidence:.3g} %"
    rate, lot = result.overall, result.lot
    value = None if math.isnan(rate.interval.value) else rate.interval.value
    still = f", {rate.open:,} skipped or unsettled" if rate.open else ""
    how = "weighted by stratum" if rate.how == "weighted" else "exact"
    span = f"{figures.percent_interval(rate.interval.low, rate.interval.high)} {sure}, {how}"
    with st.container(horizontal=True):
        _card(f"Wrong {unit}", figures.percent(value), span, f"{rate.wrong:,} of {rate.n:,} cards{still}.")
        _card(
            "At most, of the whole lot",
            figures.percent(lot.upper),
            f"one-sided bound, {sure}, n = {lot.n:,}",
            f"At least {figures.percent(lot.lower)}. The limit is {figures.percent(lot.limit)}.",
        )
        _agreement("People agree", said.people, said.people_items, "a second person is needed")
        if unit == "labels":  # of an answer the teacher says nothing but itself
            _agreement("People and teacher agree", said.teacher, said.teacher_items, "no card yet")


def _card(title: str, figure: str, span: str, sentence: str) -> None:
    with st.container(border=True, gap="xsmall"):
        st.metric(title, figure)
        st.caption(escaped(span))
        st.markdown(figures.unbroken(escaped(sentence)))


def _agreement(title: str, found: Agreement | None, n: int, nothing: str) -> None:
    if found is None:
        _card(title, figures.NOTHING, "no interval yet", f"{nothing[0].upper()}{nothing[1:]}.")
        return
    span = f"{figures.percent_interval(found.raw.low, found.raw.high)} 95 %, n = {n:,} cards"
    ac1 = f"{found.ac1.value:.2f} {figures.interval(found.ac1.low, found.ac1.high, places=2)}"
    _card(title, figures.percent(found.raw.value), span, f"Beyond chance (AC1): {ac1}.")


def _honesty(result: Outcome) -> None:
    written = result.plan.unit == "answers"
    st.markdown(
        "**Do the answers fall that the teacher was less sure of?**"
        if written
        else "**Is the teacher's confidence honest?**"
    )
    bands = [rate for rate in result.slices if rate.kind == "confidence" and rate.n > rate.open]
    if not bands:
        st.write("No decided card yet.")
        return
    if not written:
        early = "An early look: only a complete sample answers this."
        st.markdown(escaped(honesty_sentence(bands) if result.lot.final else early, 600))
    mean = np.array([100 * rate.mean_confidence for rate in bands])
    right = np.array([100 * (1 - rate.interval.value) for rate in bands])
    low = np.array([100 * (1 - rate.interval.high) for rate in bands])
    high = np.array([100 * (1 - rate.interval.low) for rate in bands])
    figure = charts.figure(
        height=300,
        xaxis=charts.axis("teacher's confidence, %", range=[0 if written else 35, 102]),
        yaxis=charts.axis(
            "stands in people's eyes, %" if written else "right in people's eyes, %",
            range=[min(35.0, float(low.min()) - 3), 102],
        ),
    )
    if not written:
        figure.add_scatter(
            x=[0, 100], y=[0, 100], mode="lines", line={"color": palette.FAINT_STRONG, "dash": "dot", "width": 1.5}
        )
    figure.add_scatter(
        x=mean, y=right, mode="markers", marker={"color": palette.BLUE, "size": 9, "symbol": "diamond"},
        error_y={"array": high - right, "arrayminus": right - low, "width": 0, "thickness": 1.5},
        hovertemplate="confidence %{x:.1f} %<br>right %{y:.1f} %<extra></extra>",
    )  # fmt: skip
    table = pd.DataFrame(
        {
            "confidence": [rate.name for rate in bands],
            "mean, %": mean.round(1),
            "stands, %" if written else "right, %": right.round(1),
            "low": low.round(1),
            "high": high.round(1),
            "cards": [rate.n for rate in bands],
        }
    )
    charts.show(
        figure,
        table,
        key="review_honesty",
        says="Share of answers that stand, by the teacher's confidence in their tokens"
        if written
        else "Share of right labels by the teacher's confidence; on the line it is honest",
    )
    st.caption(
        "Confidence is how probable its own tokens were to the teacher, on average: no chance of being right, so there is no line to lie on."
        if written
        else "On the dotted line the teacher is as often right as it says."
    )


def honesty_sentence(bands: list[Rate]) -> str:
    """Whether the teacher is as often right as it says, in words."""
    vain = [rate for rate in bands if overconfident(rate)]
    if all(rate.n - rate.open < FEWEST for rate in bands):
        return f"Too few cards to tell: no band has {FEWEST} that are decided."
    if not vain:
        n = sum(rate.n for rate in bands)
        return f"Nothing shows that it is surer than it is right, on {n:,} cards."
    worst = max(vain, key=lambda rate: rate.mean_confidence - (1 - rate.interval.value))
    right = figures.percent_interval(1 - worst.interval.high, 1 - worst.interval.low)
    return (
        f"No: it is surer than it is right in {len(vain):,} of {len(bands):,} bands. Where it is {figures.percent(worst.mean_confidence)} "
        f"sure, {figures.percent(1 - worst.interval.value)} {right} of its labels are right ({worst.n:,} cards)."
    )


def slices_sentence(result: Outcome, names: tuple[str, ...]) -> str:
    """Where people found most, in words; said only where the slice's interval lies above the whole's share."""
    whole = result.overall.interval.value
    known = [rate for rate in result.slices if rate.n > rate.open]
    above = [rate for rate in known if rate.interval.low > whole]
    if not above:
        return f"No slice is shown to be worse than the whole, with {figures.percent(None if math.isnan(whole) else whole)} wrong."
    worst = max(above, key=lambda rate: rate.interval.value)
    span = figures.percent_interval(worst.interval.low, worst.interval.high)
    return (
        f"Most in {_slice_name(worst, names)}: {figures.percent(worst.interval.value)} {span} of {worst.n:,} cards; "
        f"in the whole {figures.percent(whole)}."
    )


def _slices(result: Outcome, names: tuple[str, ...]) -> None:
    st.markdown("**Where is it wrong?**")
    shown = [rate for rate in result.slices if rate.n]
    st.markdown(escaped(slices_sentence(result, names), 600))
    table = pd.DataFrame(
        {
            "slice": [_slice_name(rate, names) for rate in shown],
            "wrong, %": [round(100 * rate.interval.value, 1) for rate in shown],
            "interval": [figures.percent_interval(rate.interval.low, rate.interval.high) for rate in shown],
            "cards": [rate.n for rate in shown],
            result.plan.unit: [rate.size for rate in shown],
        }
    )
    charts.frame(table, key="review_slices")
    if result.reasons:
        st.caption("Reasons: " + " · ".join(f"{escaped(reason)} {n:,}" for reason, n in result.reasons.items()))


def _slice_name(rate: Rate, names: tuple[str, ...]) -> str:
    if rate.kind == "class":
        return f"class {visible(names[int(rate.name)], 60)}"
    return f"{visible(rate.kind.removeprefix('group:'), 40)} {visible(rate.name, 60)}"


def _targeted(result: Outcome) -> None:
    decided, wrong = result.targeted
    if decided:
        st.caption(
            f"Targeted queue: {wrong:,} of {decided:,} suspicious {result.plan.unit} were wrong. Applying the decisions mends them; they enter no estimate."
        )
