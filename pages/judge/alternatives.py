"""Alternatives: would something simpler have done?"""

from __future__ import annotations

import streamlit as st

from auditor import alternatives
from auditor.alternatives import CRITERIA, DEFAULT_WEIGHTS, Recommendation
from auditor.frontier import is_sweep
from distill.spec import LANGUAGE_MODELS, RunSpec
from distill.stages.students import skipped_arms
from distill.store import TEACHER
from pages.ui import alternatives_charts as draw
from pages.ui import cache, charts, frame, lm_alternatives, parts
from pages.ui.cache import Audited
from pages.ui.compare_charts import arm_label, arms_of
from pages.ui.frontier_chart import AXES, frontier_chart, sentences
from pages.ui.page import PageInfo
from pages.ui.text import escaped

PAGE = PageInfo(
    group="Judge",
    title="Alternatives",
    icon=":material/alt_route:",
    order=40,
    url_path="alternatives",
    question="Would something simpler have done?",
    needs_run="finished",
)


def render() -> None:
    """Draw the page."""
    run = frame.run()
    audit = cache.audited(run)
    if audit is None:
        parts.empty(
            "This run has no audit yet.",
            "The alternatives appear as soon as the run has ended.",
            to="run",
            label="Open the run",
        )
        return
    spec = run.spec
    if spec.task == LANGUAGE_MODELS:
        lm_alternatives.draw(audit, spec)
        _skipped(skipped_arms(run))
        return
    place = st.container()
    weights = _weights()
    arms = [arm for arm in arms_of(audit, spec) if arm != TEACHER]
    found = alternatives.recommend(audit.measure, arms, weights, lambda arm: arm_label(spec, arm))
    with place:
        _answer(found)
    _scores(audit, found, spec)
    _methods(audit, spec)
    _chart(audit, spec)
    _frontier(audit, spec)
    left, right = st.columns(2, gap="medium")
    with left:
        _cascade(audit, spec)
    with right:
        _labels(audit, spec)
    _skipped(skipped_arms(run))


def _answer(found: Recommendation) -> None:
    with st.container(border=True, gap="small", key="alternatives_answer"):
        st.subheader(escaped(found.sentence, 500), anchor=False)
        if found.left_out:
            st.caption(f"Not weighed, because some arm has no measure of it: {', '.join(found.left_out)}.")
        if found.without:
            st.caption(f"Without a measure of quality, so without a score: {escaped(', '.join(found.without), 300)}.")


def _weights() -> dict[str, float]:
    """What matters to the reader, 0 to 10 each."""
    st.subheader("What matters to you?", anchor=False)
    weights: dict[str, float] = {}
    for column, criterion in zip(st.columns(len(CRITERIA)), CRITERIA, strict=True):
        with column:
            weights[criterion.name] = st.slider(
                criterion.title,
                0,
                10,
                DEFAULT_WEIGHTS[criterion.name],
                help=f"One unit is {criterion.unit}, against the teacher.",
                key=f"weight_{criterion.name}",
            )
    return weights


def _scores(audit: Audited, found: Recommendation, spec: RunSpec) -> None:
    if not found.scores:
        return
    with st.expander("How the arms score", icon=":material/leaderboard:"):
        st.caption(
            "Weighted gain over the teacher in units, with its interval. The errors are taken as independent, so a tie is said "
            "rather too often than too seldom."
        )
        if not all(audit.measure("memory_ratio", s.arm) for s in found.scores if s.arm != TEACHER):
            st.caption("Memory was not measured for every arm: the size on disk stands in for it.")
        if any(audit.measure(alternatives.TOTAL_SAVING, score.arm) for score in found.scores):
            st.caption(
                "Cost is that of running and of errors, by your prices of errors; so errors count under Quality and under Cost."
            )
            charts.frame(draw.error_cost_table(audit, spec), key="error_costs")
        charts.frame(draw.score_table(found, spec), key="alternative_scores")


