"""The page Alternatives in a real browser: the recommendation, the frontier chosen on dev with its marks, and the width in light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.screenshot import serve, settled
from tests.browser.conftest import visit
from tests.fakes import RUN_ID
from tests.pages.test_alternatives import sweep

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a sweep."""
    root: Path = tmp_path_factory.mktemp("swept")
    sweep(root, n_test=400, n_dev=300)
    with serve(root) as address:
        yield address


def test_the_frontier_is_chosen_on_dev_and_shows_its_marks(swept: str, window: Page) -> None:
    visit(window, f"{swept}/alternatives?run={RUN_ID}")
    expect(window.get_by_text(re.compile("By your weights")).first).to_be_visible()
    chart = window.locator(".st-key-frontier .js-plotly-plot, .stPlotlyChart.st-key-frontier").first
    chart.scroll_into_view_if_needed()
    for words in ("published limit, 95 % smaller", "teacher, 100 %", "to be kept, 97 %"):
        expect(window.get_by_text(words).last).to_be_attached()
    expect(window.get_by_text(re.compile("the test chose nothing")).first).to_be_visible()
    expect(window.get_by_text(re.compile("Dev chooses 'd")).first).to_be_visible()
    window.locator(".st-key-frontier_axis").get_by_text("Speed", exact=True).click()
    settled(window)
    expect(window.get_by_text("times faster, one text").last).to_be_attached()
    expect(window.get_by_text("Something went wrong")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_does_not_scroll_sideways(swept: str, browser: Browser, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(90_000)
    visit(page, f"{swept}/alternatives?run={RUN_ID}")
    expect(page.get_by_text("Frontier", exact=True).first).to_be_visible()
    wide = page.evaluate("(m => m.scrollWidth - m.clientWidth)(document.querySelector('[data-testid=stMain]'))")
    assert wide <= 1
    page.close()
