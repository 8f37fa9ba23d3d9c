"""The four cards of Compare: quality kept, speed gained, cost saved, size. Measured first, the published expectation beside it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from auditor.types import Measure
from distill.spec import RunSpec
from distill.store import TEACHER
from pages.ui import claims, figures, words
from pages.ui.cache import Audited
from pages.ui.compare_charts import kind_of
from pages.ui.text import escaped

QUALITY = ("accuracy_retention", "token_agreement", "agreement")


def four(audit: Audited, spec: RunSpec, arm: str) -> None:
    """Draw the four cards for one arm against the teacher."""
    kind = kind_of(spec, arm)
    with st.container(horizontal=True, gap="small", key="cards"):
        # what was published of accuracy kept stands beside that figure alone, not beside the agreement that stands in for it
        told = next((name for name in QUALITY if audit.measure(name, arm)), "agreement")
        _card("Quality kept", *_quality(audit, arm), claim=(told, kind))
        _card("Speed gained", *_speed(audit, arm), claim=("latency_speedup", kind))
        if audit.measure("total_cost_saving", arm) is not None:
            _card("Cost saved, errors included", *_cost_of_errors(audit, arm), claim=("total_cost_saving", kind))
        else:
            _card("Cost saved", *_cost(audit, arm), claim=("cost_saving", kind))
        _card("Size", *_size(audit, arm), claim=("compression", kind))


def _card(title: str, value: str, interval: str, detail: str, help_: str, *, claim: tuple[str, str]) -> None:
    with st.container(border=True, width="stretch", height="stretch", gap="xsmall"):
        st.metric(title, value, help=escaped(help_, 500))
        st.caption(escaped(interval) if interval else "no interval")
        st.markdown(escaped(detail))
        claims.line(*claim)


def _quality(audit: Audited, arm: str) -> tuple[str, str, str, str]:
    kept = audit.measure("accuracy_retention", arm)
    if kept is not None:
        detail = _change(audit, "accuracy", arm, figures.percent)
        return words.written(kept), words.written_interval(kept), f"accuracy {detail}", words.meaning_of(kept.name)
    chosen = audit.measure("token_agreement", arm)
    if chosen is not None:
        detail = "of the teacher's tokens are the student's choice too"
        return words.written(chosen), words.written_interval(chosen), detail, words.meaning_of(chosen.name)
    same = audit.measure("agreement", arm)
    why = "No human labels: agreement with the teacher stands in for quality."
    return (
        words.written(same),
        words.written_interval(same),
        "agreement with the teacher" if same else "not measured",
        why,
    )


def _speed(audit: Audited, arm: str) -> tuple[str, str, str, str]:
    gained = audit.measure("latency_speedup", arm)
    # the ratio is of medians, so those stand first; the slow answers are a further figure
    told = [
        f"{what} {_change(audit, name, arm, figures.figure)} ms"
        for name, what in _TIMES.items()
        if audit.measure(name, arm) and audit.measure(name, TEACHER)
    ]
    detail = " · also ".join(told[:2]) or "no model could be timed"
    return words.written(gained), words.written_interval(gained), detail, words.meaning_of("latency_speedup")


_TIMES = {
    "latency_p50_ms": "median",
    "latency_p95_ms": "p95",
    "time_per_output_token_p50_ms": "median of a token",
}


def _cost(audit: Audited, arm: str) -> tuple[str, str, str, str]:
    saved = audit.measure("cost_saving", arm)
    teacher = audit.measure("cost_per_1k", TEACHER)
    tiny = teacher is not None and (teacher.value or 0.0) < 0.01
    write = (lambda usd: figures.money(figures.scaled(usd, 1_000))) if tiny else figures.money
    what = "texts" if audit.measure("token_agreement", arm) is None else "answers"
    unit = f"per million {what}" if tiny else f"per 1,000 {what}"
    detail = f"{_change(audit, 'cost_per_1k', arm, write)} {unit}" if saved else "no model could be timed"
    return words.written(saved), words.written_interval(saved), detail, words.meaning_of("cost_saving")


def _cost_of_errors(audit: Audited, arm: str) -> tuple[str, str, str, str]:
    """With prices of errors, what is saved is counted on running and errors together."""
    saved = audit.measure("total_cost_saving", arm)
    detail = f"{_change(audit, 'total_cost_per_1k', arm, figures.money)} per 1,000 texts"
    return words.written(saved), words.written_interval(saved), detail, words.meaning_of("total_cost_saving")


def _size(audit: Audited, arm: str) -> tuple[str, str, str, str]:
    mine, teacher = audit.measure("size_bytes", arm), audit.measure("size_bytes", TEACHER)
    if mine is None or teacher is None or not mine.value or not teacher.value:
        return figures.NOTHING, "", "no model on disk", "Bytes of the weights on disk."
    if mine.value == teacher.value:
        value = "as large"
    else:
        smaller = mine.value < teacher.value
        ratio = teacher.value / mine.value if smaller else mine.value / teacher.value
        value = f"{figures.figure(ratio)}× {'smaller' if smaller else 'larger'}"
    return value, "exact", _change(audit, "size_bytes", arm, figures.size), "Bytes of the weights on disk."


def _change(audit: Audited, name: str, arm: str, write: Callable[[float | None], str]) -> str:
    def of(who: str) -> str:
        found: Measure | None = audit.measure(name, who)
        return write(found.value if found else None)

    return f"{of(TEACHER)} → {of(arm)}"
