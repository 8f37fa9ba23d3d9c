"""What stays in a run of the one that it follows from: the test predictions of the parent's candidate, so that the two can be compared.

When a run with a parent is audited while the parent is on disk, the predictions are copied to predictions/parent.run/SEED.test.parquet
and stages/parent.json says whose they are. `verify` recomputes the check 'parent' from them when the parent is gone.
"""

from __future__ import annotations

from typing import Any

from auditor.lineage import unlike
from distill.errors import HeirloomError
from distill.files import read_json, write_json
from distill.spec import LANGUAGE_MODELS
from distill.store import Run, RunStore
from distill.types import ClassSignal

PARENT = "parent.run"  # a name that no arm can have


def keep_parent(run: Run, store: RunStore) -> None:
    """Copy what the check 'parent' needs; an existing copy is left alone, and a run without a parent too."""
    path = _about(run)
    if not run.spec.parent or run.spec.task == LANGUAGE_MODELS or (path.exists() and not read_json(path).get("reason")):
        return
    about: dict[str, Any] = {"run": run.spec.parent, "reason": ""}
    try:
        parent = store.get(run.spec.parent)
        signals = _candidate(parent)
        about |= {"candidate": parent.spec.candidate, "label_version": parent.spec.label_version}
        about["reason"] = _differs(run, parent, signals)
    except HeirloomError as error:
        signals, about["reason"] = {}, f"the run {run.spec.parent} cannot be read: {error.message}"
    if not about["reason"]:
        for seed, signal in signals.items():
            signal.write(run.prediction_path(PARENT, seed, "test"))
        about["seeds"] = sorted(signals)
    write_json(path, about)


def parent_of(run: Run) -> dict[str, Any]:
    """What :func:`keep_parent` wrote: run, candidate, label_version, seeds, and a reason where there is nothing to compare with."""
    return dict(read_json(_about(run))) if _about(run).exists() else {}


def _about(run: Run) -> Any:
    return run.folder / "stages" / "parent.json"


def _candidate(parent: Run) -> dict[int, ClassSignal]:
    """Test predictions of the parent's candidate, by seed."""
    name = parent.spec.candidate
    seeds = [card.seed or 0 for card in parent.cards() if card.name == name]
    return {
        seed: parent.prediction(name, seed) for seed in seeds if parent.prediction_path(name, seed, "test").exists()
    }


def _differs(run: Run, parent: Run, signals: dict[int, ClassSignal]) -> str:
    """Why the two cannot be compared; empty when they can."""
    if not signals:
        return f"the candidate of run {parent.id} has no predictions yet"
    if run.examples.labels != parent.examples.labels:
        return f"run {parent.id} has other labels"
    return unlike(next(iter(signals.values())).ids, run.examples.part("test").ids, parent.id)
