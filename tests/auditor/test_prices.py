from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from pydantic import ValidationError

from auditor.expectations import expectations, expected
from auditor.prices import PriceEntry, book_from_prices, load_book, remove_entry, save_entry, shipped_book
from distill.errors import SpecError, StoreError
from distill.spec import PriceSpec
from distill.workspace import Workspace

DAY = dt.date(2026, 5, 1)


def test_the_shipped_book_is_dated_and_sourced() -> None:
    book = shipped_book()
    assert book.entry(PriceSpec().entry).per_hour
    assert all(entry.source and entry.date.year >= 2025 for entry in book.entries)
    assert {entry.kind for entry in book.entries} == {"machine", "tokens"}
    assert book_from_prices(book.as_prices()) == book


def test_a_users_price_is_kept_and_can_be_forgotten(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path).made()
    shipped = load_book(workspace).entry("cpu-2core").per_hour
    save_entry(
        workspace, PriceEntry(name="cpu-2core", per_hour=0.01, date=DAY, source="our contract", list_price=False)
    )
    save_entry(workspace, PriceEntry(name="ours", per_hour=2.0, date=DAY))
    book = load_book(workspace)
    assert (book.entry("cpu-2core").per_hour, book.entry("ours").per_hour) == (0.01, 2.0)
    remove_entry(workspace, "ours")
    assert remove_entry(workspace, "cpu-2core").entry("cpu-2core").per_hour == shipped


def test_faults_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Did you mean 'cpu-2core"):
        shipped_book().entry("cpu2core")
    with pytest.raises(ValidationError):
        PriceEntry(name="x", kind="tokens", per_hour=1.0, date=DAY)
    with pytest.raises(ValidationError):
        PriceEntry(name="x", per_hour=-1.0, date=DAY)
    workspace = Workspace(tmp_path).made()
    (tmp_path / "prices.yaml").write_text("entries: [{name: x}]")
    with pytest.raises(StoreError, match=r"has a fault at 'entries\.0"):
        load_book(workspace)
    (tmp_path / "prices.yaml").write_text("entries: [")
    with pytest.raises(StoreError, match="cannot be read"):
        load_book(workspace)


def test_expectations_have_a_source_and_a_span() -> None:
    assert all(claim.source and claim.span for claim in expectations())
    assert len({claim.id for claim in expectations()}) == len(expectations())
    first = expected("accuracy_retention", "distilled")[0]
    assert (first.span, first.single) == ("89-93 %", False)
    assert expected("accuracy_retention", "teacher") == ()
