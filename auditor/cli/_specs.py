"""Reading a RunSpec for the command line: changes, presets and paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from auditor.items import validate_checks
from distill.errors import SpecError, nearest
from distill.presets import PRESETS, with_preset
from distill.spec import RunSpec, load_spec, parse_spec

PATH_KEYS = {"path", "source", "base", "checkpoint", "model", "predictions"}


def read_spec(path: Path, changes: list[str], preset: str | None = None) -> RunSpec:
    """The RunSpec in ``path`` with a preset and ``key=value`` changes laid over it, paths made absolute.

    Raises:
        SpecError: the file, a key, a value or the preset is wrong.
    """
    spec = load_spec(path)
    if preset is not None:
        if preset not in PRESETS:
            raise SpecError(f"There is no preset called '{preset}'.", hint=nearest(preset, PRESETS))
        spec = with_preset(spec, preset)
    value = spec.model_dump(mode="json")
    for change in changes:
        _set(value, change)
    made = parse_spec(_absolute(value, (path.resolve().parent, Path.cwd())), str(path))
    validate_checks(made)
    return made


def _set(value: dict[str, Any], change: str) -> None:
    """Apply one ``dotted.key=value``; the value is YAML, so ``1``, ``true`` and ``[1, 2]`` are what they look like."""
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise SpecError(f"'{change}' is not KEY=VALUE.", hint="For example: --set training.epochs=1.")
    try:
        new = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(f"The value of '{key}' is not valid YAML.", hint="Quote it.") from error
    *parents, last = key.split(".")
    place: Any = value
    for step, parent in enumerate(parents):
        place = _child(place, parent, ".".join(parents[: step + 1]))
    if isinstance(place, list):
        place[_position(place, last, key)] = new
    elif isinstance(place, dict):
        place[last] = new
    else:
        raise SpecError(
            f"'{key}' leads nowhere: '{'.'.join(parents)}' has no parts.", hint="`heirloom schema` shows all."
        )


def _child(place: Any, name: str, so_far: str) -> Any:
    if isinstance(place, list):
        return place[_position(place, name, so_far)]
    if isinstance(place, dict):
        if place.get(name) is None:  # an unknown key is named by parse_spec, with the nearest known one
            place[name] = {}
        return place[name]
    raise SpecError(f"There is no key '{so_far}'.", hint="`heirloom schema` shows all keys.")


def _position(place: list[Any], word: str, so_far: str) -> int:
    if not word.isdigit() or int(word) >= len(place):
        raise SpecError(f"There is no '{so_far}'.", hint=f"Count from 0 to {len(place) - 1}.")
    return int(word)


def _absolute(value: Any, bases: tuple[Path, ...], key: str = "") -> Any:
    """Paths that exist beside the spec or here become absolute, since the runner starts elsewhere; hub ids stay as they are."""
    if isinstance(value, dict):
        return {name: _absolute(part, bases, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_absolute(part, bases, key) for part in value]
    if key in PATH_KEYS and isinstance(value, str) and value and not Path(value).is_absolute():
        found = next((base / value for base in bases if (base / value).exists()), None)
        return str(found.resolve()) if found else value
    return value
