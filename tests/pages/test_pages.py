from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from distill.files import read_json, write_json
from distill.store import Run, Status
from pages.ui.page import GROUPS, discover
from tests.fakes import RUN_ID, make_fake_run
from tests.pages.driver import ADDRESSES, ROOT, assert_well, link_labels, open_page, said

STATUSES: tuple[Status, ...] = (
    "queued", "running", "awaiting_review", "complete", "failed", "cancelled", "interrupted",
)  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_empty_workspace_says_what_to_do(home: Path, address: str) -> None:
    app = open_page(address)
    assert_well(app)
    needs_run = next(page.info.needs_run for page in discover() if page.info.url_path == (address or "runs"))
    if needs_run or not address:
        assert "no runs yet" in said(app).lower() or "No run yet" in said(app)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_finished_run_is_drawn_on_every_page(finished: Path, address: str) -> None:
    app = open_page(address, run=RUN_ID)
    assert_well(app)
    assert app.title[0].value


@pytest.mark.parametrize("status", STATUSES)
def test_a_run_of_every_status_is_listed_and_opened(home: Path, status: Status) -> None:
    make_fake_run(home, status=status, n_test=40, n_pool=20)
    listed = open_page("")
    assert_well(listed)
    assert "airline tweets" in " ".join(link_labels(listed))
    opened = open_page("run", run=RUN_ID)
    assert not opened.exception
    word = {"awaiting_review": "awaiting review"}.get(status, status)
    assert word in said(opened)


def test_compare_gives_the_verdict_first_and_four_cards(finished: Path) -> None:
    app = open_page("compare", run=RUN_ID)
    verdict = read_json(finished / "runs" / RUN_ID / "audit.json")["verdict"]
    head = {"yes": "Yes", "no": "No", "cannot tell": "cannot be told"}[verdict["answer"]]
    assert head in app.subheader[0].value
    assert [m.label for m in app.metric] == ["Quality kept", "Speed gained", "Cost saved", "Size"]
    assert "published: 89" in said(app)


def test_every_chart_of_compare_has_a_table_under_it(finished: Path) -> None:
    app = open_page("compare", run=RUN_ID)
    charts = len(app.get("plotly_chart"))
    tables = [e for e in app.expander if e.label == "Table"]
    assert charts >= 4
    assert len(tables) == charts


def test_another_arm_changes_the_cards(finished: Path) -> None:
    app = open_page("compare", run=RUN_ID)
    before = app.metric[0].value
    app.segmented_control(key="compare_arm").set_value("undistilled").run()
    assert_well(app)
    assert app.metric[0].value != before


def test_an_example_has_an_address_of_its_own(finished: Path) -> None:
    app = open_page("examples", run=RUN_ID)
    keys = [button.key or "" for button in app.button]
    item = next(key for key in keys if key.startswith("open_")).removeprefix("open_")
    app.button(key=f"open_{item}").click().run()
    assert_well(app)
    assert app.query_params["item"] in (item, [item])
    again = open_page("examples", run=RUN_ID, item=item)
    assert_well(again)
    assert f"Item {item}" in said(again)


def test_a_search_narrows_the_examples(finished: Path) -> None:
    app = open_page("examples", run=RUN_ID)
    app.text_input(key=f"search_{RUN_ID}").set_value("nothing says this").run()
    assert_well(app)
    assert "No example matches" in said(app)


def test_an_unknown_run_and_an_unknown_item_get_a_sentence(finished: Path) -> None:
    assert "There is no run called" in said(open_page("compare", run="20200101-000000-absent"))
    app = open_page("examples", run=RUN_ID, item="absent")
    assert not app.exception
    assert "has no test item" in app.error[0].value


def test_a_torn_audit_is_a_sentence_and_not_a_traceback(finished: Path) -> None:
    (finished / "runs" / RUN_ID / "audit.json").write_text("{", encoding="utf-8")
    for address in ("", "compare"):
        app = open_page(address, run=RUN_ID)
        assert not app.exception
        assert "not a readable audit" in said(app)


