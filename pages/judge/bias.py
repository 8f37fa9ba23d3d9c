"""Bias: what did the student inherit, and what did distillation add?"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from auditor.bias import again
from auditor.bias.again import CHANGES, HEADS, Again, Change
from auditor.bias.pairs import Pairs, Which
from auditor.types import Measure
from distill.errors import HeirloomError
from distill.spec import LANGUAGE_MODELS, RunSpec
from distill.store import TEACHER, Run
from pages.ui import bias_charts as draw
from pages.ui import (
    bias_pairs,
    bias_words,
    cache,
    charts,
    claims,
    figures,
    frame,
    lm_bias,
    page,
    parts,
    people,
    state,
    words,
)
from pages.ui.bias_words import MEANINGS, NAMES, what_differs
from pages.ui.cache import Audited
from pages.ui.compare_charts import arm_label, arms_of, kind_of
from pages.ui.page import PageInfo
from pages.ui.text import escaped, one_line

PAGE = PageInfo(
    group="Judge",
    title="Bias",
    icon=":material/balance:",
    order=30,
    url_path="bias",
    question="What did the student inherit, and what did distillation add?",
    needs_run="finished",
)
SIZE = 8
WORDS = {"equivalent": "green", "reduced": "green", "amplified": "red", "cannot tell": "yellow"}
ICONS = {
    "equivalent": ":material/drag_handle:",
    "reduced": ":material/trending_down:",
    "amplified": ":material/trending_up:",
    "cannot tell": ":material/help:",
}
FILTERS: dict[Which, str] = {
    "student only": "flipped in the student only",
    "largest gaps": "largest gaps",
    "all": "all",
}


def render() -> None:
    """Draw the page."""
    run = frame.run()
    audit = cache.audited(run)
    if audit is None:
        parts.empty(
            "This run has no audit yet.",
            "The bias audit appears as soon as the run has ended.",
            to="run",
            label="Open the run",
        )
        return
    spec = run.spec
    item = state.item()
    writes = spec.task == LANGUAGE_MODELS
    if item and (writes or spec.data.positive is not None):
        _one(run, spec, item)
        return
    if spec.data.positive is None and not writes:
        _ask_for_positive(run)
    _sentence(audit, spec)
    arm = _arm(audit, spec)
    _gaps(audit, spec)
    if writes:
        lm_bias.sets(audit, spec)
        lm_bias.associations(audit, spec, arm)
        _pairs(run, spec, arm)
        return
    _again(run, audit)
    _association(audit, spec, arm)
    _groups(audit, spec, arm)
    _swaps(audit, spec)
    if spec.data.positive is not None:
        _pairs(run, spec, arm)


def _arm(audit: Audited, spec: RunSpec) -> str:
    arms = [arm for arm in arms_of(audit, spec) if arm != TEACHER]
    if len(arms) < 2:
        return arms[0] if arms else spec.candidate
    chosen = st.segmented_control(
        "Held against the teacher", arms, default=spec.candidate if spec.candidate in arms else arms[0], required=True,
        format_func=lambda a: escaped(arm_label(spec, a)) + (" · candidate" if a == spec.candidate else ""), key="bias_arm",
    )  # fmt: skip
    return chosen or spec.candidate


def _ask_for_positive(run: Run) -> None:
    """No class is good for the person concerned as far as the spec says, and it is not guessed: the reader chooses."""
    with st.container(border=True):
        st.markdown(
            "**Which label is good for the person concerned?** Bias is measured on it, and it is never guessed."
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            label = st.selectbox(
                "Positive class", run.examples.labels, index=None, format_func=lambda c: one_line(c, 60), width=260,
                key=f"positive_{run.id}",
            )  # fmt: skip
            if not people.may("engineer"):
                st.caption(f"A run with it is started by somebody with {people.in_words('engineer')}.")
            elif st.button("Start a child run with it", disabled=label is None, key="positive_start") and label:
                _start(run, lambda: again.with_positive(run, label))


def _sentence(audit: Audited, spec: RunSpec) -> None:
    """The answer first: change of the gap, interval, n, verdict; then what distillation and compression did."""
    change = audit.measure("gender_bias_change", spec.candidate)
    writes = spec.task == LANGUAGE_MODELS
    result = audit.report.result("lm_bias" if writes else "gender_bias")
    if change is None:
        reason = result.skipped if result and result.skipped else "the audit gave no gap for the candidate"
        st.warning(f"The gender gap was not measured, because {escaped(reason, 400)}", icon=":material/info:")
        return
    word = str(change.detail.get("verdict", "cannot tell"))
    percent = audit.measure("gender_bias_change_pct", spec.candidate)
    share = "" if percent is None else f" ({figures.figure(percent.value, sign=True, places=0)} %)"
    with st.container(border=True, gap="small", key="bias_sentence"):
        st.subheader(
            f"{ICONS.get(word, ICONS['cannot tell'])} Distillation changed the gender gap by {_signed(change)}{share}, "
            f"n = {change.n:,} pairs: :{WORDS.get(word, 'yellow')}[{word}].",
            anchor=False,
            help=MEANINGS["gender_bias_change"],
        )
        smallest = change.detail.get("smallest_change")
        lines = []
        if change.detail.get("reason"):
            lines.append(escaped(change.detail["reason"], 400))
        elif word == "cannot tell" and smallest is not None:
            lines.append(f"A change under ±{figures.figure(smallest, places=3)} would not show with so many pairs.")
        for name in ("gender_bias_added_by_distillation", "gender_bias_added_by_compression"):
            found = next((m for m in audit.report.measures if m.name == name and m.value is not None), None)
            if found is not None:
                soft = (
                    "The teacher's distribution, against its text alone,"
                    if writes
                    else "Soft targets, against hard labels,"
                )
                what = soft if "distillation" in name else "A smaller model, against the teacher,"
                lines.append(f"{what} changed it by {_signed(found)}: {escaped(found.detail.get('verdict', ''))}.")
        if lines:
            st.markdown(" ".join(lines))
        with st.container(horizontal=True, gap="medium"):
            st.caption(
                f"margin ±{change.detail.get('margin', 0):g} · {len(spec.seeds)} seed{'s' if len(spec.seeds) > 1 else ''} · these seeds, this teacher"
            )
            claims.line("gender_bias_change_pct", kind_of(spec, spec.candidate))


def _signed(measure: Measure) -> str:
    between = figures.interval(measure.low, measure.high, places=3, sign=True)
    return f"{figures.figure(measure.value, places=3, sign=True)} {escaped(between)}".rstrip()


def _gaps(audit: Audited, spec: RunSpec) -> None:
    left, right = st.columns([5, 7] if spec.task == LANGUAGE_MODELS else 2, gap="medium")
    with left:
        st.subheader("The gap of every arm", anchor=False, help=MEANINGS["gender_bias"])
        gaps = draw.gap_chart(audit, spec)
        if gaps is None:
            parts.skipped(audit, "lm_bias" if spec.task == LANGUAGE_MODELS else "gender_bias")
        else:
            charts.show(*gaps, key="gaps", says="Gender gap of teacher and every arm with 95 % intervals.")
            signed = audit.measure("gender_bias_signed", spec.candidate)
            if signed is not None:
                st.caption(
                    f"signed mean of the candidate, women − men: {_signed(signed)}", help=MEANINGS["gender_bias_signed"]
                )
    with right:
        if spec.task == LANGUAGE_MODELS:
            lm_bias.beside(audit, spec)
            return
        st.subheader("The ledger", anchor=False, help=MEANINGS["label_gender_association"])
        ledger = draw.ledger_chart(audit, spec)
        if ledger is None:
            parts.skipped(audit, "gender_ledger")
            return
        charts.show(
            *ledger, key="ledger", says="Association of label and gender from people to teacher, labels and arms."
        )
        for name, told in _GROWN.items():
            grown = audit.measure(name, spec.candidate)
            if grown is not None:
                st.caption(f"{told}: {_signed(grown)}", help=MEANINGS[name])


# the first is the difference of two bars above; the second is counted in another way and is no such difference
_GROWN = {
    "label_gender_growth": "growth from teacher to candidate, the difference of their bars",
    "bias_amplification": "BiasAmp→, a measure of its own in shares of labels, not in bars",
}


def _association(audit: Audited, spec: RunSpec, arm: str) -> None:
    st.subheader("Stereotypes of occupations", anchor=False, help=MEANINGS["stereotype_association"])
    rows = audit.table("gender_bias", "occupations")
    drawn = draw.association_chart(rows, spec, arm, "score about her − score about him")
    if drawn is None:
        parts.skipped(audit, "gender_bias")
        return
    for who in (TEACHER, arm):
        found = audit.measure("stereotype_association", who)
        if found is not None:
            st.caption(bias_words.correlation(arm_label(spec, who), found))
    charts.show(*drawn, key="association", says="Gap of each occupation against the share of women who work in it.")


def _groups(audit: Audited, spec: RunSpec, arm: str) -> None:
    st.subheader("Groups", anchor=False, help=MEANINGS["impact_ratio"])
    rows = audit.table("groups", "groups")
    if not rows:
        parts.skipped(audit, "groups")
        return
    columns = list(dict.fromkeys(str(row["column"]) for row in rows))
    column = st.segmented_control(
        "Column", columns, default=columns[0], required=True, format_func=lambda c: escaped(c, 60), key="bias_column",
        label_visibility="collapsed",
    )  # fmt: skip
    mine = [row for row in rows if row["column"] == (column or columns[0])]
    for name in ("demographic_parity_difference", "equalized_odds_difference", "equal_opportunity_difference"):
        found = [(who, audit.measure(name, who, column)) for who in (TEACHER, arm)]
        told = [f"{escaped(arm_label(spec, who))} {words.with_interval(m)}" for who, m in found if m is not None]
        if told:
            st.caption(f"{NAMES[name]}: {' · '.join(told)}", help=MEANINGS[name])
    left, right = st.columns([2, 3], gap="medium")
    with left:
        impact = draw.impact_chart(mine, spec, arm)
        if impact is not None:
            charts.show(*impact, key="impact", says="Impact ratio of each group with the four-fifths line.")
        else:
            st.caption("No group gets the positive label, so there is no impact ratio.")
    with right:
        heat = draw.groups_heat(mine, spec, arm)
        if heat is not None:
            charts.show(*heat, key="heat", says="Groups by measures; figures of small groups are grey.")
            st.caption(
                "Blue is above and red below the mean of all rows. Grey with an asterisk: a small group, which says little."
            )


def _swaps(audit: Audited, spec: RunSpec) -> None:
    st.subheader("The user's own rows, swapped", anchor=False, help=MEANINGS["swap_gap_signed"])
    swapped, left_out = audit.table("gender_swaps", "swaps"), audit.table("gender_swaps", "left_out")
    if not swapped:
        parts.skipped(audit, "gender_swaps")
        return
    result = audit.report.result("gender_swaps")
    for finding in result.findings if result else ():
        st.markdown(escaped(finding.claim, 400))
    table = []
    for arm in arms_of(audit, spec):
        gap, flips = audit.measure("swap_gap_signed", arm), audit.measure("swap_flip_rate", arm)
        if gap is not None:
            table.append(
                {"arm": arm_label(spec, arm), "women − men": words.with_interval(gap), "label changes": _share(flips)}
            )
    charts.frame(pd.DataFrame(table), key="swap_arms")
    with st.expander("Which words were swapped, and which rows were left out", type="compact"):
        one, other = st.columns(2)
        with one:
            charts.frame(pd.DataFrame(swapped), key="swap_list")
        with other:
            charts.frame(pd.DataFrame(left_out), key="left_out")


def _share(measure: Measure | None) -> str:
    if measure is None:
        return figures.NOTHING
    return f"{figures.percent(measure.value)} {figures.percent_interval(measure.low, measure.high)}"


def _pairs(run: Run, spec: RunSpec, arm: str) -> None:
    writes = spec.task == LANGUAGE_MODELS
    st.subheader("Pairs", anchor=False, help=MEANINGS["lm_pairs" if writes else "pairs"])
    view = bias_pairs.view(run)
    if not len(view) or arm not in view.arms:
        st.caption("There are no pairs, because no model could be asked for the sentences.")
        return
    filters: dict[Which, str] = {**FILTERS, "student only": "the student prefers the other one"} if writes else FILTERS
    sources = list(dict.fromkeys(view.frame["source"]))
    before = state.widget(f"source_{run.id}")  # the counts are of what the other filter leaves
    with st.container(horizontal=True, vertical_alignment="center"):
        which = st.segmented_control(
            "Which", list(filters), default="largest gaps", required=True, key=f"pairs_{run.id}", label_visibility="collapsed",
            format_func=lambda w: f"{filters[w]} {len(view.chosen(w, arm, before)):,}" if w != "largest gaps" else filters[w],
        )  # fmt: skip
        source = st.selectbox(
            "Source", [None, *sources], format_func=lambda s: s or "all sources", key=f"source_{run.id}", width=220,
            label_visibility="collapsed",
        )  # fmt: skip
    chosen = view.chosen(which or "largest gaps", arm, source)
    if not len(chosen):
        only = which == "student only" and not source and not writes
        why = "The student changes its answer only where the teacher does as well."
        parts.empty("No pair matches.", why if only else "Choose another filter or source.")
        return
    number = 1
    total = max(1, -(-len(chosen) // SIZE))
    if total > 1:
        number = st.pagination(total, key=f"pairs_page_{which}_{source}_{arm}_{total}")
    st.caption(
        f"{len(chosen):,} pairs · preference: how much more than half the chance that the model writes her sentence and not his"
        if writes
        else f"{len(chosen):,} pairs · probabilities are means over the seeds, each model scaled on dev"
    )
    for position in chosen[(number - 1) * SIZE : number * SIZE]:
        _pair(view, spec, int(position), arm)


def _pair(view: Pairs, spec: RunSpec, position: int, arm: str) -> None:
    pair_id = str(view.frame["pair_id"].iloc[position])
    with st.container(border=True, gap="small", key=f"pair_{position}"):
        head, opener = st.columns([9, 1.2], vertical_alignment="top")
        with head, st.container(gap="xsmall"):
            bias_pairs.sentences(view, position)
        with opener, st.container(horizontal_alignment="right"):
            if st.button("Open", key=f"open_{position}", icon=":material/open_in_full:", type="tertiary"):
                state.choose_item(pair_id)
                st.rerun()
        bias_pairs.answers(view, spec, position, [a for a in (TEACHER, arm) if a in view.arms])
        others = [a for a in view.arms if a not in (TEACHER, arm)]
        if others:
            with st.expander(f"{len(others)} other arm{'s' if len(others) > 1 else ''}", type="compact"):
                bias_pairs.answers(view, spec, position, others)


def _one(run: Run, spec: RunSpec, item: str) -> None:
    """The pair that the address points at."""
    if st.button("All pairs", icon=":material/arrow_back:", key="back", type="tertiary"):
        state.choose_item(None)
        st.rerun()
    view = bias_pairs.view(run)
    position = view.position(item)
    about = view.frame.iloc[position]
    st.caption(
        f"{escaped(about['source'])} · {escaped(about['about'], 80)} · the address of this page leads back to it"
    )
    with st.container(border=True):
        bias_pairs.sentences(view, position)
        bias_pairs.answers(view, spec, position, list(view.arms))


def _again(run: Run, audit: Audited) -> None:
    """Start a child run in which one thing differs; where the family has others, compare all of them at once."""
    head, button = st.columns([3, 1.4], vertical_alignment="bottom")
    with head:
        st.subheader("Quality against bias", anchor=False, help=MEANINGS["pareto"])
    with button:
        _start_form(run)
    members = again.family(cache.workspace(), run)
    found = [(each, cache.audited(each)) for each in members]
    shown = [(r.id, what_differs(members[0].spec, r.spec), a, r.spec) for r, a in found if a is not None]
    waiting = [each for each, done in found if done is None]
    for each in waiting:
        status = escaped(words.STATUS_MARKS[each.status()][1])
        page.link("run", f"{one_line(each.spec.name, 90)}: {status}", icon=":material/arrow_forward:", run=each.id)
    drawn = draw.pareto_chart(shown or [(run.id, "", audit, run.spec)], run.id)
    if drawn is None:
        st.caption("Appears when at least two arms have both a gender gap and a quality.")
        return
    if len(shown) > 1:
        st.caption(f"{len(shown)} runs of one family: filled marks are this run's, hollow ones its relatives'.")
    charts.show(*drawn, key="pareto", says="Quality against the gender gap, one mark for each arm of each run.")


def _start_form(run: Run) -> None:
    if not people.may("engineer"):
        return
    with st.popover("Run again with …", icon=":material/replay:", width="stretch"):
        if run.spec.arm(run.spec.candidate).kind != "distilled":
            st.caption("The candidate was made elsewhere, so its training cannot be changed.")
            return
        change: Change = st.selectbox(
            "What differs", list(CHANGES), format_func=lambda c: CHANGES[c][0], key="again_change"
        )
        st.caption(CHANGES[change][1])
        strength, insert, column = 1.0, 0.5, None
        if change == "temperature":
            strength = st.number_input("Temperature", 0.1, 20.0, 4.0, 0.5, key="again_temperature")
        elif change not in HEADS:
            strength = st.number_input("Strength", 0.0, 100.0, 1.0, 0.5, key="again_strength")
        if change in ("averaging", "logit_pairing", "augmentation"):
            insert = st.slider(
                "Texts without a gendered word that are put beside a person, %", 0, 100, 50, key="again_insert"
            ) / 100  # fmt: skip
        if change == "reweighting" or change in HEADS:
            column = st.selectbox(
                "Group", [None, *run.spec.data.columns.groups], key="again_column",
                format_func=lambda c: "whom the text mentions" if c is None else one_line(c, 60),
            )  # fmt: skip
        if st.button("Start", type="primary", key="again_start", icon=":material/play_arrow:"):
            _start(run, lambda: again.child_spec(run, Again(change, strength, insert, column)))


def _start(run: Run, make: Any) -> None:
    try:
        people.need("engineer")
        child = again.start(cache.workspace(), run, make(), by=people.current().signature)
    except HeirloomError as error:
        page.show_error(error)
        return
    st.toast("The child run is queued; it appears here when it has ended.")
    page.go("run", run=child.id)
