"""What a page is, how app.py finds it, and the one boundary that turns an error into a sentence."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from logging.handlers import RotatingFileHandler
from types import ModuleType
from typing import Literal

import streamlit as st

from distill.errors import HeirloomError
from distill.workspace import Workspace
from pages.ui import draft, state
from pages.ui.people import Role
from pages.ui.text import escaped

Group = Literal["Distil", "Judge", "Prove"]
GROUPS: dict[Group, str] = {"Distil": "pages.distil", "Judge": "pages.judge", "Prove": "pages.prove"}
LOG = logging.getLogger("heirloom.pages")


@dataclass(frozen=True)
class PageInfo:
    """What app.py needs to know of a page. See the docstring of :mod:`pages.ui`.

    Attributes:
        group: heading in the navigation.
        title: name in the navigation and on the page.
        icon: ``:material/…:``.
        order: place within the group.
        url_path: last part of its address; ids follow as query parameters.
        question: the one question that the page answers.
        needs_run: ``""``, ``"any"`` or ``"finished"``: which runs the frame offers.
        role: who may see it.
        default: the page that the bare address shows.
    """

    group: Group
    title: str
    icon: str
    order: int
    url_path: str
    question: str = ""
    needs_run: Literal["", "any", "finished"] = ""
    role: Role = "reader"
    default: bool = False


@dataclass(frozen=True)
class FoundPage:
    """A page and the function that draws it."""

    info: PageInfo
    render: Callable[[], None]


@cache
def discover() -> tuple[FoundPage, ...]:
    """Every page below ``pages/``, ordered by group and place."""
    found = [page for package in GROUPS.values() for page in _pages_in(importlib.import_module(package))]
    groups = list(GROUPS)
    return tuple(sorted(found, key=lambda page: (groups.index(page.info.group), page.info.order)))


def _pages_in(package: ModuleType) -> Iterator[FoundPage]:
    for entry in pkgutil.iter_modules(package.__path__, prefix=f"{package.__name__}."):
        module = importlib.import_module(entry.name)
        info = getattr(module, "PAGE", None)
        if isinstance(info, PageInfo):
            yield FoundPage(info, module.render)


def find(url_path: str) -> st.Page | None:
    """The navigation's page with this address, for links and switches; None before app.py has built it."""
    found: st.Page | None = state.get("navigation", {}).get(url_path)
    return found


def remember(navigation: dict[str, st.Page]) -> None:
    """Keep the navigation's pages by address, so that pages can link to one another."""
    state.put("navigation", navigation)


def link(url_path: str, label: str, *, icon: str | None = None, **ids: str) -> None:
    """A link to another page; ``ids`` go into its address (``run=``, ``item=``)."""
    page = find(url_path)
    if page is not None:
        st.page_link(page, label=label, icon=icon, query_params=ids or None)


def go(url_path: str, **ids: str) -> None:
    """Switch to another page now."""
    page = find(url_path)
    if page is not None:
        st.switch_page(page, query_params=ids or None)


@contextmanager
def boundary() -> Iterator[None]:
    """Show an error as one sentence: a HeirloomError's own, or a plain one with a reference to the log. Never a traceback."""
    try:
        yield
    except HeirloomError as error:
        show_error(error)
    except Exception:
        reference = uuid.uuid4().hex[:8]
        _log_to_file()
        LOG.exception("unexpected error, reference %s", reference)
        st.error(
            f"Something went wrong on this page. It is written down in the workspace's logs/app.log under {reference}. "
            "Nothing was lost; reload the page, and if it stays, report that reference.",
            icon=":material/error:",
        )


def show_error(error: HeirloomError) -> None:
    """An error's message and hint as one sentence."""
    sentence = escaped(draft.with_names(error.message), 600)
    st.error(f"{sentence} {escaped(error.hint, 600)}".strip(), icon=":material/error:")


def live(draw: Callable[[], None], *, while_active: bool, every: float = 2.0) -> None:
    """Draw a part that redraws itself every ``every`` seconds while ``while_active``; otherwise it is drawn once.

    ``draw`` calls ``st.rerun()`` itself when what it watches has ended.
    """

    def guarded() -> None:
        with boundary():
            draw()

    guarded.__qualname__ = f"live_{draw.__module__}_{draw.__qualname__}"
    st.fragment(guarded, run_every=every if while_active else None)()


@cache
def _log_to_file() -> None:
    folder = Workspace.default().root / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(folder / "app.log", maxBytes=1_000_000, backupCount=3, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
