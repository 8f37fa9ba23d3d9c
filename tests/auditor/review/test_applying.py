"""The way back into training, and into the audit."""

from __future__ import annotations

import pytest

from auditor.audit import audit_run
from auditor.evidence.log import entries
from auditor.evidence.signoff import state_of
from auditor.review import decisions_frame, desk
from auditor.review.applying import apply_decisions, corrections, go_on_unchanged
from auditor.review.desk import Answer
from auditor.review.frame import LabelFrame
from auditor.review.plan import Wishes
from auditor.review.rounds import begin
from distill import jobs
from distill.errors import ReviewError
from distill.files import file_digest
from distill.stages.labels import CORRECTIONS
from distill.store import Run
from distill.types import read_frame
from distill.workspace import Workspace
from tests.fakes import make_fake_run


class NoRunner:
    """An executor that starts nothing."""

    def start(self, workspace: Workspace) -> None:
        """Nothing."""

    def alive(self, workspace: Workspace) -> int:
        return 0


def review(workspace: Workspace, run: Run, frame: LabelFrame, answers: list[str]) -> list[str]:
    rows = []
    for answer in answers:
        card = desk.next_card(workspace, run.id, "Ada")
        assert card is not None
        label = int(frame.label[card.row_index])
        said = {
            "right": Answer("label", label),
            "wrong": Answer("label", (label + 1) % 3),
            "personal": Answer("label", label, "personal data"),
            "none": Answer("none"),
            "skip": Answer("skip"),
        }[answer]
        desk.decide(workspace, run.id, card.item_id, "Ada", said, classes=3)
        rows.append(card.row_id)
    return rows


def test_a_child_run_learns_from_what_was_corrected(workspace: Workspace, begun: Run, frame: LabelFrame) -> None:
    rows = review(workspace, begun, frame, ["right", "wrong", "none", "skip", "personal"])
    child = apply_decisions(workspace, begun, "Ada", executor=NoRunner())
    said = read_frame(child.folder / CORRECTIONS).set_index("row_id")["label"].to_dict()
    assert said == {rows[1]: (int(frame.label[frame.index_of[rows[1]]]) + 1) % 3, rows[2]: -1, rows[4]: -1}
    told = read_frame(child.folder / CORRECTIONS).set_index("row_id")
    chain = {f"{begun.id}#{e.seq}": e for e in entries(workspace, begun.id)}
    assert set(told["decided_by"]) == {"Ada"}
    assert {row: chain[where].payload["row"] for row, where in told["decision"].items()} == {r: r for r in told.index}
    assert (child.spec.parent, child.spec.label_version) == (begun.id, 1)
    assert child.spec.name.endswith("labels v1")
    assert child.spec.stage_digest("labels") == begun.spec.stage_digest("labels")
    assert [job.run_id for job in jobs.jobs(workspace)] == [child.id]
    here, there = entries(workspace, begun.id)[-1], entries(workspace, child.id)[0]
    assert here.action == there.action == "apply"
    assert here.payload == there.payload
    assert here.payload["corrections"] == file_digest(child.folder / CORRECTIONS)
    assert state_of(entries(workspace, begun.id)).reviewers == {"Ada"}
    assert state_of(entries(workspace, child.id)).reviewers == {"Ada"}  # it learnt from her corrections


def test_a_grandchild_keeps_the_corrections_of_its_parents(workspace: Workspace, begun: Run, frame: LabelFrame) -> None:
    first = review(workspace, begun, frame, ["wrong"])
    child = apply_decisions(workspace, begun, "Ada", executor=NoRunner())
    labels = begun.folder / "labels.parquet"
    (child.folder / "labels.parquet").write_bytes(labels.read_bytes())
    (child.folder / "examples.parquet").write_bytes((begun.folder / "examples.parquet").read_bytes())
    begin(workspace, child, Wishes(fraction=0.1, seed=4), "Ada")
    second = review(workspace, child, frame, ["wrong", "right"])
    grandchild = apply_decisions(workspace, child, "Ada", executor=NoRunner())
    told = read_frame(grandchild.folder / CORRECTIONS).set_index("row_id")
    assert set(told.index) == {first[0], second[0]}
    assert str(told.loc[first[0], "decision"]).startswith(f"{begun.id}#")
    assert str(told.loc[second[0], "decision"]).startswith(f"{child.id}#")
    assert grandchild.spec.label_version == 2
    assert grandchild.spec.name.count("labels v") == 1


