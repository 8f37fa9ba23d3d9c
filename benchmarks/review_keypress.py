"""How long from a keypress to the next card, in the browser, on a frame of 100,000 labels? Limit: 150 ms at the median.

.venv/bin/python benchmarks/review_keypress.py --cards 200

Measured is everything between the key and the next card's text on the screen: network, server, database with two durable
transactions, and drawing. The server's share is smaller. For comparison the same number of bare reruns of an empty
Streamlit fragment with one button is timed on the same machine: the ratio says what the review costs beside Streamlit itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
LIMIT_MS = 150.0
sys.path.insert(0, str(ROOT))

BARE = """import streamlit as st
@st.fragment
def card():
    n = st.session_state.setdefault("n", 0)
    def more(): st.session_state["n"] += 1
    st.text(f"card {n}")
    st.button("one", key=f"b{n}", shortcut="1", on_click=more)
card()
"""
# resolves with the ms between the key and the first change of the watched text, seen by the browser itself
WATCH = """([selector, key]) => new Promise(done => {
  const read = () => { const e = document.querySelector(selector); return e ? e.innerText : ''; };
  const before = read(); const start = performance.now();
  const look = () => { const now = read(); if (now && now !== before) { observer.disconnect(); done(performance.now() - start); } };
  const observer = new MutationObserver(look);
  observer.observe(document.body, {childList: true, subtree: true, characterData: true});
  document.body.dispatchEvent(new KeyboardEvent('keydown', {key, code: 'Digit' + key, keyCode: key.charCodeAt(0), bubbles: true}));
  document.body.dispatchEvent(new KeyboardEvent('keyup', {key, code: 'Digit' + key, keyCode: key.charCodeAt(0), bubbles: true}));
})"""


@contextlib.contextmanager
def serve(script: Path, home: Path) -> Iterator[str]:
    """A Streamlit server on a free port; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    environment = {**os.environ, "HEIRLOOM_HOME": str(home)}
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health") as answer:
                if answer.status == 200:
                    break
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def settled(page: Page) -> None:
    """Wait until the script has run."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=120_000)


def time_keys(page: Page, selector: str, presses: int) -> list[float]:
    """Milliseconds of each press, the first five left out."""
    page.wait_for_selector(selector, timeout=120_000)
    settled(page)
    taken = []
    for _ in range(presses + 5):
        taken.append(float(page.evaluate(WATCH, [selector, "1"])))
        settled(page)
    return taken[5:]


def prepare(home: Path, labels: int) -> str:
    """A run with ``labels`` synthetic labels and a planned review; returns its id."""
    from auditor.review.plan import Wishes
    from auditor.review.rounds import begin
    from distill.workspace import Workspace
    from tests.fakes import make_fake_run

    run = make_fake_run(home, n_pool=labels, n_test=60, n_dev=60, seeds=(1,), arms=("distilled",), timings=False)
    begin(Workspace(home).made(), run, Wishes(), "planner")
    return run.id


def main() -> int:
    """Time both, print the table; 1 when the median is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=100_000)
    parser.add_argument("--cards", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        home = Path(temporary)
        run_id = prepare(home, asked.labels)
        (home / "bare.py").write_text(BARE)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with serve(ROOT / "app.py", home) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{address}/review?run={run_id}")
            page.get_by_placeholder("Name as it shall stand in the record").fill("Ada")
            page.keyboard.press("Enter")
            review = time_keys(page, ".st-key-review_card", asked.cards)
        with serve(home / "bare.py", home) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(address)
            bare = time_keys(page, "[data-testid=stText]", asked.cards)
        browser.close()
    print(f"{asked.cards} keypresses on a frame of {asked.labels:,} labels, ms from key to next card in the browser")
    for name, taken in (("review", review), ("bare Streamlit fragment", bare)):
        cuts = statistics.quantiles(taken, n=20)
        print(f"  {name:24s} median {statistics.median(taken):6.1f}   p95 {cuts[-1]:6.1f}")
    median = statistics.median(review)
    print(
        f"  ratio {median / statistics.median(bare):.2f}, limit {LIMIT_MS:.0f} ms: {'kept' if median <= LIMIT_MS else 'MISSED'}"
    )
    return 0 if median <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