def test_an_unexpected_error_names_a_line_of_the_log(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.ui import cards

    def broken(*_: object) -> None:
        raise ZeroDivisionError("inner secret")

    monkeypatch.setattr(cards, "four", broken)
    app = open_page("compare", run=RUN_ID)
    assert not app.exception
    assert "logs/app.log under" in app.error[0].value
    assert "inner secret" not in said(app)
    assert "inner secret" in (finished / "logs" / "app.log").read_text(encoding="utf-8")


def test_a_broken_spec_is_left_out_of_the_list_and_named(finished: Path) -> None:
    folder = finished / "runs" / "20260301-120000-broken"
    folder.mkdir()
    (folder / "spec.yaml").write_text("name: [", encoding="utf-8")
    app = open_page("")
    assert not app.exception
    assert "broken" in app.warning[0].value


def test_runs_filters_by_words_and_status(home: Path) -> None:
    make_fake_run(home, run_id="20260101-120000-aaaaaa", status="failed", spec={"name": "first try"}, n_test=40)
    make_fake_run(home, run_id="20260102-120000-bbbbbb", status="cancelled", spec={"name": "second"}, n_test=40)
    app = open_page("")
    app.text_input(key="runs_search").set_value("first").run()
    labels = " ".join(link_labels(app))
    assert "first try" in labels
    assert "second" not in labels


def test_delete_asks_first(finished: Path) -> None:
    """The second press is in the browser's tests: a dialog is a fragment, and AppTest runs whole scripts only."""
    app = open_page("run", run=RUN_ID)
    app.button(key=f"Delete_{RUN_ID}").click().run()
    assert (finished / "runs" / RUN_ID).exists()
    assert app.button(key="delete_yes").label == "Delete for good"


def test_the_person_is_self_declared(finished: Path) -> None:
    app = open_page("")
    app.text_input(key="person_name").set_value("Ada").run()
    assert_well(app)
    labels = [block.proto.popover.label for block in app.get("popover")]
    assert any("Ada" in label and "self-declared" in label for label in labels)


@pytest.mark.slow
def test_no_page_loads_torch(finished: Path) -> None:
    """In a process of its own: another test of this session may have loaded it."""
    code = (
        "import json, sys\n"
        "from tests.pages.driver import ADDRESSES, open_page\n"
        f"for address in ADDRESSES: open_page(address, run={RUN_ID!r})\n"
        "heavy = {'torch', 'transformers', 'evaluate', 'sklearn', 'statsmodels'} & set(sys.modules)\n"
        "print(json.dumps(sorted(heavy)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.strip().splitlines()[-1]) == []


def test_a_complete_run_without_an_audit_says_so(finished: Path) -> None:
    folder = finished / "runs" / RUN_ID
    (folder / "audit.json").unlink()
    (folder / "examples_view.parquet").unlink()
    for address in ("compare", "examples"):
        app = open_page(address, run=RUN_ID)
        assert_well(app)
        assert "yet" in said(app)


def test_a_run_without_human_labels_speaks_of_fidelity(home: Path) -> None:
    make_fake_run(home, human_labels=False, audit=True, n_test=80, n_pool=40)
    app = open_page("compare", run=RUN_ID)
    assert_well(app)
    assert "speaks of fidelity" in said(app)
    assert_well(open_page("examples", run=RUN_ID))


def test_a_run_of_predictions_only_skips_with_reasons(home: Path) -> None:
    make_fake_run(home, models=False, audit=True, n_test=80, n_pool=40)
    app = open_page("compare", run=RUN_ID)
    assert_well(app)
    assert any("skipped, because" in e.label for e in app.expander)


@pytest.mark.slow
def test_many_labels_and_pairs_are_drawn(home: Path) -> None:
    labels = tuple(f"topic {i}" for i in range(30))
    make_fake_run(home, labels=labels, pairs=True, audit=True, n_test=200, n_pool=40, n_dev=90)
    for address in ("compare", "examples"):
        assert_well(open_page(address, run=RUN_ID))


def test_a_deleted_run_in_the_session_is_forgotten(finished: Path) -> None:
    app = open_page("run", run=RUN_ID)
    shutil.rmtree(Run(finished / "runs" / RUN_ID).folder)
    app.run()
    assert not app.exception
    assert "There is no run called" in said(app)


def test_numbers_in_the_audit_that_are_missing_are_dashes(finished: Path) -> None:
    path = finished / "runs" / RUN_ID / "audit.json"
    audit = read_json(path)
    for result in audit["results"]:
        for measure in result["measures"]:
            if measure["name"] in {"accuracy_retention", "latency_speedup"}:
                measure.update(value=None, low=None, high=None)
    write_json(path, audit)
    for address in ("", "compare"):
        assert_well(open_page(address, run=RUN_ID))


def test_a_price_of_ones_own_is_kept_and_forgotten(finished: Path) -> None:
    from auditor.prices import load_book
    from distill.workspace import Workspace

    app = open_page("compare", run=RUN_ID)
    app.text_input(key="price_name").set_value("my-box")
    app.number_input(key="price_hour").set_value(0.02)
    next(button for button in app.button if button.label == "Keep").click().run()
    assert_well(app)
    assert load_book(Workspace(finished)).entry("my-box").per_hour == 0.02
    app.button(key="price_forget_my-box").click().run()
    assert "my-box" not in [entry.name for entry in load_book(Workspace(finished)).entries]


def test_a_price_with_a_bad_name_is_one_sentence(finished: Path) -> None:
    app = open_page("compare", run=RUN_ID)
    app.text_input(key="price_name").set_value("My Box!")
    next(button for button in app.button if button.label == "Keep").click().run()
    assert not app.exception
    assert "the price" in app.error[0].value


def test_pages_are_found_by_themselves_and_have_addresses_of_their_own() -> None:
    found = [page.info for page in discover()]
    addresses = [info.url_path for info in found]
    assert len(set(addresses)) == len(addresses)
    assert {"data", "new", "runs", "run", "compare", "examples"} <= set(addresses)
    assert [info.url_path for info in found if info.default] == ["runs"]
    assert all(info.question.endswith("?") for info in found)
    ranks = [(list(GROUPS).index(info.group), info.order) for info in found]
    assert ranks == sorted(ranks)
