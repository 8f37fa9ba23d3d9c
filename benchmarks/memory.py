"""Peak memory of distillation training: Heirloom from stored signals against the tuned transformers.Trainer.

    python -m benchmarks.memory [--texts 2048] [--rounds 3] [--json FILE]

The runs are those of benchmarks.training, each in a process of its own; peak memory is its largest resident set, torch and
the data included.
"""

from __future__ import annotations

import statistics

from benchmarks._common import arguments, in_fresh_process, prepare, report
from benchmarks.training import label


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--texts", type=int, default=2048)
    given = parser.parse_args()
    prepare(given.folder)
    label(given.folder, given.texts)
    peaks: dict[str, list[float]] = {"heirloom": [], "tuned": []}
    for turn in range(given.rounds):
        for role, found in peaks.items():
            out = given.folder / "runs" / f"{role}-memory"
            values = ["--role", role, "--seed", str(turn), "--texts", str(given.texts), "--out", str(out)]
            found.append(in_fresh_process("training", *values, "--folder", str(given.folder))["peak"])
    ours, theirs = (statistics.median(found) for found in peaks.values())
    ratio = statistics.median(a / b for a, b in zip(*peaks.values(), strict=True))
    print(f"peak memory of training: {ours:.0f} MB, tuned Trainer {theirs:.0f} MB: {ratio:.2f}x (target: at most 1)")
    report({"heirloom": ours, "tuned": theirs, "ratio": ratio}, given.json)


if __name__ == "__main__":
    main()
