"""Heirloom in the browser: finds the pages, builds the navigation and the frame, applies the role gate; nothing else."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from pages.ui import frame, page, people

UI = Path(__file__).parent / "pages" / "ui"

st.set_page_config(page_title="Heirloom", page_icon=":material/account_tree:", layout="wide")
st.html(UI / "style.css")
st.logo(UI / "logo.svg", size="large")

if people.sign_in_configured() and not people.current().name:
    people.draw_sign_in()
    st.stop()

sections: dict[str, list[st.Page]] = {group: [] for group in page.GROUPS}
by_address: dict[str, st.Page] = {}
for found in page.discover():
    info = found.info
    made = st.Page(
        partial(frame.draw, found), title=info.title, icon=info.icon, url_path=info.url_path, default=info.default
    )
    by_address[info.url_path] = made
    sections[info.group].append(made)
page.remember(by_address)

chosen = st.navigation({group: listed for group, listed in sections.items() if listed}, expanded=True)
with st.sidebar:
    people.draw_badge()
chosen.run()
