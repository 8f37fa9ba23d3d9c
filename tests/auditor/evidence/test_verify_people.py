"""What people decided and voted is in the audit, all of it: nothing can be left out before sealing, nor changed in the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import update

from auditor.audit import audit_run
from auditor.evidence import jobs as chained
from auditor.evidence.bundle import make_bundle
from auditor.evidence.seal import seal
from auditor.evidence.verify import Verification, verify_bundle, verify_run
from auditor.review import decisions_frame, desk
from auditor.review.desk import Answer
from auditor.review.plan import Wishes
from auditor.review.rounds import begin
from auditor.review.tables import DecisionRow
from distill.db import open_database
from distill.store import Run
from distill.workspace import Workspace
from tests.fakes import make_fake_run

QUICK = {
    "audit": {
        "resamples": 200,
        "skip": ["gender_bias", "gender_swaps", "languages", "slices", "text_slices", "latency", "cascade"],
    }
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Run]:
    """A reviewed run: six decisions, one of them a change of mind, one taken back; not audited yet."""
    root = tmp_path_factory.mktemp("people")
    run = make_fake_run(root, n_test=60, n_dev=40, n_pool=50, seeds=(1,), arms=("distilled",), spec=QUICK)
    workspace = Workspace(root).made()
    begin(workspace, run, Wishes(fraction=0.2, double_share=0), "Pat")
    for note in ("", "she says so", "", ""):
        decide(workspace, run, note)
    card = desk.undo(workspace, run.id, "Ada")
    assert card is not None
    decide(workspace, run, "on second thoughts", label=2)
    return workspace, run


def decide(workspace: Workspace, run: Run, note: str = "", label: int = 0) -> None:
    card = desk.next_card(workspace, run.id, "Ada")
    assert card is not None
    desk.decide(workspace, run.id, card.item_id, "Ada", Answer("label", label, note=note), classes=3)


def sealed_with(workspace: Workspace, run: Run, decisions: pd.DataFrame | None) -> None:
    """An audit that goes by these decisions, sealed as a job does it."""
    (run.folder / "decisions.parquet").unlink(missing_ok=True)
    chained.began(workspace, run, "audit")
    audit_run(run, decisions=decisions)
    run.write_manifest()
    seal(workspace, run, action="audit")


def failed(found: Verification) -> list[str]:
    return [line.what for line in found.lines if line.state == "failed"]


def both(workspace: Workspace, run: Run) -> list[list[str]]:
    return [failed(verify_run(workspace, run)), failed(verify_bundle(make_bundle(workspace, run, {}).to_bytes()))]


def without_one(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(index=1)


def without_the_last(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(index=list(frame.index[-2:]))


def rolled_back(frame: pd.DataFrame) -> pd.DataFrame:
    """The change of mind and the undo left out, and the first answer standing again."""
    return pd.DataFrame(frame[frame["revision"] == 0].assign(standing=True))


def nothing(_: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame()


@pytest.mark.parametrize("left_out", [without_one, without_the_last, rolled_back, nothing])
def test_decisions_that_were_left_out_before_sealing_are_named(
    home: tuple[Workspace, Run], left_out: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    workspace, run = home
    sealed_with(workspace, run, left_out(decisions_frame(workspace, run.id)))
    assert both(workspace, run) == [["decisions"], ["decisions"]]
    said = next(line.sentence for line in verify_run(workspace, run).lines if line.what == "decisions")
    assert "by Ada (entry " in said and "was left out" in said


def test_what_people_decide_while_the_audit_runs_and_after_it_is_no_fault(home: tuple[Workspace, Run]) -> None:
    workspace, run = home
    frame = decisions_frame(workspace, run.id)
    chained.began(workspace, run, "audit")
    decide(workspace, run, "while it ran")
    audit_run(run, decisions=frame)
    run.write_manifest()
    seal(workspace, run, action="audit")
    decide(workspace, run, "afterwards")
    assert both(workspace, run) == [[], []]
    lines = {line.what: line.sentence for line in verify_run(workspace, run).lines}
    assert lines["review"].startswith(f"All {len(frame) + 2} decisions in the database")


def test_a_note_that_was_changed_in_the_database_is_named(home: tuple[Workspace, Run]) -> None:
    workspace, run = home
    sealed_with(workspace, run, decisions_frame(workspace, run.id))
    assert failed(verify_run(workspace, run)) == []
    noted = update(DecisionRow).where(DecisionRow.note == "she says so")
    with open_database(workspace).write() as session:
        session.execute(noted.values(note="she never said so"))
    assert failed(verify_run(workspace, run)) == ["review"]
    with open_database(workspace).write() as session:
        session.execute(update(DecisionRow).where(DecisionRow.note == "she never said so").values(note="she says so"))
    assert failed(verify_run(workspace, run)) == []


@pytest.mark.parametrize("name", ["model", "checkpoint"])
def test_an_arm_may_be_called_model_or_checkpoint(tmp_path: Path, name: str) -> None:
    run = make_fake_run(
        tmp_path,
        n_test=60,
        n_dev=40,
        n_pool=50,
        seeds=(1,),
        arms=[{"name": name, "kind": "distilled"}],
        audit=True,
        spec=QUICK,
    )
    workspace = Workspace(tmp_path).made()
    seal(workspace, run)
    found = verify_run(workspace, run)
    assert failed(found) == []
    assert failed(verify_bundle(make_bundle(workspace, run, {}).to_bytes())) == []
