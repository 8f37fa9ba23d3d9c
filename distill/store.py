"""The run directory, which is the interface between trainer, audit and pages.

    spec.yaml           the RunSpec, frozen
    events.jsonl        what happened, appended only
    process.json        who works on it (pid and start time)
    cancel              a flag: a person wants it to stop
    worker.log          what the process printed, tracebacks included; never shown in a page
    stages/*.json       one per finished stage: the digest of what decided it, and its summary
    examples.parquet    rows with split
    data.json           what the data stage found: balance, duplicates, near-duplicates
    teacher.json        ModelCard of the teacher
    labels.parquet      the teacher's signal for the pool, with provenance: the review frame
    unanswered.parquet  texts to which a teacher over the network gave no usable answer, and what it said instead
    arms/NAME/SEED/     arm.json (ModelCard) and model/ (safetensors)
    items.parquet       sentences that checks asked for
    predictions/NAME/SEED.SET.parquet      SET is dev, test, items or pool (the candidate alone); the teacher is "teacher", seed 0
    timings.parquet     raw timings
    resources.json      hardware, memory, training seconds
    exports.jsonl       what was measured of each model that was exported; appended only, and as little part of the manifest as events
    audit.json          the AuditReport
    manifest.json       digests of all of the above; written last, so its presence means 'complete'

Status is derived from events and from whether the process lives; it is never stored.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from distill.errors import RunNotFoundError, StoreError, nearest
from distill.events import EVENT, Event, now
from distill.files import append_line, file_digest, read_json, write_json, write_text
from distill.process import recorded_alive
from distill.spec import RunSpec, load_spec
from distill.types import ClassSignal, Examples
from distill.workspace import Workspace, new_run_id

Status = Literal["queued", "running", "awaiting_review", "complete", "failed", "cancelled", "interrupted"]
ACTIVE: tuple[Status, ...] = ("queued", "running")
SetName = Literal["dev", "test", "items", "pool"]
TEACHER = "teacher"
_NO_ARTEFACTS = frozenset(
    ("manifest.json", "process.json", "cancel", "events.jsonl", "worker.log", "seal.json", "exports.jsonl")
)
_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{2,80}")


class ModelCard(BaseModel):
    """What is known of one model: the teacher, or one seed of an arm. Stored as teacher.json and arm.json."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    kind: str
    seed: int | None = None
    id: str = ""
    version: str = ""
    licence: str = ""
    weights_digest: str = ""
    tokenizer_digest: str = ""
    labels: tuple[str, ...] = ()
    layers: int | None = None
    parameters: int | None = None
    bytes: int | None = None
    model_dir: str | None = None
    predictions: str | None = None
    trained_on: int = 0
    human_labels: int = 0
    train_seconds: float = 0.0
    epochs_run: float = 0.0
    notes: tuple[str, ...] = ()
    extra: dict[str, Any] = {}


