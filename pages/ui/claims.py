"""Published expectations beside measured figures: one line and its source. Claims of others, never a result of a run."""

from __future__ import annotations

import streamlit as st

from auditor.expectations import LABEL, Expectation, expected
from pages.ui.text import escaped


def line(measure: str, kind: str) -> None:
    """What was published for this measure of this kind of arm: the range over many systems, the single figures in the help."""
    claims = [claim for claim in expected(measure, kind) if claim.span != "open"]
    if not claims:
        st.caption("no published figure")
        return
    first = claims[0]
    st.caption(
        f"published: {escaped(first.span)}",
        help=f"{LABEL}, a claim and no result of this run:  \n" + "  \n".join(map(_told, claims)),
    )


def _told(claim: Expectation) -> str:
    contested = " Contested." if claim.contested else ""
    return f"{escaped(claim.claim, 300)}{contested} {escaped(f'({claim.source})', 300)}"
