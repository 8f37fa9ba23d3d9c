"""Planning a round: what will this sample prove? Answered before anybody starts."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from auditor.review.frame import LabelFrame, load_frame
from auditor.review.plan import Plan, Promise, Wishes, promise, wishes_from
from auditor.review.rounds import begin, propose
from auditor.review.targeted import Dealt, add_targeted, sources_of
from distill.store import Run
from pages.ui import cache, charts, palette, people
from pages.ui.text import escaped


def draw(run: Run) -> None:
    """The choices, their promise, and the button that freezes them."""
    frame = load_frame(run)
    left, right = st.columns([1, 1.4], gap="large")
    with left:
        wishes, targeted, each = _choices(run, frame)
    with st.spinner(f"Reading the {frame.unit} …", show_time=False):
        plan = propose(run, wishes)
    with right:
        _promise(plan, promise(plan))
    with left:
        _start(run, wishes, targeted, each)


def _start(run: Run, wishes: Wishes, targeted: list[str], each: int) -> None:
    reviewer = people.name_or_ask("Your name stands beside the plan in the evidence chain.", "review_plan_name")
    if st.button(
        "Freeze the plan and start",
        type="primary",
        icon=":material/lock:",
        key="review_begin",
        disabled=not reviewer,
        help="Seed, frame digest and plan go into the evidence chain first; they cannot be changed afterwards.",
    ):
        people.need("reviewer")
        begin(cache.workspace(), run, wishes, reviewer)
        if targeted:
            with st.spinner("Looking for suspicious cards …"):
                say_dealt(add_targeted(cache.workspace(), run, tuple(targeted), each, reviewer))
        st.rerun()
    if not reviewer:
        st.caption("Give your name first: it stands beside the plan.")


def say_dealt(dealt: Dealt) -> None:
    """Which source of the targeted queue gave how many cards."""
    pieces = [f"{name} {cards:,}" for name, cards in dealt.cards.items()]
    pieces += [f"{name}: none, {reason}" for name, reason in dealt.missing.items()]
    st.toast(escaped("Targeted queue: " + " · ".join(pieces), 600))


def _choices(run: Run, frame: LabelFrame) -> tuple[Wishes, list[str], int]:
    spec = run.spec.review
    method = st.segmented_control(
        "How many",
        ["fraction", "limiting quality"],
        default="fraction",
        required=True,
        key="plan_method",
        help=f"The lot is all {frame.unit} under review. 'fraction' checks a share of it; 'limiting quality' takes the smallest sample that "
        "passes a good lot and refuses one as bad as the limit that you name.",
    )
    values: dict[str, Any] = {"method": method or "fraction", "seed": spec.seed}
    if values["method"] == "fraction":
        values["fraction"] = (
            st.slider("Share to check, %", 1, 100, round(100 * spec.fraction), key="plan_fraction") / 100
        )
        wrong = st.number_input(
            "Acceptable share wrong, %", 0.1, 99.0, 100 * spec.max_wrong, 0.5, key="plan_wrong", format="%.1f"
        )
        values["max_wrong"] = wrong / 100
    else:
        with st.container(horizontal=True):
            values["aql"] = st.number_input("Pass up to, % wrong", 0.0, 98.0, 1.0, 0.5, key="plan_aql") / 100
            sure = st.number_input("… this often, %", 51.0, 99.9, 95.0, 1.0, key="plan_alpha")
        with st.container(horizontal=True):
            values["lq"] = st.number_input("Refuse from, % wrong", 0.1, 99.0, 5.0, 0.5, key="plan_lq") / 100
            hard = st.number_input("… this often, %", 51.0, 99.9, 90.0, 1.0, key="plan_beta")
        values |= {"producer_risk": round(1 - sure / 100, 6), "consumer_risk": round(1 - hard / 100, 6)}
    with st.expander("Two people, strata, targeted queue, seed"):
        values["double_share"] = st.slider("Cards that two people decide, %", 0, 100, 10, key="plan_double") / 100
        if st.toggle(
            "Further cards within strata, for the estimates",
            key="plan_strata",
            help="Strata are parts of the lot that are alike, such as one band of confidence; cards are drawn from each.",
        ):
            values["strata"] = _strata(frame)
        sources = list(sources_of(frame))
        first = sources[:2] if frame.unit == "answers" else ["entropy", "label quality"]
        targeted = st.multiselect("Targeted queue", sources, default=first, key="plan_targeted")
        each = st.number_input("At most so many cards from each", 1, 5_000, 50, key="plan_each")
        values["seed"] = st.number_input("Seed", 0, 2**31 - 1, spec.seed, key="plan_seed")
    return wishes_from(values), targeted, int(each)


def _strata(frame: LabelFrame) -> dict[str, Any]:
    groups = sorted(frame.groups)
    extra = st.number_input("About so many", 1, 100_000, 200, key="plan_extra")
    minimum = st.number_input("At least, in each stratum", 1, 1_000, 5, key="plan_minimum")
    group = st.selectbox(
        "Group", [None, *groups], key="plan_group", format_func=lambda g: "none" if g is None else escaped(g, 40)
    )
    what = "confidence × class × group" if frame.unit == "labels" else "confidence × group"
    st.caption(f"Strata are {what}. The lot is still judged on the simple random sample alone.")
    return {"extra": int(extra), "minimum": int(minimum), "group": group}


def _promise(plan: Plan, said: Promise) -> None:
    with st.container(border=True):
        st.markdown("**What will this sample prove?**")
        st.markdown(escaped(said.sentence, 700))
        lines = [f"- {w:,} wrong: at most **{100 * rate:.3g} %** of the lot are" for w, rate in said.examples]
        st.markdown("\n".join(lines))
        st.caption(
            f"{plan.doubles:,} of the cards go to two people. Frame {plan.frame[:12]}…, seed {plan.wishes.seed}. "
            f"The frame is the list of all {plan.unit} that cards are drawn from; its digest shows that it stays the same. "
            "A skipped card counts as wrong in the upper bound."
            + (" An answer is wrong when people mend or reject it." if plan.unit == "answers" else "")
        )
    figure = charts.figure(
        height=250,
        xaxis=charts.axis(f"share of wrong {plan.unit} in the lot, %"),
        yaxis=charts.axis("chance that it is accepted, %", range=[-3, 103]),
    )
    figure.add_scatter(
        x=100 * said.rates, y=100 * said.accepted, mode="lines", line={"color": palette.BLUE, "width": 2.5},
        hovertemplate="%{x:.2f} % wrong: accepted %{y:.1f} %<extra></extra>",
    )  # fmt: skip
    charts.line_at(figure, x=100 * plan.limit, label=f"limit {100 * plan.limit:.3g} %", side="top right")
    table = (
        pd.DataFrame({"wrong in the lot, %": 100 * said.rates, "accepted, %": 100 * said.accepted})
        .iloc[:: max(1, len(said.rates) // 12)]
        .round(2)
    )
    charts.show(figure, table, key="review_oc", says="Operating characteristic: how often such a lot is accepted")
