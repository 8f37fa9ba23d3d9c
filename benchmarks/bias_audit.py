"""The full bias audit of a finished run: forward passes (one per distinct sentence and model, fp32) and everything outside them.

    HEIRLOOM_HOME=workspace .venv/bin/python -m benchmarks.bias_audit RUN
    .venv/bin/python -m benchmarks.bias_audit --statistics-only RUN         # no model is asked

Peer: fairlearn's MetricFrame over single rows, as its documentation uses it, against the weighted cells that Heirloom gives it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from auditor.audit import run_check
from auditor.bias.groups import audit_groups, tidy_groups
from auditor.check import CHECKS, AuditInput
from benchmarks._common import arguments, medians, report
from distill.store import Run, RunStore
from distill.types import content_id
from distill.workspace import Workspace

CHECK_NAMES = ("gender_bias", "gender_swaps", "groups", "gender_ledger")
ROWS = 100_000


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def forward(run: Run) -> dict[str, float]:
    """Ask teacher, every arm and seed about every distinct sentence of the bias checks and every distinct test row."""
    from distill.engine.predict import Predictor

    audit = AuditInput(run)
    items = audit.items[audit.items["check"].isin(CHECK_NAMES)]
    texts = dict.fromkeys([*items["text"], *audit.test.texts])
    assert len({content_id(text) for text in texts}) == len(texts)
    cards = [card for card in (run.teacher, *run.cards()) if card.model_dir]
    wall = cpu = 0.0
    for card in cards:
        model = Predictor(
            str(card.model_dir), run.examples.labels, max_tokens=run.spec.signals.max_tokens, precision="fp32"
        )
        took = timed(lambda model=model: model.probabilities(list(texts)))  # type: ignore[misc]
        wall, cpu = wall + took[0], cpu + took[1]
        print(f"  {card.name}/{card.seed}: {took[0]:.1f} s, {len(texts) / took[0]:,.0f} sentences/s", flush=True)
    return {"models": len(cards), "sentences": len(texts), "forward_s": wall, "forward_cpu_s": cpu}


def statistics(run: Run) -> dict[str, float]:
    """The four checks, from files."""
    found: dict[str, float] = {}
    for name in CHECK_NAMES:
        entry = CHECKS.get(name)
        wall, cpu = timed(lambda entry=entry: run_check(AuditInput(run), entry))  # type: ignore[misc]
        found |= {f"{name}_s": wall, f"{name}_cpu_s": cpu}
    found["outside_s"] = sum(found[f"{name}_s"] for name in CHECK_NAMES)
    found["outside_cpu_s"] = sum(found[f"{name}_cpu_s"] for name in CHECK_NAMES)
    return found


def against_fairlearn() -> dict[str, float]:
    """CPU seconds of group measures of 100,000 rows in five groups: fairlearn row by row, and from weighted cells."""
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, ROWS)
    p = np.where(rng.random(ROWS) < 0.8, y, rng.integers(0, 3, ROWS))
    groups = rng.choice(np.array(list("abcde"), dtype=object), ROWS)
    column = tidy_groups("group", groups)

    def peer() -> None:
        rates = {"selection": selection_rate, "tpr": true_positive_rate, "fpr": false_positive_rate}
        MetricFrame(metrics=rates, y_true=y == 2, y_pred=p == 2, sensitive_features=groups)
        MetricFrame(metrics={"accuracy": accuracy_score}, y_true=y, y_pred=p, sensitive_features=groups)

    mine = timed(lambda: audit_groups(y, p, column, ("a", "b", "c"), "c"))[1]
    theirs = timed(peer)[1]
    return {"groups_cpu_s": mine, "fairlearn_rows_cpu_s": theirs, "ratio": theirs / mine}


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("run", help="id of a finished run in HEIRLOOM_HOME")
    parser.add_argument("--statistics-only", action="store_true", help="ask no model")
    asked = parser.parse_args()
    run = RunStore(Workspace.default()).get(asked.run)
    statistics(run)  # imports and caches are warm afterwards
    figures: dict[str, Any] = medians([statistics(run) for _ in range(asked.rounds)])
    for name in CHECK_NAMES:
        print(f"{name:<14} {figures[f'{name}_s']:6.2f} s  (CPU {figures[f'{name}_cpu_s']:.2f} s)")
    print(
        f"outside the forward passes: {figures['outside_s']:.1f} s (CPU {figures['outside_cpu_s']:.1f} s); reach: 10 s"
    )
    figures |= against_fairlearn()
    print(f"groups, {ROWS:,} rows: {figures['ratio']:.0f} times as fast as fairlearn over single rows")
    if not asked.statistics_only:
        figures |= forward(run)
        total = figures["forward_s"] + figures["outside_s"]
        print(
            f"{figures['models']} models × {figures['sentences']:,} sentences: {figures['forward_s']:.0f} s (CPU {figures['forward_cpu_s']:.0f} s)"
        )
        print(f"full bias audit: {total:.0f} s; reach: 180 s")
        figures["total_s"] = total
    report(figures, asked.json)


if __name__ == "__main__":
    main()
