"""What only people can say of a model: what it is for, and which rules apply. Kept as entries of the evidence chain, never assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from auditor.evidence.chain import Entry
from auditor.evidence.log import record
from auditor.evidence.seal import SEAL, sign_head
from distill.errors import ReportError
from distill.store import Run
from distill.workspace import Workspace

USE, ANNEX = "intended use", "annex"
LONGEST = 4_000


class Stated(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: object) -> object:
        """Lone surrogates cannot be stored anywhere; they are replaced."""
        if isinstance(value, dict):
            return {_clean(key): _clean(each) for key, each in value.items()}
        return _clean(value)


def _clean(value: object) -> object:
    return value.strip().encode("utf-8", "replace").decode() if isinstance(value, str) else value


class IntendedUse(Stated):
    """What the student is for."""

    purpose: str = Field(min_length=1, max_length=LONGEST, description="What it will be used for, by whom.")
    people: str = Field("", max_length=LONGEST, description="Whom its answers are about.")
    oversight: str = Field("", max_length=LONGEST, description="Who watches it in use, and who can stop it.")
    not_for: str = Field("", max_length=LONGEST, description="What it must not be used for.")
    limits: str = Field("", max_length=LONGEST, description="Known limits beyond what was measured.")


class AnnexAnswers(Stated):
    """Which parts of the annex apply, and what a person filled in where the product cannot know."""

    applies: dict[str, bool] = {}
    fields: dict[str, str] = {}


T = TypeVar("T", bound=Stated)


@dataclass(frozen=True)
class Said(Generic[T]):
    """A statement, who made it and when."""

    value: T
    by: str
    at: str


def intended_use(chain: Sequence[Entry]) -> Said[IntendedUse] | None:
    """The intended use as it was last stated; None while nobody has."""
    return _last(chain, USE, IntendedUse)


def annex_answers(chain: Sequence[Entry]) -> Said[AnnexAnswers] | None:
    """The annex's answers as they were last given; None while nobody has."""
    return _last(chain, ANNEX, AnnexAnswers)


def state(workspace: Workspace, run: Run, value: IntendedUse | AnnexAnswers, by: str) -> Entry:
    """Enter a statement into the run's chain. A sign-off that was given before it is reopened.

    Raises:
        ReportError: nobody's name is given.
    """
    if not by.strip():
        raise ReportError("A statement needs a name.", hint="Say who states it.")
    action = USE if isinstance(value, IntendedUse) else ANNEX
    entry = record(workspace, run.id, by.strip(), action, value.model_dump())
    if (run.folder / SEAL).exists():
        sign_head(workspace, run)
    return entry


def _last(chain: Sequence[Entry], action: str, kind: type[T]) -> Said[T] | None:
    for entry in reversed(chain):
        if entry.action == action:
            try:
                return Said(kind.model_validate(entry.payload), entry.actor, entry.at)
            except ValidationError as error:
                raise ReportError(
                    f"Entry {entry.seq} of the evidence chain ({action}) cannot be read by this version.",
                    hint="State it again on the page Report.",
                ) from error
    return None
