"""Where a run has prices of errors, every page that ranks says what they cost; exported models stand on Compare."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distill.export import Verified, _record
from distill.store import Run
from pages.ui.words import word_of
from tests.fakes import RUN_ID, make_fake_run
from tests.pages.driver import assert_well, open_page, said

PRICES = {"errors": {"negative": {"positive": 2.0}}, "error_default": 0.1}
DEAR = word_of("total_cost_per_1k").name


@pytest.fixture(scope="module")
def priced_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("priced")
    spec = {"audit": {"prices": PRICES}}
    make_fake_run(root, audit=True, n_test=120, n_pool=60, n_train=20, n_dev=60, spec=spec)
    made = Run(root / "runs" / RUN_ID)
    one = Verified("bundle-int8", "distilled", 1, 120, 0.9917, 0.03, 0.001, 0.61, 0.8, 92_000_000, 9_600_000)
    _record(made, one)
    return root


@pytest.fixture
def priced(home: Path, priced_home: Path) -> Path:
    shutil.copytree(priced_home, home, dirs_exist_ok=True)
    return home


def test_compare_ranks_by_running_and_errors_together(priced: Path) -> None:
    app = open_page("compare", run=RUN_ID)
    assert_well(app)
    assert any(metric.label == "Cost saved, errors included" for metric in app.metric)
    assert "your prices of errors included" in said(app)
    columns = {column for frame in app.dataframe for column in frame.value.columns}
    assert {DEAR, "cost of errors in 1,000 answers"} <= columns


def test_compare_shows_what_was_exported_and_how_it_does_by_itself(priced: Path) -> None:
    table = next(f.value for f in open_page("compare", run=RUN_ID).dataframe if "first answer, s" in f.value.columns)
    row = table.iloc[0].to_dict()
    assert row["format"] == "bundle-int8" and row["the arm's label"] == "99.17 % of 120"
    assert row["peak memory"] == "92.0 MB" and row["on disk"] == "9.60 MB" and row["first answer, s"] == "0.610"


def test_runs_and_alternatives_speak_of_money_too(priced: Path) -> None:
    runs = open_page("")
    assert_well(runs)
    table = next(frame.value for frame in runs.dataframe if "verdict" in frame.value.columns)
    assert DEAR in table.columns and "$" in table[DEAR].iloc[0] and "[" in table[DEAR].iloc[0]
    assert "errors and running" in said(runs)
    other = open_page("alternatives", run=RUN_ID)
    assert_well(other)
    assert DEAR in {column for frame in other.dataframe for column in frame.value.columns}
    assert "Cost is that of running and of errors" in said(other)


def test_without_prices_no_page_speaks_of_errors_in_money(finished: Path) -> None:
    app = open_page("")
    assert DEAR not in {column for frame in app.dataframe for column in frame.value.columns}
    assert not any(metric.label.endswith("errors included") for metric in open_page("compare", run=RUN_ID).metric)
