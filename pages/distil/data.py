"""Data: what is in these rows, and may a model learn from them?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from distill.spec import Columns, DataSpec
from pages.ui import charts, draft, figures, forms, frame, page, palette, parts, people, rows, state
from pages.ui.page import PageInfo
from pages.ui.text import escaped, one_line

PAGE = PageInfo(
    group="Distil",
    title="Data",
    icon=":material/dataset:",
    order=10,
    url_path="data",
    question="What is in these rows, and can a student learn from them?",
)
SOURCES = {
    "pack": "Ready data set",
    "upload": "Upload",
    "file": "Path on this machine",
    "hub": "Hugging Face hub",
}
NONE = "–"


def render() -> None:
    """Draw the page."""
    frame.heading(PAGE)
    source = _source()
    if source is None:
        return
    found = rows.profile(source, rows.own_columns(source))
    top = st.container()  # the answer stands above the mapping that it depends on
    mapping = _columns(source, found)
    found = rows.profile(source, mapping)
    with top:
        _answer(found)
        for note in found["notes"]:
            st.info(escaped(note, 500), icon=":material/info:")
    _use(source, mapping, found)
    _evidence(found)


def _source() -> dict[str, Any] | None:
    """Where the rows come from, as the plain data of a Source; None while nothing is chosen, which is then said. What reads a file of this
    machine, writes one or fetches is for engineers."""
    if not people.may("engineer"):
        st.caption(f"Ready data sets are open to all; other rows need {people.in_words('engineer')}.")
        return _pack()
    kind = st.segmented_control(
        "Where the rows come from",
        list(SOURCES),
        default="pack",
        required=True,
        format_func=SOURCES.__getitem__,
        key="data_kind",
    )
    if kind == "pack":
        return _pack()
    if kind == "upload":
        return _upload()
    if kind == "file":
        return _path()
    return _hub()


def _pack() -> dict[str, Any] | None:
    sets = rows.ready_sets()
    if not sets:
        parts.empty(
            "No ready data set is installed on this machine.",
            "`make demo` installs them from a hash-pinned list. Until then, upload a file or give a path.",
        )
        return None
    by_name = {each.name: each for each in sets}
    chosen = st.selectbox(
        "Data set", list(by_name), index=rows.first_of(sets), key="data_pack",
        format_func=lambda name: f"{name} · {by_name[name].summary}",
    )  # fmt: skip
    st.caption(f"Licence: {escaped(by_name[chosen].licence, 300)}")
    return {"kind": "pack", "name": chosen}


def _upload() -> dict[str, Any] | None:
    given = st.file_uploader(
        "A CSV, TSV, JSONL or Parquet file", type=["csv", "tsv", "txt", "jsonl", "json", "parquet"], key="data_upload"
    )
    if given is not None:
        kept = rows.keep_upload(given.name, given.getvalue())
        state.put("upload", str(kept))
        draft.name_upload(str(kept), given.name)
    stored = state.get("upload")
    if not stored or not Path(stored).exists():
        st.caption(
            "One row a text. The columns may be called anything; you say below which is which. It stays on this machine."
        )
        return None
    return {"kind": "file", "path": stored, **_reading("upload")}


def _path() -> dict[str, Any] | None:
    typed = st.text_input("Path of a file on this machine", key="data_path", placeholder="/data/tickets.csv")
    if not (typed or "").strip():
        st.caption("CSV, TSV, JSONL or Parquet. The file stays where it is; its digest goes into the run.")
        return None
    return {"kind": "file", "path": (typed or "").strip(), **_reading("path")}


def _reading(key: str) -> dict[str, Any]:
    with st.expander("How the file is read", type="compact"):
        left, right = st.columns(2)
        form = left.segmented_control(
            "Format", ["auto", "csv", "tsv", "jsonl", "parquet"], default="auto", required=True, key=f"{key}_format"
        )
        encoding = right.text_input("Encoding", key=f"{key}_encoding", placeholder="guessed, and said")
    return {"format": form or "auto", "encoding": (encoding or "").strip() or None}


def _hub() -> dict[str, Any] | None:
    first, second, third, fourth = st.columns([3, 2, 2, 2], vertical_alignment="bottom")
    with first:
        name = st.text_input("Data set id", key="hub_id", placeholder="cardiffnlp/tweet_eval")
    with second:
        config = st.text_input("Configuration", key="hub_config", placeholder="not set")
    with third:
        split = st.text_input("Split", key="hub_split", placeholder="all")
    with fourth:
        revision = st.text_input("Revision", key="hub_revision", placeholder="newest")
    wanted = {
        "kind": "hub",
        "id": (name or "").strip(),
        "config": config or None,
        "split": split or None,
        "revision": revision or None,
    }
    if st.button("Read it", key="hub_read", icon=":material/download:", disabled=not wanted["id"]):
        state.put("hub_asked", wanted)
    if state.get("hub_asked") != wanted:
        st.caption("Its own splits are kept. Nothing is fetched before you press the button.")
        return None
    return wanted


def _columns(source: dict[str, Any], found: dict[str, Any]) -> Columns:
    """The mapping of the columns; guessed first, the reader has the last word."""
    guess = found["mapping"]
    names = [column["name"] for column in found["columns"]]
    key = f"map_{rows.key_of(source)}"
    with st.expander("Which column holds what", icon=":material/view_column:", expanded=True):
        cells = st.columns(3)
        chosen: dict[str, Any] = {}
        for cell, field in zip([*cells, *cells], ("text", "label", "pair", "id", "split"), strict=False):
            explain = Columns.model_fields[field].description
            options = names if field == "text" else [NONE, *names]
            present = guess[field] if guess[field] in names else options[0]
            with cell:
                picked = st.selectbox(
                    forms.label_of(field), options, index=options.index(present), key=f"{key}_{field}",
                    help=escaped(explain, 300) if explain else None, format_func=lambda n: one_line(n, 60),
                )  # fmt: skip
            chosen[field] = None if picked == NONE else picked
        with cells[2]:
            chosen["groups"] = st.multiselect(
                "Groups", names, default=[g for g in guess["groups"] if g in names], key=f"{key}_groups",
                help=escaped(Columns.model_fields["groups"].description, 300), format_func=lambda n: one_line(n, 60),
            )  # fmt: skip
    return forms.check(Columns, chosen, "the columns")


def _answer(found: dict[str, Any]) -> None:
    """The page's answer in a sentence, with the figures it rests on."""
    labels = found["balance"]
    n = found["rows"]
    labelled = n - found["unlabelled"]
    said = f"**{figures.count(n)} rows**, "
    if labels:
        share = "all" if labelled == n else f"{figures.count(labelled)} of them"
        said += f"{share} labelled, with {len(labels)} labels."
    else:
        said += "without labels: a teacher can label them, and the audit will speak of fidelity only."
    if found["conflicting"]:
        said += f" {figures.count(found['conflicting'])} texts stand twice with different labels."
    st.markdown(said)
    with st.container(horizontal=True):
        words_ = found["lengths"].get("words", {})
        st.metric("Rows", figures.count(n), border=True)
        st.metric("Median length", f"{figures.count(words_.get('p50'))} words", border=True)
        st.metric("95 % are below", f"{figures.count(words_.get('p95'))} words", border=True)
        st.metric(
            "Repeated rows", figures.count(found["duplicates"]), border=True, help="Rows beyond the first of each text."
        )
        st.metric(
            "Empty texts", figures.count(found["empty_texts"]), border=True, help="They are left out and counted."
        )