def _methods(audit: Audited, spec: RunSpec) -> None:
    st.subheader("Published, and measured here", anchor=False)
    charts.wrapped(draw.method_table(audit, spec), key="methods")
    st.caption(
        f"Published: claims of others, never a result of this run. {escaped(alternatives.ARTICLE)}. "
        f"Training cost: of one model, a mean over seeds, what it is made from included. {escaped(_energy_told(audit), 500)}"
    )


def _energy_told(audit: Audited) -> str:
    """How the energy is known, in a sentence."""
    found = next((m for m in audit.report.measures if m.name == "making_energy_kwh" and m.value is not None), None)
    return f"Energy: {found.detail.get('method', '')}." if found else "Energy: not known."


def _chart(audit: Audited, spec: RunSpec) -> None:
    drawn = draw.methods_chart(audit, spec)
    if drawn is None:
        st.caption("No chart, because no arm has both a quality and a speed against the teacher.")
        return
    st.subheader("Quality kept against speed gained", anchor=False)
    st.caption("Marks are measured here, with 95 % intervals. The faint boxes are what was published for a method.")
    charts.show(*drawn, key="methods_chart", says="Quality kept against speed-up, arms and published ranges.")


def _frontier(audit: Audited, spec: RunSpec) -> None:
    st.subheader("Frontier", anchor=False)
    against = st.segmented_control("Quality kept against", list(AXES), default="Size", key="frontier_axis") or "Size"
    drawn = frontier_chart(audit, spec, against)
    if drawn is None:
        st.caption("No frontier, because fewer than two arms have both figures.")
        return
    chosen = len(drawn.choices) > 0
    left, right = st.columns(2, gap="small") if chosen else (st.container(), None)
    with left:
        says = f"Quality kept against {AXES[against][1]}, with the Pareto front, its knee and the published limit."
        charts.show(drawn.figure, drawn.arms, key="frontier", says=says)
    if right is None:
        st.caption("Test figures. No front, no knee and no choice, because:")
        parts.skipped(audit, "frontier")
        return
    with right:
        charts.frame(drawn.choices, key="frontier_choices")
        st.caption(
            "Chosen on dev: the dotted front joins the arms (open marks) that no other one beats in both there, and the knee lies farthest "
            "above the line between its ends. Full marks with 95 % intervals are the test's word on what was chosen; the test chose nothing."
        )
    if is_sweep(spec):
        for sentence in sentences(audit, against):
            st.caption(escaped(sentence, 600))


def _cascade(audit: Audited, spec: RunSpec) -> None:
    st.subheader("What if the student passed on what it is not sure of?", anchor=False)
    drawn = draw.cascade_chart(audit, spec)
    if drawn is None:
        parts.skipped(audit, "cascade")
        return
    charts.show(*drawn, key="cascade", says="Accuracy of student and teacher together against the share passed on.")
    _claims(audit, "cascade")
    groups = draw.deferred_table(audit, spec)
    if len(groups):
        with st.expander("Who is passed on", icon=":material/groups:"):
            charts.frame(groups, key="cascade_groups")


def _labels(audit: Audited, spec: RunSpec) -> None:
    st.subheader("How many human labels would do instead?", anchor=False)
    drawn = draw.labels_chart(audit, spec)
    if drawn is None:
        parts.skipped(audit, "data_efficiency")
        return
    charts.show(*drawn, key="labels", says="Accuracy of fine-tuning minus the candidate's against human labels.")
    _claims(audit, "data_efficiency")


def _claims(audit: Audited, check: str) -> None:
    result = audit.report.result(check)
    for finding in result.findings if result else ():
        st.caption(escaped(finding.claim, 600))


def _skipped(reasons: dict[str, str]) -> None:
    if not reasons:
        return
    with st.expander(
        f"{len(reasons)} arm{'' if len(reasons) == 1 else 's'} could not be made, because …", icon=":material/block:"
    ):
        for arm, reason in reasons.items():
            st.markdown(f"- **{escaped(arm)}**: {escaped(reason, 300)}")
