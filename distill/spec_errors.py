"""What pydantic found wrong with a spec, as one sentence that names the keys a person typed.

A union of types (``layers: int | tuple``) is one key to whoever writes the spec and several places to the validator: its branches are put
together here, and neither they nor the tags of a discriminated union are shown.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from distill.errors import SpecError, nearest

MOST = 5  # problems in one sentence
LONGEST = 24  # characters of a wrong value that are repeated
_KINDS = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}
_LIMITS = {
    "greater_than": ("above {}", "gt"),
    "greater_than_equal": ("at least {}", "ge"),
    "less_than": ("below {}", "lt"),
    "less_than_equal": ("at most {}", "le"),
}


def explain(error: ValidationError, model: type[BaseModel], where: str, parts: type[BaseModel]) -> SpecError:
    """All problems of ``error`` (at most :data:`MOST`) as one SpecError.

    Args:
        error: what pydantic found.
        model: the model that was to be made.
        where: the file or part, for the sentence.
        parts: the base class of models that a ``kind`` tells apart.
    """
    found: dict[str, list[ErrorDetails]] = {}
    for problem in error.errors():
        found.setdefault(".".join(_typed(model, problem["loc"], parts)), []).append(problem)
    branches = {path for path in found if any(other.startswith(f"{path}.") for other in found) and path}
    told = [(path, problems) for path, problems in found.items() if path not in branches]
    first_path, first = told[0]
    unknown = [(path, problems[0]) for path, problems in told if problems[0]["type"] == "extra_forbidden"]
    hint = "Correct that value." if len(told) == 1 else "Correct these."
    if unknown:
        path, problem = unknown[0]
        near = nearest(str(problem["loc"][-1]), model_at(model, problem["loc"][:-1], parts).model_fields)
        hint = near if len(told) == 1 else f"For '{path}': {near}"
    if len(told) == 1:
        if unknown:
            return SpecError(f"{where} has an unknown key '{first_path}'.", hint=hint)
        place = f"'{first_path}' " if first_path else ""
        return SpecError(f"{where}: {place}{_said(first, bool(first_path))}.", hint=hint)
    said = [f"'{path}' {_said(problems)}" if path else _said(problems, named=False) for path, problems in told[:MOST]]
    more = f"; and {len(told) - MOST} more" if len(told) > MOST else ""
    return SpecError(f"{where} has {len(told)} faults: {'; '.join(said)}{more}.", hint=hint)


def _said(problems: list[ErrorDetails], named: bool = True) -> str:
    """What is wrong with one key, to be read after its name: ``must be a whole number or a list, not 'many'``."""
    kinds = list(dict.fromkeys(_KINDS[problem["type"]] for problem in problems if problem["type"] in _KINDS))
    if kinds:
        return f"must be {' or '.join(kinds)}{_instead(problems[0])}"
    problem = problems[0]
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"must be {words.format(f'{context[key]:g}')}{_instead(problem)}"
    if kind == "extra_forbidden":
        return "is no known key"
    if kind == "string_too_short":
        return "must not be empty"
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        return f"must be {context['expected']}{_instead(problem)}"
    if kind == "union_tag_invalid":
        return f"must have as its kind one of {context['expected_tags']}, not '{context['tag']}'"
    if kind == "union_tag_not_found":
        return "must have a kind"
    if kind == "too_short":
        least = context["min_length"]
        return f"must have at least {least} {'entry' if least == 1 else 'entries'}"
    message = str(problem["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"is wrong: {message}" if named else message


def _instead(problem: ErrorDetails) -> str:
    """``, not 'many'`` for a short value; a long one, or a whole part, is not repeated."""
    value = problem.get("input")
    if value is None:
        return ", and is empty"
    if isinstance(value, str | int | float) and len(repr(value)) <= LONGEST:
        return f", not {str(value).lower() if isinstance(value, bool) else repr(value)}"
    return ""


def _typed(model: type[BaseModel], loc: tuple[int | str, ...], parts: type[BaseModel]) -> list[str]:
    """The keys of ``loc`` that stand in the file: without the branches of unions and the tags of discriminated ones."""
    keys: list[str] = []
    inside: type[BaseModel] | None = model
    names = False  # whether the keys here are names that people chose
    for step in loc:
        if isinstance(step, int):
            keys.append(str(step))
            continue
        field = inside.model_fields.get(step) if inside else None
        if field is not None:
            keys.append(step)
            inside, names = _inside(field.annotation), "dict" in str(field.annotation)
        elif inside is not None and not names and (tagged := _tagged(step, parts)):
            inside = tagged
        elif inside is not None or names:
            keys.append(step)
    return keys


def _tagged(step: object, parts: type[BaseModel]) -> type[BaseModel] | None:
    """The part whose ``kind`` is ``step``."""
    kinds = {getattr(part.model_fields.get("kind"), "default", None): part for part in reversed(parts.__subclasses__())}
    return kinds.get(str(step))


def _inside(annotation: Any) -> type[BaseModel] | None:
    """The first pydantic model in an annotation, lists and unions looked through."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in getattr(annotation, "__args__", ()) if (found := _inside(each))), None)


def model_at(model: type[BaseModel], loc: tuple[int | str, ...], parts: type[BaseModel]) -> type[BaseModel]:
    """The pydantic model that the keys of ``loc`` lead to, starting from ``model``."""
    current = model
    for key in loc:
        field = current.model_fields.get(str(key))
        # list positions and the tags of a discriminated union are steps in ``loc`` that are no fields
        current = (_tagged(key, parts) if field is None else _inside(field.annotation)) or current
    return current
