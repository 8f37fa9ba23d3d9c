"""What a phone or a small box gains: a student in int8 on ONNX Runtime, and the smallest arm that keeps 97 % of its teacher.

    [HEIRLOOM_HOME=workspace] python -m benchmarks.edge [RUN] [--rounds 200] [--json FILE]

RUN is a finished run of specs/edge.yaml (the demo's task and teacher); without one it is made first, which takes minutes.
Peers: the same student in torch, float32; the demo's teacher in torch, float32. One thread, one text at a time, tokenisation included,
all models interleaved in one process. Quality comes from the run's 4,000 test texts; which arm is small enough is chosen on dev.
Targets: int8 at least 1.8x faster, at most 1 point lost; the smallest arm at least 6x faster and 5x smaller on disk than the teacher; its
bundle without torch answers within 1.5 s of its start, in less than 250 MB.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.measuring import bracket
from auditor.stats.paired import paired_bootstrap
from auditor.timing import latency_rounds, speedup
from benchmarks._common import ROOT, arguments, report
from distill.export import answer_alone, export
from distill.store import TEACHER, ModelCard, Run, RunStore, SetName
from distill.workspace import Workspace

SPEC = "specs/edge.yaml"
STUDENT, INT8 = "distilled", "distilled-int8"
KEPT = 97.0
TEXTS = 128
COLD = 7  # starts of the bundle


def made(home: Path) -> Run:
    """A finished run of the spec in ``home``, run now where there is none."""
    name = _name()
    found = [run for run in RunStore(Workspace(home)).all() if run.spec.name == name and run.status() == "complete"]
    if found:
        return found[0]
    print(f"Running {SPEC} in {home} (minutes) …", flush=True)
    command = [sys.executable, "-m", "auditor.cli.main", "run", SPEC, "--wait"]
    environment = {**os.environ, "HEIRLOOM_HOME": str(home)}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return RunStore(Workspace(home)).get(ran.stdout.strip().splitlines()[-1])


def _name() -> str:
    from distill.spec import load_spec

    return load_spec(ROOT / SPEC).name


def right(run: Run, card: ModelCard, part: SetName) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Whether each labelled row of a set is right, as 0 and 1."""
    rows = run.examples.part(part)  # type: ignore[arg-type]
    seed = 0 if card.name == TEACHER else card.seed or 0
    probs = run.prediction(card.name, seed, part).aligned(rows.ids).probs
    known = rows.y >= 0
    found: np.ndarray[Any, np.dtype[np.float64]] = (probs.argmax(axis=1) == rows.y)[known].astype(np.float64)
    return found


def on_disk(card: ModelCard) -> int:
    """Bytes of a model's folder, tokenizer included."""
    return sum(path.stat().st_size for path in Path(str(card.model_dir)).iterdir() if path.is_file())


def smallest(run: Run, cards: dict[str, ModelCard]) -> str:
    """The smallest arm that keeps 97 % of the teacher's accuracy on dev."""
    base = right(run, cards[TEACHER], "dev").mean()
    keeping = [n for n, card in cards.items() if n != TEACHER and 100 * right(run, card, "dev").mean() >= KEPT * base]
    if not keeping:
        raise SystemExit(f"No arm of run {run.id} keeps {KEPT:g} % on dev.")
    return min(keeping, key=lambda name: on_disk(cards[name]))


