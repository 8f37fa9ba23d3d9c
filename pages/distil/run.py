"""Run: how is it going?"""

from __future__ import annotations

import json

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from distill.events import STAGES, Curve, Event, Note
from distill.spec import LANGUAGE_MODELS
from distill.stages.unanswered import FILE as UNANSWERED
from distill.store import Run, Status
from pages.ui import actions, cache, charts, figures, frame, overview, page, palette, parts, words
from pages.ui.compare_charts import arm_label, kind_of
from pages.ui.overview import RunLine
from pages.ui.page import PageInfo
from pages.ui.text import escaped, one_line, visible

PAGE = PageInfo(
    group="Distil",
    title="Run",
    icon=":material/monitoring:",
    order=40,
    url_path="run",
    question="How is it going?",
    needs_run="any",
)
UNANSWERED_ROWS = 500
LOG_LINES = 400
MOST_NOTES = 8


def render() -> None:
    """Draw the page."""
    run = frame.run()
    line = overview.run_line(run)
    page.live(lambda: _live(run.id, line.status), while_active=line.active)
    _folded(run)


def _live(run_id: str, was: Status) -> None:
    """Everything that moves. When the status changes the whole page is drawn again: its frame shows it, and the polling may end."""
    run = cache.store().get(run_id)
    line = overview.run_line(run)
    if line.status != was:
        st.rerun()
    if line.active:
        actions.keep_runner_alive()
    events = cache.events(run)
    # fixed places: what comes and goes in one must not move the others, or the old ones stand twice for a moment
    headline, stages, curves, noted = (st.container() for _ in range(4))
    with headline:
        _headline(line, events)
    with stages:
        _stages(events, line, run.spec.review.required)
    with curves:
        _curves(run, events)
    with noted:
        _noted(events)


def _noted(events: list[Event]) -> None:
    """What was found, cut or left out on the way, once each: prompts that lost their beginning, answers that never end."""
    said = list(
        dict.fromkeys(event.message for event in events if isinstance(event, Note) and event.level == "warning")
    )
    if not said:
        return
    with st.container(border=True, key="noted", gap="xsmall"):
        st.markdown(":material/warning: **Noted on the way**")
        for message in said[:MOST_NOTES]:
            st.caption(escaped(message, 400))
        if len(said) > MOST_NOTES:
            st.caption(f"{len(said) - MOST_NOTES:,} more stand in the log.")


