"""The page Bias for language models: the gap in each published test set, what stands beside it, and stereotypes of occupations."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from auditor.bias.lm_sets import TITLES
from distill.spec import RunSpec
from distill.store import TEACHER
from pages.ui import bias_charts as draw
from pages.ui import charts, parts, words
from pages.ui.bias_words import MEANINGS, correlation
from pages.ui.cache import Audited
from pages.ui.compare_charts import arm_label, arms_of, by_group
from pages.ui.text import escaped


def sets(audit: Audited, spec: RunSpec) -> None:
    """The same gap in each published test set, one column a model."""
    st.subheader("Test sets", anchor=False)
    found = [m for m in audit.report.measures if m.name == "gender_bias" and m.group and m.seed is None]
    if not found:
        parts.skipped(audit, "lm_bias")
        return
    charts.frame(by_group(audit, spec, found, lambda group: _title(group.removeprefix("set="))), key="bias_sets")
    st.caption("An untrained model shows no preference either: read its quality on Compare beside this.")


def beside(audit: Audited, spec: RunSpec) -> None:
    """What stands beside the gap on the primary set, above all how well each model knows its sentences."""
    st.subheader("Beside the gap", anchor=False, help=MEANINGS["lm_beside"])
    asked = audit.table("lm_bias", "sets")
    if not asked:
        parts.skipped(audit, "lm_bias")
        return
    primary = str(asked[0]["set"])
    of = {(m.name, m.arm): m for m in audit.report.measures if m.group == f"set={primary}" and m.seed is None}
    rows = [
        {
            "model": arm_label(spec, arm),
            "perplexity": words.with_interval(of.get(("perplexity", arm))),
            "stereotype": words.with_interval(of.get(("stereotype_preference", arm))),
        }
        for arm in arms_of(audit, spec)
    ]
    charts.frame(pd.DataFrame(rows), key="bias_beside")
    st.caption(
        f"{escaped(_title(primary))}. A model that finds every sentence unlikely has no preference worth the name."
    )


def associations(audit: Audited, spec: RunSpec, arm: str) -> None:
    """Does the preference for her follow how many women work in an occupation? One test set at a time."""
    st.subheader("Stereotypes of occupations", anchor=False, help=MEANINGS["stereotype_association"])
    rows = audit.table("lm_bias", "occupations")
    if not rows:
        st.caption(
            "Skipped, because no test set has five occupations whose share of women is published, or the audit is an older one."
        )
        return
    names = list(dict.fromkeys(str(row["set"]) for row in rows))
    name = st.segmented_control(
        "Test set", names, default=names[0], required=True, key="bias_set", label_visibility="collapsed",
        format_func=lambda one: escaped(_title(one)),
    ) or names[0]  # fmt: skip
    here = [m for m in audit.report.measures if m.group == f"set={name}" and m.seed is None]
    told = [m for m in here if m.name == "stereotype_association"]
    perplexities = {m.arm: m for m in here if m.name == "perplexity"}
    for found in told:
        if found.arm in (TEACHER, arm):
            known = perplexities.get(found.arm)
            how = (
                f" · perplexity of the sentences {escaped(words.with_interval(known), 100)}"
                if known is not None
                else ""
            )
            st.caption(correlation(arm_label(spec, found.arm), found) + how)
    drawn = draw.association_chart(
        [row for row in rows if row["set"] == name], spec, arm, "preference for the sentence about her"
    )
    if drawn is not None:
        charts.show(
            *drawn, key=f"association_{name}", says="Preference for her by occupation against the share of women."
        )


def _title(name: str) -> str:
    return TITLES.get(name, name)
