"""How far people agree, and what the review's bound means for figures that were scored against the teacher's labels."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from auditor.review.agreement import Agreements
from auditor.review.answers import Unit
from auditor.review.meaning import Meaning, meanings
from auditor.review.outcome import Outcome
from auditor.stats.interval import Interval
from distill.store import Run
from pages.ui import cache, charts, figures, words
from pages.ui.text import escaped


def agreement_table(said: Agreements, unit: Unit) -> None:
    """Four measures of agreement, each with its interval: people among themselves, each two of several, and people and teacher."""
    lines = [("people among themselves", said.people, said.people_items)]
    lines += [(" and ".join(pair.who), pair.agreement, pair.items) for pair in said.pairs]
    if unit == "labels":  # of an answer the teacher says nothing but itself
        lines.append(("people and teacher", said.teacher, said.teacher_items))
    rows = [
        [who, *(_cell(cell) for cell in (found.raw, found.kappa, found.alpha, found.ac1)), n]
        for who, found, n in lines
        if found is not None
    ]
    if not rows:
        return
    with st.expander("Agreement, all measures", type="compact"):
        head = ["between", "raw", "Cohen's κ", "Krippendorff's α", "Gwet's AC1", "cards"]
        charts.frame(pd.DataFrame(rows, columns=head), key="review_agreement")
        st.caption(
            "Raw agreement is a share of cards; the others take off what chance would give, and 1 is full agreement. κ is for two people. "
            "AC1 stays steady where one label is rare. Brackets: 95 % intervals."
        )


def _cell(value: Interval | None) -> str:
    if value is None or math.isnan(value.value):
        return figures.NOTHING
    return f"{value.value:.2f} {figures.interval(value.low, value.high, places=2)}"


def meaning(run: Run, result: Outcome) -> None:
    """The bound, carried over to every figure that has synthetic labels in place of people's."""
    upper, early = result.lot.upper, "" if result.lot.final else "So far, and not yet a result: "
    with st.expander("What this means for figures scored against synthetic labels", type="compact"):
        sentence = (
            f"at most {figures.percent(upper)} of the labels are wrong ({result.lot.n:,} cards, "
            f"{100 * result.plan.wishes.confidence:.3g} %), so a share that was measured against them is off by at most "
            f"{figures.figure(100 * upper, places=1)} points either way, on texts like the pool's. It holds however the errors fall: the "
            "share in which a student misses the truth differs from the share in which it misses the teacher by no more than the share "
            "in which the teacher misses the truth. Within a part of the texts all wrong labels of the whole may have landed."
        )
        st.markdown(escaped(early + (sentence if early else sentence[0].upper() + sentence[1:]), 1_000))
        audit = cache.audited(run)
        found = meanings(audit.report.measures, upper) if audit else []
        if not found:
            st.caption("The figures stand here as soon as the run is audited.")
            return
        charts.wrapped(pd.DataFrame([_line(each) for each in found]), key="review_meaning")
        st.caption(
            "The range adds up the figure's own 95 % interval and the bound. KL and other distances between probabilities compare with the "
            "teacher itself, not with labels, and stand as they are."
        )


def _line(found: Meaning) -> dict[str, object]:
    measure = found.measure
    word = words.word_of(measure.name, measure.unit)
    of = f" · {measure.group.partition('=')[2]}" if measure.group else ""
    if found.low is None or found.high is None:
        true = found.why
    elif word.style == "share":
        true = f"{found.read_as}: {figures.figure(100 * found.low, places=1)} – {figures.percent(found.high)}"
    else:
        places = 0 if measure.name == "disagreements" else 3
        low, high = (figures.figure(bound, places=places) for bound in (found.low, found.high))
        true = f"{found.read_as}: {low} – {high}"
    return {
        "figure": f"{word.name}{of}",
        "arm": words.arm_name(measure.arm),
        "measured": words.with_interval(measure),
        "n": measure.n,
        "against true labels": true,
    }
