"""New run: what will happen, and what will it cost, before it does?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st
from pydantic import BaseModel

from auditor.check import GIVES, checks_of
from distill.plugins import ARMS, TASKS, TEACHERS
from distill.presets import SUMMARIES
from distill.registry import Registry
from distill.spec import (
    LANGUAGE_MODELS,
    ArmSpec,
    AuditSpec,
    DataSpec,
    GateSpec,
    GenerationSpec,
    PriceSpec,
    ReviewSpec,
    RunSpec,
    SignalSpec,
    SplitSpec,
    StudentSpec,
    TrainingSpec,
)
from pages.ui import draft, error_prices, forms, frame, page, palette, parts, price_book, start_step, state, words
from pages.ui.page import PageInfo
from pages.ui.text import escaped, one_line

PAGE = PageInfo(
    group="Distil",
    title="New run",
    icon=":material/add_circle:",
    order=20,
    url_path="new",
    question="What will happen, and what will it cost, before it does?",
    role="engineer",
)
STEPS = {1: "1 Data", 2: "2 Teacher", 3: "3 Student", 4: "4 Arms and gates", 5: "5 Check and start"}
MINE = "mine"


def render() -> None:
    """Draw the page."""
    frame.heading(PAGE)
    _top()
    step = _stepper()
    with page.boundary(), st.container(border=True):
        _DRAW[step]()
    _feet(step)


def _top() -> None:
    """Name and preset."""
    left, right = st.columns(2, vertical_alignment="bottom", gap="medium")
    with left:
        draft.values()["name"] = st.text_input(
            "Name",
            value=draft.values().get("name") or _suggested(),
            max_chars=120,
            key=draft.key("name"),
            placeholder="What this run is about",
        )
    if draft.task() == LANGUAGE_MODELS:
        return  # the presets are settings of classifiers
    with right:
        chosen = st.segmented_control(
            "Preset", [*SUMMARIES, MINE], default=draft.preset() or MINE, required=True, key=draft.key("preset"),
            format_func=str.capitalize, help=" · ".join(f"**{name.capitalize()}**: {escaped(what)}" for name, what in SUMMARIES.items()),
        )  # fmt: skip
    if chosen in SUMMARIES and chosen != draft.preset():
        draft.apply_preset(chosen)
        st.rerun()
    if chosen == MINE:
        draft.values().pop("_preset", None)


def _suggested() -> str:
    """A name from the data and the student, until the person gives one."""
    source = draft.values().get("data", {}).get("source")
    if not source:
        return ""
    what = str(source.get("name") or source.get("id") or draft.shown_name(source.get("path", "")).rsplit("/", 1)[-1])
    layers = draft.values().get("student", {}).get("layers", 2)
    if layers == 0:
        return one_line(f"{what[:60]} · half of the layers", 120)
    return one_line(f"{what[:60]} · {layers if isinstance(layers, int) else len(layers)} layers", 120)


def _stepper() -> int:
    key = "new_step"
    if state.widget(key) != draft.step():
        state.set_widget(key, draft.step())
    chosen = st.segmented_control(
        "Step", list(STEPS), required=True, format_func=STEPS.__getitem__, key=key, label_visibility="collapsed", width="stretch",
        on_change=lambda: draft.go_to(int(state.widget(key))),
    )  # fmt: skip
    return int(chosen or 1)


def _feet(step: int) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        if step > 1:
            st.button("Back", icon=":material/arrow_back:", key="step_back", on_click=draft.go_to, args=(step - 1,))
        else:
            st.space("small")
        if step < len(STEPS):
            st.button(
                "Next",
                icon=":material/arrow_forward:",
                icon_position="right",
                type="primary",
                key="step_next",
                on_click=draft.go_to,
                args=(step + 1,),
            )


def _section(model: type[BaseModel], name: str, **options: Any) -> dict[str, Any]:
    """Draw one part of the draft and keep what comes back."""
    drawn = forms.draw(model, draft.part().get(name) or {}, draft.key(name), **options)
    draft.values()[name] = drawn
    return drawn


def _registered(registry: Registry[Any], label: str, present: str, key: str) -> str:
    """A choice among registered things, each with its one-line summary."""
    entries = {entry.name: entry for entry in registry if registry is TASKS or draft.task() in entry.tasks}
    if present not in entries:
        present = next(iter(entries))
    chosen = st.selectbox(
        label, list(entries), index=list(entries).index(present), key=key,
        format_func=lambda name: f"{name.replace('_', ' ')} · {entries[name].summary}",
    )  # fmt: skip
    return str(chosen)


def _data() -> None:
    data = draft.values().get("data")
    if not data or not data.get("source"):
        parts.empty(
            "No data are chosen.",
            "Look at them first, say which column holds what, then come back here.",
            to="data",
            label="Choose data",
        )
        return
    source = data["source"]
    name = source.get("name") or source.get("id") or draft.shown_name(str(source.get("path", "")))
    columns = data.get("columns", {})
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        writes = draft.task() == LANGUAGE_MODELS
        text, pair = ("prompt", "reference answer") if writes else ("text", "pair")
        said = f"**{escaped(name, 120)}** · {text} in *{escaped(columns.get('text', 'text'), 60)}*"
        said += f", {pair} in *{escaped(columns['pair'], 60)}*" if columns.get("pair") else ""
        said += ", no reference answer (choose a column as Pair)" if writes and not columns.get("pair") else ""
        if not writes:
            label = columns.get("label")
            said += f", label in *{escaped(label, 60)}*" if label else ", no human label"
        st.markdown(said)
        page.link("data", "Change", icon=":material/edit:")
    if len(TASKS.names()) > 1:
        task = _registered(TASKS, "Task", draft.task(), draft.key("task"))
        if task != draft.task():
            if draft.values().get("name") == _suggested():
                draft.values().pop("name")  # it speaks of the other task's student
            draft.change_task(task)
            st.rerun()
        draft.values()["task"] = task
    drawn = forms.draw(
        DataSpec,
        data,
        draft.key("data"),
        only=("max_rows", "language", "personal_data", "personal_data_engine"),
        columns=4,
    )
    st.markdown("**Split**", help="Seeded and stratified. The test rows are frozen before the teacher is asked.")
    split = forms.draw(SplitSpec, data.get("split") or {}, draft.key("split"), columns=3)
    draft.values()["data"] = {
        **data,
        **{name: drawn[name] for name in ("max_rows", "language", "personal_data", "personal_data_engine")},
        "split": split,
    }


def _teacher() -> None:
    teacher = draft.part("teacher")
    kind = _registered(TEACHERS, "Teacher", teacher.get("kind", "fine_tuned"), draft.key("teacher_kind"))
    options = teacher.get("options", {}) if kind == teacher.get("kind", kind) else {}
    drawn = forms.draw(TEACHERS.get(kind).options, options, draft.key(f"teacher.{kind}"), columns=3)
    draft.values()["teacher"] = {"kind": kind, "options": drawn}
    if draft.task() != LANGUAGE_MODELS:
        st.markdown("**How it labels**")
        _section(SignalSpec, "signals", columns=4)
        return
    st.markdown(
        "**How it answers**", help="The prompts are the pool's texts. Test prompts are answered without sampling."
    )
    _section(GenerationSpec, "generation", columns=3)
    asked = forms.draw(SignalSpec, draft.part("signals"), draft.key("signals"), only=("max_labels",), columns=3)
    draft.part("signals")["max_labels"] = asked["max_labels"]


def _student() -> None:
    st.markdown("**Where its weights come from**")
    _section(StudentSpec, "student", columns=3)
    st.markdown("**How it learns**")
    _section(TrainingSpec, "training", columns=4)
    drawn = forms.draw(RunSpec, draft.values(), draft.key("run"), only=("seeds",), columns=1)
    draft.values()["seeds"] = drawn["seeds"]


def _arms() -> None:
    arms = _present_arms()
    st.markdown(
        "**Arms**", help="Candidates made from the same data, all compared with the teacher on the same frozen test."
    )
    kept: list[dict[str, Any]] = []
    for position, arm in enumerate(arms):
        drawn = _arm(position, arm, removable=len(arms) > 1)
        if drawn is not None:
            kept.append(drawn)
    draft.values()["arms"] = kept
    _add_arm(kept)
    names = [arm["name"] or arm["kind"] for arm in kept]
    _audit(names)


def _present_arms() -> list[dict[str, Any]]:
    given = draft.values().get("arms")
    if given is None:
        return [arm.model_dump(mode="json") for arm in RunSpec.model_fields["arms"].default]
    return [ArmSpec.model_validate(arm).model_dump(mode="json") for arm in given]


def _arm(position: int, arm: dict[str, Any], *, removable: bool) -> dict[str, Any] | None:
    """One arm: its name, options and, where they differ from the run's, its student and training. None when it was removed."""
    entry = ARMS.get(arm["kind"])
    key = draft.key(f"arm{position}.{arm['kind']}")
    colour = palette.markdown_colour(arm["kind"])
    title = f":{colour}[●] {escaped(arm['name'] or arm['kind'])}"
    with st.expander(f"{title} · {escaped(entry.summary)}"):
        name = st.text_input("Name", value=arm["name"], key=f"{key}.name", help="Letters, digits, _ and -.")
        options = forms.draw(entry.options, arm["options"], f"{key}.options", columns=2)
        own: dict[str, Any] = {}
        models: tuple[tuple[str, type[BaseModel]], ...] = (("student", StudentSpec), ("training", TrainingSpec))
        for what, model in models:
            if st.toggle(f"Its own {what}", value=arm.get(what) is not None, key=f"{key}.own_{what}"):
                start = arm.get(what) or draft.values().get(what) or {}
                own[what] = forms.draw(model, start, f"{key}.{what}", columns=3)
        if removable and st.button(
            "Remove this arm", key=f"{key}.remove", icon=":material/remove_circle:", type="tertiary"
        ):
            rest = [other for index, other in enumerate(_present_arms()) if index != position]
            draft.replace({**draft.values(), "arms": rest})
            st.rerun()
    return {"kind": arm["kind"], "name": (name or "").strip() or arm["kind"], "options": options, **own}


