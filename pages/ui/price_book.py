"""The price book: dated list prices, and the prices that a person put in over them."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from auditor.prices import PriceEntry, load_book, remove_entry, save_entry
from pages.ui import cache, charts, figures, forms, people
from pages.ui.text import one_line


def entry_choice(present: str, key: str) -> str:
    """A choice among the entries that a machine can be paid by; one that is not in the book stays a choice."""
    machines = {e.name: e for e in load_book(cache.workspace()).entries if e.kind == "machine"}
    names = list(machines) if present in machines else [present, *machines]
    chosen = st.selectbox(
        "Price of the machine", names, index=names.index(present), key=key,
        format_func=lambda n: _title(machines[n]) if n in machines else f"{one_line(n, 60)} (not in the book)",
    )  # fmt: skip
    return str(chosen)


def draw() -> None:
    """The book as a table, and a form that keeps a price of one's own."""
    book = load_book(cache.workspace())
    rows = [
        {
            "entry": entry.name,
            "what": entry.title,
            "per hour": figures.money(entry.per_hour),
            "per 1k tokens read": figures.money(entry.per_1k_input),
            "per 1k tokens written": figures.money(entry.per_1k_output),
            "seen": entry.date.isoformat(),
            "source": entry.source if entry.list_price else "put in here",
        }
        for entry in book.entries
    ]
    charts.frame(pd.DataFrame(rows), key="price_table")
    if not people.may("engineer"):
        return
    st.caption(
        "A price of your own replaces the list price of that name. Audits that exist keep theirs until the run is audited again."
    )
    with st.form("price_form", border=False):
        cells = st.columns([2, 3, 2, 1.2], vertical_alignment="bottom")
        name = cells[0].text_input("Entry", value="own-machine", key="price_name")
        title = cells[1].text_input("What it is", key="price_title")
        price = cells[2].number_input(
            "USD per hour", min_value=0.0, value=0.05, step=0.01, format="%.4f", key="price_hour"
        )
        kept = cells[3].form_submit_button("Keep", type="primary")
    if kept:
        people.need("engineer")
        values = {"name": name, "title": title, "per_hour": price, "date": dt.date.today(), "list_price": False}
        save_entry(cache.workspace(), forms.check(PriceEntry, values, "the price"))
        st.rerun()
    own = [entry.name for entry in book.entries if not entry.list_price]
    for name in own:
        if st.button(
            f"Forget the own price of {name}", key=f"price_forget_{name}", type="tertiary", icon=":material/delete:"
        ):
            people.need("engineer")
            remove_entry(cache.workspace(), name)
            st.rerun()


def _title(entry: PriceEntry) -> str:
    return one_line(f"{entry.name} · {figures.money(entry.per_hour)} an hour · {entry.title}", 120)
