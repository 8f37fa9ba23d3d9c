"""Two people in two browsers, a server that is killed, and texts that would like to run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from auditor.evidence.chain import verify_chain
from auditor.evidence.log import entries
from auditor.review import decisions_frame
from auditor.review.answers import REASONS
from auditor.review.plan import Wishes
from auditor.review.records import edits, problems
from auditor.review.rounds import begin
from distill.store import Run
from distill.types import read_frame, write_frame
from distill.workspace import Workspace
from tests.fakes import make_fake_run
from tests.fakes_generation import make_fake_generation_run
from tests.pages.hostile import STRINGS

ROOT = Path(__file__).resolve().parents[2]
WAIT = 90_000
CARDS = int(os.environ.get("HEIRLOOM_REVIEW_CARDS", "60"))  # of each of two people; 500 take eight minutes
pytestmark = pytest.mark.slow


class Server:
    """The app on a free port, that may be killed and started again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--server.address", "127.0.0.1", "--server.headless", "true"],
            cwd=ROOT,
            env={**os.environ, "HEIRLOOM_HOME": str(self.home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(600):
            with suppress(OSError), urllib.request.urlopen(f"{self.address}/_stcore/health"):
                return
            time.sleep(0.1)
        raise TimeoutError("the server did not start")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    server = Server(home)
    try:
        yield server
    finally:
        server.kill()


def sit_down(browser: Browser, server: Server, run: Run, name: str) -> Page:
    """A browser of its own in which ``name`` sees the first card."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(WAIT)
    page.goto(f"{server.address}/review?run={run.id}")
    page.get_by_placeholder("Name as it shall stand").fill(name)
    page.keyboard.press("Enter")
    page.wait_for_selector(".st-key-review_card")
    return page


def card_of(page: Page) -> str:
    found = page.locator(".st-key-review_card")
    return str(found.inner_text()) if found.count() else ""


def press_and_wait(page: Page, key: str) -> None:
    """Press a key until the card has changed; a press that the page was not ready for is made again, as a person would."""
    before = card_of(page)
    ends = time.monotonic() + WAIT / 1000
    while card_of(page) == before and time.monotonic() < ends:
        page.keyboard.press(key)
        for _ in range(40):
            page.wait_for_timeout(25)
            if card_of(page) != before:
                return


def well(workspace: Workspace, run: Run) -> None:
    assert verify_chain(entries(workspace, run.id), run.id).ok
    assert problems(workspace, run.id) == []


# presses a key as soon as another card is on the screen, and remembers which rows it has answered; a press that the page was not
# ready for is made again after three seconds, as a person would
FULL_SPEED = """([keys, count]) => {
  const read = () => { const e = document.querySelector('.st-key-review_card'); return e ? e.innerText : ''; };
  const row = text => (text.match(/· row (\\S+)/) || ['', ''])[1];
  const press = key => {
    for (const kind of ['keydown', 'keyup'])
      document.body.dispatchEvent(new KeyboardEvent(kind, {key, code: 'Digit' + key, keyCode: key.charCodeAt(0), bubbles: true}));
  };
  window.answered = [];
  let before = '', pressed = 0, last = 0;
  const timer = setInterval(() => {
    const now = row(read());  // the row, not the whole text: a card that is drawn piece by piece is one card
    if (!now) return;
    if (now !== before) {
      if (before) window.answered.push(before);
      if (window.answered.length >= count) { clearInterval(timer); return; }
      before = now;
      pressed += 1;
    } else if (performance.now() - last < 3000) {
      return;
    }
    last = performance.now();
    press(keys[pressed % keys.length]);
  }, 5);
}"""


def test_two_browsers_at_full_speed_lose_and_double_none(tmp_path: Path, browser: Browser) -> None:
    run = make_fake_run(tmp_path, n_pool=2 * CARDS + 50, n_test=30, n_dev=30, seeds=(1,), timings=False)
    workspace = Workspace(tmp_path).made()
    begin(workspace, run, Wishes(fraction=1.0, double_items=50, double_share=0.04), "Pat")
    with serving(tmp_path) as server:
        pages = {name: sit_down(browser, server, run, name) for name in ("Ada", "Ben")}
        began = time.monotonic()
        for page, keys in zip(pages.values(), ("12", "3"), strict=True):
            page.evaluate(FULL_SPEED, [keys, CARDS])
        for page in pages.values():
            page.wait_for_function(
                f"window.answered.length >= {CARDS}", timeout=max(900_000, 4_000 * CARDS), polling=500
            )
        seconds = time.monotonic() - began
        told = {f"{name} (self-declared)": page.evaluate("window.answered") for name, page in pages.items()}
    said = decisions_frame(workspace, run.id)
    assert said["standing"].all()
    assert not said.duplicated(["row_id", "reviewer"]).any()
    for who, rows in told.items():
        assert len(set(rows)) == CARDS
        assert said.loc[said["reviewer"] == who, "row_id"].tolist() == rows
    both = said["row_id"].value_counts()
    assert (said.set_index("row_id").loc[both[both > 1].index, "slots"] == 2).all()
    well(workspace, run)
    print(f"2 browsers, {CARDS} cards each: {seconds:.0f} s, {1000 * seconds / CARDS:.0f} ms a card")


def test_a_server_killed_between_key_and_answer_leaves_no_half_decision(tmp_path: Path, browser: Browser) -> None:
    run = make_fake_run(tmp_path, n_pool=60, n_test=30, n_dev=30, seeds=(1,), timings=False)
    workspace = Workspace(tmp_path).made()
    begin(workspace, run, Wishes(fraction=1.0, double_share=0), "Pat")
    with serving(tmp_path) as server:
        page = sit_down(browser, server, run, "Ada")
        press_and_wait(page, "1")
        for wait in (0.0, 0.02):
            before = len(decisions_frame(workspace, run.id))
            page.keyboard.press("2")
            time.sleep(wait)
            server.kill()
            after = len(decisions_frame(workspace, run.id))
            assert after - before in (0, 1)
            well(workspace, run)
            server.start()
            page = sit_down(browser, server, run, "Ada")
        press_and_wait(page, "1")
        assert len(decisions_frame(workspace, run.id)) == after + 1
    well(workspace, run)


def test_an_answer_is_accepted_mended_rejected_and_taken_back_by_keyboard(tmp_path: Path, browser: Browser) -> None:
    run = make_fake_generation_run(tmp_path, n_test=10, n_pool=40, n_dev=5)
    workspace = Workspace(tmp_path)
    begin(workspace, run, Wishes(fraction=0.2, double_share=0), "Pat")
    with serving(tmp_path) as server:
        page = sit_down(browser, server, run, "Ada")
        press_and_wait(page, "Enter")
        press_and_wait(page, "1")
        before = card_of(page)
        page.keyboard.press("e")
        field = page.get_by_label("The answer as it should be")
        field.press_sequentially(" Mended, see 3.")  # no letter or digit typed here is a key of the card
        assert card_of(page) == before
        words = field.input_value()
        field.press("Control+Enter")
        page.wait_for_function(
            "before => document.querySelector('.st-key-review_card')?.innerText !== before", arg=before
        )
        press_and_wait(page, "s")
        press_and_wait(page, "u")
    said = decisions_frame(workspace, run.id)
    said = said[said["standing"]]
    assert list(zip(said["kind"], said["label"], said["reason"], strict=True)) == [
        ("label", 0, ""),
        ("none", -1, REASONS[0]),
        ("label", 1, "wrong"),
    ]
    assert list(edits(workspace, run.id).values()) == [words.strip()]
    assert "Mended, see 3." in words
    well(workspace, run)


def test_nothing_that_a_text_says_runs(tmp_path: Path, browser: Browser) -> None:
    run = make_fake_run(tmp_path, n_pool=len(STRINGS) * 2, n_test=30, n_dev=30, seeds=(1,), timings=False)
    path = run.folder / "labels.parquet"
    labels = read_frame(path)
    texts = [*STRINGS, "a" * 1_000_000]
    labels["text"] = [texts[i % len(texts)] for i in range(len(labels))]
    write_frame(path, labels)
    begin(
        Workspace(tmp_path).made(), run, Wishes(fraction=1.0, double_share=0), "<script>document.title='owned'</script>"
    )
    asked: list[str] = []
    with serving(tmp_path) as server:
        page = sit_down(browser, server, run, "<img src=x onerror=\"document.title='owned'\">")
        page.on("request", lambda request: asked.append(request.url))
        for _ in range(len(texts)):
            card = page.locator(".st-key-review_card")
            assert card.locator("img, script, a, b").count() == 0
            assert len(card.inner_text()) < 25_000
            press_and_wait(page, "1")
        assert page.title() != "owned"
        assert page.locator("img[src='x']").count() == 0
    assert not [url for url in asked if "evil.invalid" in url]
