"""Lineage: what is left of the first teacher after each distillation?"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from auditor import lineage
from auditor.lineage import Family
from distill.spec import LANGUAGE_MODELS
from distill.store import Run
from pages.ui import cache, charts, figures, frame, parts, words
from pages.ui import lineage_charts as draw
from pages.ui.lineage_charts import Generation
from pages.ui.page import PageInfo
from pages.ui.text import escaped

PAGE = PageInfo(
    group="Judge",
    title="Lineage",
    icon=":material/account_tree:",
    order=50,
    url_path="lineage",
    question="What is left of the first teacher after each distillation?",
    needs_run="finished",
)


def render() -> None:
    """Draw the page."""
    run = frame.run()
    store = cache.store()
    if cache.audited(run) is None:
        parts.empty(
            "This run has no audit yet.", "Its lineage appears as soon as it has ended.", to="run", label="Open the run"
        )
        return
    runs, problem = lineage.chain(store, run.id)
    found = draw.generations(runs, problem)
    writes = run.spec.task == LANGUAGE_MODELS
    _answer(found, problem, writes)
    _warnings(run)
    family = lineage.family(store, run.id)
    if not writes:
        _drift(found)
    _graph(family, run.id)
    _rounds(run)


def _answer(found: list[Generation], problem: str, language_models: bool) -> None:
    last, first = found[-1], found[0]
    agreement, change = (last.measure(name) for name in ("agreement_with_origin", "accuracy_against_origin"))
    with st.container(border=True, gap="small", key="lineage_answer"):
        if agreement is not None:
            sentence = f"Generation {last.number} gives the same label as generation 0 on {words.with_interval(agreement)} of {figures.count(agreement.n)} test texts"
            if change is not None:
                span = figures.percent_interval(change.low, change.high, sign=True)
                sentence += f"; its accuracy differs by {figures.points(change.value)} {span}"
            st.subheader(escaped(f"{sentence}.", 500), anchor=False)
        elif language_models:
            st.subheader("A student that writes does not teach another one yet.", anchor=False)
            st.caption("So there are no generations of it to compare. Runs that follow from a review stand below.")
        else:
            why = last.why_not or "the audit of this run is older than this check, or generation 0 is not here"
            st.subheader("Not comparable with generation 0.", anchor=False)
            st.caption(f"Not comparable, because {escaped(why, 300)}.")
        if problem:
            st.caption(f"The chain begins with generation {first.number}, because {escaped(problem, 300)}.")


def _warnings(run: Run) -> None:
    audit = cache.audited(run)
    result = audit.report.result("generations") if audit else None
    for finding in result.findings if result else ():
        if finding.severity == "warning":
            st.warning(escaped(f"{finding.claim} {finding.action}".strip(), 600), icon=":material/warning:")
        else:
            st.caption(escaped(finding.claim, 600))


def _drift(found: list[Generation]) -> None:
    st.subheader("Drift", anchor=False)
    drawn = draw.drift_chart(found)
    if drawn is None:
        st.caption("No curve, because no generation has been audited with this check.")
        return
    st.caption(
        "Every generation on the same frozen test texts, with 95 % intervals. Generation 0 is the first teacher."
    )
    charts.show(
        *drawn, key="drift", says="Accuracy, agreement with generation 0 and rarest recall against the generation."
    )
    columns = st.columns(2, gap="medium")
    for place, name in enumerate(draw.OTHERS):
        with columns[place % 2]:
            small = draw.small_chart(found, name)
            if small is None:
                st.caption(f"{draw.TITLES[name].capitalize()}: not measured in these runs.")
            else:
                charts.show(*small, key=f"drift_{name}", says=f"{draw.TITLES[name]} against the generation.")
    apart = [one for one in found if one.why_not]
    for one in apart:
        st.caption(f"Generation {one.number}: not comparable, because {escaped(one.why_not, 300)}.")


def _graph(family: Family, here: str) -> None:
    st.subheader("Runs and what follows from them", anchor=False)
    for sentence in family.sentences:
        st.warning(escaped(sentence, 400), icon=":material/warning:")
    if len(family.nodes) == 1:
        st.caption("Nothing stands before this run, and nothing follows from it.")
        return
    st.caption(
        "Left to right: a full line where a student teaches the next run, a dotted one where a run follows from another."
    )
    charts.show(
        *draw.graph(family, here), key="family", says="The runs that this one descends from and that descend from it."
    )


def _rounds(run: Run) -> None:
    """What each round of an iterative arm added and gained."""
    rows = [
        {
            "arm": card.name,
            "seed": card.seed,
            "round": told["round"],
            "labels learnt from": told["labels"],
            "asked now": told.get("asked", 0),
            "agreement on dev": figures.percent(told["dev_agreement"]),
            "won / lost": f"{told['won']} / {told['lost']}",
            "p": figures.figure(told["p"]),
        }
        for card in cache.cards(run)
        for told in card.extra.get("rounds", [])
    ]
    if not rows:
        return
    st.subheader("Rounds", anchor=False)
    stopped = {c.name: c.extra.get("stopped", "") for c in cache.cards(run) if c.extra.get("rounds")}
    for arm, why in stopped.items():
        st.caption(f"{escaped(arm)}: stopped because {escaped(str(why), 200)}.")
    charts.frame(pd.DataFrame(rows), key="rounds")
