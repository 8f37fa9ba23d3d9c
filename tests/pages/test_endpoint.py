"""A teacher over the network in the app: chosen in the form, looked at before the start, and what it did not answer on the run's page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from distill.events import Progress
from distill.stages.unanswered import COLUMNS, FILE
from distill.store import Run
from distill.types import write_frame
from pages.ui import overview
from tests.distill.tiny import tiny_rows
from tests.fakes import RUN_ID
from tests.fault_server import KEY, MODEL, FaultServer
from tests.pages.driver import assert_well, open_page, said
from tests.pages.test_new_run import draft_of, pasted, step


def test_the_form_offers_it_and_holds_no_key(home: Path) -> None:
    app = step(open_page("new"), 2)
    choice = next(box for box in app.selectbox if str(box.key).endswith("teacher_kind"))
    app = choice.set_value("endpoint").run()
    assert_well(app)
    labels = {box.label for box in (*app.text_input, *app.number_input)}
    assert {"Base url", "Model", "Api key env", "Budget tokens", "Budget usd", "Usd per million in"} <= labels
    assert draft_of(app)["teacher"]["kind"] == "endpoint"


def test_the_last_step_says_what_it_will_cost(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    path = tmp_path / "rows.csv"
    tiny_rows(360).to_csv(path, index=False)
    with FaultServer(key=KEY) as server:
        options = f"{{base_url: '{server.base_url}', model: {MODEL}, api_key_env: TEST_KEY, usd_per_million_in: 1.0}}"
        text = (
            f"name: over the network\ndata:\n  source: {{kind: file, path: {path}}}\n  columns: {{label: label}}\n"
            f"teacher: {{kind: endpoint, options: {options}}}\nstudent: {{init: checkpoint, checkpoint: '{tmp_path}'}}\n"
        )
        app = pasted(open_page("new"), text)
        assert_well(app)
        shown = said(app).replace("\\", "")
        assert not server.asks
    assert "The endpoint is asked about" in shown
    assert "USD" in shown
    assert KEY not in shown


def test_what_was_no_answer_is_on_the_runs_page(finished: Path) -> None:
    run = Run(finished / "runs" / RUN_ID)
    row = ["pool", "p7", "c7", "<b>odd</b> text", None, "I *cannot* say", "the answer is none of the labels", "2026"]
    write_frame(run.folder / FILE, pd.DataFrame([row], columns=pd.Index(COLUMNS)))
    app = open_page("run", run=RUN_ID)
    assert_well(app)
    assert any("Without a usable answer (1)" in box.label for box in app.expander)
    table = next(frame.value for frame in app.dataframe if "why it is none" in frame.value.columns)
    assert table["its answer"].tolist() == ["I *cannot* say"]


def test_the_money_spent_stands_beside_the_progress(finished: Path) -> None:
    run = Run(finished / "runs" / RUN_ID)
    run.append(Progress(stage="labels", step=5, total=10, rate=2.0, unit="answers", spend=0.25))
    assert "$0.250 spent" in overview.progress_text(overview.make_line(run, "running"))