def _headline(line: RunLine, events: list[Event]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(width="stretch", gap=None):
            _sentence(line, events)
        with st.container(horizontal=True, width="content"):
            actions.buttons(line)
    if line.status == "running":
        st.progress(line.progress or 0.0)


def _sentence(line: RunLine, events: list[Event]) -> None:
    last = events[-1] if events else None
    if line.status == "running":
        st.markdown(overview.progress_text(line))
    elif line.status == "complete":
        st.markdown(f"**Complete** in {figures.duration(overview.working_seconds(events))}.")
        if line.answer:
            page.link("compare", "See what the student kept and lost", icon=":material/compare_arrows:", run=line.id)
    elif line.status == "failed":
        hint = getattr(last, "hint", "")
        st.error(f"{escaped(line.message, 600)} {escaped(hint, 600)}", icon=":material/error:")
    elif line.status == "awaiting_review":
        st.info(
            f"{escaped(line.message, 400)} Training goes on from the page Review, under 'What follows'.",
            icon=":material/rate_review:",
        )
        page.link("review", "Open the review", icon=":material/rate_review:", run=line.id)
    elif line.status == "interrupted":
        where = words.STAGE_NAMES.get(line.stage, "the start")
        st.warning(f"Interrupted at {where}. Nothing that was done is lost: resume it.", icon=":material/pause_circle:")
    elif line.status == "cancelled":
        st.info("Cancelled. What is done is kept; resume it to go on where it stopped.", icon=":material/stop_circle:")
    elif line.status == "queued":
        st.info(
            "Waits for the runner. It starts by itself as soon as the run before it ends.", icon=":material/schedule:"
        )


def _stages(events: list[Event], line: RunLine, run_reviews: bool) -> None:
    states = overview.stage_states(events, line.status)
    with st.container(horizontal=True, border=True, gap="medium", horizontal_alignment="distribute", key="stages"):
        for stage in STAGES:
            state = states[stage]
            if stage == "review" and not run_reviews:
                continue
            with st.container(width="content", gap=None):
                colour = _MARK_COLOURS[state.mark]
                st.markdown(f":{colour}[{state.mark}] **{words.STAGE_NAMES[stage]}**")
                st.caption(escaped(state.words, 120) or "waits")


_MARK_COLOURS = {"✔": "green", "▶": "blue", "○": "gray", "◌": "orange", "✖": "red", "◔": "violet"}


def _curves(run: Run, events: list[Event]) -> None:
    points = [e for e in events if isinstance(e, Curve)]
    if not points:
        return
    table = pd.DataFrame(
        [(e.arm, e.seed, e.step, e.name, e.value) for e in points], columns=["arm", "seed", "step", "name", "value"]
    )
    names = list(dict.fromkeys(table["name"]))
    first = [n for n in ("loss", "agreement", "dev_loss") if n in names]
    left, right = st.columns(2, gap="medium")
    for place, name in zip((left, right), [*first, *(n for n in names if n not in first)][:2], strict=False):
        with place:
            st.subheader(_CURVE_TITLES.get(name, one_line(name)), anchor=False)
            charts.show(
                _curve(run, table[table["name"] == name], name.endswith("loss")),
                table[table["name"] == name],
                key=f"curve_{name}",
                says=f"{name} by training step, one line an arm and seed.",
            )


_CURVE_TITLES = {
    "loss": "Loss",
    "agreement": "Agreement with the teacher on held-out texts",
    "dev_loss": "Loss on held-out prompts",
}


def _curve(run: Run, table: pd.DataFrame, is_loss: bool) -> go.Figure:
    made = charts.figure(
        height=300,
        xaxis=charts.axis("step"),
        yaxis=charts.axis("nats a token" if is_loss and run.spec.task == LANGUAGE_MODELS else "" if is_loss else "%"),
        margin={"l": 8, "r": 165, "t": 12, "b": 8},
    )
    dashes = ["solid", "dash", "dot", "dashdot", "longdash"]
    ends: list[tuple[str, float, str]] = []
    for arm, by_arm in table.groupby("arm", sort=False):
        label = charts.label(arm_label(run.spec, str(arm)), 28)
        colour = palette.colour_of(kind_of(run.spec, str(arm)))
        for number, (seed, unsorted) in enumerate(by_arm.groupby("seed", sort=False)):
            part = unsorted.sort_values("step")
            values = part["value"] if is_loss else 100 * part["value"]
            made.add_scatter(
                x=part["step"], y=values, mode="lines" if len(part) > 1 else "markers", marker={"color": colour, "size": 8}, line={"color": colour, "width": 2, "dash": dashes[number % len(dashes)]},
                hovertemplate=f"{label}, seed {seed}<br>step %{{x:,}}: %{{y:.3g}}<extra></extra>",
            )  # fmt: skip
            if number == 0:
                ends.append((label, float(values.iloc[-1]), colour))
    charts.end_labels(made, ends)
    return made


def _folded(run: Run) -> None:
    with st.expander("Log", icon=":material/notes:"):
        page.live(lambda: _log(run.id), while_active=overview.run_line(run).active, every=4.0)
    _unanswered(run)
    with st.expander("Spec", icon=":material/description:"):
        st.caption("Everything that decides the outcome. Copy it into a file for `heirloom run SPEC.yaml`.")
        st.code(visible(run.spec.to_yaml(), 100_000), language="yaml")
    with st.expander("Provenance", icon=":material/fingerprint:"):
        _provenance(run)


def _unanswered(run: Run) -> None:
    """Texts to which a teacher over the network gave no usable answer; nothing where there are none."""
    path = run.folder / UNANSWERED
    if not path.exists():
        return
    found = cache.table(path)
    if found.empty:
        return
    with st.expander(f"Without a usable answer ({len(found):,})", icon=":material/help:"):
        st.caption(
            "What the teacher said to these texts names none of the labels. They are left out of training, and out of every comparison "
            "for all arms; nothing is guessed."
        )
        shown = found.head(UNANSWERED_ROWS)
        charts.frame(
            pd.DataFrame(
                {
                    "set": shown["part"],
                    "row": shown["row_id"],
                    "text": shown["text"],
                    "its answer": shown["raw_answer"],
                    "why it is none": shown["reason"],
                }
            ),
            key="unanswered_table",
        )
        if len(found) > len(shown):
            st.caption(f"The first {len(shown):,} of {len(found):,}; all are in {UNANSWERED}.")


def _log(run_id: str) -> None:
    events = cache.events(cache.store().get(run_id))
    told = [line for event in events if (line := overview.log_line(event))]
    if not told:
        st.caption("Nothing yet.")
        return
    if len(told) > LOG_LINES:
        st.caption(f"The last {LOG_LINES} of {len(told):,} lines.")
    st.code("\n".join(visible(line, 1_000) for line in told[-LOG_LINES:]), language=None, wrap_lines=True, height=320)


def _provenance(run: Run) -> None:
    cards = list(cache.cards(run))
    if (run.folder / "teacher.json").exists():
        cards.insert(0, run.teacher)
    if cards:
        charts.frame(
            pd.DataFrame(
                [
                    {
                        "model": arm_label(run.spec, card.name),
                        "seed": "" if card.seed is None else str(card.seed),
                        "id": card.id,
                        "licence": card.licence or "not stated",
                        "layers": card.layers,
                        "parameters": figures.count(card.parameters),
                        "on disk": figures.size(card.bytes),
                        "trained on": figures.count(card.trained_on),
                        "human labels": figures.count(card.human_labels),
                        "training time": figures.duration(card.train_seconds),
                        "weights SHA-256": card.weights_digest[:16],
                    }
                    for card in cards
                ]
            ),
            key="models_table",
        )
    else:
        parts.empty("No model yet.", "Their digests and licences appear here as the run makes them.")
    resources = cache.data_json(run, "resources")
    if resources:
        st.code(visible(json.dumps(resources, indent=2, ensure_ascii=False), 20_000), language="json")
