"""The report in a real browser: downloaded, opened offline, nothing in it runs and nothing is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from auditor.evidence.seal import seal
from auditor.report.stated import IntendedUse, state
from distill.workspace import Workspace
from scripts.screenshot import serve, settled
from tests.browser.conftest import visit
from tests.fakes import RUN_ID
from tests.pages.hostile import STRINGS, hostile_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hostile_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    run = hostile_run(root)
    workspace = Workspace(root).made()
    seal(workspace, run)
    state(workspace, run, IntendedUse(purpose=" ".join(STRINGS[:8])), STRINGS[0])
    return root


def test_the_html_opens_offline_and_nothing_runs(
    hostile_home: Path, window: Page, browser: Browser, tmp_path: Path
) -> None:
    asked: list[str] = []
    window.on("request", lambda request: asked.append(request.url))
    window.on("dialog", lambda dialog: asked.append(f"dialog: {dialog.message}"))
    with serve(hostile_home) as address:
        visit(window, f"{address}/report?run={RUN_ID}")
        preview = window.frame_locator("iframe").first
        expect(preview.get_by_role("heading", name="Verdict and gates", exact=True)).to_be_visible()
        with window.expect_download() as waiting:
            window.get_by_role("button", name="HTML", exact=False).first.click()
        waiting.value.save_as(tmp_path / "report.html")
        settled(window)
        assert window.title() != "owned"
        assert not [url for url in asked if "evil" in url or url.startswith("dialog")]
    offline = browser.new_context(offline=True, viewport={"width": 1100, "height": 900})
    page = offline.new_page()
    requests: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_timeout(500)
    assert len(requests) == 1 and not errors
    assert "owned" not in page.title()
    assert page.locator("script, img, iframe, object, link").count() == 0
    expect(page.locator("figure svg").first).to_be_visible()
    expect(page.get_by_text("<script>document.title='owned'</script>").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    offline.close()


def test_verify_now_ends_with_an_answer(hostile_home: Path, window: Page) -> None:
    with serve(hostile_home) as address:
        visit(window, f"{address}/report?run={RUN_ID}")
        window.get_by_role("button", name="Verify now").click()
        expect(window.get_by_text("Verified just now").or_(window.get_by_text("Verified 1 min ago"))).to_be_visible(
            timeout=180_000
        )
