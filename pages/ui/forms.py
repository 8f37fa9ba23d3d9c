"""Widgets from a pydantic model: one generic function, so that form, command line, YAML and docs come from one description.

    values = forms.draw(TrainingSpec, values, key="training")

A field's annotation picks the widget: Literal → choice, bool → toggle, number → number with its bounds, text → text, a tuple of
words → tags, a nested model → its own group, everything else → a line of YAML. The description is the help. What comes back is plain
data; :func:`check` turns it into the model or raises the sentence that says what is wrong.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import annotated_types as at
import streamlit as st
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from distill.errors import SpecError
from distill.spec import check_options
from pages.ui.text import escaped

M = TypeVar("M", bound=BaseModel)
FEW = 4  # so many choices fit side by side,
SHORT = 16  # when their names have no more characters than this together


@dataclass(frozen=True)
class Bounds:
    """Limits of a number; ``open_low`` when the lower one itself is not allowed."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False


def draw(
    model: type[BaseModel],
    values: Mapping[str, Any],
    key: str,
    *,
    only: Iterable[str] | None = None,
    leave_out: Iterable[str] = (),
    columns: int = 2,
) -> dict[str, Any]:
    """Draw a widget for each field of ``model`` and return their values as plain data.

    Args:
        model: the description.
        values: present values by field name; defaults fill the gaps.
        key: prefix of the widgets' keys; change it to start afresh with other ``values``.
        only: draw these fields alone, in this order; the others are returned as they are.
        leave_out: draw all but these.
        columns: how many widgets stand side by side.
    """
    result = {
        name: _plain(values[name] if name in values else _default(field)) for name, field in model.model_fields.items()
    }
    names = [name for name in (only or model.model_fields) if name not in set(leave_out)]
    flat = [name for name in names if _nested(model.model_fields[name].annotation) is None]
    for start in range(0, len(flat), columns):
        for cell, name in zip(st.columns(columns), flat[start : start + columns], strict=False):
            with cell:
                result[name] = field_widget(model.model_fields[name], name, result[name], f"{key}.{name}")
    for name in names:
        nested = _nested(model.model_fields[name].annotation)
        if nested is not None:
            st.markdown(f"**{label_of(name)}**", help=_help(model.model_fields[name]))
            result[name] = draw(nested, result[name] or {}, f"{key}.{name}", columns=columns)
    return result


def check(model: type[M], values: Mapping[str, Any], where: str) -> M:
    """The model made of ``values``; raises SpecError with one sentence."""
    return model.model_validate(check_options(model, dict(values), where))


def label_of(name: str) -> str:
    """A field's name as a label."""
    words = name.replace("_", " ")
    return escaped(words[:1].upper() + words[1:])


def field_widget(field: FieldInfo, name: str, value: Any, key: str) -> Any:
    """The widget of one field; returns its value as plain data."""
    kind, optional = _without_none(field.annotation)
    label, explain = label_of(name), _help(field)
    origin = get_origin(kind)
    if origin is Literal:
        return _choice(label, explain, list(get_args(kind)), value, optional, key)
    if kind is bool:
        return st.toggle(label, value=bool(value), key=key, help=explain)
    if kind is int:
        return _whole(label, explain, value, _bounds(field), optional, key)
    if kind is float:
        return _number(label, explain, value, _bounds(field), optional, key)
    if kind is str:
        typed = st.text_input(
            label, value=value or "", key=key, help=explain, placeholder="not set" if optional else None
        )
        return (typed or None) if optional else (typed or "")
    if origin is tuple and get_args(kind) == (str, ...):
        return st.multiselect(
            label,
            list(value or ()),
            default=list(value or ()),
            accept_new_options=True,
            key=key,
            help=explain,
            placeholder="Type and press Enter",
        )
    if origin is tuple and get_args(kind) == (int, ...):
        return _whole_numbers(label, explain, value, key)
    return _yaml_line(label, explain, value, key)


def _choice(label: str, explain: str | None, options: list[Any], value: Any, optional: bool, key: str) -> Any:
    if optional:
        options = [None, *options]
    shown = {option: "not set" if option is None else str(option) for option in options}
    if len(options) <= FEW and sum(map(len, shown.values())) <= SHORT:
        return st.segmented_control(
            label, options, default=value, required=True, format_func=shown.__getitem__, key=key, help=explain
        )
    return st.selectbox(
        label, options, index=options.index(value), format_func=shown.__getitem__, key=key, help=explain
    )


