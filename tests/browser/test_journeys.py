"""Journeys of a person through the real app in a real browser, on a finished run."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.screenshot import serve, settled
from tests.browser.conftest import visit
from tests.fakes import RUN_ID
from tests.pages.hostile import hostile_run

pytestmark = pytest.mark.slow
WORDS = "".join(chr(97 + i % 26) * 2 + chr(97 + i // 26) + " " for i in range(300)).split()
PAGES = ("", "data", "new", "run", "compare", "examples")


@pytest.mark.parametrize(
    ("path", "title"), [("compare", "Compare"), (f"examples?run={RUN_ID}", "Examples"), ("data", "Data")]
)
def test_a_cold_deep_link_shows_its_page_in_the_frame(finished: Path, window: Page, path: str, title: str) -> None:
    """The very first request after a server start: Streamlit's old page discovery must not get in between."""
    with serve(finished) as address:
        visit(window, f"{address}/{path}")
        expect(window.get_by_role("heading", name=title, exact=True)).to_be_visible()
        expect(window.get_by_role("dialog")).to_have_count(0)
        expect(window.get_by_test_id("stSidebarNav")).to_contain_text("Runs")
        expect(window.get_by_test_id("stSidebarNav")).to_contain_text("Examples")
        if title != "Data":
            expect(window.locator(".st-key-run_bar")).to_contain_text("complete")
            assert f"run={RUN_ID}" in window.url


def test_from_the_verdict_to_the_address_of_one_regression(address: str, window: Page, browser: Browser) -> None:
    visit(window, f"{address}/compare?run={RUN_ID}")
    window.get_by_role("link", name=re.compile("See .* regressions")).click()
    settled(window)
    expect(window.get_by_role("heading", name="Examples", exact=True)).to_be_visible()
    expect(window.get_by_text("got worse").first).to_be_visible()
    text = window.get_by_test_id("stText").first.inner_text()
    window.locator("[class*='st-key-open_'] button").first.click()
    window.wait_for_url(re.compile("item="))
    settled(window)
    other = browser.new_page()
    visit(other, window.url)
    expect(other.get_by_test_id("stText").first).to_have_text(text)
    expect(other.get_by_role("cell", name="distilled student", exact=True)).to_be_visible()
    other.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways_at_1280(address: str, browser: Browser, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    for path in PAGES:
        visit(page, f"{address}/{path}")
        wide = page.evaluate("(m => m.scrollWidth - m.clientWidth)(document.querySelector('[data-testid=stMain]'))")
        assert wide <= 1, path
        expect(page.get_by_text("Traceback")).to_have_count(0)
        expect(page.get_by_text("Something went wrong")).to_have_count(0)
    page.close()


def test_hostile_text_stays_text(tmp_path: Path, window: Page) -> None:
    run = hostile_run(tmp_path)
    asked: list[str] = []
    window.on("request", lambda request: asked.append(request.url))
    row = run.examples.part("test").frame["row_id"].iloc[0]
    with serve(tmp_path) as address:
        for path in [*PAGES, f"examples?run={RUN_ID}&item={row}"]:
            visit(window, f"{address}/{path}")
            assert window.title() != "owned", path
            assert (
                window.locator("img[src*='evil.invalid'], a[href*='evil.invalid'], a[href^='javascript']").count() == 0
            )
        visit(window, f"{address}/examples?run={RUN_ID}")
        window.get_by_role("radio", name=re.compile("^all")).or_(
            window.get_by_role("button", name=re.compile("^all"))
        ).click()
        settled(window)
        expect(window.get_by_text("<script>", exact=False).first).to_be_visible()
        assert window.title() != "owned"
    assert not [url for url in asked if "evil.invalid" in url]


def test_delete_takes_two_presses(home: Path, window: Page) -> None:
    with serve(home) as address:
        visit(window, f"{address}/run?run={RUN_ID}")
        window.get_by_role("button", name="Delete").click()
        window.get_by_role("button", name="Keep it").click()
        settled(window)
        assert (home / "runs" / RUN_ID).exists()
        window.get_by_role("button", name="Delete").click()
        window.get_by_role("button", name="Delete for good").click()
        expect(window.get_by_text("There are no runs yet.")).to_be_visible(timeout=90_000)
    assert not (home / "runs" / RUN_ID).exists()


def test_the_run_list_can_be_used_with_the_keyboard(address: str, window: Page) -> None:
    visit(window, address)
    link = window.get_by_role("link", name=re.compile("airline tweets"))
    link.focus()
    window.keyboard.press("Enter")
    settled(window)
    expect(window.get_by_role("heading", name="Run", exact=True)).to_be_visible()
    window.wait_for_url(re.compile(f"run={RUN_ID}"))


def test_data_carry_on_to_a_new_run_and_its_steps(tmp_path: Path, window: Page) -> None:
    draw = random.Random(3)
    words = [[draw.choice(WORDS) for _ in range(9)] for _ in range(600)]
    rows = "\n".join(f"{' '.join(each)},{'good' if i % 2 else 'bad'}" for i, each in enumerate(words))
    (tmp_path / "rows.csv").write_text(f"text,label\n{rows}\n", encoding="utf-8")
    with serve(tmp_path / "home") as address:
        visit(window, f"{address}/data")
        window.get_by_text("Upload", exact=True).click()
        settled(window)
        window.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(tmp_path / "rows.csv")
        expect(window.get_by_text("600 rows")).to_be_visible(timeout=90_000)
        window.get_by_role("button", name="Use these data").click()
        settled(window)
        expect(window.get_by_role("heading", name="New run", exact=True)).to_be_visible()
        for sign in ("How it labels", "How it learns", "Another arm", "Time on this machine"):
            window.get_by_role("button", name="Next").click()
            expect(window.get_by_text(sign, exact=True)).to_be_visible(timeout=120_000)
            settled(window)
        expect(window.get_by_text("Time on this machine")).to_be_visible(timeout=120_000)
        name = window.get_by_placeholder("Name as it shall stand in the record")
        name.fill("Ada")
        name.press("Enter")
        settled(window)
        expect(window.get_by_role("button", name="Start")).to_be_enabled()
