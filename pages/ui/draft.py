"""The spec that a person is putting together: plain data in their session, shared by Data and New run, checked only when it is whole."""

from __future__ import annotations

from typing import Any

from distill.presets import PRESETS
from distill.spec import LANGUAGE_MODELS, GenerationSpec, RunSpec, parse_spec, spec_from_yaml
from pages.ui import state
from pages.ui.text import one_line

CLASSIFIERS = "classification"
_DRAFT, _REVISION, _STEP, _UPLOADED = "draft", "draft_revision", "draft_step", "upload_names"


def values() -> dict[str, Any]:
    """The draft as nested plain data; empty at first."""
    found: dict[str, Any] = state.once(_DRAFT, dict)
    return found


def part(*path: str) -> dict[str, Any]:
    """A nested part of the draft, made when it is not there."""
    here = values()
    for name in path:
        here = here.setdefault(name, {})
    return here


def key(name: str) -> str:
    """A widget key that is fresh after the draft was replaced as a whole (preset, YAML), so that widgets show the new values."""
    return f"draft{state.get(_REVISION, 0)}.{name}"


def replace(new: dict[str, Any]) -> None:
    """Replace the whole draft."""
    state.put(_DRAFT, new)
    state.put(_REVISION, state.get(_REVISION, 0) + 1)


def apply_preset(name: str) -> None:
    """Lay a preset over the draft."""
    replace({**_merged(values(), PRESETS[name]), "_preset": name})


def name_upload(path: str, name: str) -> None:
    """Remember what a person's file was called; it is shown as text and never opened by that name."""
    state.put(_UPLOADED, {**state.get(_UPLOADED, {}), path: one_line(name.replace("\\", "/").rsplit("/", 1)[-1], 80)})


def shown_name(path: str) -> str:
    """The name that an upload had, or the path itself."""
    names: dict[str, str] = state.get(_UPLOADED, {})
    return names.get(path) or path


def with_names(sentence: str) -> str:
    """The sentence with each upload called as the person called it."""
    for path, name in state.get(_UPLOADED, {}).items():
        sentence = sentence.replace(path, name).replace(path.rsplit("/", 1)[-1], name)
    return sentence


def task() -> str:
    """The task of the draft."""
    return str(values().get("task", CLASSIFIERS))


def change_task(new: str) -> None:
    """Begin anew with another task, the data and a name of one's own apart: what a teacher, an arm or a gate is differs between tasks."""
    kept: dict[str, Any] = {name: values()[name] for name in ("name", "data") if name in values()}
    made: dict[str, Any] = {}
    if new == LANGUAGE_MODELS:
        source = kept.get("data", {}).get("source") or {"kind": "file", "path": "prompts.jsonl"}
        whole = RunSpec.model_validate({"name": "draft", "task": new, "data": {"source": source}}).model_dump(
            mode="json"
        )
        names = ("teacher", "signals", "student", "training", "arms", "audit")
        made = {name: whole[name] for name in names}
        made["generation"] = GenerationSpec().model_dump(mode="json")
    replace({**kept, "task": new, **made})


def preset() -> str | None:
    """The preset that was laid over the draft last."""
    found: str | None = values().get("_preset")
    return found


def from_yaml(text: str) -> RunSpec:
    """Replace the draft by a spec in YAML; raises SpecError."""
    spec = spec_from_yaml(text, "the YAML")
    replace(spec.model_dump(mode="json"))
    return spec


def spec() -> RunSpec:
    """The draft as a RunSpec; raises SpecError with the sentence that says what is missing."""
    return parse_spec({name: value for name, value in values().items() if not name.startswith("_")}, "this run")


def step() -> int:
    """The step of New run that is open, 1..5."""
    found: int = state.get(_STEP, 1)
    return found


def go_to(number: int) -> None:
    """Open a step of New run."""
    state.put(_STEP, number)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(name), dict)
        merged[name] = _merged(base[name], value) if both else value
    return merged
