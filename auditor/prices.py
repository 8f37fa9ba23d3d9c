"""The price book: what an hour of a machine or 1,000 tokens of an endpoint cost. Shipped with dated list prices, edited in the app."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from distill.errors import SpecError, StoreError, nearest
from distill.files import write_text
from distill.workspace import Workspace

SHIPPED = Path(__file__).with_name("prices.yaml")
FILE = "prices.yaml"
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PriceEntry(BaseModel):
    """One price, with the day it was seen and where.

    Attributes:
        name: word in specs.
        kind: 'machine' (``per_hour``) or 'tokens' (``per_1k_input``, ``per_1k_output``); all in USD.
        list_price: False for a figure that a person put in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,60}$")
    kind: Literal["machine", "tokens"] = "machine"
    title: str = Field("", max_length=200)
    per_hour: Price | None = None
    per_1k_input: Price | None = None
    per_1k_output: Price | None = None
    date: dt.date
    source: str = Field("", max_length=400)
    list_price: bool = True

    @model_validator(mode="after")
    def _has_its_price(self) -> PriceEntry:
        if self.kind == "machine" and self.per_hour is None:
            raise ValueError("a machine needs a price per hour")
        if self.kind == "tokens" and (self.per_1k_input is None or self.per_1k_output is None):
            raise ValueError("an endpoint needs a price per 1,000 tokens read and one per 1,000 tokens written")
        return self


class PriceBook(BaseModel):
    """Entries by name; a user's entry replaces the shipped one of the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    entries: tuple[PriceEntry, ...] = ()

    def entry(self, name: str) -> PriceEntry:
        """The entry called ``name``; raises SpecError that names the nearest known one."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise SpecError(
            f"The price book has no entry '{name}'.", hint=nearest(name, [entry.name for entry in self.entries])
        )

    def with_entry(self, entry: PriceEntry) -> PriceBook:
        """A book in which ``entry`` is new or replaces the one of its name."""
        others = [other for other in self.entries if other.name != entry.name]
        return PriceBook(entries=(*others, entry))

    def as_prices(self) -> dict[str, Any]:
        """The book as plain data, for :class:`auditor.check.AuditInput`."""
        return self.model_dump(mode="json")


def book_from_prices(prices: dict[str, Any]) -> PriceBook:
    """The book that ``as_prices`` made; the shipped one for an empty mapping."""
    return PriceBook.model_validate(prices) if prices else shipped_book()


def shipped_book() -> PriceBook:
    """The dated list prices that come with the program."""
    return _read(SHIPPED)


def load_book(workspace: Workspace | None = None) -> PriceBook:
    """The shipped prices with the user's laid over them; raises StoreError when the user's file is damaged."""
    book = shipped_book()
    path = workspace.root / FILE if workspace else None
    if path is not None and path.exists():
        for entry in _read(path).entries:
            book = book.with_entry(entry)
    return book


def save_entry(workspace: Workspace, entry: PriceEntry) -> PriceBook:
    """Keep a user's price in the workspace and return the whole book."""
    path = workspace.root / FILE
    own = _read(path) if path.exists() else PriceBook()
    _write(path, own.with_entry(entry))
    return load_book(workspace)


def remove_entry(workspace: Workspace, name: str) -> PriceBook:
    """Forget a user's price; a shipped one of that name comes back."""
    path = workspace.root / FILE
    if path.exists():
        _write(path, PriceBook(entries=tuple(entry for entry in _read(path).entries if entry.name != name)))
    return load_book(workspace)


def _write(path: Path, book: PriceBook) -> None:
    dump = book.model_dump(mode="json", exclude_none=True)
    write_text(path, yaml.safe_dump(dump, sort_keys=False, allow_unicode=True))


def _read(path: Path) -> PriceBook:
    try:
        return PriceBook.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"The price book {path} has a fault at '{where}': {first['msg']}.", hint="Mend or delete that file."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise StoreError(f"The price book {path} cannot be read.", hint="Mend or delete that file.") from error
