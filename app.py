"""Heirloom in the browser: finds the pages, builds the navigation and hands each page to its frame, which applies the role gate; nothing else."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from pages.ui import frame, page, people

UI = Path(__file__).parent / "pages" / "ui"


def main() -> None:
    """One pass of the app for one session."""
    st.set_page_config(page_title="Heirloom", page_icon=UI / "mark.svg", layout="wide")
    st.html(UI / "style.css")
    st.logo(UI / "logo.svg", size="large")
    if people.sign_in_configured() and not people.current().name:
        people.draw_sign_in()
        return
    sections: dict[str, list[st.Page]] = {group: [] for group in page.GROUPS}
    by_address: dict[str, st.Page] = {}
    for found in page.discover():
        info = found.info
        draw = partial(frame.draw, found)
        made = st.Page(draw, title=info.title, icon=info.icon, url_path=info.url_path, default=info.default)
        by_address[info.url_path] = made
        sections[info.group].append(made)
    page.remember(by_address)
    chosen = st.navigation({group: listed for group, listed in sections.items() if listed}, expanded=True)
    with st.sidebar:
        people.draw_badge()
    chosen.run()


if __name__ == "__main__":
    main()
else:
    # The server imports this file before the first session (`streamlit run` sees the App below). Because of the folder
    # 'pages', Streamlit would take the first session for one of the old kind, with a page a file, and tell whoever opens a
    # deep link first that the page is not found. Our pages come from st.navigation alone.
    PagesManager.uses_pages_directory = False
    app = st.App(__file__)
