"""A reader reads: no page offers a reader a way to write, and what writes refuses a reader whatever was drawn."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from auditor.evidence.log import entries
from auditor.review.plan import Wishes
from auditor.review.rounds import begin
from auditor.votes import Question
from distill.store import Run
from distill.workspace import Workspace
from pages.judge import bias
from pages.ui import people, report_forms, review_card, rows, vote
from pages.ui.people import Person, RoleError
from tests.fakes import RUN_ID
from tests.pages.driver import ADDRESSES, ROOT, open_page, said

# what starts something, writes to the workspace or opens a file of this machine; a page may call it behind ``people.need`` alone
WRITING = {
    "submit", "cancel", "resume", "retry", "audit_again", "enqueue", "jobs.delete", "again.start", "begin", "add_rows", "add_targeted",
    "add_strata", "close_round", "apply_decisions", "go_on_unchanged", "adjudicate", "decide_and_take", "desk.undo", "amend",
    "import_decisions", "export", "cast", "save_entry", "remove_entry", "save_upload", "sign_off", "erase",
}  # fmt: skip
READING = (
    "open_",
    "back",
    "verify_",
    "run_",
    "sign_out",
)  # keys of buttons that change what is shown, or check what is there


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "current", lambda: Person("ada@example.org", False, frozenset({"reader"})))


def offered(app: AppTest) -> list[str]:
    """Labels of what could write: enabled buttons, forms' buttons among them, and places for a file or its path."""
    pressed = [b.label for b in app.button if not b.disabled and not str(b.key or "").startswith(READING)]
    files = [element.proto.label for element in app.get("file_uploader")]
    paths = [field.label for field in app.text_input if "ath" in str(field.label)]
    return [*pressed, *files, *paths]


@pytest.mark.slow
@pytest.mark.parametrize("address", ADDRESSES)
def test_no_page_offers_a_reader_a_way_to_write(finished: Path, reader: None, address: str) -> None:
    app = open_page(address, run=RUN_ID)
    assert not app.exception and not app.error
    assert offered(app) == []


def test_a_reader_sees_a_reviews_results_and_nothing_to_press(finished: Path, reader: None) -> None:
    app = open_page("review", run=RUN_ID, item="r000001")
    assert "No review of these labels is planned yet" in said(app) and offered(app) == []
    run = Run(finished / "runs" / RUN_ID)
    begin(Workspace(finished).made(), run, Wishes(fraction=0.5, double_share=0), "Pat")
    item = str(run.examples.ids[-1])
    app = open_page("review", run=RUN_ID, item=item)
    assert "Only reviewers decide cards" in said(app) and offered(app) == []


def test_a_reader_reads_what_was_stated(finished: Path, reader: None) -> None:
    app = open_page("report", run=RUN_ID)
    assert "Stating it needs the role 'engineer' or 'reviewer' or 'approver'" in said(app).replace("\\", "")
    assert "Answering needs" in said(app) and offered(app) == []


def test_a_reader_has_the_ready_data_sets_alone(finished: Path, reader: None, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("text,label\nhidden,a\n")
    app = open_page("data")
    assert not app.exception and offered(app) == [] and "Ready data sets are open to all" in said(app)
    with pytest.raises(RoleError, match="role 'engineer'"):
        rows.profile({"kind": "file", "path": str(tmp_path / "secret.csv")}, None)
    with pytest.raises(RoleError):
        rows.keep_upload("rows.csv", b"text\nx\n")
    assert not (finished / "uploads").exists()


def test_what_writes_refuses_a_reader(finished: Path, reader: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions behind the buttons, as a press that arrives late would call them."""
    shown: list[Any] = []
    kept: dict[str, Any] = {}
    for module in (bias, report_forms):
        monkeypatch.setattr(module.page, "show_error", shown.append)
    monkeypatch.setattr("pages.ui.state.put", kept.__setitem__)
    monkeypatch.setattr("pages.ui.state.get", lambda name, default=None: default)
    monkeypatch.setattr("pages.ui.state.forget", lambda name: None)
    monkeypatch.setattr("pages.ui.state.widget", lambda name: None)
    run, workspace = Run(finished / "runs" / RUN_ID), Workspace(finished).made()
    bias._start(run, lambda: pytest.fail("a reader started a run"))
    report_forms._do(lambda: pytest.fail("a reader wrote to the chain"), report_forms.STATING)
    now = begin(workspace, run, Wishes(fraction=0.5, double_share=0), "Pat")
    before = len(entries(workspace, RUN_ID))
    review_card.undo(review_card.Desk(run, now, "Ada", "sample"))
    vote._cast(Question(RUN_ID, "a", "b"), "r1", "Ada", "tie")
    assert [type(error) for error in shown] == [RoleError, RoleError]
    assert sum("needs the role" in str(notice) for notice in kept.values()) == 2
    assert len(entries(workspace, RUN_ID)) == before


def test_everything_that_writes_stands_behind_the_guard() -> None:
    bare = []
    for path in sorted((ROOT / "pages").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            calls = [ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)]
            writes = {name for name in calls if WRITING & {name, name.rpartition(".")[2]}}
            if writes and "people.need" not in calls and "_do" not in calls and function.name != "name_or_ask":
                bare.append((path.name, function.name, sorted(writes)))
    assert bare == []
