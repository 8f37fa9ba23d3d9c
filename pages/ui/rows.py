"""Data sets before a run exists: which are ready, what is in one, where an upload is kept. Bounded caches over distill.data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic import TypeAdapter

from distill.data import packs
from distill.data.sources import load
from distill.data.summary import profile as make_profile
from distill.data.table import Table
from distill.data.uploads import save_upload
from distill.files import digest_of
from distill.spec import Columns, Source
from pages.ui import cache, people

_SOURCE: TypeAdapter[Source] = TypeAdapter(Source)
FIRST = "tweets"  # what a newcomer sees first


@dataclass(frozen=True)
class ReadySet:
    """A data set that comes with a pack."""

    name: str
    summary: str
    licence: str


def ready_sets() -> list[ReadySet]:
    """Data sets of the installed packs."""
    return _ready_sets()


def first_of(sets: Sequence[ReadySet]) -> int:
    """Position of the data set that is shown first."""
    return next((i for i, s in enumerate(sets) if s.name == FIRST), 0)


def key_of(source: dict[str, Any]) -> str:
    """A short name of a source for widget keys."""
    return digest_of(source)[:12]


def profile(source: dict[str, Any], columns: Columns | None) -> dict[str, Any]:
    """What is in the rows of a source; see :func:`distill.data.summary.profile`. Raises DataError or PackError, and RoleError where a reader
    asks for other rows than those of a ready data set."""
    if source["kind"] != "pack":
        people.need("engineer")
    path = source.get("path")
    mapping = None if columns is None else columns.model_dump_json()
    with st.spinner("Reading the rows …"):
        return _profile(
            json.dumps(source, sort_keys=True), mapping, cache.stamp(Path(path).expanduser()) if path else (0, 0)
        )


def own_columns(source: dict[str, Any]) -> Columns | None:
    """The mapping that comes with a ready data set; None for any other source, where it is guessed."""
    return packs.columns(source["name"]) if source["kind"] == "pack" else None


def keep_upload(name: str, data: bytes) -> Path:
    """Keep an upload in the workspace under the name of its content."""
    people.need("engineer")
    return save_upload(cache.workspace(), name, data)


@st.cache_resource(max_entries=2, show_spinner=False)
def _table(source: str, stamp_: tuple[int, int]) -> Table:
    return load(_SOURCE.validate_json(source))


@st.cache_resource(max_entries=24, show_spinner=False)
def _profile(source: str, columns: str | None, stamp_: tuple[int, int]) -> dict[str, Any]:
    return make_profile(_table(source, stamp_), None if columns is None else Columns.model_validate_json(columns))


@st.cache_resource(max_entries=1, ttl=60, show_spinner=False)
def _ready_sets() -> list[ReadySet]:
    there = (one for one in packs.status(check=False) if one.digest != "missing" and packs.find(one.name).reader)
    return [ReadySet(one.name, one.use, one.licence) for one in there]
