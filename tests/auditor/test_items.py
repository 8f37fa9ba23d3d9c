from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from auditor import items
from auditor.check import CHECKS, ITEMS
from auditor.items import check_items, collect_items
from distill.spec import RunSpec
from distill.types import Examples, content_id
from tests.fakes import make_fake_run


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two checks ask for sentences, one of them the same sentence in two parts."""

    def first(_: RunSpec, __: Examples, ___: object) -> pd.DataFrame:
        rows = [("She is angry.", "female", 0), ("He is angry.", "male", 0), ("He is angry.", "male", 0)]
        return pd.DataFrame(rows, columns=["text", "gender", "template"])

    def second(_: RunSpec, __: Examples, ___: object) -> pd.DataFrame:
        return pd.DataFrame({"text": ["He is angry.", "So?"], "pair": ["Is he?", None], "gender": ["male", "none"]})

    for name in list(ITEMS):
        monkeypatch.delitem(ITEMS, name)
    monkeypatch.setitem(ITEMS, "quality", first)
    monkeypatch.setitem(ITEMS, "fidelity", second)


@pytest.mark.usefixtures("only")
def test_named_by_content_and_asked_once(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path)
    frame = collect_items(run.spec, run.examples)
    assert list(frame.columns) == ["item_id", "check", "text", "pair", "meta"]
    assert frame["item_id"].is_unique
    assert len(frame) == 4  # the repeated row of the first check is one
    mine = check_items(frame, "quality")
    assert mine[["gender", "template"]].to_dict("records") == [
        {"gender": "female", "template": 0},
        {"gender": "male", "template": 0},
    ]
    assert list(frame["item_id"].iloc[mine["position"]]) == list(mine["item_id"])
    assert mine["item_id"].iloc[0] == content_id("She is angry.")
    assert json.loads(frame["meta"].iloc[0]) == {"gender": "male"}
    assert list(frame["pair"])[:2] == ["Is he?", None]


@pytest.mark.usefixtures("only")
def test_a_second_part_has_an_id_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ITEMS, "size", lambda *_: pd.DataFrame({"text": ["So?"], "gender": ["other"]}))
    run = make_fake_run(tmp_path)
    frame = collect_items(run.spec, run.examples)
    ids = list(frame.loc[frame["text"] == "So?", "item_id"])
    assert ids == [content_id("So?"), f"{content_id('So?')}.2"]


@pytest.mark.usefixtures("only")
def test_skipped_checks_ask_nothing(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, spec={"audit": {"skip": ["quality"]}})
    assert set(collect_items(run.spec, run.examples)["check"]) == {"fidelity"}


def test_no_items_is_an_empty_frame() -> None:
    assert check_items(pd.DataFrame(columns=items.COLUMNS), "quality").empty
    assert len(CHECKS.names()) >= 7
