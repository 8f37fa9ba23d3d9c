from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from auditor.audit import audit_run
from distill.files import write_json
from tests.auditor.test_lineage import IDS, make_chain
from tests.fakes import RUN_ID
from tests.pages.driver import assert_well, open_page, said


def test_a_run_without_relatives_says_so(finished: Path) -> None:
    app = open_page("lineage", run=RUN_ID)
    assert_well(app)
    assert "Nothing stands before this run" in said(app)


@pytest.mark.slow
def test_a_chain_is_drawn_with_tables_and_its_warning(home: Path) -> None:
    for run in make_chain(home):
        audit_run(run)
        run.write_manifest()
    app = open_page("lineage", run=IDS[2])
    assert_well(app)
    assert app.subheader[0].value.startswith("Generation 3 gives the same label as generation 0 on")
    assert any("no human label has been added" in each.value for each in app.warning)
    drift = next(f.value for f in app.dataframe if "agreement with generation 0" in f.value.columns)
    assert list(drift["generation"]) == ["0", "1", "2", "3"]
    shutil.rmtree(home / "runs" / IDS[0])
    app = open_page("lineage", run=IDS[2])
    assert_well(app)
    assert "was deleted" in "\n".join(each.value for each in app.warning) + said(app)


def test_suitability_is_empty_then_shows_a_suite(finished: Path) -> None:
    app = open_page("suitability")
    assert_well(app)
    assert "No suite yet" in said(app)
    record = {"id": "x", "name": "mine", "made_at": "2026-01-02", "runs": {"tweets": RUN_ID, "law": "gone"}, "domains": {"law": "legal"}}  # fmt: skip
    write_json(finished / "suites" / "x.json", record)
    app = open_page("suitability")
    assert_well(app)
    assert "'tweets' keeps" in app.subheader[0].value.replace("\\", "")
    assert "Its run was deleted" in said(app)