def test_nothing_to_apply_is_said(workspace: Workspace, begun: Run, frame: LabelFrame) -> None:
    review(workspace, begun, frame, ["right", "skip"])
    with pytest.raises(ReviewError, match="nothing to apply"):
        apply_decisions(workspace, begun, "Ada", executor=NoRunner())
    with pytest.raises(ReviewError, match="does not wait"):
        go_on_unchanged(workspace, begun, "Ada", NoRunner())


def test_a_waiting_run_goes_on_with_the_labels_as_they_are(workspace: Workspace) -> None:
    waiting = make_fake_run(workspace.root, n_pool=100, run_id="20260103-120000-waits", status="awaiting_review")
    with pytest.raises(ReviewError, match="Nobody has decided"):
        go_on_unchanged(workspace, waiting, "Ada", NoRunner())
    begin(workspace, waiting, Wishes(), "Ada")
    card = desk.next_card(workspace, waiting.id, "Ada")
    assert card is not None
    desk.decide(workspace, waiting.id, card.item_id, "Ada", Answer("skip"), classes=3)
    go_on_unchanged(workspace, waiting, "Ada", NoRunner())
    assert read_frame(waiting.folder / CORRECTIONS).empty
    assert waiting.status() == "queued"


@pytest.mark.slow
def test_the_audit_stores_the_decisions_and_verifies_without_the_database(
    workspace: Workspace, begun: Run, frame: LabelFrame
) -> None:
    review(workspace, begun, frame, ["wrong", "right", "right", "none", "skip"])
    report = audit_run(begun, decisions=decisions_frame(workspace, begun.id))
    rate = report.measure("label_error_rate", "teacher")
    assert rate is not None
    assert rate.value == pytest.approx(2 / 4)
    assert (begun.folder / "decisions.parquet").exists()
    bound = report.measure("label_error_bound", "teacher")
    assert bound is not None
    assert bound.detail["final"] is False
    implied = report.measure("accuracy_given_review", "distilled")
    assert implied is not None
    assert implied.value is None
    same = report.measure("agreement", "distilled")
    own = report.measure("accuracy_given_review", "teacher")
    assert same is not None and same.low is not None and implied.low is not None and bound.value is not None
    assert implied.low == pytest.approx(max(0, same.low - bound.value))
    assert own is not None and own.low == pytest.approx(1 - bound.value) and own.detail["final"] is False
    again = audit_run(begun)  # as a verifier does: from the stored decisions alone
    assert again.result("review") == report.result("review")
    claims = [finding.claim for finding in report.findings if finding.check == "review"]
    assert any("Early look" in claim for claim in claims)


def test_corrections_take_the_settled_answer_and_leave_differences(
    workspace: Workspace, run: Run, frame: LabelFrame
) -> None:
    begin(workspace, run, Wishes(fraction=0.01, double_share=1.0), "Pat")
    for who, step in (("Ada", 1), ("Ben", 2)):
        while (card := desk.next_card(workspace, run.id, who)) is not None:
            said = (int(frame.label[card.row_index]) + step) % 3
            desk.decide(workspace, run.id, card.item_id, who, Answer("label", said), classes=3)
    assert corrections(workspace, run).unsettled == 6
    assert corrections(workspace, run).changed == 0
    desk.adjudicate(workspace, run.id, 1, "Cleo", Answer("none"), classes=3)
    found = corrections(workspace, run)
    assert (found.unsettled, found.dropped) == (5, 1)
