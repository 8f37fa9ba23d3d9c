"""Where a run comes from and what it was made with: provenance.json and resources.json."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from distill.energy import NO_METER
from distill.errors import StoreError
from distill.events import now
from distill.files import file_digest, read_json, write_json
from distill.signals import library_versions
from distill.spec import RunSpec
from distill.store import Run

SCHEMA = 1
ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "scikit-learn",
)
WATTS_PER_CORE = 10.0  # a busy server core, its share of memory and fans included; no meter is read


def write_provenance(run: Run, spec: RunSpec) -> None:
    """Write both files from what is known by now; called when the stages begin and when they end.

    The code and the machine are those of the first call: a run that is resumed elsewhere adds a line to ``resumed_on``.
    """
    path = run.folder / "provenance.json"
    before: dict[str, Any] = read_json(path) if path.exists() else {}
    here = {"at": now(), "code": code(), "versions": versions(), "hardware": hardware()}
    first = before.get("made_with", here)
    resumed = list(before.get("resumed_on", []))
    changed = [key for key in ("code", "versions", "hardware") if first[key] != here[key]]
    if changed and not any(_same(line, here) for line in resumed):
        resumed.append({**here, "changed": changed})
    seconds = stage_seconds(run)
    write_json(
        path,
        {
            "schema": SCHEMA,
            "made_with": first,
            "resumed_on": resumed,
            "seeds": seeds(spec),
            "lineage": lineage(run, spec),
            "data": _marker(run, "data"),
            "seconds": seconds,
            "energy": energy(run),
        },
    )
    write_json(run.folder / "resources.json", resources(run, seconds))


def _same(line: dict[str, Any], here: dict[str, Any]) -> bool:
    return all(line.get(key) == here[key] for key in ("code", "versions", "hardware"))


@cache
def code() -> dict[str, Any]:
    """Git commit (empty outside a checkout), whether files differ from it, and digests of the requirement files."""
    commit = _git("rev-parse", "HEAD")
    files = [path for path in sorted(ROOT.glob("requirements*.txt")) if path.is_file()]
    return {
        "commit": commit,
        "modified": bool(_git("status", "--porcelain", "--untracked-files=no", "--", "distill", "auditor"))
        if commit
        else None,
        "requirements": {path.name: file_digest(path) for path in files},
    }


def made_by() -> str:
    """Version, commit and, with 'modified', whether files differ from it: which code wrote an audit or drew a report."""
    here = code()
    commit = f", commit {here['commit'][:12]}" if here["commit"] else ""
    return f"heirloom {library_versions(('heirloom',))['heirloom']}{commit}{', modified' if here['modified'] else ''}"


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""  # no git, or no checkout: an installed package has no commit
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of Python, Heirloom and the libraries that decide a result; nothing is imported for it."""
    return {"python": platform.python_version(), **library_versions(("heirloom", *LIBRARIES))}


@cache
def hardware() -> dict[str, Any]:
    """Processor, cores, threads in use, memory in bytes, accelerators and system."""
    return {
        "cpu": _cpu_model(),
        "cores": len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS") or "all cores",
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": _gpus(),
        "system": platform.platform(),
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """Names of NVIDIA devices, read from the driver: torch need not be loaded for it."""
    names = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        names += [line.partition(":")[2].strip() for line in lines if line.startswith("Model")]
    return names


def seeds(spec: RunSpec) -> dict[str, Any]:
    """Every seed that a result depends on."""
    return {
        "split": spec.data.split.seed,
        "teacher": spec.teacher.options.get("seed"),
        "students": list(spec.seeds),
        "review": spec.review.seed,
        "audit": spec.audit.seed,
    }


def lineage(run: Run, spec: RunSpec) -> dict[str, Any]:
    """Parent run, base weights, and how often the students' knowledge was distilled."""
    there = (run.folder / "teacher.json").exists()
    card = run.teacher if there else None
    return {
        "parent": spec.parent,
        "label_version": spec.label_version,
        "teacher": card.id if card else None,
        "base_weights": card.weights_digest if card else None,
        "generation": int(card.extra.get("generation", 0)) + 1 if card else None,
    }


def stage_seconds(run: Run, kind: str = "seconds") -> dict[str, float]:
    """Wall seconds ('seconds'), core seconds ('cpu_seconds') or energy ('kwh') of each finished stage; what was reused costs nothing."""
    found = {path.stem: _marker(run, path.stem).get(kind) for path in (run.folder / "stages").glob("*.json")}
    return {
        stage: float(seconds) for stage, seconds in sorted(found.items()) if seconds is not None and "-" not in stage
    }


def energy(run: Run) -> dict[str, Any]:
    """What the stages used by the meter of :mod:`distill.energy`; where none ran, busy core seconds × an assumed power."""
    busy = sum(stage_seconds(run, "cpu_seconds").values())
    kwh = stage_seconds(run, "kwh")
    methods = {_marker(run, stage).get("kwh_method") for stage in kwh} - {None}
    if kwh and kwh.keys() == stage_seconds(run).keys():
        said = "; ".join(sorted(map(str, methods)))
        estimate = not methods or any(str(one).startswith(NO_METER) for one in methods)
        return {
            "kwh": round(sum(kwh.values()), 9),
            "kwh_by_stage": kwh,
            "core_seconds": round(busy, 1),
            "estimate": estimate,
            "method": said,
        }
    return {
        "kwh": round(busy * WATTS_PER_CORE / 3_600_000, 6),
        "core_seconds": round(busy, 1),
        "estimate": True,
        "method": f"{NO_METER}: busy core seconds of the stages × {WATTS_PER_CORE:g} W, accelerators not counted",
    }


def resources(run: Run, seconds: dict[str, float]) -> dict[str, Any]:
    """What resources.json holds: device, hardware, wall seconds by stage, and memory by arm in bytes:
    the peak of a process that answers with it, and what of it the model added to the bare process."""
    cards = [*([run.teacher] if (run.folder / "teacher.json").exists() else []), *run.cards()]
    timings = _marker(run, "timings")
    return {
        "device": timings.get("device", "cuda" if hardware()["gpus"] else "cpu"),
        "hardware": hardware(),
        "peak_memory_bytes": timings.get("peak_memory_bytes", {}),
        "model_memory_bytes": timings.get("model_memory_bytes", {}),
        "process_peak_bytes": _peak(),
        "seconds": seconds,
        "train_seconds": {f"{card.name}/{card.seed or 0}": card.train_seconds for card in cards if card.train_seconds},
    }


def _peak() -> int:
    """Largest resident set of this process so far, in bytes."""
    import resource  # absent on Windows, where the worker does not run

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def _marker(run: Run, stage: str) -> dict[str, Any]:
    """A stage's summary; empty when it has none or it is damaged (the stage is then done again)."""
    path = run.folder / "stages" / f"{stage}.json"
    try:
        return dict(read_json(path)) if path.exists() else {}
    except StoreError:
        return {}
