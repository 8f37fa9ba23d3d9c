"""What a frontier costs beside the trainings it needs: every depth × vocabulary × precision from one labelling pass.

    python -m benchmarks.frontier [--spec specs/frontier.yaml] [--run FOLDER] [--json FILE]

Target: a sweep costs at most 1.2x the sum of its trainings. 'Making' is what the sweep itself makes (the stage 'students': trainings, trimmed
vocabularies, int8 and bf16). 'Whole' is the run from the data to the audit. What stands against it is the same depths as runs of their own: each
would read, label and time the teacher again.
Seconds come from the run's own records (stages/*.json, arm.json, timings.parquet), so a finished run can be looked at as well (--run).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from distill.provenance import stage_seconds
from distill.store import TEACHER, Run

ROOT = Path(__file__).parents[1]
TARGET = 1.2
SHARED = ("data", "teacher", "labels")


def figures(run: Run) -> dict[str, float]:
    """Seconds and ratios of a finished frontier."""
    stages = stage_seconds(run)
    cards = run.cards()
    trainings = [card.train_seconds for card in cards if card.train_seconds > 0]
    teacher = run.teacher.train_seconds if stages.get("teacher", 0) > run.teacher.train_seconds else 0.0
    shared = sum(stages.get(stage, 0.0) for stage in SHARED)
    whole = sum(stages.values())
    timed = pd.read_parquet(run.folder / "timings.parquet", columns=["arm", "seconds"])
    of_teacher = float(timed.loc[timed["arm"] == TEACHER, "seconds"].sum())
    depths = len({card.name for card in cards if card.train_seconds > 0})
    apart = whole + (depths - 1) * (shared + of_teacher)
    total = sum(trainings)
    return {
        "arms": float(len({card.name for card in cards})),
        "trainings": float(len(trainings)),
        "training_seconds": total,
        "teacher_training_seconds": teacher,
        **{f"{stage}_seconds": seconds for stage, seconds in stages.items()},
        "whole_seconds": whole,
        "making_ratio": stages["students"] / total,
        "asked_ratio": (stages["students"] + stages["predictions"]) / total,
        "whole_ratio": whole / (total + teacher),
        "apart_ratio": apart / whole,
    }


def _made(spec: str, home: str) -> Run:
    """Run ``spec`` in a workspace of its own."""
    environment = {**os.environ, "HEIRLOOM_HOME": home}
    command = [sys.executable, "-m", "auditor.cli.main", "run", spec, "--wait"]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return Run(Path(home) / "runs" / ran.stdout.strip().splitlines()[-1])


def main() -> None:
    """Run or read, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", default="specs/frontier.yaml")
    parser.add_argument("--run", type=Path, help="folder of a finished frontier; nothing is run")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        found = figures(Run(given.run) if given.run else _made(given.spec, home))
    print(
        f"{found['arms']:.0f} arms from {found['trainings']:.0f} trainings of {found['training_seconds']:.1f} s together"
    )
    for name in ("data", "teacher", "labels", "students", "predictions", "timings", "audit"):
        print(f"  {name:12} {found.get(f'{name}_seconds', 0.0):8.1f} s")
    print(f"making ÷ trainings                        {found['making_ratio']:.2f}x (target at most {TARGET}x)")
    print(f"making and predictions ÷ trainings        {found['asked_ratio']:.2f}x")
    print(f"whole run ÷ all trainings, the teacher's too  {found['whole_ratio']:.2f}x")
    print(f"the depths as runs of their own ÷ whole   {found['apart_ratio']:.2f}x")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