def _use(source: dict[str, Any], mapping: Columns, found: dict[str, Any]) -> None:
    """Labels in the user's words, and the button that carries the data on to New run; nothing for who may start no run."""
    if not people.may("engineer"):
        return
    labels = [label for label in found["balance"] if label != "other"]
    key = f"labels_{rows.key_of({**source, 'label': mapping.label})}"
    chosen: dict[str, Any] = {}
    if labels:
        with st.expander("Labels: the teacher's words, meaning, which is the good one", icon=":material/label:"):
            chosen = _labels(labels, key)
    data = {"source": source, "columns": mapping.model_dump(mode="json"), **chosen}
    if st.button("Use these data", type="primary", icon=":material/arrow_forward:", key="use_data"):
        checked = forms.check(DataSpec, data, "the data").model_dump(mode="json")
        draft.part()["data"] = {
            **draft.part("data"),
            **checked,
            "split": draft.part("data").get("split", checked["split"]),
        }
        draft.replace(draft.values())
        draft.go_to(1)
        page.go("new")


def _labels(labels: list[str], key: str) -> dict[str, Any]:
    st.caption(
        "Fill the second column only where the teacher calls a label otherwise. The third is shown to reviewers."
    )
    edited = st.data_editor(
        pd.DataFrame(
            {"label in the data": labels, "teacher's label": [""] * len(labels), "what it means": [""] * len(labels)}
        ),
        hide_index=True,
        disabled=["label in the data"],
        key=f"{key}_table",
        height="content" if len(labels) <= 12 else 420,
    )
    names = {row[0]: (str(row[1] or "").strip(), str(row[2] or "").strip()) for row in edited.itertuples(index=False)}
    mapped = {label: teacher for label, (teacher, _) in names.items() if teacher and teacher != label}
    known = list(dict.fromkeys(mapped.get(label, label) for label in labels))
    positive = st.selectbox(
        "The label that is good for the person concerned", [NONE, *known], key=f"{key}_positive",
        help="Bias is judged on it where there are more than two labels. Leave it out where no label is good or bad for anybody.",
        format_func=lambda n: one_line(n, 60),
    )  # fmt: skip
    return {
        "label_map": mapped,
        "definitions": {mapped.get(label, label): meaning for label, (_, meaning) in names.items() if meaning},
        "positive": None if positive == NONE else positive,
    }


