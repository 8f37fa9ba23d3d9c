"""What follows from a review, and its ways in and out: adjudication, apply, export, import, another round."""

from __future__ import annotations

import streamlit as st

from auditor.review import desk
from auditor.review.answers import Unit, unit_of
from auditor.review.applying import Corrections, apply_decisions, corrections, go_on_unchanged
from auditor.review.desk import Answer
from auditor.review.exchange import label_studio
from auditor.review.exchange.exporting import FORMATS, SUFFIXES, WHATS, export
from auditor.review.exchange.importing import ReviewImportError, import_decisions
from auditor.review.frame import load_frame
from auditor.review.plan import Strata
from auditor.review.records import notes
from auditor.review.results import differences, early_look
from auditor.review.rounds import Round, add_strata, close_round
from auditor.review.targeted import MEANING, add_targeted, sources_of
from distill import jobs
from distill.store import Run
from pages.ui import cache, page, people, review_children, review_plan, review_settle, state
from pages.ui.review_card import KEYED, LONGEST
from pages.ui.text import escaped, one_line, visible

_SUFFIX_KIND = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet", ".json": "label-studio"}


def draw_differences(run: Run, now: Round, reviewer: str) -> None:
    """The first difference between two people, to be settled; the next one follows."""
    waiting = differences(cache.workspace(), now)
    if not waiting:
        st.write("No two people differ on a card.")
        return
    frame = load_frame(run)
    first = waiting[0]
    if now.unit == "answers":
        review_settle.draw(run, frame, first, len(waiting), reviewer)
        return
    row = frame.card(first.row_index)
    st.caption(f"{len(waiting):,} to settle")
    with st.container(border=True, key="review_difference"):
        st.text(visible(row.text, LONGEST))
        if row.pair is not None:
            st.caption("Second text")
            st.text(visible(row.pair, LONGEST))
        written = notes(cache.workspace(), run.id)
        for who, kind, label in first.said:
            said = frame.labels[label] if label is not None else {"none": "none fits"}.get(kind, "skip")
            beside = written.get((now.number, first.row_id, who), "")
            st.markdown(
                f"- {escaped(who, 80)}: **{escaped(said, 60)}**{f' · {escaped(beside, 400)}' if beside else ''}"
            )
        st.caption("What the teacher said stays hidden here too.")
    note = st.text_input("Note", key=f"adjudicate_note_{first.item_id}", help="Needed when you are one of the two.")
    with st.container(horizontal=True):
        for k, name in enumerate(frame.labels):
            if st.button(
                escaped(name, 28), key=f"adjudicate_{first.item_id}_{k}", shortcut=str(k + 1) if k < KEYED else None
            ):
                _settle(run, first.item_id, reviewer, Answer("label", k, note=note or ""), len(frame.labels))
        if st.button("None fits", key=f"adjudicate_{first.item_id}_none", shortcut="X"):
            _settle(run, first.item_id, reviewer, Answer("none", note=note or ""), len(frame.labels))


def _settle(run: Run, item_id: int, by: str, answer: Answer, classes: int) -> None:
    people.need("reviewer")
    desk.adjudicate(cache.workspace(), run.id, item_id, by, answer, classes=classes)
    st.rerun()


def draw_apply(run: Run, now: Round, by: str) -> None:
    """What applying would change, and the buttons that do it."""
    workspace = cache.workspace()
    found = corrections(workspace, run)
    st.write(what_changes(found, now.unit))
    if people.may("engineer"):
        _start_runs(run, by, now.unit, bool(found.changed or found.dropped))
    else:
        st.caption(f"Applying starts a run, which needs {people.in_words('engineer')}.")
    review_children.draw(run)
    if now.closed:
        return
    _more_cards(run, now, by)
    look = early_look(workspace, now)
    if look is None or not look.final:
        _close(run, now, by)


def what_changes(found: Corrections, unit: Unit) -> str:
    """What applying the decisions does, in words."""
    one = unit.removesuffix("s")
    if not found.changed and not found.dropped:
        what = "an answer" if unit == "answers" else "a label"
        sentence = f"No decision changes {what} so far, so there is nothing to apply."
    else:
        changed = f"1 {one} changes" if found.changed == 1 else f"{found.changed:,} {unit} change"
        dropped = "1 row is" if found.dropped == 1 else f"{found.dropped:,} rows are"
        sentence = (
            f"Applying makes a new run: {changed} and {dropped} left out of training. The teacher is not asked again, and the student "
            "is held against this run's on the same test texts."
        )
    if found.unsettled:
        waiting = "1 difference is" if found.unsettled == 1 else f"{found.unsettled:,} differences are"
        sentence += f" {waiting} not settled and change{'s' if found.unsettled == 1 else ''} nothing."
    return sentence


def _start_runs(run: Run, by: str, unit: Unit, changes: bool) -> None:
    workspace = cache.workspace()
    with st.container(horizontal=True):
        if st.button(
            f"Apply decisions: label version {run.spec.label_version + 1}",
            type="primary",
            icon=":material/call_split:",
            key="review_apply",
            disabled=not changes,
            help=f"A child run with the corrected {unit}. All signals are reused; it is compared with this run.",
        ):
            people.need("engineer")
            child = apply_decisions(workspace, run, by)
            page.go("run", run=child.id)
        status = run.status()
        if status == "awaiting_review" and st.button(f"Go on with the {unit} as they are", key="review_unchanged"):
            people.need("engineer")
            go_on_unchanged(workspace, run, by)
            page.go("run", run=run.id)
        if status == "complete" and st.button(
            "Audit again",
            key="review_audit",
            icon=":material/refresh:",
            help="The review's figures enter the audit and the report.",
        ):
            people.need("engineer")
            jobs.audit_again(workspace, run.id, by)
            page.go("run", run=run.id)


