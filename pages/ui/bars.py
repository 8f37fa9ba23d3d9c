"""Probability bars as a small table of text: every arm in a row, every label in a column. One light element, also for a screen reader."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from auditor.examples_view import ArmView
from distill.spec import RunSpec
from distill.store import TEACHER
from pages.ui import palette
from pages.ui.compare_charts import arm_label, kind_of
from pages.ui.text import escaped

MOST_LABELS = 5
OUTCOMES = {
    "regression": ":red[▼ got worse]",
    "gain": ":green[▲ got better]",
    "both right": "= both right",
    "both wrong": "= both wrong",
}
_FIGURE_SPACE = "\u2007"
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def draw(views: Sequence[ArmView], labels: Sequence[str], spec: RunSpec, key: str, cells: int = 9) -> None:
    """One row an arm: its answer, how that compares with the teacher, and its probability of each label as a bar.

    With more than MOST_LABELS labels only those are shown that some arm holds most probable.

    Args:
        views: the arms' answers to one item.
        labels: label names in the order of the probabilities.
        spec: for the arms' names and colours.
        key: unique on the page.
        cells: length of a bar for 100 %.
    """
    shown = _shown(views, labels)
    head = ["", *(escaped(labels[k], 28) for k in shown), ""]
    lines = [head, [":--"] * len(head)]
    for view in views:
        colour = palette.markdown_colour(kind_of(spec, view.arm))
        probs = [f"{_share(view, k, labels)} :{colour}[{bar(view.probs[k], cells)}]" for k in shown]
        lines.append([escaped(arm_label(spec, view.arm), 40), *probs, _against(view)])
    with st.container(key=f"bars_{key}"):
        st.markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))


def bar(share: float, cells: int) -> str:
    """A bar of ``share`` (0..1) in eighths of a character; at least a sliver for anything above 0."""
    eighths = round(max(0.0, min(1.0, share)) * cells * 8)
    if eighths == 0:
        return _EIGHTHS[1]
    return _EIGHTHS[8] * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def _share(view: ArmView, k: int, labels: Sequence[str]) -> str:
    text = f"{100 * view.probs[k]:.0f} %"
    room = _FIGURE_SPACE * (len("100 %") - len(text))  # so that the bars of a column begin at one place
    return room + (f"**{text}**" if labels[k] == view.answer else text)


def _against(view: ArmView) -> str:
    if view.arm == TEACHER:
        return f"says {escaped(view.answer, 28)}"
    agrees = "= agrees" if view.agrees else "≠ differs"
    return OUTCOMES.get(view.outcome or "", agrees)


def _shown(views: Sequence[ArmView], labels: Sequence[str]) -> list[int]:
    if len(labels) <= MOST_LABELS:
        return list(range(len(labels)))
    best = {k: max(view.probs[k] for view in views) for k in range(len(labels))}
    return sorted(sorted(best, key=lambda k: -best[k])[:MOST_LABELS])