@dataclass(frozen=True)
class Run:
    """One run directory. Cheap to make; every property reads a file."""

    folder: Path

    @property
    def id(self) -> str:
        """The run's name on disk and in URLs."""
        return self.folder.name

    @cached_property
    def spec(self) -> RunSpec:
        """The frozen RunSpec."""
        return load_spec(self.folder / "spec.yaml")

    # -- events and status ------------------------------------------------------------------------------------------

    def append(self, event: Event) -> None:
        """Append one event as a line; it is whole, or it is the torn last one that takes no other with it."""
        append_line(self.folder / "events.jsonl", event.model_dump_json())

    def events(self) -> list[Event]:
        """All events in order; a torn line (power cut) is left out, the events after it are not."""
        return list(self._read_events())

    def _read_events(self) -> Iterator[Event]:
        path = self.folder / "events.jsonl"
        if not path.exists():
            return
        with path.open(encoding="utf-8", errors="replace") as log:
            for line in log:
                try:
                    yield EVENT.validate_json(line)
                except ValidationError:
                    continue  # a torn line says nothing; what it would have said is said again on resume

    def status(self) -> Status:
        """Derived from the manifest, the living process and the last telling event."""
        if (self.folder / "manifest.json").exists():
            return "complete"
        if recorded_alive(self.folder / "process.json"):
            return "running"
        last = next((e for e in reversed(self.events()) if e.kind in _TELLING), None)
        return _TELLING.get(last.kind, "interrupted") if last else "interrupted"

    def ask_to_cancel(self) -> None:
        """Raise the flag that the trainer tests at each step."""
        (self.folder / "cancel").touch()

    def cancel_asked(self) -> bool:
        """True when the flag is up."""
        return (self.folder / "cancel").exists()

    # -- stages -----------------------------------------------------------------------------------------------------

    def stage_done(self, stage: str, digest: str) -> bool:
        """True when ``stage`` finished with this digest; a damaged marker counts as not done."""
        path = self.folder / "stages" / f"{stage}.json"
        try:
            return path.exists() and read_json(path).get("digest") == digest
        except StoreError:
            return False

    def finish_stage(self, stage: str, digest: str, **summary: Any) -> None:
        """Mark ``stage`` as done; call it after its artefacts are in place."""
        write_json(self.folder / "stages" / f"{stage}.json", {"digest": digest, **summary})

    # -- artefacts --------------------------------------------------------------------------------------------------

    @property
    def examples(self) -> Examples:
        """Rows with their split."""
        return Examples.read(self.folder / "examples.parquet")

    @property
    def teacher(self) -> ModelCard:
        """The teacher's card."""
        return self._card(self.folder / "teacher.json")

    def arm_folder(self, arm: str, seed: int) -> Path:
        """Folder of one trained candidate."""
        return self.folder / "arms" / arm / str(seed)

    def cards(self) -> list[ModelCard]:
        """Cards of all finished arms in the order of the spec, then by seed; the teacher is not among them."""
        found = [self._card(path) for path in (self.folder / "arms").glob("*/*/arm.json")]
        order = {arm.name: position for position, arm in enumerate(self.spec.arms)}
        return sorted(found, key=lambda card: (order.get(card.name, len(order)), card.seed or 0))

    def prediction_path(self, arm: str, seed: int, part: SetName) -> Path:
        """File of one model's predictions on one set."""
        return self.folder / "predictions" / arm / f"{seed}.{part}.parquet"

    def prediction(self, arm: str, seed: int, part: SetName = "test") -> ClassSignal:
        """One model's predictions on one set; raises StoreError when they are missing."""
        return ClassSignal.read(self.prediction_path(arm, seed, part))

    def json(self, name: str) -> dict[str, Any]:
        """A JSON artefact such as ``data``, ``resources`` or ``audit``; empty when it is not there yet."""
        path = self.folder / f"{name}.json"
        return dict(read_json(path)) if path.exists() else {}

    def write_manifest(self) -> None:
        """Write the digests of every artefact, last of all: from now on the run is complete."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        kept = {path.relative_to(self.folder): path for path in files}
        digests = {str(inside): file_digest(path) for inside, path in kept.items() if _in_manifest(inside)}
        write_json(self.folder / "manifest.json", {"version": 1, "written": now(), "files": digests})

    def portable(self, card: ModelCard) -> ModelCard:
        """``card`` as it is stored: a model of this workspace by its path from the run, so that a moved workspace still works."""
        if not card.model_dir:
            return card
        model, home = Path(card.model_dir).resolve(), self.folder.resolve()
        if not model.is_relative_to(home.parent.parent):
            return card
        return card.model_copy(update={"model_dir": os.path.relpath(model, home)})

    def _card(self, path: Path) -> ModelCard:
        """The card in ``path``, with the model's absolute path."""
        try:
            card = ModelCard.model_validate(read_json(path))
        except ValidationError as error:
            raise StoreError(f"{path} is not a model card.", hint="Delete it and resume the run.") from error
        where = str((self.folder / card.model_dir).resolve()) if card.model_dir else None
        return card.model_copy(update={"model_dir": where})


def _in_manifest(inside: Path) -> bool:
    """Whether a file, by its path from the run, is an artefact. The place decides, since arms may have any name: one may be 'checkpoint'."""
    interrupted = len(inside.parts) > 3 and inside.parts[0] == "arms" and inside.parts[3] == "checkpoint"
    return str(inside) not in _NO_ARTEFACTS and not interrupted


_TELLING: dict[str, Status] = {
    "queued": "queued",
    "started": "interrupted",
    "finished": "interrupted",
    "progress": "interrupted",
    "waiting": "awaiting_review",
    "cancelled": "cancelled",
    "failed": "failed",
}


class RunStore:
    """All runs of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def create(self, spec: RunSpec, run_id: str | None = None) -> Run:
        """Make the directory of a new run and freeze its spec there."""
        run = Run(self.workspace.runs / (run_id or new_run_id()))
        try:
            run.folder.mkdir(parents=True)
        except FileExistsError as error:
            raise StoreError(f"There is already a run called {run.id}.", hint="Choose another id.") from error
        write_text(run.folder / "spec.yaml", spec.to_yaml())
        return run

    def get(self, run_id: str) -> Run:
        """The run with this id (or the only one that begins with it); raises RunNotFoundError."""
        if not _RUN_ID.fullmatch(run_id):
            raise RunNotFoundError(f"'{run_id[:80]}' is not a run id.", hint="`heirloom runs` lists them.")
        matches = [f for f in self.workspace.runs.glob(f"{run_id}*") if (f / "spec.yaml").exists()]
        exact = [folder for folder in matches if folder.name == run_id] or matches
        if len(exact) != 1:
            known = [run.id for run in self.all()]
            if exact:
                raise RunNotFoundError(f"'{run_id}' stands for {len(exact)} runs.", hint=nearest(run_id, known))
            near = nearest(run_id, known) if known else "There are no runs yet: `heirloom run specs/demo.yaml`."
            raise RunNotFoundError(
                f"There is no run called '{run_id}' in {self.workspace.root}.",
                hint=f"{near} HEIRLOOM_HOME names another workspace.",
            )
        return Run(exact[0])

    def all(self) -> list[Run]:
        """All runs, newest first."""
        folders = [path.parent for path in self.workspace.runs.glob("*/spec.yaml")]
        return [Run(folder) for folder in sorted(folders, reverse=True)]

    def delete(self, run_id: str) -> None:
        """Remove a run's directory; raises StoreError while it is running. The cache is kept."""
        run = self.get(run_id)
        if run.status() == "running":
            raise StoreError(f"Run {run.id} is running.", hint="Cancel it first.")
        shutil.rmtree(run.folder)
