"""Compare: may the student replace the teacher?"""

from __future__ import annotations

import streamlit as st

from auditor.types import Finding
from distill.export import Verified, exports
from distill.spec import LANGUAGE_MODELS, RunSpec
from distill.store import TEACHER
from pages.ui import cache, cards, charts, frame, page, palette, parts, price_book, words
from pages.ui import compare_charts as draw
from pages.ui.cache import Audited
from pages.ui.page import PageInfo
from pages.ui.text import escaped

PAGE = PageInfo(
    group="Judge",
    title="Compare",
    icon=":material/compare_arrows:",
    order=10,
    url_path="compare",
    question="May the student replace the teacher?",
    needs_run="finished",
)


def render() -> None:
    """Draw the page."""
    run = frame.run()
    audit = cache.audited(run)
    if audit is None:
        parts.empty(
            "This run has no audit yet.",
            "The comparison appears as soon as the run has ended. See how far it is.",
            to="run",
            label="Open the run",
        )
        return
    spec = run.spec
    parts.verdict(audit.report.verdict, audit.report.gates)
    arm = _arm(audit, spec)
    cards.four(audit, spec, arm)
    _added(audit, arm)
    _parent(audit, arm)
    _next(audit, run.id, arm)
    _arms(audit, spec)
    _exported(exports(run), spec)
    if spec.task == LANGUAGE_MODELS:
        _choices(audit, spec)
    else:
        left, right = st.columns(2, gap="medium")
        with left:
            _classes(audit, spec, arm)
        with right:
            _reliability(audit, spec, arm)
        _confusion(audit, spec, arm)
    _everything(audit, spec)


def _arm(audit: Audited, spec: RunSpec) -> str:
    """The arm held against the teacher: the candidate, unless the reader picks another."""
    arms = [arm for arm in draw.arms_of(audit, spec) if arm != TEACHER]
    candidate = audit.report.verdict.candidate
    if len(arms) < 2:
        return arms[0] if arms else candidate
    names = {arm: escaped(draw.arm_label(spec, arm)) + (" · candidate" if arm == candidate else "") for arm in arms}
    chosen = st.segmented_control(
        "Held against the teacher",
        arms,
        default=candidate if candidate in arms else arms[0],
        required=True,
        format_func=names.__getitem__,
        key="compare_arm",
    )
    return chosen or candidate


def _added(audit: Audited, arm: str) -> None:
    """What distillation added over the hard-label control."""
    added = audit.measure("accuracy_over_control", arm)
    if added is None:
        return
    verdict = str(added.detail.get("word", "")) if added.detail else ""
    st.markdown(
        f"What distillation added over the control with hard labels: **{words.written(added)}** "
        f"{escaped(words.written_interval(added))}{' · ' + escaped(verdict) if verdict else ''}",
        help=escaped(words.meaning_of("accuracy_over_control")),
    )


def _parent(audit: Audited, arm: str) -> None:
    """A run that follows from another is held against it, on the same texts."""
    change = audit.measure("accuracy_over_parent", arm)
    if change is None:
        return
    told = next((f.claim for f in audit.report.findings if f.check == "parent"), "")
    st.markdown(
        f"Against the run that it follows from: **{words.written(change)}** {escaped(words.written_interval(change))}, "
        f"n = {change.n:,}",
        help=escaped(told, 500),
    )


def _next(audit: Audited, run_id: str, arm: str) -> None:
    """What to look at next: the regressions, then the findings, the most serious first."""
    st.subheader("What to look at next", anchor=False)
    regressions = audit.measure("regressions", arm)
    with st.container(horizontal=True, vertical_alignment="center"):
        if regressions is not None:
            number = f"{regressions.value:,.0f}"
            page.link("examples", f"See {number} regressions", icon=":material/trending_down:", run=run_id)
        page.link("bias", "Bias", icon=":material/balance:", run=run_id)
        page.link("report", "Report", icon=":material/description:", run=run_id)
    findings = audit.report.findings
    told = [f for f in findings if f.severity != "info"] or findings
    for finding in told[:5]:
        _finding(finding)
    rest = [f for f in findings if f not in told[:5]]
    if rest:
        with st.expander(f"{len(rest)} more finding{'' if len(rest) == 1 else 's'}", type="compact"):
            for finding in rest:
                _finding(finding)


def _finding(finding: Finding) -> None:
    colour, icon = palette.SEVERITY[finding.severity]
    with st.container(horizontal=True, vertical_alignment="top", gap="small"):
        st.badge(finding.severity, color=colour, icon=icon, width=110)
        with st.container(gap=None):
            st.markdown(escaped(words.in_words(finding.claim), 600))
            if finding.action:
                st.caption(escaped(finding.action, 400))


