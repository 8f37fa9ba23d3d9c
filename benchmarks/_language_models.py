"""What the benchmarks of language models share: the SmolLM2 pack, its half-depth student, prompts, and peers in an environment of their own.

Peers (TRL, lm-evaluation-harness) pin packages that Heirloom does not want, so they are not in requirements-dev.txt: the first benchmark
that needs them makes an environment over this one under build/ and installs them there, at the versions below.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from benchmarks._common import ROOT
from distill.data import packs
from distill.engine.causal_loading import load_causal, resolve_causal
from distill.engine.layers import pick_layers
from distill.engine.loading import save_classifier
from distill.monitor import Monitor

PEERS = ("trl==1.16.0", "lm-eval==0.4.13")
STUDENT_LAYERS = 15


def teacher_dir(folder: Path) -> Path:
    """The SmolLM2-135M-Instruct pack as safetensors; made once."""
    return resolve_causal("pack:smollm2", folder / "cache", Monitor())


def student_dir(folder: Path) -> Path:
    """15 of its 30 layers, untrained; made once."""
    student = folder / "student-lm"
    if not student.exists():
        save_classifier(pick_layers(load_causal(teacher_dir(folder)), STUDENT_LAYERS), student)
    return student


def prompts(count: int, seed: int = 3) -> list[str]:
    """Distinct prompts of the pack, in a seeded order."""
    frame = packs.dataset("prompts").frame
    return [str(text) for text in frame["text"].sample(frac=1, random_state=seed)[:count]]


def peers_python(folder: Path) -> Path:
    """The interpreter of an environment that sees this one and has the peers beside it; made once."""
    home = folder / "peers"
    python = home / "bin" / "python"
    stamp = home / "installed"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == " ".join(PEERS):
        return python
    print(f"Installing {', '.join(PEERS)} beside this environment, once …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    inner = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (Path(inner) / "heirloom.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n", encoding="utf-8")
    # pip complains of the packs' missing dependencies, which are left out on purpose: only a failure is worth reading
    made = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", *PEERS], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise SystemExit(f"The peers could not be installed:\n{made.stderr[-2000:]}")
    stamp.write_text(" ".join(PEERS), encoding="utf-8")
    return python


def in_process(python: Path | str, script: str, *arguments: str) -> dict[str, Any]:
    """Run a script of this folder with ``arguments`` in a fresh process of ``python``; the JSON of its last line."""
    command = [str(python), "-m", f"benchmarks.{script}", *arguments]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **offline}
    )
    if ended.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{ended.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return answer