def _whole(label: str, explain: str | None, value: Any, bounds: Bounds, optional: bool, key: str) -> int | None:
    low = None if bounds.low is None else int(bounds.low) + (1 if bounds.open_low else 0)
    high = None if bounds.high is None else int(bounds.high)
    settings: dict[str, Any] = {
        "min_value": low,
        "max_value": high,
        "value": None if value is None else int(value),
        "step": 1,
    }
    found: int | None = st.number_input(
        label, key=key, help=explain, placeholder="not set" if optional else None, **settings
    )
    return found if optional or found is not None else value


def _number(label: str, explain: str | None, value: Any, bounds: Bounds, optional: bool, key: str) -> float | None:
    shown = None if value is None else float(value)
    settings: dict[str, Any] = {
        "min_value": bounds.low,
        "max_value": bounds.high,
        "value": shown,
        "step": _step(shown, bounds),
        "format": "%.6g",
    }
    found: float | None = st.number_input(
        label, key=key, help=explain, placeholder="not set" if optional else None, **settings
    )
    return found if optional or found is not None else value


def _step(value: float | None, bounds: Bounds) -> float:
    """A step that suits the size of the value: its own power of ten where it is tiny, 0.01 for shares, else 0.1."""
    if value is not None and 0 < abs(value) < 0.01:
        return float(10.0 ** math.floor(math.log10(abs(value))))
    return 0.01 if bounds.high is not None and bounds.high <= 1 else 0.1


def _whole_numbers(label: str, explain: str | None, value: Any, key: str) -> Any:
    typed = st.text_input(
        label,
        value=", ".join(str(v) for v in value or ()),
        key=key,
        help=explain,
        placeholder="Whole numbers, with commas",
    )
    pieces = [piece.strip() for piece in (typed or "").replace(";", ",").split(",") if piece.strip()]
    return [int(piece) if re.fullmatch(r"-?[0-9]{1,18}", piece) else piece for piece in pieces]


def _yaml_line(label: str, explain: str | None, value: Any, key: str) -> Any:
    """Anything else as YAML in flow style: ``2``, ``[0, 5]``, ``{neg: negative}``."""
    shown = (
        ""
        if value in (None, {}, [], ())
        else yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    )
    shown = shown.removesuffix("\n...\n").strip()
    typed = st.text_input(label, value=shown, key=key, help=explain, placeholder="YAML, such as 2, [0, 5] or {a: b}")
    if not (typed or "").strip():
        return type(value)() if isinstance(value, dict | list) else None
    try:
        return yaml.safe_load(typed or "")
    except yaml.YAMLError as error:
        raise SpecError(f"'{label}' is not valid YAML.", hint="Write it such as 2, [0, 5] or {a: b}.") from error


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """The annotation without ``None`` and without metadata, and whether None is allowed."""
    if get_origin(annotation) is typing.Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        rest = tuple(arg for arg in get_args(annotation) if arg is not type(None))
        if len(rest) == 1:
            return rest[0], True
        return annotation, len(rest) < len(get_args(annotation))
    return annotation, False


def _nested(annotation: Any) -> type[BaseModel] | None:
    kind, optional = _without_none(annotation)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) and not optional else None


def _bounds(field: FieldInfo) -> Bounds:
    low: float | None = None
    high: float | None = None
    open_low = False
    for mark in field.metadata:
        if isinstance(mark, at.Ge):
            low = float(mark.ge)  # type: ignore[arg-type]
        elif isinstance(mark, at.Gt):
            low, open_low = float(mark.gt), True  # type: ignore[arg-type]
        elif isinstance(mark, at.Le):
            high = float(mark.le)  # type: ignore[arg-type]
        elif isinstance(mark, at.Lt):
            high = float(mark.lt)  # type: ignore[arg-type]
    return Bounds(low, high, open_low)


def _default(field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=True)
    return None if value is PydanticUndefined else value


def _plain(value: Any) -> Any:
    """Models and tuples as dicts and lists, the way JSON and YAML have them."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value


def _help(field: FieldInfo) -> str | None:
    return escaped(field.description, 400) if field.description else None
