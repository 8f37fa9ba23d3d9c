"""What the review says: error rate, slices, agreement, and what the bound means elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from auditor.review.agreement import Agreements, agreements
from auditor.review.answers import Unit
from auditor.review.frame import load_frame
from auditor.review.outcome import Outcome, Rate, lot_sentence, outcome
from auditor.review.plan import promise
from auditor.review.records import decisions_frame
from auditor.review.results import lot_of_run, newest_decision
from auditor.review.rounds import Round
from auditor.stats.interval import Interval
from distill.store import Run
from pages.ui import cache, charts, figures, palette, words
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
    _agreement_table(said, result.plan.unit)
    if result.plan.unit == "labels":
        _meaning(run, result)
    _targeted(result)


def _cards(result: Outcome, said: Agreements) -> None:
    rate = result.overall
    value = None if math.isnan(rate.interval.value) else rate.interval.value
    with st.container(horizontal=True):
        with st.container(border=True):
            st.metric(f"Wrong {result.plan.unit}", figures.percent(value))
            st.caption(escaped(figures.percent_interval(rate.interval.low, rate.interval.high)))
            how = "weighted by stratum" if rate.how == "weighted" else "exact"
            still = f", {rate.open:,} skipped or unsettled" if rate.open else ""
            st.markdown(f"{rate.wrong:,} of {rate.n:,} cards{still}, {how}")
        with st.container(border=True):
            st.metric("At most, of the whole lot", figures.percent(result.lot.upper))
            st.caption(f"one-sided, {100 * result.plan.wishes.confidence:.3g} %")
            st.markdown(f"limit {figures.percent(result.lot.limit)}")
        pairs = [("Two people agree", said.people, said.people_items)]
        if result.plan.unit == "labels":  # of an answer the teacher says nothing but itself
            pairs.append(("People and teacher agree", said.teacher, said.teacher_items))
        for title, agreement, n in pairs:
            with st.container(border=True):
                raw = agreement.raw if agreement else None
                st.metric(title, figures.percent(raw.value if raw else None))
                st.caption(escaped(figures.percent_interval(raw.low, raw.high)) if raw else "no card yet")
                ac1 = agreement.ac1 if agreement else None
                st.markdown(f"n = {n:,}, AC1 {figures.figure(ac1.value)}" if ac1 else "a second person is needed")


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


def _slices(result: Outcome, names: tuple[str, ...]) -> None:
    st.markdown("**Where is it wrong?**")
    shown = [rate for rate in result.slices if rate.n]
    table = pd.DataFrame(
        {
            "slice": [_slice_name(rate, names) for rate in shown],
            "wrong, %": [round(100 * rate.interval.value, 1) for rate in shown],
            "interval": [figures.percent_interval(rate.interval.low, rate.interval.high) for rate in shown],
            "cards": [rate.n for rate in shown],
            result.plan.unit: [rate.size for rate in shown],
        }
    )
    charts.frame(table, key="review_slices", height=min(420, 38 + 35 * len(table)))
    if result.reasons:
        st.caption("Reasons: " + " · ".join(f"{escaped(reason)} {n:,}" for reason, n in result.reasons.items()))


def _slice_name(rate: Rate, names: tuple[str, ...]) -> str:
    if rate.kind == "class":
        return f"class {visible(names[int(rate.name)], 60)}"
    return f"{visible(rate.kind.removeprefix('group:'), 40)} {visible(rate.name, 60)}"


def _agreement_table(said: Agreements, unit: Unit) -> None:
    rows = []
    for who, agreement, n in (
        ("two people", said.people, said.people_items),
        ("people, teacher", said.teacher, said.teacher_items),
    ):
        if agreement is not None and (unit == "labels" or who == "two people"):
            cells = (agreement.raw, agreement.kappa, agreement.alpha, agreement.ac1)
            rows.append([who, *(_cell(cell) for cell in cells), n])
    if rows:
        with st.expander("Agreement, all measures", type="compact"):
            head = ["between", "raw", "Cohen's κ", "Krippendorff's α", "Gwet's AC1", "cards"]
            charts.frame(pd.DataFrame(rows, columns=head), key="review_agreement")


def _cell(value: Interval | None) -> str:
    if value is None or math.isnan(value.value):
        return figures.NOTHING
    return f"{value.value:.2f} {figures.interval(value.low, value.high, places=2)}"


def _meaning(run: Run, result: Outcome) -> None:
    upper = result.lot.upper
    with st.expander("What this means for figures scored against synthetic labels", type="compact"):
        st.markdown(
            f"At most {100 * upper:.3g} % of the labels are wrong, so a share that was measured against them is off by at most "
            f"{100 * upper:.3g} points either way, on texts like the pool's. It holds however the errors fall: the share in which "
            "a student misses the truth differs from the share in which it misses the teacher by no more than the share in which the "
            "teacher misses the truth."
        )
        audit = cache.audited(run)
        rows = []
        for arm in audit.arms() if audit else []:
            same = audit.measure("agreement", arm) if audit else None
            if same is not None and same.value is not None:
                share = same.value / (100 if same.unit == "%" else 1)
                low, high = max(0.0, share - upper), min(1.0, share + upper)
                rows.append([arm, words.written(same), f"{100 * low:.1f} – {100 * high:.1f} %"])
        if rows:
            charts.frame(
                pd.DataFrame(rows, columns=["arm", "agreement with the teacher", "accuracy lies in"]),
                key="review_meaning",
            )


def _targeted(result: Outcome) -> None:
    decided, wrong = result.targeted
    if decided:
        st.caption(
            f"Targeted queue: {wrong:,} of {decided:,} suspicious {result.plan.unit} were wrong. They are mended, and enter no estimate."
        )
