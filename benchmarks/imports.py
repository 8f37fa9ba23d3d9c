"""What opening the app or asking for help costs: imports in fresh processes, against `import streamlit` alone.

    python -m benchmarks.imports [--rounds 5] [--json FILE]

`heirloom --help` must stay under 0.7 s, and no page may load torch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEER = "import streamlit"


def seconds(command: list[str]) -> float:
    """Wall time of a fresh process."""
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    folder = ROOT / "pages"
    files = [p for group in ("distil", "judge", "prove") for p in sorted((folder / group).glob("[a-z]*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    pages = "import " + ", ".join(names)
    loaded = f"{pages}\nimport sys\nsys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, check=True)
    commands = {
        "help": [sys.executable, "-m", "auditor.cli.main", "--help"],
        "pages": [sys.executable, "-c", pages],
        "streamlit": [sys.executable, "-c", PEER],
    }
    for command in commands.values():
        seconds(command)
    rounds = [{name: seconds(command) for name, command in commands.items()} for _ in range(given.rounds)]
    middle = {name: statistics.median(turn[name] for turn in rounds) for name in commands}
    print(f"heirloom --help: {middle['help']:.2f} s (target 0.7)")
    print(
        f"import of all {len(names)} pages: {middle['pages']:.2f} s, `{PEER}` alone {middle['streamlit']:.2f} s: "
        f"{middle['pages'] / middle['streamlit']:.1f}x; no torch in sys.modules"
    )
    if given.json:
        given.json.write_text(json.dumps({**middle, "rounds": rounds}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