def _add_arm(present: list[dict[str, Any]]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = _registered(ARMS, "Another arm", "distilled", draft.key("add_kind"))
        if st.button("Add", key="add_arm", icon=":material/add:"):
            taken = {arm["name"] for arm in present}
            name = next(n for n in [kind, *(f"{kind}-{i}" for i in range(2, 99))] if n not in taken)
            draft.replace({**draft.values(), "arms": [*present, {"kind": kind, "name": name, "options": {}}]})
            st.rerun()


def _audit(arms: list[str]) -> None:
    audit = draft.part("audit")
    st.markdown(
        "**Gates**",
        help="Limits declared before the run. Any required gate that fails: no. Any undecided: cannot tell. Else yes.",
    )
    audit["gates"] = _gates(audit.get("gates"))
    options, present = ["", *arms], audit.get("candidate") or ""
    candidate = st.selectbox(
        "Candidate: the arm that may replace the teacher", options, index=options.index(present) if present in options else 0, format_func=lambda a: a or "the first distilled or given one", key=draft.key("candidate"),
    )  # fmt: skip
    drawn = forms.draw(AuditSpec, audit, draft.key("audit"), only=("margin", "bias_margin", "resamples"), columns=3)
    with st.expander("Timing and prices", icon=":material/timer:"):
        prices = {**PriceSpec().model_dump(), **(audit.get("prices") or {})}
        prices["entry"] = price_book.entry_choice(prices["entry"], draft.key("price_entry"))
        prices = forms.draw(PriceSpec, prices, draft.key("prices"), only=("per_hour",), columns=3)
        if draft.task() != LANGUAGE_MODELS:  # a wrong label has a price, a wrong answer has no list of kinds
            prices = {**prices, **error_prices.editor(prices, draft.key("error_prices"))}
        more = forms.draw(
            AuditSpec, {**audit, **drawn, "prices": prices}, draft.key("audit_more"), only=("latency",), columns=3
        )
    draft.values()["audit"] = {**more, "gates": audit["gates"], "candidate": candidate}
    with st.expander("Review by people", icon=":material/rate_review:"):
        _section(ReviewSpec, "review", columns=4)


def _gates(given: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The gates as an editable table; a row needs one of the two limits."""
    measures = {name for entry in checks_of(draft.task()) for name in GIVES[entry.name]}
    present = AuditSpec.model_fields["gates"].default if given is None else [GateSpec.model_validate(g) for g in given]
    key = draft.key("gates")
    if state.widget(key) is None:
        # drawn anew: from then on the table must stay as it began, since the editor keeps edits against it
        columns = ["measure", "at_least", "at_most", "required"]
        made = pd.DataFrame([g.model_dump() for g in present], columns=columns)
        state.put("gates_start", made.astype({"at_least": "float64", "at_most": "float64"}))
    start: pd.DataFrame = state.get("gates_start")
    known = sorted({*measures, *(g.measure for g in present)})
    edited = st.data_editor(
        start,
        num_rows="dynamic",
        hide_index=True,
        key=key,
        column_config={
            "measure": st.column_config.SelectboxColumn("measure", options=known, required=True, width="medium",
                                                        format_func=lambda name: f"{words.word_of(str(name)).name} ({name})"),
            "at_least": st.column_config.NumberColumn("at least", format="%.4g"),
            "at_most": st.column_config.NumberColumn("at most", format="%.4g"),
            "required": st.column_config.CheckboxColumn("required", default=True),
        },
    )  # fmt: skip
    rows = edited.astype(object).where(edited.notna(), None).to_dict("records")
    return [
        {**{str(k): v for k, v in row.items()}, "required": bool(row["required"])} for row in rows if row["measure"]
    ]


_DRAW: dict[int, Callable[[], None]] = {1: _data, 2: _teacher, 3: _student, 4: _arms, 5: start_step.draw}
