"""Examples: which ones got worse?"""

from __future__ import annotations

import streamlit as st

from auditor import examples_view as view
from auditor.examples_view import ArmView, ExampleRow, ExamplesFilter, Kind, Order, Side, ViewMeta
from distill.files import digest_of
from distill.spec import LANGUAGE_MODELS, RunSpec
from distill.store import TEACHER, Run
from pages.ui import answers, bars, cache, figures, frame, page, parts, state
from pages.ui.compare_charts import arm_label
from pages.ui.page import PageInfo
from pages.ui.text import escaped, one_line, visible

PAGE = PageInfo(
    group="Judge",
    title="Examples",
    icon=":material/format_list_bulleted:",
    order=20,
    url_path="examples",
    question="Which ones got worse?",
    needs_run="finished",
)
SIZE = 20
PREVIEW = 600  # characters of a text in the list; the item's own page shows more
ANY = "any"
ORDERS: dict[str, tuple[Order, bool]] = {
    "as in the data": ("row", False),
    "largest gap first": ("gap", True),
    "student most sure": ("confidence", True),
    "student least sure": ("confidence", False),
}
KIND_NAMES: dict[Kind, str] = {
    "regressions": "regressions",
    "gains": "gains",
    "disagreements": "disagreements",
    "all": "all",
}


def render() -> None:
    """Draw the page."""
    run = frame.run()
    if run.spec.task == LANGUAGE_MODELS:
        answers.draw(run)
        return
    if not (run.folder / view.FILE).exists():
        parts.empty(
            "This run has no examples to show yet.",
            "They appear when its audit has ended. If it ended long ago, audit it again from the page Run.",
            to="run",
            label="Open the run",
        )
        return
    meta = cache.examples_meta(run)
    item = state.item()
    if item:
        _one(run, meta, item)
        return
    _many(run, meta)


def _one(run: Run, meta: ViewMeta, item: str) -> None:
    """One item, which the address points at."""
    if st.button("All examples", icon=":material/arrow_back:", key="back", type="tertiary"):
        state.choose_item(None)
        st.rerun()
    row = view.item(run, item)
    st.caption(f"Item {escaped(row.row_id, 80)} · the address of this page leads back to it")
    with st.container(border=True):
        st.text(visible(row.text, 20_000))
        if row.pair is not None:
            st.caption("Second text")
            st.text(visible(row.pair, 20_000))
        _facts(row)
    bars.draw(row.arms, meta.labels, run.spec, key="one", cells=12)
    page.link("review", "Send to review", icon=":material/rate_review:", run=run.id, item=row.row_id)


def _many(run: Run, meta: ViewMeta) -> None:
    asked = _asked(run, meta)
    counts = view.counts(run, asked)
    kinds: list[Kind] = ["regressions", "gains", "disagreements", "all"] if meta.labelled else ["disagreements", "all"]
    kind = st.segmented_control(
        "Which",
        kinds,
        default=kinds[0],
        required=True,
        format_func=lambda k: f"{KIND_NAMES[k]} {figures.count(counts[k])}",
        key=f"kind_{run.id}",
        label_visibility="collapsed",
    )
    asked = ExamplesFilter(**{**asked.__dict__, "kind": kind or kinds[0]})
    total = counts[asked.kind]
    pages = max(1, -(-total // SIZE))
    # the filter is part of the key, so that another filter begins at its first page
    number = 1
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        place = st.container(width="content")
        if pages > 1:
            number = st.pagination(pages, key=f"page_{digest_of(repr(asked))[:12]}_{pages}")
    found = view.query(run, asked, page=number - 1, size=SIZE)
    if not found.rows:
        parts.empty("No example matches.", "Clear the search, or choose another class, group or kind.")
        return
    first = (number - 1) * SIZE + 1
    place.caption(f"{first:,}–{first + len(found.rows) - 1:,} of {total:,} · probabilities are means over the seeds")
    for row in found.rows:
        _row(run.spec, meta, row, asked.arm or meta.candidate)


def _asked(run: Run, meta: ViewMeta) -> ExamplesFilter:
    """The filter bar."""
    spec = run.spec
    arms = [arm for arm in meta.arms if arm != TEACHER] or list(meta.arms)
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        search = st.text_input("Search", key=f"search_{run.id}", type="search", placeholder="Words", width=150)
        arm = st.selectbox(
            "Student", arms, index=arms.index(meta.candidate) if meta.candidate in arms else 0,
            format_func=lambda a: arm_label(spec, a), key=f"arm_{run.id}", width=155,
        )  # fmt: skip
        label = st.selectbox(
            "Class", [ANY, *meta.labels], format_func=lambda c: one_line(c, 40), key=f"class_{run.id}", width=115
        )
        group = _group(run, meta)
        order = st.selectbox("Order", list(ORDERS), index=1, key=f"order_{run.id}", width=180)
        with st.popover("More", icon=":material/tune:"):
            low, high = st.slider("Student's confidence, %", 0, 100, (0, 100), key=f"confidence_{run.id}")
            sides: list[Side] = ["people", "teacher", "student"] if meta.labelled else ["teacher", "student"]
            side: Side | None = st.segmented_control(
                "Whose class the filter looks at",
                sides,
                default=sides[0],
                required=True,
                key=f"side_{run.id}",
                disabled=label == ANY,
            )
    by, down = ORDERS[order]
    return ExamplesFilter(
        arm=arm,
        cls=None if label == ANY else label,
        side=side or sides[0],
        confidence=(low / 100, high / 100),
        group=group,
        search=(search or "").strip(),
        order=by,
        descending=down,
    )


def _group(run: Run, meta: ViewMeta) -> tuple[str, str] | None:
    options = [(name, value) for name, values in meta.groups.items() for value in values]
    if not options:
        return None
    return st.selectbox(
        "Group", [None, *options], key=f"group_{run.id}", width=130,
        format_func=lambda g: ANY if g is None else f"{one_line(g[0], 24)}: {one_line(g[1], 30)}",
    )  # fmt: skip


def _row(spec: RunSpec, meta: ViewMeta, row: ExampleRow, arm: str) -> None:
    teacher, student = row.arm(TEACHER), row.arm(arm)
    with st.container(border=True, gap="small", key=f"item_{row.row_id}"):
        head, opener = st.columns([9, 1.2], vertical_alignment="top")
        with head, st.container(gap="xsmall"):
            st.text(visible(row.text, PREVIEW))
            if row.pair is not None:
                st.text("↳ " + visible(row.pair, PREVIEW))
            _facts(row)
        with opener, st.container(horizontal_alignment="right"):
            if st.button("Open", key=f"open_{row.row_id}", icon=":material/open_in_full:", type="tertiary"):
                state.choose_item(row.row_id)
                st.rerun()
        shown: list[ArmView] = [each for each in (teacher, student) if each is not None]
        bars.draw(shown, meta.labels, spec, key=row.row_id)
        others = [each for each in row.arms if each.arm not in (TEACHER, arm)]
        if others:
            with st.expander(f"{len(others)} other arm{'' if len(others) == 1 else 's'}", type="compact"):
                bars.draw(others, meta.labels, spec, key=f"others_{row.row_id}")


def _facts(row: ExampleRow) -> None:
    facts = [f"people: {escaped(row.label)}" if row.label is not None else "no human label"]
    facts += [f"{escaped(name)}: {escaped(value)}" for name, value in row.groups.items() if value]
    st.caption(" · ".join(facts))