def timed(run: Run, rounds: int) -> pd.DataFrame:
    """Raw timings of all models, one thread, in a fresh process (threads are fixed when torch is imported)."""
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        command = [
            sys.executable,
            "-m",
            "benchmarks.edge",
            str(run.folder),
            "--time",
            file.name,
            "--rounds",
            str(rounds),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        return pd.read_parquet(file.name)


def time_here(run: Run, rounds: int, target: Path) -> None:
    """Measure in this process and write the rounds."""
    from distill.engine.timing import TimedModel, time_models
    from distill.monitor import Monitor
    from distill.plugins import StageContext
    from distill.spec import LatencySpec
    from distill.stages.timings import models_to_time

    context = StageContext(run=run, spec=run.spec, cache=run.folder, monitor=Monitor())
    models = [TimedModel(c.name, c.seed or 0, str(c.model_dir)) for c in models_to_time(context)]
    test = run.examples.part("test")
    options = LatencySpec(rounds=rounds, batch_sizes=(1,), texts=TEXTS)
    frame = time_models(models, test.labels, test.texts, test.pairs, options, run.spec.signals.max_tokens, Monitor())
    frame.to_parquet(target)


def faster(timings: pd.DataFrame, slow: str, quick: str) -> dict[str, float]:
    """Ratio of the medians at batch 1 over interleaved rounds, with its interval and both medians in ms."""
    one, two = latency_rounds(timings, slow, 1), latency_rounds(timings, quick, 1)
    ratio = speedup(one, two, seed=0)
    assert ratio is not None
    found = ratio.interval()
    medians = [float(np.median(np.concatenate(list(rounds)))) for rounds in (one, two)]
    return {"ratio": found.value, "low": found.low, "high": found.high, "slow_ms": medians[0], "quick_ms": medians[1]}


def alone(run: Run, arm: str) -> dict[str, float]:
    """The bundle of an arm, answering by itself: median of cold starts, and the rest as its export found it."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "bundle"
        found = export(run, arm, "bundle", target)
        few = run.examples.part("test").take(np.arange(20, dtype=np.int64))
        starts = [answer_alone(target, few) for _ in range(COLD)]
        return {
            "cold_start_s": statistics.median(start.cold_start_seconds for start in starts),
            "cold_start_worst_s": max(start.cold_start_seconds for start in starts),
            "latency_ms": statistics.median(start.latency_ms for start in starts),
            "peak_mb": max(start.peak_memory_bytes for start in starts) / 1e6,
            "bytes": float(found.bytes),
            "agreement": found.agreement,
        }


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("run", nargs="?", default="")
    parser.add_argument("--time", type=Path, help="only time, and write the rounds there")
    parser.set_defaults(rounds=200)
    given = parser.parse_args()
    if given.time:
        time_here(Run(Path(given.run)), given.rounds, given.time)
        return
    home = Path(os.environ.get("HEIRLOOM_HOME") or given.folder / "edge-workspace").resolve()
    run = RunStore(Workspace(home)).get(given.run) if given.run else made(home)
    cards = {card.name: card for card in [*reversed(run.cards()), run.teacher]}  # the first seed of each arm
    arm = smallest(run, cards)
    timings = timed(run, given.rounds)
    int8, small = faster(timings, STUDENT, INT8), faster(timings, TEACHER, arm)
    lost = paired_bootstrap(right(run, cards[STUDENT], "test"), right(run, cards[INT8], "test")).difference.interval()
    pair = paired_bootstrap(right(run, cards[TEACHER], "test"), right(run, cards[arm], "test"))
    kept = 100 * pair.candidate.value / pair.reference.value
    bounds = np.quantile(100 * pair.candidate.draws / pair.reference.draws, [0.025, 0.975])
    disk = on_disk(cards[TEACHER]) / on_disk(cards[arm])
    by_itself = alone(run, arm)
    print(f"{STUDENT} in int8 on ONNX Runtime against torch fp32: {int8['ratio']:.2f}x {bracket(int8['low'], int8['high'], 2)} "
          f"({int8['slow_ms']:.2f} -> {int8['quick_ms']:.2f} ms; target 1.8x), {100 * lost.value:+.2f} points "
          f"{bracket(100 * lost.low, 100 * lost.high, 2, signed=True)} (target: at most 1 lost)")  # fmt: skip
    print(f"teacher in torch fp32 to '{arm}': {small['ratio']:.2f}x {bracket(small['low'], small['high'], 2)} faster "
          f"({small['slow_ms']:.2f} -> {small['quick_ms']:.2f} ms; target 6x), {disk:.1f}x smaller "
          f"({on_disk(cards[TEACHER]) / 1e6:.1f} -> {on_disk(cards[arm]) / 1e6:.1f} MB; target 5x), keeps {kept:.1f} % "
          f"{bracket(float(bounds[0]), float(bounds[1]), 1)} of {len(right(run, cards[arm], 'test')):,} test texts (target 97)")  # fmt: skip
    print(f"its predict.py without torch: first answer after {by_itself['cold_start_s']:.2f} s (worst of {COLD} "
          f"{by_itself['cold_start_worst_s']:.2f}; target 1.5), {by_itself['peak_mb']:.0f} MB (target 250), "
          f"{by_itself['latency_ms']:.2f} ms a text, {by_itself['bytes'] / 1e6:.1f} MB, "
          f"{100 * by_itself['agreement']:.2f} % the arm's answers")  # fmt: skip
    figures = {"int8": int8, "int8_difference": vars(lost) if hasattr(lost, "__dict__") else lost.value, "arm": arm, "arm_speed": small,
               "smaller": disk, "kept": kept, "kept_low": float(bounds[0]), "kept_high": float(bounds[1]), "alone": by_itself}  # fmt: skip
    report(json.loads(json.dumps(figures, default=float)), given.json)


if __name__ == "__main__":
    main()