def _more_cards(run: Run, now: Round, by: str) -> None:
    with st.expander("More cards", type="compact"):
        sources = list(sources_of(load_frame(run)))
        meaning = " ".join(MEANING[name] for name in sources)
        chosen = st.multiselect("Targeted queue", sources, key="more_targeted", help=meaning)
        each = st.number_input("At most so many from each", 1, 5_000, 50, key="more_each")
        if st.button("Add to the targeted queue", key="more_add", disabled=not chosen):
            people.need("reviewer")
            with st.spinner("Looking for suspicious cards …"):
                review_plan.say_dealt(add_targeted(cache.workspace(), run, tuple(chosen), int(each), by))
        if now.plan.wishes.strata is None:
            _strata_after_pilot(run, now, by)


def _strata_after_pilot(run: Run, now: Round, by: str) -> None:
    st.caption(
        "Further cards within strata sharpen the estimates; the lot is still judged on the simple random sample alone. After Neyman they "
        "go where this sample, the pilot, found errors."
    )
    extra = st.number_input("Further cards within strata, about", 1, 100_000, 200, key="more_extra")
    minimum = st.number_input("At least, in each stratum", 1, 1_000, 5, key="more_minimum")
    how = st.segmented_control("Allocate", ["Neyman", "proportional"], default="Neyman", required=True, key="more_how")
    group = st.selectbox(
        "Group",
        [None, *sorted(load_frame(run).groups)],
        key="more_group",
        format_func=lambda g: "none" if g is None else escaped(g, 40),
    )
    if st.button("Add cards within strata", key="more_strata"):
        people.need("reviewer")
        strata = Strata(extra=int(extra), minimum=int(minimum), allocation=how or "Neyman", group=group)
        dealt = add_strata(cache.workspace(), run, strata, by)
        st.toast(f"{dealt:,} cards added.")
        st.rerun()


def _close(run: Run, now: Round, by: str) -> None:
    with st.expander("Close this round early", type="compact"):
        reason = st.text_input(
            "Reason", key="close_reason", help="Goes into the record. The result stays an early look."
        )
        if st.button("Close the round", key="close_round", disabled=not (reason or "").strip()):
            people.need("reviewer")
            close_round(cache.workspace(), run, by, reason or "")
            st.rerun()


def draw_exchange(run: Run, by: str) -> None:
    """Files out and in."""
    out, into = st.columns(2, gap="large")
    with out:
        _out(run, by)
    with into:
        _in(run, by)


def _out(run: Run, by: str) -> None:
    st.markdown("**Out**")
    unit = unit_of(run)
    what = st.segmented_control(
        "What", WHATS, default="cards", required=True, key="export_what",
        format_func=lambda name: unit if name == "labels" else name,
    )  # fmt: skip
    kind = st.segmented_control("Format", FORMATS, default="csv", required=True, key="export_format")
    key = f"export_{run.id}_{what}_{kind}"
    if st.button("Prepare the file", key="export_make"):
        people.need("reviewer")
        state.put("review_export", (key, export(cache.workspace(), run, str(what), str(kind), by)))
    made = state.get("review_export")
    if made and made[0] == key and kind is not None:
        name = f"{run.id}-{what}{SUFFIXES[kind]}"
        st.download_button(f"Download {name}", made[1], file_name=name, key="export_load", icon=":material/download:")
    st.caption(
        "Every row is marked `synthetic: true` with the teacher's id. Cards of the sample are blind. Formulas are neutralised in CSV."
    )
    if kind == "label-studio":
        with st.expander("Labelling configuration for Label Studio", type="compact"):
            st.code(
                visible(label_studio.labelling_config(load_frame(run), run.spec.data.definitions), 20_000),
                language="xml",
            )


def _in(run: Run, by: str) -> None:
    st.markdown("**In**")
    given = st.file_uploader("Decisions made elsewhere", type=["csv", "jsonl", "parquet", "json"], key="import_file")
    words = "a label's name, none or skip"
    if unit_of(run) == "answers":
        words = "accept, edit with the column edit, reject with a reason, or skip"
    st.caption(f"Needs row_id and label ({words}). All of a file, or nothing and a line for each mistake.")
    if given is not None and st.button("Import", key="import_go", type="primary"):
        people.need("reviewer")
        suffix = f".{given.name.rsplit('.', 1)[-1].lower()}"
        try:
            entered = import_decisions(cache.workspace(), run, given.getvalue(), _SUFFIX_KIND.get(suffix, ""), by)
        except ReviewImportError as error:
            st.error(f"Nothing was imported: {len(error.problems):,} lines are wrong.", icon=":material/error:")
            st.text("\n".join(f"line {p.line}: {one_line(p.what, 200)}" for p in error.problems[:200]))
            return
        st.success(f"{entered:,} decisions entered.", icon=":material/check:")