def _evidence(found: dict[str, Any]) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Label balance", anchor=False)
        if found["balance"]:
            charts.show(*_bars(found["balance"], "rows"), key="balance", says="How many rows carry each label.")
        else:
            st.caption("No label column is mapped.")
    with right:
        st.subheader("Text length", anchor=False)
        if found["lengths"]:
            charts.show(*_lengths(found["lengths"]["words"]), key="lengths", says="Percentiles of the length in words.")
    for name, counted in found["groups"].items():
        with st.expander(f"Group {escaped(name)}: {len(counted)} values", icon=":material/groups:"):
            charts.show(
                *_bars(counted, "rows"), key=f"group_{name}", says=f"How many rows each value of {one_line(name)} has."
            )
    _personal(found["personal"])
    st.subheader("First rows", anchor=False)
    names = [column["name"] for column in found["columns"]]
    charts.frame(pd.DataFrame(found["preview"], columns=names), key="preview", height=320)
    with st.expander("Columns", icon=":material/table_rows:"):
        charts.frame(pd.DataFrame(found["columns"]), key="columns_table")


def _personal(found: dict[str, Any]) -> None:
    """Likely personal data by kind, with masked examples, and where to say what happens to them."""
    if not found["rows"]:
        return
    beyond = f", {figures.count(found['private'])} of them beyond public handles" if found["private"] else ""
    with st.expander(
        f"Likely personal data in {figures.count(found['rows'])} rows{beyond}",
        icon=":material/shield_person:",
        expanded=bool(found["private"]),
    ):
        kinds = ", ".join(f"{figures.count(n)} {kind.replace('_', ' ')}" for kind, n in found["kinds"].items())
        st.caption(
            f"Found: {kinds}. New run asks whether to keep them, mask them or drop the rows before the teacher sees them."
        )
        charts.frame(pd.DataFrame(found["examples"]), key="personal_table")


def _bars(counted: dict[str, int], unit: str) -> tuple[go.Figure, pd.DataFrame]:
    shown = list(counted.items())[:20]
    total = sum(counted.values())
    made = charts.figure(
        height=60 + 34 * max(len(shown), 2),
        xaxis=charts.axis(unit, rangemode="tozero"),
        yaxis=charts.axis(autorange="reversed", ticklabelstandoff=4),
        margin={"l": 8, "r": 80, "t": 8, "b": 8},
    )
    made.add_bar(
        y=[charts.label(name, 28) for name, _ in shown],
        x=[n for _, n in shown],
        orientation="h",
        marker={"color": palette.SKY},
        text=[f" {n:,} · {100 * n / total:.1f} %" for _, n in shown],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:,}<extra></extra>",
    )
    table = pd.DataFrame(
        [{"value": name, unit: n, "share, %": round(100 * n / total, 1)} for name, n in counted.items()]
    )
    return made, table


def _lengths(percentiles: dict[str, float]) -> tuple[go.Figure, pd.DataFrame]:
    table = pd.DataFrame([{"percentile": int(name[1:]), "words": value} for name, value in percentiles.items()])
    made = charts.figure(
        height=220,
        xaxis=charts.axis("share of the texts, %", range=[0, 106]),
        yaxis=charts.axis("words at most", rangemode="tozero"),
    )
    made.add_scatter(
        x=table["percentile"], y=table["words"], mode="lines+markers+text", text=[f"{v:,.0f}" if p in (50, 95) else "" for p, v in zip(table["percentile"], table["words"], strict=True)],
        textposition="top left", cliponaxis=False, line={"color": palette.SKY, "width": 2, "shape": "linear"}, marker={"size": 7},
        hovertemplate="%{x} % of the texts have at most %{y:,.0f} words<extra></extra>",
    )  # fmt: skip
    return made, table
