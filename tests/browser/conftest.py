from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from scripts.screenshot import CHROMIUM, serve, settled

Open = Callable[[str], Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium; without it the journeys are skipped, and say so."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}: apt install chromium, or set CHROMIUM")
    expect.set_options(timeout=60_000)  # a deadline, not a wait: the machine may be busy with other tests
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one finished, audited run; never changed."""
    from tests.fakes import make_fake_run

    root = tmp_path_factory.mktemp("finished")
    make_fake_run(root, audit=True, n_test=400, n_pool=60, n_train=20, n_dev=80)
    return root


@pytest.fixture
def home(tmp_path: Path, finished: Path) -> Path:
    """A copy of that workspace for tests that change it."""
    return Path(shutil.copytree(finished, tmp_path / "home"))


@pytest.fixture(scope="session")
def address(finished: Path) -> Iterator[str]:
    """One server for all tests that change nothing."""
    with serve(finished) as at:
        yield at


@pytest.fixture
def window(browser: Browser) -> Iterator[Page]:
    """A fresh window of 1,280 × 900."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(90_000)
    page = context.new_page()
    yield page
    context.close()


def visit(page: Page, url: str) -> None:
    """Open ``url`` and wait until it is drawn."""
    page.goto(url)
    settled(page)
