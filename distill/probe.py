"""Is the teacher any good? A short look in a process of its own, since it needs torch and the pages must not load it.

``probe(spec)`` starts ``python -m distill.probe``, which asks the teacher a few labelled rows and answers with one line
of JSON. A teacher that labels badly, or whose label names are exchanged, is found before it has labelled 10,000 texts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from distill.errors import DataError, HeirloomError
from distill.preflight import PreflightItem
from distill.signals import seeded_order
from distill.spec import RunSpec, spec_from_yaml
from distill.types import Examples, Floats, Ints

ROWS = 500
SECONDS = 120.0
MOST_LABELS = 6  # 720 orders: beyond, exchanged names are looked for among pairs only


def probe(spec: RunSpec, *, rows: int = ROWS, seconds: float = SECONDS) -> PreflightItem:
    """Quality of a checkpoint teacher on at most ``rows`` labelled rows, measured in another process.

    Nothing is raised: what goes wrong becomes the item. A teacher that is fine-tuned first cannot be asked yet; the item says so.
    """
    if spec.teacher.kind != "checkpoint":
        return PreflightItem("ok", "The teacher's quality is measured when the run has made it.")
    command = [sys.executable, "-m", "distill.probe", "--rows", str(rows)]
    try:
        done = subprocess.run(
            command,
            input=spec.to_yaml(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            cwd=Path(__file__).parents[1],
        )
    except subprocess.TimeoutExpired:
        return PreflightItem(
            "warn", f"The teacher did not answer {rows} rows within {seconds:.0f} s.", "It is slow here."
        )
    if done.returncode != 0 or not done.stdout.strip():
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        return PreflightItem("warn", f"The teacher could not be tried: {lines[-1][:200]}", "The run may fail as well.")
    return PreflightItem(**json.loads(done.stdout.strip().splitlines()[-1]))


def judge(probs: Floats, y: Ints, labels: Sequence[str]) -> PreflightItem:
    """What the answers say of the teacher.

    Args:
        probs: its probabilities, shape [n, k].
        y: human labels, shape [n].
        labels: label names in order.
    """
    said = probs.argmax(axis=1)
    right = float((said == y).mean())
    commonest = float(np.bincount(y, minlength=len(labels)).max() / len(y))
    figures = f"{100 * right:.1f} % on {len(y):,} labelled rows (always the commonest label: {100 * commonest:.1f} %)"
    best, order = _best_order(said, y, len(labels))
    noise = 2 * float(np.sqrt(0.25 / len(y)))
    if best > right + max(0.1, 2 * noise) and best > commonest:
        renamed = ", ".join(f"{labels[k]} → {labels[order[k]]}" for k in range(len(labels)) if order[k] != k)
        return PreflightItem(
            "fail",
            f"The teacher reaches {figures}, and {100 * best:.1f} % when its labels are exchanged: {renamed}.",
            "Its label names seem to be in the wrong order: correct id2label in its config.json, or data.label_map.",
        )
    if right <= commonest + noise:
        return PreflightItem(
            "warn",
            f"The teacher reaches {figures}: it knows little of this task.",
            "Choose another, or fine-tune it first.",
        )
    return PreflightItem("ok", f"The teacher reaches {figures}.")


def _best_order(said: Ints, y: Ints, k: int) -> tuple[float, tuple[int, ...]]:
    """The renaming of the teacher's labels that agrees best with people's, and its accuracy."""
    table = np.zeros((k, k))
    np.add.at(table, (said, y), 1)
    if k <= MOST_LABELS:
        orders = list(permutations(range(k)))
    else:
        pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
        orders = [tuple(j if x == i else i if x == j else x for x in range(k)) for i, j in pairs]
    scores = [sum(table[label, order[label]] for label in range(k)) for order in orders]
    best = int(np.argmax(scores))
    return float(scores[best] / len(y)), orders[best]


def _rows(spec: RunSpec, most: int) -> Examples:
    """Labelled rows that are not in the frozen test, by a seeded choice."""
    from distill.data.build import build_examples

    examples = build_examples(spec.data, task=spec.task).examples
    open_rows = examples.part("train", "dev", "pool")
    labelled = open_rows.take(open_rows.y >= 0)
    if not len(labelled):
        raise DataError("No row outside the test has a human label, so the teacher cannot be judged.")
    order = seeded_order(labelled.ids, spec.data.split.seed)[:most]
    return labelled.take(np.sort(order))


def _ignore(_: int) -> None:
    """Nobody watches a probe."""


def _answer(spec: RunSpec, most: int) -> PreflightItem:
    from distill.engine.loading import resolve
    from distill.teachers.base import predictor, resolved_precision

    try:
        rows = _rows(spec, most)
        options = spec.teacher.options
        folder = resolve(str(options["source"]), options.get("revision"))
        model = predictor(str(folder), rows.labels, spec.signals, resolved_precision(spec.signals.precision))
        probs = model.probabilities(rows.texts, rows.pairs, progress=_ignore)
    except HeirloomError as error:
        return PreflightItem("fail", error.message, error.hint)
    return judge(probs, rows.y, rows.labels)


def main(arguments: list[str] | None = None) -> None:
    """Read a spec as YAML from standard input and print the item as JSON."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    given = parser.parse_args(arguments)
    item = _answer(spec_from_yaml(sys.stdin.read()), given.rows)
    answer: dict[str, Any] = {"state": item.state, "sentence": item.sentence, "hint": item.hint}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
