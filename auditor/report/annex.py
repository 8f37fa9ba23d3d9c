"""The annex: rules of frameworks.yaml held against what a run knows. It asks first what applies, and it claims no conformity."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from auditor.report.blocks import Block, facts, listing, paragraph, table
from auditor.report.stated import AnnexAnswers

FILE = Path(__file__).with_name("frameworks.yaml")
NO_CLAIM = "This annex says where this report touches a rule and what it cannot say. It is no legal advice and no claim of conformity."


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Record):
    """A law or framework: which text of it was summarised, and from when it applies."""

    title: str
    text_of: str
    dates: tuple[str, ...]
    note: str = ""


class Field(_Record):
    """One thing that a rule asks for: ``knows`` names facts of a run, ``gap`` what the product cannot know."""

    id: str
    ref: str
    asks: str
    knows: tuple[str, ...] = ()
    gap: str = ""


class Part(_Record):
    """Rules that apply together, and the question that decides whether they do."""

    id: str
    source: str
    title: str
    question: str
    fields: tuple[Field, ...]


class Frameworks(_Record):
    """The whole file; ``summarised`` is the day of the summary."""

    summarised: str
    sources: dict[str, Source]
    parts: tuple[Part, ...]


@cache
def frameworks() -> Frameworks:
    """What frameworks.yaml says."""
    return Frameworks.model_validate(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def blocks(answers: AnnexAnswers | None, known: Mapping[str, str]) -> tuple[Block, ...]:
    """The annex as blocks.

    Args:
        answers: what people said; None while nobody was asked, which is as 'not applicable'.
        known: facts of the run by key; see :mod:`auditor.report.known`.
    """
    book = frameworks()
    said = answers or AnnexAnswers()
    asked = [(part.title, "applies" if said.applies.get(part.id) else _no(part, answers)) for part in book.parts]
    made: list[Block] = [paragraph(NO_CLAIM, "note"), facts(asked)]
    for part in book.parts:
        if not said.applies.get(part.id):
            continue
        source = book.sources[part.source]
        rows = [(f.ref, f.asks, *_filled(f, said.fields.get(f.id, ""), known)) for f in part.fields]
        made += [
            paragraph(f"{part.title}. Source: {source.title}, {source.text_of}; summarised on {book.summarised}."),
            listing([*source.dates, *([source.note] if source.note else [])]),
            table(
                part.title,
                ("rule", "asks for", "this report", "not filled"),
                rows,
                widths=(1.1, 2.6, 3.2, 2.1),
                longest=5_000,
                small=True,
            ),
        ]
    return tuple(made)


def _no(part: Part, answers: AnnexAnswers | None) -> str:
    return "not applicable" if answers and part.id in answers.applies else "not applicable (nobody was asked yet)"


def _filled(field: Field, by_hand: str, known: Mapping[str, str]) -> tuple[str, str]:
    """What is known, and what is not: a gap that a person filled is filled."""
    here = [known[key] for key in field.knows if known.get(key)]
    missing = [] if by_hand or not field.gap else [f"not filled: {field.gap}"]
    if by_hand:
        here.append(f"Stated: {by_hand}")
    return " ".join(here) or "–", "; ".join(missing)