def _arms(audit: Audited, spec: RunSpec) -> None:
    st.subheader("Every arm", anchor=False)
    what = (
        "How often it chooses the teacher's token against the time of one"
        if spec.task == LANGUAGE_MODELS
        else ("Quality kept against the time of one answer")
    )
    errors = ", your prices of errors included" if draw.ranked_cost(audit) == "total_cost_per_1k" else ""
    unit = "answers" if spec.task == LANGUAGE_MODELS else "texts"
    st.caption(f"{what}. The larger the mark, the dearer 1,000 {unit}{errors}.")
    drawn = draw.arms_chart(audit, spec)
    if drawn is None:
        charts.frame(draw.arms_table(audit, spec), key="arms_only_table")
        return
    charts.show(*drawn, key="arms", says="Quality kept in per cent of the teacher against latency, one mark an arm.")


def _exported(found: list[tuple[str, Verified]], spec: RunSpec) -> None:
    """What was measured of exported models, each alone in a process of its own: what a phone or a small box would run."""
    if not found:
        return
    st.subheader("Exported", anchor=False)
    st.caption(
        "What a phone or a small box would run, measured when it was exported: predict.py in a process of its own, one thread, no torch."
    )
    charts.frame(draw.exported_table(found, spec), key="exported")


def _choices(audit: Audited, spec: RunSpec) -> None:
    """Multiple choice by likelihood: one row a question set, one column a model."""
    st.subheader("Multiple choice", anchor=False)
    found = [m for m in audit.report.measures if m.name == "choice_accuracy" and m.group and m.seed is None]
    if not found:
        st.caption("Skipped, because no question set was asked.")
        return
    st.caption("Share of questions answered right, by the likelihood of each answer, in per cent.")
    charts.frame(draw.by_group(audit, spec, found, _question_set), key="choices_table")


def _question_set(group: str) -> str:
    kind, _, name = group.partition("=")
    return f"all of {name}" if kind == "field" else name


def _classes(audit: Audited, spec: RunSpec, arm: str) -> None:
    st.subheader("Per class", anchor=False)
    measure = st.segmented_control(
        "Measure", ["f1", "recall", "precision"], default="f1", required=True, key="class_measure",
        format_func=lambda m: words.word_of(m).name, label_visibility="collapsed",
    )  # fmt: skip
    drawn = draw.classes_chart(audit, spec, arm, measure or "f1")
    if drawn is None:
        st.caption("Skipped, because the test rows carry no human label.")
        return
    charts.show(*drawn, key="classes", says=f"{measure} of each class, teacher and student, with intervals.")


def _reliability(audit: Audited, spec: RunSpec, arm: str) -> None:
    st.subheader("Is its confidence honest?", anchor=False)
    scaled = st.segmented_control(
        "Calibration", ["as it is", "after temperature scaling"], default="as it is", required=True, key="scaled",
        label_visibility="collapsed",
    )  # fmt: skip
    drawn = draw.reliability_chart(
        audit.table("calibration", "reliability"), spec, [TEACHER, arm], scaled == "after temperature scaling"
    )
    if drawn is None:
        st.caption("Skipped, because there are no labelled rows to hold the confidence against.")
        return
    charts.show(*drawn, key="reliability", says="How often a model is right against how sure it says it is.")
    suffix = "_scaled" if scaled == "after temperature scaling" else ""
    pieces = [
        f"{escaped(draw.arm_label(spec, who))} {escaped(words.with_interval(m))}"
        for who in (TEACHER, arm)
        if (m := audit.measure(f"ece{suffix}", who)) is not None
    ]
    if pieces:
        st.caption(f"Calibration error: {' · '.join(pieces)}")


def _confusion(audit: Audited, spec: RunSpec, arm: str) -> None:
    st.subheader("What is taken for what?", anchor=False)
    drawn = draw.confusion_chart(audit.table("quality", "confusion"), spec, arm)
    if drawn is None:
        st.caption("Skipped, because the test rows carry no human label.")
        return
    st.caption("Share of each true class in per cent, on one colour scale.")
    charts.show(*drawn, key="confusion", says="Confusion matrices of teacher and student, side by side.")


def _everything(audit: Audited, spec: RunSpec) -> None:
    """Skipped checks with their reasons, and all measures as one table."""
    skipped = [result for result in audit.report.results if result.skipped]
    if skipped:
        head = (
            "1 check was skipped, because …" if len(skipped) == 1 else f"{len(skipped)} checks were skipped, because …"
        )
        with st.expander(head, icon=":material/block:"):
            for result in skipped:
                st.markdown(f"- **{escaped(result.name)}**: {escaped(result.skipped, 300)}")
    with st.expander("All measures", icon=":material/table_rows:"):
        charts.frame(draw.all_measures(audit, spec), key="all_measures", height=420)
    with st.expander("Prices behind the cost", icon=":material/payments:"):
        price_book.draw()
