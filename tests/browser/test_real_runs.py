"""Journeys with a real teacher and real students: minutes, so they share as little as they can and train as little as they can."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from playwright.sync_api import Page, expect

from distill.files import read_json
from distill.spec import load_spec
from distill.store import Run, RunStore
from distill.workspace import Workspace
from scripts.screenshot import ROOT, serve, settled
from tests.browser.conftest import visit

pytestmark = pytest.mark.slow
LONG = 600.0  # seconds that a tiny run may take on a busy machine


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A workspace whose runner, should it live, is ended by its pid when the test is over."""
    home = tmp_path / "home"
    yield home
    for record in (home / "runners").glob("*.json"):
        written = read_json(record)
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(written["pid"])
            if abs(process.create_time() - written["started"]) < 1.0:
                process.kill()


def until(true: Callable[[], bool], seconds: float = LONG) -> None:
    """Wait until ``true()``."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"still not true after {seconds:.0f} s"
        time.sleep(0.2)


def until_complete(run: Run) -> None:
    """Wait until the run is complete; one that failed says why instead of being waited for."""
    until(lambda: run.status() in {"complete", "failed", "interrupted"})
    last = run.events()[-1]
    assert run.status() == "complete", getattr(last, "message", last.kind)


def tiny_yaml(epochs: int = 1) -> str:
    """specs/tiny.yaml with one student; more epochs give time to press a button."""
    value = yaml.safe_load((ROOT / "specs" / "tiny.yaml").read_text(encoding="utf-8"))
    value |= {"name": "from the browser", "arms": ["distilled", "hard_label"], "seeds": [1]}
    value["training"]["epochs"] = epochs
    return str(yaml.safe_dump(value, sort_keys=False))


def start(page: Page, address: str, spec: str) -> None:
    """Paste a spec into New run and press Start; ends on the page Run."""
    visit(page, f"{address}/new")
    page.get_by_role("radio", name="5 Check and start").or_(
        page.get_by_role("button", name="5 Check and start")
    ).click()
    settled(page)
    page.get_by_text("Paste YAML").click()
    page.get_by_label("A RunSpec as YAML").fill(spec)
    page.get_by_label("A RunSpec as YAML").press("Control+Enter")
    settled(page)
    page.get_by_role("button", name="Use this YAML").click()
    expect(page.get_by_text("Time on this machine")).to_be_visible(timeout=120_000)
    name = page.get_by_placeholder("Name as it shall stand in the record")
    name.fill("Ada")
    name.press("Enter")
    settled(page)
    page.locator(".st-key-start button").click()
    expect(page.get_by_role("heading", name="Run", exact=True)).to_be_visible(timeout=120_000)


def the_run(home: Path) -> Run:
    """The only run of the workspace."""
    runs = RunStore(Workspace(home)).all()
    assert len(runs) == 1
    return runs[0]


def begun(run: Run, stage: str) -> bool:
    """True when a stage has begun."""
    return any(event.kind == "started" and event.stage == stage for event in run.events())


def test_the_tiny_spec_is_the_one_that_ships() -> None:
    assert load_spec(ROOT / "specs" / "tiny.yaml").seeds == (1, 2)


def test_a_run_is_started_watched_and_judged(home: Path, window: Page) -> None:
    with serve(home) as address:
        start(window, address, tiny_yaml())
        run = the_run(home)
        expect(window.locator(".st-key-stages")).to_contain_text("data")
        until_complete(run)
        # nobody reloads: the page sees the end by itself
        link = window.get_by_role("link", name=re.compile("what the student kept"))
        expect(link).to_be_visible(timeout=90_000)
        expect(window.get_by_role("heading", name="Loss", exact=True).first).to_be_visible()
        link.click()
        settled(window)
        expect(window.locator(".st-key-verdict")).to_be_visible()
        expect(window.get_by_text("Quality kept").first).to_be_visible()
        expect(window.get_by_text("Traceback")).to_have_count(0)


def test_a_server_that_dies_takes_no_run_with_it(home: Path, window: Page) -> None:
    with serve(home) as address:
        start(window, address, tiny_yaml())
        run = the_run(home)
        until(lambda: begun(run, "teacher"))
        server = psutil.Process().children()
        killed = [child for child in server if "streamlit" in " ".join(child.cmdline())]
        killed[-1].kill()
    assert run.status() == "running"
    with serve(home) as address:
        visit(window, f"{address}/run?run={run.id}")
        expect(window.locator(".st-key-run_bar")).to_contain_text(re.compile("running|complete"))
        until_complete(run)
        expect(window.get_by_role("link", name=re.compile("what the student kept"))).to_be_visible(timeout=90_000)


def test_cancel_then_resume_to_the_end(home: Path, window: Page) -> None:
    with serve(home) as address:
        start(window, address, tiny_yaml(epochs=4))
        run = the_run(home)
        until(lambda: begun(run, "students"))
        window.get_by_role("button", name="Cancel").click()
        until(lambda: run.status() == "cancelled", 90)
        expect(window.get_by_text("Cancelled. What is done is kept")).to_be_visible(timeout=90_000)
        window.get_by_role("button", name="Resume").click()
        until(lambda: run.status() not in {"cancelled", "interrupted"}, 90)
        until_complete(run)
        expect(window.get_by_role("link", name=re.compile("what the student kept"))).to_be_visible(timeout=90_000)
    reused = {event.stage for event in run.events() if event.kind == "finished" and event.reused}
    assert {"data", "teacher", "labels"} <= reused


def test_a_killed_runner_shows_as_interrupted_and_goes_on(home: Path, window: Page) -> None:
    with serve(home) as address:
        start(window, address, tiny_yaml(epochs=4))
        run = the_run(home)
        until(lambda: begun(run, "students"))
        psutil.Process(read_json(run.folder / "process.json")["pid"]).kill()
        expect(window.locator(".st-key-run_bar")).to_contain_text("interrupted", timeout=90_000)
        window.get_by_role("button", name="Resume").click()
        until(lambda: run.status() not in {"cancelled", "interrupted"}, 90)
        until_complete(run)
