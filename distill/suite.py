"""A suite: one recipe over several tasks and domains, each a run of its own in the queue. Its record is one small file in the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from distill import jobs
from distill.errors import SpecError, nearest
from distill.events import now
from distill.files import digest_of, read_json, write_json
from distill.spec import Part, RunSpec, parse_spec
from distill.store import Run, RunStore
from distill.workspace import Workspace

Domain = Literal["general", "legal", "medical", "multi-step"]


class SuiteTask(Part):
    """One task: its data, what domain it stands for, and what of the recipe is different for it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$", description="Short name.")
    domain: Domain = Field("general", description="What the article says distillation struggles with, or 'general'.")
    data: dict[str, Any] = Field(description="The 'data' part of a RunSpec.")
    change: dict[str, dict[str, Any]] = Field({}, description="Parts of the recipe laid over for this task.")


class SuiteSpec(Part):
    """One recipe over several tasks."""

    name: str = Field(min_length=1, max_length=80)
    recipe: dict[str, Any] = Field(description="A RunSpec without name and data.")
    tasks: tuple[SuiteTask, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names(self) -> SuiteSpec:
        names = [task.name for task in self.tasks]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two tasks are called '{twice[0]}'")
        return self

    @property
    def id(self) -> str:
        """Digest of the whole: an equal suite is the same suite."""
        return digest_of(self.model_dump(mode="json"))[:12]


class SuiteRecord(Part):
    """What is kept of a suite: its tasks' runs by name, and the domain of each."""

    id: str
    name: str
    made_at: str
    runs: dict[str, str]
    domains: dict[str, Domain]


def load_suite(path: Path) -> SuiteSpec:
    """Read a suite from YAML; raises SpecError in one sentence."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"There is no readable file {path}.", hint="Ready suites: specs/suite*.yaml.") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{path} is not valid YAML.", hint="Check indentation and quotes.") from error
    try:
        return SuiteSpec.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SpecError(f"{path} at '{place}': {first['msg'].removeprefix('Value error, ')}.") from error


def specs_of(suite: SuiteSpec) -> dict[str, RunSpec]:
    """The RunSpec of every task; raises SpecError that names the task."""
    made = {}
    for task in suite.tasks:
        value: dict[str, Any] = {**suite.recipe, "name": f"{suite.name} · {task.name}", "data": task.data}
        for part, change in task.change.items():
            known = value.get(part, {})
            if not isinstance(known, dict):
                raise SpecError(f"The suite's task '{task.name}': '{part}' cannot be changed by keys.")
            value[part] = {**known, **change}
        made[task.name] = parse_spec(value, f"the suite's task '{task.name}'")
    return made


def submit_suite(workspace: Workspace, suite: SuiteSpec, by: str = "") -> SuiteRecord:
    """Queue every task's run. The same suite again goes on: finished runs stay, stopped ones are resumed, deleted ones made anew."""
    specs = specs_of(suite)
    path = _folder(workspace) / f"{suite.id}.json"
    before = _read(path) if path.exists() else None
    store, runs = RunStore(workspace), dict(before.runs if before else {})
    for name, spec in specs.items():
        there = store.workspace.runs / runs.get(name, "-none-")
        if not (there / "spec.yaml").exists():
            runs[name] = jobs.submit(workspace, spec, by).id
        elif Run(there).status() in {"failed", "cancelled", "interrupted"}:
            jobs.resume(workspace, runs[name], by)
        domains = {task.name: task.domain for task in suite.tasks}
        made_at = before.made_at if before else now()
        record = SuiteRecord(id=suite.id, name=suite.name, made_at=made_at, runs=runs, domains=domains)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, record.model_dump(mode="json"))  # after each: a kill loses no run
    return record


def records(workspace: Workspace) -> list[SuiteRecord]:
    """All suites of the workspace, newest first; a damaged record is passed over."""
    found = []
    for path in sorted(_folder(workspace).glob("*.json")):
        try:
            found.append(_read(path))
        except SpecError:
            continue
    return sorted(found, key=lambda record: record.made_at, reverse=True)


def record_of(workspace: Workspace, name: str) -> SuiteRecord:
    """The suite whose id begins with ``name`` or that is called so; raises SpecError."""
    known = records(workspace)
    hits = [record for record in known if record.id.startswith(name) or record.name == name]
    if not hits:
        raise SpecError(f"There is no suite '{name}'.", hint=nearest(name, [record.id for record in known]))
    return hits[0]


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "suites"


def _read(path: Path) -> SuiteRecord:
    try:
        return SuiteRecord.model_validate(read_json(path))
    except ValidationError as error:
        raise SpecError(f"{path} is no record of a suite.", hint="Delete it and start the suite again.") from error
