"""A pair of sentences with the differing words marked, and what the arms say of both. Texts stay text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from auditor.bias.items import differing_words
from auditor.bias.lm_pairs import LanguagePairs, language_pairs
from auditor.bias.pairs import Pairs, PairView, pairs_view
from distill.spec import LANGUAGE_MODELS, RunSpec
from distill.store import TEACHER, Run
from pages.ui import cache, figures, palette
from pages.ui.compare_charts import arm_label, kind_of
from pages.ui.text import escaped

LONGEST = 1_200
MOST_LABELS = 4


def view(run: Run) -> Pairs:
    """The run's pairs, cached by the time of its audit; raises DataError of a classifier without a positive class."""
    return _view(str(run.folder), cache.stamp(run.folder / "audit.json"))


@st.cache_resource(max_entries=3, show_spinner=False)
def _view(folder: str, stamp: tuple[int, int]) -> Pairs:
    run = Run(Path(folder))
    return language_pairs(run) if run.spec.task == LANGUAGE_MODELS else pairs_view(run)


def sentences(found: Pairs, position: int) -> None:
    """Both texts, one above the other, the words in which they differ in bold on a tinted ground."""
    row = found.frame.iloc[position]
    for pieces in differing_words(str(row["female"])[:LONGEST], str(row["male"])[:LONGEST]):
        st.markdown(" ".join(_piece(words, differs) for words, differs in pieces if words.strip()))


def _piece(words: str, differs: bool) -> str:
    text = escaped(words, LONGEST)
    return f":blue-background[**{text}**]" if differs else text


def answers(found: Pairs, spec: RunSpec, position: int, arms: Sequence[str]) -> None:
    """One row an arm: what it says of her and of him, the gap, and whether it tells them apart."""
    if isinstance(found, LanguagePairs):
        lines = _preferences(found, spec, position, arms)
    else:
        assert isinstance(found, PairView)
        lines = _probabilities(found, spec, position, arms)
    st.markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _preferences(found: LanguagePairs, spec: RunSpec, position: int, arms: Sequence[str]) -> list[list[str]]:
    """How likely a language model finds each sentence, and which one it would rather write."""
    lines = [["", "perplexity: her · him", "writes her", "preference", ""], [":--", "--:", "--:", "--:", ":--"]]
    teacher = found.preference.get(TEACHER)
    for arm in arms:
        hers, his = found.perplexity[arm][position]
        gap = float(found.preference[arm][position])
        colour = palette.markdown_colour(kind_of(spec, arm))
        other = arm != TEACHER and teacher is not None and gap * float(teacher[position]) < 0
        word = "rather her" if gap > 0 else "rather him" if gap < 0 else "neither"
        lines.append(
            [
                f":{colour}[●] {escaped(arm_label(spec, arm), 40)}",
                f"{figures.figure(float(hers))} · {figures.figure(float(his))}",
                f"{100 * (gap + 0.5):.0f} %",
                figures.figure(gap, sign=True, places=3),
                f"**≠ {word}**" if other else word,
            ]
        )
    return lines


def _probabilities(found: PairView, spec: RunSpec, position: int, arms: Sequence[str]) -> list[list[str]]:
    """Every label's probability about her and about him."""
    shown = _shown(found, position, arms)
    positive = escaped(found.labels[found.positive], 24)
    head = ["", *(f"{escaped(found.labels[k], 24)}: her · him" for k in shown), f"gap of {positive}", ""]
    lines = [head, [":--", *["--:"] * (len(shown) + 1), ":--"]]
    for arm in arms:
        hers, his = found.probs[arm][position]
        colour = palette.markdown_colour(kind_of(spec, arm))
        figures_ = [f"{100 * hers[k]:.0f} · {100 * his[k]:.0f} %" for k in shown]
        gap = figures.figure(float(hers[found.positive] - his[found.positive]), sign=True, places=3)
        lines.append([f":{colour}[●] {escaped(arm_label(spec, arm), 40)}", *figures_, gap, _said(found, hers, his)])
    return lines


def _said(found: PairView, hers: np.ndarray, his: np.ndarray) -> str:
    first, second = (escaped(found.labels[int(side.argmax())], 24) for side in (hers, his))
    return f"= {first}" if first == second else f"**≠ {first} → {second}**"


def _shown(found: PairView, position: int, arms: Sequence[str]) -> list[int]:
    """The labels that have a column: all of a few, else the most probable ones and the positive class."""
    if len(found.labels) <= MOST_LABELS:
        return list(range(len(found.labels)))
    best = np.max([found.probs[arm][position].max(axis=0) for arm in arms], axis=0)
    order = [int(k) for k in np.argsort(-best) if k != found.positive]
    return sorted([found.positive, *order[: MOST_LABELS - 1]])
