"""Alternatives of a run of language models: every way of making the small model side by side. What was published is about classifiers."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from distill.spec import RunSpec
from distill.store import TEACHER
from pages.ui import charts, words
from pages.ui.cache import Audited
from pages.ui.compare_charts import arm_label, arms_of
from pages.ui.text import escaped

CONTROL = "token_agreement_over_control"
PAIRED = {
    CONTROL: "the teacher's text alone (sequence level), token agreement",
    "token_agreement_over_undistilled": "no training at all, token agreement",
}
COLUMNS = {
    "token agreement": "token_agreement",
    "KL, nats a token": "kl_divergence",
    "faster": "latency_speedup",
    "1,000 answers": "cost_per_1k",
    "size": "size_bytes",
    "change of the gender gap": "gender_bias_change",
}


def draw(audit: Audited, spec: RunSpec) -> None:
    """The answer, then one row an arm."""
    arms = [arm for arm in arms_of(audit, spec) if arm != TEACHER]
    with st.container(border=True, gap="small", key="alternatives_answer"):
        st.subheader(escaped(_sentence(audit, spec, arms), 500), anchor=False)
        for name, what in PAIRED.items():
            for found in audit.report.measures:
                if found.name == name and found.value is not None and found.seed is None:
                    st.caption(
                        escaped(f"{arm_label(spec, found.arm)} against {what}: {words.with_interval(found)}.", 300)
                    )
    st.subheader("Every arm", anchor=False)
    rows = []
    for arm in arms_of(audit, spec):
        cells = {head: words.with_interval(audit.measure(name, arm)) for head, name in COLUMNS.items()}
        rows.append({"arm": arm_label(spec, arm), **cells})
    charts.frame(pd.DataFrame(rows), key="lm_alternatives")
    st.caption(
        "Agreement is with the teacher's own tokens, so the teacher has all of it. Speed and change are against the teacher."
    )


def _sentence(audit: Audited, spec: RunSpec, arms: list[str]) -> str:
    """Which arm stays nearest to the teacher, and whether the control, which learnt from the teacher's text alone, would have done.

    Only paired differences decide that: intervals of two arms on the same prompts may overlap though one is certainly better.
    """
    known = [
        (arm, m) for arm in arms if (m := audit.measure("token_agreement", arm)) is not None and m.value is not None
    ]
    if not known:
        return "No arm has a token agreement, so none can be ranked."
    best, mine = max(known, key=lambda each: each[1].value or 0.0)
    head = f"{arm_label(spec, best)} chooses most of the teacher's tokens, {words.with_interval(mine)}"
    over = audit.measure(CONTROL, spec.candidate)
    if over is None or over.low is None or over.high is None:
        return f"{head}."
    said = "does better than" if over.low > 0 else "does worse than" if over.high < 0 else "cannot be told from"
    return f"{head}. {arm_label(spec, spec.candidate)} {said} the teacher's text alone."
