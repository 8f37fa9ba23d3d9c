"""The editor of what errors cost: USD for taking one label for another, and one for every error that has no price of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from pages.ui import state

COLUMNS = ["true label", "taken for", "USD"]


def editor(prices: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Draw the editor over the ``prices`` of a spec; returns their ``errors`` and ``error_default``.

    A pair without a price costs the default; a right answer costs nothing.
    """
    st.markdown(
        "**What does an error cost you?**",
        help="With prices of errors, quality becomes money: the audit gives the cost of errors of each arm, and the total with running.",
    )
    default = st.number_input(
        "USD for every error without a price of its own",
        min_value=0.0, value=prices.get("error_default"), format="%.4f", placeholder="none", key=f"{key}.default",
    )  # fmt: skip
    table = f"{key}.table"
    if state.widget(table) is None:
        # drawn anew: the editor keeps edits against the table that it began with
        state.put("error_prices_start", table_of(prices.get("errors") or {}))
    start: pd.DataFrame = state.get("error_prices_start")
    edited = st.data_editor(
        start,
        num_rows="dynamic",
        hide_index=True,
        key=table,
        column_config={
            "true label": st.column_config.TextColumn("true label", required=True),
            "taken for": st.column_config.TextColumn("taken for", required=True),
            "USD": st.column_config.NumberColumn("USD an error", min_value=0.0, format="%.4f", required=True),
        },
    )
    return {"errors": matrix_of(edited.to_dict("records")), "error_default": default}


def table_of(errors: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """The matrix as rows, one a priced pair of labels."""
    rows = [(true, taken, float(usd)) for true, row in errors.items() for taken, usd in row.items()]
    made = pd.DataFrame(rows, columns=COLUMNS)
    return made.astype({"true label": "object", "taken for": "object", "USD": "float64"})


def matrix_of(rows: Iterable[Mapping[Any, Any]]) -> dict[str, dict[str, float]]:
    """The matrix of a spec from the rows of the editor; a row that is not filled in is left out."""
    errors: dict[str, dict[str, float]] = {}
    for row in rows:
        true, taken, usd = (row.get(name) for name in COLUMNS)
        if not pd.isna(true) and not pd.isna(taken) and not pd.isna(usd) and str(true).strip() and str(taken).strip():
            errors.setdefault(str(true).strip(), {})[str(taken).strip()] = float(usd)
    return errors
