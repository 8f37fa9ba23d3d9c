"""The whole demo, from an empty workspace to the verdict: minutes, quality kept, speed gained against its own teacher.

    python -m benchmarks.demo [--quick] [--json FILE]

Targets on 2 cores: under 20 minutes (quick: 5), at least 97 % of the teacher's accuracy kept, at least 2.4x faster at batch 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    spec = "specs/demo-quick.yaml" if given.quick else "specs/demo.yaml"
    target = 5 if given.quick else 20
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HEIRLOOM_HOME": home}
        command = [sys.executable, "-m", "auditor.cli.main"]
        began = time.perf_counter()
        ran = subprocess.run(
            [*command, "run", spec, "--wait"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        minutes = (time.perf_counter() - began) / 60
        run = ran.stdout.strip().splitlines()[-1]
        shown = subprocess.run(
            [*command, "show", run, "--json"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
    document = json.loads(shown.stdout)
    found = {
        m["name"]: m
        for m in document["measures"]
        if m["arm"] == document["run"]["candidate"] and m["group"] is None and m["seed"] is None
    }
    kept, faster = found["accuracy_retention"], found["latency_speedup"]
    print(f"{spec}: {minutes:.1f} minutes (target {target})")
    print(f"quality kept {kept['value']:.1f} % [{kept['low']:.1f}, {kept['high']:.1f}] (target 97)")
    print(
        f"batch-1 speed against its teacher {faster['value']:.2f}x [{faster['low']:.2f}, {faster['high']:.2f}] (target 2.4)"
    )
    print(f"verdict: {document['verdict']['answer']}")
    if given.json:
        figures = {"minutes": minutes, "retention": kept, "speedup": faster, "verdict": document["verdict"]["answer"]}
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
