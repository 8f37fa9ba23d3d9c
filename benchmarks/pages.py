"""Compare and Examples on a run with 100,000 test rows, against the same pages on a run with 1,000.

    python -m benchmarks.pages [--rows 100000] [--rounds 5] [--json FILE]

Time from navigation to the drawn page in a real browser, the two runs in turn, medians of several. Target: at most 2x.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from scripts.screenshot import CHROMIUM, serve
from tests.fakes import make_fake_run

# the last thing that each page draws
LAST = {"compare": "text=All measures", "examples": "text=other arms >> nth=-1"}
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
SMALL, LARGE = "20260101-000000-small0", "20260101-000001-large0"
# the checks that read every text are left out: the pages do not draw what they say
SPEC = {"audit": {"resamples": 500, "skip": ["contamination", "languages", "groups", "gender_ledger", "gender_swaps"]}}


def drawn(page: Page, url: str, last: str) -> float:
    """Seconds until the last thing is there and the script has ended; no fixed waits, which would flatter the ratio."""
    began = time.perf_counter()
    page.goto(url)
    page.wait_for_selector(last, timeout=60_000)
    page.wait_for_selector(IDLE, timeout=60_000)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for run_id, rows in ((SMALL, 1_000), (LARGE, given.rows)):
            make_fake_run(home, run_id=run_id, n_test=rows, seeds=(1,), audit=True, spec=SPEC)
        with serve(home) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            for name, last in LAST.items():
                urls = {run: f"{address}/{name}?run={run}" for run in (SMALL, LARGE)}
                for url in urls.values():
                    drawn(page, url, last)  # warm: the first visit fills the cache for everybody
                rounds = [{run: drawn(page, url, last) for run, url in urls.items()} for _ in range(given.rounds)]
                small, large = (statistics.median(turn[run] for turn in rounds) for run in (SMALL, LARGE))
                figures[name] = {"small": small, "large": large, "ratio": large / small}
                print(
                    f"{name}: {large:.2f} s on {given.rows:,} rows, {small:.2f} s on 1,000: {large / small:.2f}x (target 2x)"
                )
            browser.close()
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
