"""What a phone or a small box gains: the demo's student in int8 on ONNX Runtime, trimmed and not, and its bundle by itself.

    HEIRLOOM_HOME=workspace python -m benchmarks.edge [RUN] [--prepare] [--rounds 200] [--json FILE]

RUN is a finished run of the demo; the newest one of the workspace when it is not given. ``--prepare`` only makes the small models and their
answers to dev and test (a minute), so that what is timed afterwards is short.
Peers: the same student in torch, float32; the demo's teacher in torch, float32. One thread, one text at a time, tokenisation included, all
models interleaved in one process. The smallest form is chosen on dev: the lower bound of what it keeps of the teacher's accuracy must reach
97 %. What it keeps on the test is the answer.
Targets: int8 at least 1.8x faster, at most 1 point lost; the smallest form at least 6x faster and 5x smaller on disk than the teacher; its
bundle without torch answers within 1.5 s of its start, in less than 250 MB.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from auditor.measuring import bracket
from auditor.stats.interval import Interval
from auditor.stats.paired import paired_bootstrap
from auditor.timing import latency_rounds, speedup
from benchmarks._common import ROOT, arguments, report
from distill.export import TEMPLATE, answer_alone
from distill.spec import load_spec
from distill.store import TEACHER, Run, RunStore
from distill.types import Examples
from distill.workspace import Workspace

Part = Literal["dev", "test"]
Hits = npt.NDArray[np.float64]
STUDENT, INT8, TRIMMED = "distilled", "int8", "trimmed-int8"
KEPT = 97.0  # %
TEXTS = 128
COLD = 7  # starts of the bundle


@dataclass(frozen=True)
class Edge:
    """A run of the demo and the small models made from the first seed of its student.

    Attributes:
        folder: holds one folder a form, with the form's answers.
    """

    run: Run
    folder: Path

    @property
    def seed(self) -> int:
        """The student's first seed."""
        return self.run.spec.seeds[0]

    def model(self, name: str) -> Path:
        """Folder of one model: teacher, student or a form."""
        if name == TEACHER:
            return Path(str(self.run.teacher.model_dir))
        return self.run.arm_folder(STUDENT, self.seed) / "model" if name == STUDENT else self.folder / name

    def bytes_of(self, name: str) -> int:
        """Bytes of that folder, tokenizer included, without what this script put there."""
        ours = {"predict.py", "dev.npy", "test.npy"}
        return sum(
            path.stat().st_size for path in self.model(name).iterdir() if path.is_file() and path.name not in ours
        )

    def hits(self, name: str, part: Part) -> Hits:
        """Whether each labelled row is right, as 0 and 1."""
        rows = self.run.examples.part(part)
        if name in (TEACHER, STUDENT):
            probs = self.run.prediction(name, self.seed if name == STUDENT else 0, part).aligned(rows.ids).probs
        else:
            probs = np.load(self.folder / name / f"{part}.npy", allow_pickle=False)
        found: Hits = (probs.argmax(axis=1) == rows.y)[rows.y >= 0].astype(np.float64)
        return found


