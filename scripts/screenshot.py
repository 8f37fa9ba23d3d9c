"""Take a picture of every page in light and dark, for people who change the look.

.venv/bin/python scripts/screenshot.py --out build/shots                    # on fake runs, made for the occasion
.venv/bin/python scripts/screenshot.py --out build/shots --home workspace   # on a real workspace
.venv/bin/python scripts/screenshot.py --out build/shots --only compare examples --theme dark
.venv/bin/python scripts/screenshot.py --out docs --only compare --theme light --first-screen --home workspace   # README
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the script runs from anywhere
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PAGES = {
    "runs": "",
    "data": "data",
    "new": "new",
    "run": "run",
    "compare": "compare",
    "examples": "examples",
    "bias": "bias",
    "alternatives": "alternatives",
    "lineage": "lineage",
    "suitability": "suitability",
    "review": "review",
    "report": "report",
    "wizard": "",
}


def fake_home(root: Path) -> None:
    """A workspace with a run of every status."""
    from distill.store import Status
    from tests.fakes import make_fake_run

    statuses: tuple[Status, ...] = ("failed", "interrupted", "queued", "awaiting_review", "cancelled", "running")
    for number, status in enumerate(statuses):
        make_fake_run(root, run_id=f"202601{number + 10}-120000-fake0{number}", status=status)
    make_fake_run(
        root, run_id="20260120-120000-fakebb", audit=True, seed=4, spec={"name": "airline tweets · article preset"}
    )
    make_fake_run(root, run_id="20260121-120000-fakeaa", audit=True, n_test=3_000, seed=3)


@contextlib.contextmanager
def serve(home: Path) -> Iterator[str]:
    """The app on a free port; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.port",
        str(port),
        "--server.address",
        "127.0.0.1",
    ]
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "HEIRLOOM_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(1_200):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health") as answer:  # noqa: S310
                if answer.status == 200:
                    break
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(10)


# true once the script has been at rest for a second: what was just clicked first has to reach the server
_AT_REST = """() => {
    const app = document.querySelector('[data-testid=stApp]');
    const rests = app && app.getAttribute('data-test-script-state') === 'notRunning' && !document.querySelector('[data-stale=true]');
    if (!rests) { window.restsSince = undefined; return false; }
    window.restsSince = window.restsSince || performance.now();
    return performance.now() - window.restsSince > 1000;
}"""


def settled(page: Page) -> None:
    """Wait until the script has run and the charts are drawn."""
    page.evaluate("window.restsSince = undefined")
    page.wait_for_function(_AT_REST, timeout=120_000, polling=100)


def shoot(page: Page, address: str, name: str, path: str, out: Path, theme: str) -> None:
    """One page in full length: the window is made as high as the content."""
    page.goto(f"{address}/{path}")
    settled(page)
    photograph(page, name, out, theme)


def photograph(page: Page, name: str, out: Path, theme: str) -> None:
    """What the browser shows now, in full length."""
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    width = page.viewport_size["width"] if page.viewport_size else 1280
    page.set_viewport_size({"width": width, "height": min(max(height, 800), 6_000)})
    settled(page)
    wide = page.evaluate("(m => m.scrollWidth > m.clientWidth + 1)(document.querySelector('[data-testid=stMain]'))")
    page.screenshot(path=out / f"{name}-{theme}.png")
    page.set_viewport_size({"width": width, "height": 900})
    print(f"{name}-{theme}.png, {height} px high{', SCROLLS SIDEWAYS' if wide else ''}")  # noqa: T201


def wizard(page: Page, address: str, out: Path, theme: str) -> None:
    """The five steps of New run, reached as a person reaches them."""
    page.goto(f"{address}/data")
    settled(page)
    page.get_by_role("button", name="Use these data").click()
    settled(page)
    for step in range(1, 6):
        photograph(page, f"new{step}", out, theme)
        if step < 5:
            page.get_by_role("button", name="Next").click()
            settled(page)


def main() -> None:
    """Parse the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--home", type=Path, help="workspace; fakes are made when it is not given")
    parser.add_argument("--only", nargs="*", default=list(PAGES))
    parser.add_argument("--theme", nargs="*", default=["light", "dark"])
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument(
        "--first-screen", action="store_true", help="only what shows without scrolling, as in the README"
    )
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        home = asked.home or Path(temporary)
        if asked.home is None:
            fake_home(home)
        with serve(home) as address:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for theme in asked.theme:
                page = browser.new_page(viewport={"width": asked.width, "height": 900}, color_scheme=theme)
                for name in asked.only:
                    if name == "wizard":
                        wizard(page, address, asked.out, theme)
                    elif asked.first_screen:
                        page.goto(f"{address}/{PAGES.get(name, name)}")
                        settled(page)
                        page.screenshot(path=asked.out / f"{name}.png")
                    else:
                        shoot(page, address, name, PAGES.get(name, name), asked.out, theme)
                page.close()
            browser.close()


if __name__ == "__main__":
    main()
