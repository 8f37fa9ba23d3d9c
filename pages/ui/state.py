"""The only user of session_state and of query parameters. The URL carries ids only, never texts or numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

RUN, ITEM = "run", "item"
_PREFIX = "heirloom."


def get(name: str, default: Any = None) -> Any:
    """What this person's session holds under ``name``."""
    return st.session_state.get(_PREFIX + name, default)


def put(name: str, value: Any) -> None:
    """Keep ``value`` under ``name`` for this person's session."""
    st.session_state[_PREFIX + name] = value


def forget(name: str) -> None:
    """Drop what is kept under ``name``."""
    st.session_state.pop(_PREFIX + name, None)


def once(name: str, make: Callable[[], Any]) -> Any:
    """What is kept under ``name``, made on first use."""
    if _PREFIX + name not in st.session_state:
        put(name, make())
    return get(name)


def widget(key: str, default: Any = None) -> Any:
    """The value of the widget with this key, before it is drawn in this pass."""
    return st.session_state.get(key, default)


def set_widget(key: str, value: Any) -> None:
    """Give the widget with this key a value; only before it is drawn, or in a callback."""
    st.session_state[key] = value


def run_id() -> str | None:
    """The run under inspection: from the URL, else from this session."""
    return st.query_params.get(RUN) or get(RUN)


def choose_run(run: str) -> None:
    """Put ``run`` under inspection, for this session and in the URL; a chosen item of another run is dropped."""
    if get(RUN) not in (None, run):
        choose_item(None)
    put(RUN, run)
    if st.query_params.get(RUN) != run:
        st.query_params[RUN] = run


def forget_run() -> None:
    """No run is under inspection any more (it was deleted)."""
    forget(RUN)
    st.query_params.pop(RUN, None)
    choose_item(None)


def item() -> str | None:
    """The item that the URL points at."""
    return st.query_params.get(ITEM)


def choose_item(item_id: str | None) -> None:
    """Point the URL at an item, or at none."""
    if item_id is None:
        st.query_params.pop(ITEM, None)
    elif st.query_params.get(ITEM) != item_id:
        st.query_params[ITEM] = item_id
