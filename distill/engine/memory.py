"""Peak memory of one model: a process of its own loads it, answers one batch and says how much it held.

Run as ``python -m distill.engine.memory`` it reads a question (JSON) from standard input and answers on standard output.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import ModelError


@dataclass(frozen=True)
class MemoryFacts:
    """Resident memory in bytes: of the bare process with torch, and at the peak with the model."""

    baseline_bytes: int
    peak_bytes: int

    @property
    def model_bytes(self) -> int:
        """What the model and its work added."""
        return max(0, self.peak_bytes - self.baseline_bytes)


def peak_memory(
    model_dir: str | Path,
    labels: tuple[str, ...],
    texts: Sequence[str],
    pairs: Sequence[str | None] | None,
    *,
    max_tokens: int,
    batch_size: int = 32,
    precision: str = "fp32",
) -> MemoryFacts:
    """Peak resident set of a process that loads the model and answers ``texts``.

    Raises:
        ModelError: the process failed; the model cannot be loaded or there is not enough memory.
    """
    question = {
        "model_dir": str(model_dir),
        "labels": list(labels),
        "texts": list(texts),
        "pairs": None if pairs is None else list(pairs),
        "max_tokens": max_tokens,
        "batch_size": batch_size,
        "precision": precision,
    }
    return _measured(model_dir, question)


def peak_memory_of_writer(model_dir: str | Path, texts: Sequence[str], asking: dict[str, Any]) -> MemoryFacts:
    """Peak resident set of a process that loads a language model and answers ``texts`` as ``asking`` (a GenerationSpec) says.

    Raises:
        ModelError: the process failed; the model cannot be loaded or there is not enough memory.
    """
    return _measured(model_dir, {"model_dir": str(model_dir), "texts": list(texts), "asking": asking})


def _measured(model_dir: str | Path, question: dict[str, Any]) -> MemoryFacts:
    ended = subprocess.run(
        [sys.executable, "-m", "distill.engine.memory"],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    if ended.returncode != 0:
        lines = ended.stderr.strip().splitlines() or [f"it ended with {ended.returncode}"]
        raise ModelError(f"The memory of {model_dir} could not be measured: {lines[-1][:200]}", hint="See the log.")
    answer = json.loads(ended.stdout.strip().splitlines()[-1])
    return MemoryFacts(int(answer["baseline_bytes"]), int(answer["peak_bytes"]))


def peak_resident() -> int:
    """Largest resident set of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would report the parent's peak, which a child inherits at fork
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _write(question: dict[str, Any]) -> dict[str, int]:
    from distill.engine.generate import Asking, write_answers
    from distill.engine.language_model import LanguageModel
    from distill.spec import GenerationSpec

    baseline = peak_resident()
    asking = GenerationSpec.model_validate(question["asking"])
    model = LanguageModel(question["model_dir"], "fp32")
    prompts = model.prompts(question["texts"], asking)
    write_answers(model.forward, prompts.ids, Asking(asking.max_new_tokens, model.ends, len(prompts.ids)), None)
    return {"baseline_bytes": baseline, "peak_bytes": peak_resident()}


def _answer(question: dict[str, Any]) -> dict[str, int]:
    if "asking" in question:
        return _write(question)
    from distill.engine.predict import Predictor

    baseline = peak_resident()
    predictor = Predictor(
        question["model_dir"],
        tuple(question["labels"]),
        max_tokens=question["max_tokens"],
        batch_size=question["batch_size"],
        precision=question["precision"],
    )
    predictor.probabilities(question["texts"], question["pairs"])
    return {"baseline_bytes": baseline, "peak_bytes": peak_resident()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_answer(json.load(sys.stdin))) + "\n")
