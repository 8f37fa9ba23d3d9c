"""The page Bias in a real browser: the pairs, their address, hostile words, and the width."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.screenshot import serve, settled
from tests.browser.conftest import visit
from tests.fakes import RUN_ID
from tests.pages.test_bias import fake

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a run with a biased student."""
    root: Path = tmp_path_factory.mktemp("biased")
    fake(root)
    with serve(root) as address:
        yield address


def test_from_the_sentence_to_the_address_of_one_pair(biased: str, window: Page, browser: Browser) -> None:
    visit(window, f"{biased}/bias?run={RUN_ID}")
    expect(window.get_by_text(re.compile("Distillation changed the gender gap by"))).to_be_visible()
    window.locator("[class*='st-key-open_'] button").first.click()
    window.wait_for_url(re.compile("item="))
    settled(window)
    marked = window.locator("strong").first.inner_text()
    other = browser.new_page()
    visit(other, window.url)
    expect(other.locator("strong").first).to_have_text(marked)
    other.get_by_role("button", name="All pairs").click()
    expect(other.get_by_text("flipped in the student only")).to_be_visible()
    other.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_does_not_scroll_sideways(biased: str, browser: Browser, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    visit(page, f"{biased}/bias?run={RUN_ID}")
    wide = page.evaluate("(m => m.scrollWidth - m.clientWidth)(document.querySelector('[data-testid=stMain]'))")
    assert wide <= 1
    expect(page.get_by_text("Something went wrong")).to_have_count(0)
    page.close()


def test_run_again_says_what_each_mitigation_does(biased: str, window: Page) -> None:
    visit(window, f"{biased}/bias?run={RUN_ID}")
    window.get_by_role("button", name=re.compile("Run again with")).click()
    expect(window.get_by_text("the mean of the teacher's answers to both", exact=False)).to_be_visible()
    expect(window.get_by_role("button", name="Start", exact=True)).to_be_visible()
