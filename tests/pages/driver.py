"""Drives the whole app (app.py, navigation, frame) in AppTest, as a deep link would open it."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from pages.ui.page import discover

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = tuple("" if found.info.default else found.info.url_path for found in discover())


def open_page(address: str, **ids: str) -> AppTest:
    """The page at ``address`` after its first pass; ``ids`` stand in the URL."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    # st.navigation picks the page by the hash of its address, as it does for a link that a browser opens
    app._page_hash = calc_hash(address)
    for name, value in ids.items():
        app.query_params[name] = value
    return app.run()


def said(app: AppTest) -> str:
    """Everything that the page says in words."""
    kinds = (
        app.title, app.subheader, app.markdown, app.caption, app.text, app.code, app.error, app.warning, app.info, app.metric,
    )  # fmt: skip
    pieces = [f"{getattr(each, 'label', '')} {each.value}" for kind in kinds for each in kind]
    return "\n".join(pieces)


def assert_well(app: AppTest) -> None:
    """No traceback and no error sentence on the page."""
    assert not app.exception, app.exception[0].value
    assert not app.error, app.error[0].value


def link_labels(app: AppTest) -> list[str]:
    """The labels of the links on the page."""
    return [str(link.proto.label) for link in app.get("page_link")]
