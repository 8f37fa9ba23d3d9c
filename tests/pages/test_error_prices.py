from __future__ import annotations

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from distill.spec import PriceSpec
from pages.ui.error_prices import matrix_of, table_of

ERRORS = {"bad": {"good": 5.0, "fair": 1.0}, "good": {"bad": 0.5}}


def drawn(prices: dict) -> None:  # type: ignore[type-arg]  # its source runs alone, without the imports of this module
    import streamlit as st

    from pages.ui import error_prices

    st.session_state["found"] = error_prices.editor(prices, "k")


def test_the_editor_gives_back_what_the_spec_has_and_takes_a_default() -> None:
    app = AppTest.from_function(drawn, args=({"errors": ERRORS, "error_default": None},), default_timeout=30).run()
    assert not app.exception
    assert app.session_state["found"] == {"errors": ERRORS, "error_default": None}
    app.number_input(key="k.default").set_value(0.25).run()
    assert PriceSpec.model_validate(app.session_state["found"]) == PriceSpec(errors=ERRORS, error_default=0.25)


def test_rows_that_are_not_filled_in_are_left_out() -> None:
    rows: list[dict[str, object]] = [
        {"true label": "a", "taken for": " b ", "USD": 2},
        {"true label": "a", "taken for": None, "USD": 1.0},
    ]
    rows += [
        {"true label": "a", "taken for": "c", "USD": float("nan")},
        {"true label": " ", "taken for": "c", "USD": 1},
    ]
    assert matrix_of(rows) == {"a": {"b": 2.0}}


@pytest.mark.parametrize("errors", [ERRORS, {}])
def test_table_and_matrix_are_inverse(errors: dict[str, dict[str, float]]) -> None:
    made = table_of(errors)
    assert isinstance(made, pd.DataFrame) and matrix_of(made.to_dict("records")) == errors