def prepare(edge: Edge) -> None:
    """Make both forms and their answers, where they are not there yet."""
    from distill.engine.loading import load_classifier, save_classifier
    from distill.engine.onnx_model import quantise_dynamic, write_onnx
    from distill.engine.predict import Predictor
    from distill.engine.trim import trim, used_ids

    run, examples = edge.run, edge.run.examples
    tokens = run.spec.signals.max_tokens
    for name in (INT8, TRIMMED):
        folder = edge.folder / name
        if (folder / "test.npy").exists():
            continue
        print(f"Making {name} …", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        loaded = load_classifier(str(edge.model(STUDENT)), examples.labels)
        with tempfile.TemporaryDirectory() as part:
            if name == TRIMMED:
                pool = examples.part("pool")
                save_classifier(trim(loaded, used_ids(loaded, pool.texts, pool.pairs, tokens)).loaded, Path(part) / "m")
                loaded = load_classifier(str(Path(part) / "m"), examples.labels)
            write_onnx(loaded, folder)
        quantise_dynamic(folder)
        facts = json.loads((folder / "inference.json").read_text(encoding="utf-8"))
        (folder / "inference.json").write_text(json.dumps({**facts, "max_tokens": tokens}), encoding="utf-8")
        shutil.copyfile(TEMPLATE, folder / "predict.py")
        asked = Predictor(folder, examples.labels, max_tokens=tokens, precision="fp32")
        parts: tuple[Part, ...] = ("dev", "test")
        for part_name in parts:
            rows = examples.part(part_name)
            np.save(folder / f"{part_name}.npy", asked.probabilities(rows.texts, rows.pairs))


def kept(edge: Edge, name: str, part: Part) -> Interval:
    """Accuracy in % of the teacher's, both on the same resampled rows."""
    pair = paired_bootstrap(edge.hits(TEACHER, part)[None], edge.hits(name, part)[None], seed=0)
    draws = 100 * pair.candidate.draws / pair.reference.draws
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(100 * pair.candidate.value / pair.reference.value, float(low), float(high), pair.n)


def smallest(edge: Edge) -> str:
    """The smallest model whose dev interval lies above 97 %."""
    keeping = [name for name in (STUDENT, INT8, TRIMMED) if kept(edge, name, "dev").low >= KEPT]
    if not keeping:
        raise SystemExit(f"No form surely keeps {KEPT:g} % on dev.")
    return min(keeping, key=edge.bytes_of)


def timed(edge: Edge, rounds: int) -> pd.DataFrame:
    """Raw timings of all models on one thread, in a fresh process: threads are fixed when torch is imported."""
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        asked = [str(edge.run.folder), "--folder", str(edge.folder), "--time", file.name, "--rounds", str(rounds)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        subprocess.run([sys.executable, "-m", "benchmarks.edge", *asked], cwd=ROOT, env=environment, check=True)
        return pd.read_parquet(file.name)


def time_here(edge: Edge, rounds: int, target: Path) -> None:
    """Measure in this process and write the rounds."""
    from distill.engine.timing import TimedModel, time_models
    from distill.monitor import Monitor
    from distill.spec import LatencySpec

    models = [TimedModel(name, 0, edge.model(name)) for name in (TEACHER, STUDENT, INT8, TRIMMED)]
    test = edge.run.examples.part("test")
    options = LatencySpec(rounds=rounds, batch_sizes=(1,), texts=TEXTS)
    tokens = edge.run.spec.signals.max_tokens
    time_models(models, test.labels, test.texts, test.pairs, options, tokens, Monitor()).to_parquet(target)


def faster(timings: pd.DataFrame, slow: str, quick: str) -> dict[str, float]:
    """Ratio of medians at batch 1 over interleaved rounds with its interval, and both medians in ms."""
    one, two = latency_rounds(timings, slow, 1), latency_rounds(timings, quick, 1)
    ratio = speedup(one, two, seed=0)
    assert ratio is not None
    found = ratio.interval()
    medians = [float(np.median(np.concatenate(list(rounds)))) for rounds in (one, two)]
    return {"ratio": found.value, "low": found.low, "high": found.high, "slow_ms": medians[0], "quick_ms": medians[1]}


def alone(edge: Edge, name: str) -> dict[str, float]:
    """predict.py in fresh processes: median and worst start, median latency, largest memory."""
    test = edge.run.examples.part("test")
    few: Examples = test.take(np.arange(20, dtype=np.int64))
    starts = [answer_alone(edge.model(name), few) for _ in range(COLD)]
    return {
        "cold_start_s": statistics.median(start.cold_start_seconds for start in starts),
        "cold_start_worst_s": max(start.cold_start_seconds for start in starts),
        "latency_ms": statistics.median(start.latency_ms for start in starts),
        "peak_mb": max(start.peak_memory_bytes for start in starts) / 1e6,
    }


def measure(edge: Edge, rounds: int) -> dict[str, Any]:
    """All figures."""
    form = smallest(edge)
    timings = timed(edge, rounds)
    lost = paired_bootstrap(edge.hits(STUDENT, "test")[None], edge.hits(INT8, "test")[None], seed=0).difference
    return {
        "int8": faster(timings, STUDENT, INT8),
        "int8_difference": _spread(lost.interval()),
        "form": form,
        "speed": faster(timings, TEACHER, form),
        "kept": _spread(kept(edge, form, "test")),
        "megabytes": [edge.bytes_of(TEACHER) / 1e6, edge.bytes_of(form) / 1e6],
        "alone": alone(edge, form if form != STUDENT else INT8),
    }


def _spread(found: Interval) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


def show(found: dict[str, Any]) -> None:
    """Print the figures in sentences, each with its target."""
    int8, lost, speed, held, by_itself = (found[k] for k in ("int8", "int8_difference", "speed", "kept", "alone"))
    large, small = found["megabytes"]
    print(f"student in int8 on ONNX Runtime against torch fp32: {int8['ratio']:.2f}x {bracket(int8['low'], int8['high'], 2)} "
          f"({int8['slow_ms']:.2f} -> {int8['quick_ms']:.2f} ms; target 1.8x), {100 * lost['value']:+.2f} points "
          f"{bracket(100 * lost['low'], 100 * lost['high'], 2, signed=True)} (target: at most 1 lost)")  # fmt: skip
    print(f"teacher in torch fp32 to '{found['form']}', the smallest that keeps 97 % on dev: {speed['ratio']:.2f}x "
          f"{bracket(speed['low'], speed['high'], 2)} faster ({speed['slow_ms']:.2f} -> {speed['quick_ms']:.2f} ms; target 6x), "
          f"{large / small:.1f}x smaller ({large:.1f} -> {small:.1f} MB; target 5x), keeps {held['value']:.1f} % "
          f"{bracket(held['low'], held['high'], 1)} on {held['n']:,} test texts (target 97)")  # fmt: skip
    print(f"its predict.py without torch: first answer after {by_itself['cold_start_s']:.2f} s (worst of {COLD}: "
          f"{by_itself['cold_start_worst_s']:.2f}; target 1.5), {by_itself['peak_mb']:.0f} MB (target 250), "
          f"{by_itself['latency_ms']:.2f} ms a text")  # fmt: skip


def the_demo(home: Path, run: str) -> Run:
    """The run that was asked for, or the newest finished demo of the workspace."""
    store = RunStore(Workspace(home))
    if run:
        return store.get(run)
    name = load_spec(ROOT / "specs" / "demo.yaml").name
    found = [one for one in store.all() if one.status() == "complete" and one.spec.name == name]
    if not found:
        raise SystemExit(f"No finished demo in {home}. Run it first: heirloom run specs/demo.yaml --wait")
    return found[0]


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("run", nargs="?", default="")
    parser.add_argument("--prepare", action="store_true", help="only make the small models")
    parser.add_argument("--time", type=Path, help="only time, and write the rounds there")
    parser.set_defaults(rounds=200)
    given = parser.parse_args()
    if given.time:
        time_here(Edge(Run(Path(given.run)), given.folder), given.rounds, given.time)
        return
    run = the_demo(Path(os.environ.get("HEIRLOOM_HOME") or "workspace").resolve(), given.run)
    edge = Edge(run, given.folder.resolve() / "edge" / run.id)
    prepare(edge)
    if given.prepare:
        return
    found = measure(edge, given.rounds)
    show(found)
    report(found, given.json)


if __name__ == "__main__":
    main()
