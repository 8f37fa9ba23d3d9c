"""The page Lineage in a real browser: the answer, the curve, and the width in light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from auditor.audit import audit_run
from scripts.screenshot import serve
from tests.auditor.test_lineage import IDS, make_chain
from tests.browser.conftest import visit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a chain of three generations."""
    root: Path = tmp_path_factory.mktemp("chained")
    for run in make_chain(root, n_test=400):
        audit_run(run)
        run.write_manifest()
    with serve(root) as address:
        yield address


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_answer_the_curve_and_the_graph_fit(chained: str, browser: Browser, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    visit(page, f"{chained}/lineage?run={IDS[2]}")
    expect(page.get_by_text(re.compile("Generation 3 gives the same label as generation 0 on"))).to_be_visible()
    expect(page.get_by_text(re.compile("no human label has been added"))).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    wide = page.evaluate("(m => m.scrollWidth - m.clientWidth)(document.querySelector('[data-testid=stMain]'))")
    assert wide <= 1
    expect(page.get_by_text("Something went wrong")).to_have_count(0)
    page.close()
