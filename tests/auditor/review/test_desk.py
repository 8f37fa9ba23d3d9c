"""The desk: leases, one decision a person, undo as an appended decision, adjudication, and real processes at full speed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from auditor.evidence.chain import verify_chain
from auditor.evidence.log import entries
from auditor.evidence.signoff import state_of
from auditor.review import decisions_frame, desk
from auditor.review.desk import Answer
from auditor.review.plan import Wishes
from auditor.review.records import notes, problems
from auditor.review.results import differences
from auditor.review.rounds import begin, current_round
from auditor.review.tables import ItemRow, LeaseRow, StandingRow
from distill.db import open_database
from distill.errors import ReviewError
from distill.store import Run
from distill.workspace import Workspace
from tests.fakes import RUN_ID, make_fake_run


def take(workspace: Workspace, run: Run, who: str, answer: Answer | None = None) -> int:
    card = desk.next_card(workspace, run.id, who)
    assert card is not None
    desk.decide(workspace, run.id, card.item_id, who, answer or Answer("label", 0), classes=3)
    return card.item_id


def test_a_card_stays_on_one_desk_until_its_lease_runs_out(
    workspace: Workspace, begun: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    mine = desk.next_card(workspace, begun.id, "Ada", lease=60)
    clock[0] += 50
    assert mine == desk.next_card(workspace, begun.id, "Ada", lease=60)  # looking again holds it for longer
    assert mine is not None
    singles = mine if not mine.double else None
    clock[0] += 50
    other = desk.next_card(workspace, begun.id, "Ben")
    assert other is not None
    if singles:
        assert other.item_id != mine.item_id
    clock[0] += 11
    taken = desk.next_card(workspace, begun.id, "Cleo")
    assert taken is not None
    assert taken.item_id == mine.item_id
    if singles:
        with pytest.raises(ReviewError, match="Somebody else"):
            desk.decide(workspace, begun.id, mine.item_id, "Ada", Answer("label", 0), classes=3)


def test_one_decision_a_person_and_card_whatever_is_pressed(workspace: Workspace, begun: Run) -> None:
    item = take(workspace, begun, "Ada")
    with pytest.raises(ReviewError, match="already"):
        desk.decide(workspace, begun.id, item, "Ada", Answer("label", 1), classes=3)
    decision = decisions_frame(workspace, begun.id)
    assert len(decision) == 1
    with pytest.raises(IntegrityError), open_database(workspace).write() as session:
        session.add(StandingRow(item_id=item, reviewer="Ada", role="reviewer", decision_id=1))


def test_one_person_under_two_spellings_is_not_the_second_one_of_a_double_card(workspace: Workspace, run: Run) -> None:
    begin(workspace, run, Wishes(fraction=0.01, double_share=1.0), "Pat")  # six cards, two people each
    first = [take(workspace, run, "Ada (self-declared)") for _ in range(6)]
    assert len(set(first)) == 6
    for spelling in ("ada", "ADA (self-declared)", " Ada "):
        assert desk.next_card(workspace, run.id, spelling) is None
        with pytest.raises(ReviewError, match="already"):
            desk.decide(workspace, run.id, first[0], spelling, Answer("label", 0), classes=3)
    assert [take(workspace, run, "Ben") for _ in range(6)] == first


def test_undo_appends_and_gives_the_card_back(workspace: Workspace, begun: Run) -> None:
    take(workspace, begun, "Ada")
    item = take(workspace, begun, "Ada", Answer("label", 2))
    back = desk.undo(workspace, begun.id, "Ada")
    assert back is not None
    assert back.item_id == item
    again = desk.next_card(workspace, begun.id, "Ada")
    assert again is not None
    assert again.item_id == item
    desk.decide(workspace, begun.id, item, "Ada", Answer("skip"), classes=3)
    said = decisions_frame(workspace, begun.id)
    assert said["kind"].tolist() == ["label", "label", "undo", "skip"]
    assert said["standing"].tolist() == [True, False, False, True]
    assert said["revision"].tolist() == [0, 0, 1, 2]
    assert desk.undo(workspace, begun.id, "Nobody") is None
    assert problems(workspace, begun.id) == []


def test_a_change_carries_a_reason_and_notes_stay_out_of_the_chain(workspace: Workspace, begun: Run) -> None:
    card = desk.next_card(workspace, begun.id, "Ada")
    assert card is not None
    with open_database(workspace).read() as session:
        machine = session.get_one(ItemRow, card.item_id).machine_label
    other = (machine + 1) % 3
    desk.decide(
        workspace, begun.id, card.item_id, "Ada", Answer("label", other, note="calls Ms Smith, 555-1234"), classes=3
    )
    for reason in ("wrong", "personal data", "personal data"):  # a browser may say the same twice
        desk.amend(workspace, begun.id, card.item_id, "Ada", reason)
    said = decisions_frame(workspace, begun.id)
    assert said["reason"].tolist() == ["wrong", "personal data"]
    assert said["standing"].tolist() == [False, True]
    assert list(notes(workspace, begun.id).values()) == ["calls Ms Smith, 555-1234"]
    assert "Smith" not in "".join(e.model_dump_json() for e in entries(workspace, begun.id))
    assert problems(workspace, begun.id) == []
    with pytest.raises(ReviewError, match="no reason"):
        desk.amend(workspace, begun.id, card.item_id, "Ada", "because")
    with pytest.raises(ReviewError, match="no label number"):
        desk.checked(Answer("label", 3), 3)


@pytest.mark.parametrize("reason", desk.REASONS)
def test_each_reason_of_a_change_stands_in_decision_and_chain(workspace: Workspace, begun: Run, reason: str) -> None:
    card = desk.next_card(workspace, begun.id, "Ada")
    assert card is not None
    desk.decide(workspace, begun.id, card.item_id, "Ada", Answer("none", reason=reason), classes=3)
    assert decisions_frame(workspace, begun.id)["reason"].tolist() == [reason]
    assert entries(workspace, begun.id)[-1].payload["reason"] == reason


def test_what_is_left_counts_both_answers_of_a_double_card(workspace: Workspace, begun: Run) -> None:
    now = current_round(workspace, begun.id)
    assert now is not None
    assert desk.progress(workspace, now, "Ada").left == 60 + 10
    for _ in range(60):
        take(workspace, begun, "Ada")
    told = desk.progress(workspace, now, "Ada")
    assert (told.decided, told.waiting_for_second, told.left) == (60, 10, 10)


def test_a_tampered_decision_is_found(workspace: Workspace, begun: Run) -> None:
    take(workspace, begun, "Ada")
    with open_database(workspace).write() as session:
        session.connection().exec_driver_sql("update review_decisions set label = 2, note = 'x'")
    assert "not the one in the chain" in problems(workspace, begun.id)[0]


def test_two_people_who_differ_are_settled_by_a_third(workspace: Workspace, begun: Run) -> None:
    for who, label in (("Ada", 0), ("Ben", 1)):
        while (card := desk.next_card(workspace, begun.id, who)) is not None:
            desk.decide(workspace, begun.id, card.item_id, who, Answer("label", label), classes=3)
    now = current_round(workspace, begun.id)
    assert now is not None
    waiting = differences(workspace, now)
    assert len(waiting) == 10
    first = waiting[0].item_id
    with pytest.raises(ReviewError, match="one of the two"):
        desk.adjudicate(workspace, begun.id, first, "Ada", Answer("label", 0), classes=3)
    desk.adjudicate(workspace, begun.id, first, "Cleo", Answer("label", 0), classes=3)
    with pytest.raises(ReviewError, match="settled already"):
        desk.adjudicate(workspace, begun.id, first, "Dan", Answer("label", 0), classes=3)
    second = waiting[1].item_id
    desk.adjudicate(workspace, begun.id, second, "Ada", Answer("label", 0, note="we read it again together"), classes=3)
    assert len(differences(workspace, now)) == 8
    assert state_of(entries(workspace, begun.id)).reviewers == {"Ada", "Ben", "Cleo"}


def _review(task: tuple[str, str, int]) -> list[int]:
    workspace = Workspace(Path(task[0]))
    decided: list[int] = []
    while len(decided) < task[2]:
        card = desk.next_card(workspace, RUN_ID, task[1])
        if card is None:
            break
        desk.decide(workspace, RUN_ID, card.item_id, task[1], Answer("label", card.item_id % 3), classes=3)
        decided.append(card.item_id)
    return decided


@pytest.mark.slow
def test_two_people_deciding_500_cards_each_at_full_speed_lose_and_double_none(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, n_pool=1_200, n_test=30, n_dev=30, seeds=(1,), timings=False)
    workspace = Workspace(tmp_path).made()
    begin(workspace, run, Wishes(fraction=1.0, double_items=60, double_share=0.05), "Pat")
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        told = dict(
            zip(("Ada", "Ben"), pool.map(_review, [(str(tmp_path), who, 500) for who in ("Ada", "Ben")]), strict=True)
        )
    said = decisions_frame(workspace, run.id)
    assert len(said) == 1_000
    assert said["standing"].all()
    with open_database(workspace).read() as session:
        items = {item.id: item for item in session.scalars(select(ItemRow))}
        assert list(session.scalars(select(LeaseRow))) == []
    for who, mine in told.items():
        assert len(set(mine)) == 500
        assert sorted(said.loc[said["reviewer"] == who, "row_id"]) == sorted(items[i].row_id for i in mine)
    both = set(told["Ada"]) & set(told["Ben"])
    assert all(items[i].slots == 2 for i in both)
    assert all(items[i].done == sum(i in mine for mine in told.values()) for i in items)
    assert verify_chain(entries(workspace, run.id), run.id).ok
    assert problems(workspace, run.id) == []


_REVIEWER = """
import sys
from pathlib import Path
from auditor.review import desk
from auditor.review.desk import Answer
from distill.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
while (card := desk.next_card(workspace, sys.argv[2], "Ada")) is not None:
    desk.decide(workspace, sys.argv[2], card.item_id, "Ada", Answer("label", 1), classes=3)
    print(card.row_id, flush=True)
"""


@pytest.mark.slow
def test_kill_9_between_keypress_and_answer_leaves_no_half_decision(workspace: Workspace, run: Run) -> None:
    begin(workspace, run, Wishes(fraction=1.0, double_share=0), "Pat")
    confirmed: list[str] = []
    for wait in (0.0, 0.013, 0.029, 0.041):
        command = [sys.executable, "-c", _REVIEWER, str(workspace.root), run.id]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        confirmed += [process.stdout.readline().strip() for _ in range(5)]
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        confirmed += process.stdout.read().split()
        process.wait()
        said = decisions_frame(workspace, run.id)
        assert set(confirmed) <= set(said["row_id"])
        assert len(said) - len(confirmed) <= 4
        assert verify_chain(entries(workspace, run.id), run.id).ok
        assert problems(workspace, run.id) == []
        with open_database(workspace).read() as session:
            done = sum(item.done for item in session.scalars(select(ItemRow)))
        assert done == len(said) == said["standing"].sum()
