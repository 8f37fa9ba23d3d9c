from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from auditor.evidence.log import entries, record
from auditor.evidence.seal import seal
from auditor.report.stated import annex_answers, intended_use
from distill.store import Run
from distill.workspace import Workspace
from pages.ui import report_verify
from tests.fakes import RUN_ID, make_fake_run
from tests.pages.driver import assert_well, open_page, said
from tests.pages.hostile import hostile_run


@pytest.fixture(scope="module")
def sealed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sealed")
    run = make_fake_run(
        root, audit=True, n_test=60, n_pool=30, n_train=20, n_dev=40, seeds=(1,), arms=("distilled",),
        spec={"audit": {"resamples": 200, "skip": ["gender_bias", "languages"]}},
    )  # fmt: skip
    seal(Workspace(root).made(), run)
    return root


@pytest.fixture
def sealed(home: Path, sealed_home: Path) -> tuple[Workspace, Run]:
    shutil.copytree(sealed_home, home, dirs_exist_ok=True)
    return Workspace(home), Run(home / "runs" / RUN_ID)


def test_it_says_what_is_missing_and_what_the_chain_holds(sealed: tuple[Workspace, Run]) -> None:
    app = open_page("report", run=RUN_ID)
    assert_well(app)
    words = said(app)
    assert "Draft" in app.subheader[0].value and "3 things missing" in app.subheader[0].value
    assert "The intended use is not stated" in words
    assert "Evidence chain of 1 entry" in words and "head `" in words
    assert len(app.get("download_button")) == 9


def test_the_intended_use_goes_into_the_chain_and_reopens_a_sign_off(sealed: tuple[Workspace, Run]) -> None:
    workspace, _ = sealed
    app = open_page("report", run=RUN_ID)
    app.text_input(key="person_name").set_value("Ada").run()
    app.text_area(key=f"use_purpose_{RUN_ID}").set_value("Sort tweets, nothing else.")
    next(b for b in app.button if b.label == "State it").click().run()
    assert_well(app)
    found = intended_use(entries(workspace, RUN_ID))
    assert found is not None and found.value.purpose == "Sort tweets, nothing else." and "Ada" in found.by
    assert "The intended use is not stated" not in said(app)


def test_an_empty_purpose_and_no_name_are_sentences(sealed: tuple[Workspace, Run]) -> None:
    app = open_page("report", run=RUN_ID)
    next(b for b in app.button if b.label == "State it").click().run()
    assert "The purpose is empty" in app.error[0].value
    app.text_area(key=f"use_purpose_{RUN_ID}").set_value("x")
    next(b for b in app.button if b.label == "State it").click().run()
    assert "needs a name" in app.error[0].value


def test_the_annex_asks_first_and_then_offers_the_gaps(sealed: tuple[Workspace, Run]) -> None:
    workspace, _ = sealed
    app = open_page("report", run=RUN_ID)
    app.text_input(key="person_name").set_value("Ada").run()
    assert not [t for t in app.text_input if (t.key or "").startswith("gap_")]
    app.radio(key=f"applies_high-risk_{RUN_ID}").set_value("applies")
    next(b for b in app.button if b.label == "Save the answers").click().run()
    assert_well(app)
    found = annex_answers(entries(workspace, RUN_ID))
    assert found is not None and found.value.applies["high-risk"] and not found.value.applies["employment"]
    assert app.text_input(key=f"gap_iv-9_{RUN_ID}").value == ""


def test_a_reviewer_cannot_approve_and_somebody_else_can(sealed: tuple[Workspace, Run]) -> None:
    workspace, _ = sealed
    record(workspace, RUN_ID, "Ada (self-declared)", "decision", {"row": "r000001"})
    app = open_page("report", run=RUN_ID)
    app.text_input(key="person_name").set_value("Ada").run()
    app.text_input(key=f"reason_{RUN_ID}").set_value("labels checked")
    app.button(key=f"sign_reviewed_{RUN_ID}").click().run()
    assert_well(app)
    assert app.button(key=f"sign_approved_{RUN_ID}").disabled
    assert "cannot approve it" in said(app)
    app.text_input(key="person_name").set_value("Ben").run()
    app.text_input(key=f"reason_{RUN_ID}").set_value("fine")
    app.button(key=f"sign_approved_{RUN_ID}").click().run()
    assert_well(app)
    assert "Approved" in app.subheader[0].value


@pytest.mark.slow
def test_verification_runs_in_another_process_and_is_shown_line_by_line(sealed: tuple[Workspace, Run]) -> None:
    workspace, run = sealed
    app = open_page("report", run=RUN_ID)
    app.button(key=f"verify_{RUN_ID}").click().run()
    assert_well(app)
    end = time.monotonic() + 120
    while (found := report_verify.last(workspace, run)) is None or found.state == "running":
        assert time.monotonic() < end
        time.sleep(0.3)
    assert found.state == "ok", found
    app = open_page("report", run=RUN_ID)
    assert_well(app)
    assert "figures were computed again" in said(app)
    (run.folder / "audit.json").write_text((run.folder / "audit.json").read_text() + " ")
    record(workspace, RUN_ID, "Ada", "note", {})
    assert "The chain has grown since" in " ".join(e.label for e in open_page("report", run=RUN_ID).expander)


def test_runs_of_other_states_and_without_a_chain_have_a_page(home: Path) -> None:
    make_fake_run(home, run_id="20260101-120000-failed", status="failed", n_test=40, n_pool=20)
    make_fake_run(home, run_id="20260101-120000-queued", status="queued", n_test=40, n_pool=20)
    for run_id, words in (("failed", "The disk is full"), ("queued", "no verdict yet")):
        app = open_page("report", run=f"20260101-120000-{run_id}")
        assert_well(app)
        assert words in said(app)


@pytest.mark.slow
def test_hostile_names_are_text(home: Path) -> None:
    hostile_run(home)
    app = open_page("report", run=RUN_ID)
    assert_well(app)
    assert all("![n](" not in m.value for m in app.markdown)
