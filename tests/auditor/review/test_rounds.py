"""What is frozen, logged and dealt, in that order."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import select

from auditor.evidence.chain import verify_chain
from auditor.evidence.log import entries
from auditor.evidence.seal import labels_root
from auditor.review import desk
from auditor.review.desk import Answer
from auditor.review.frame import LabelFrame, strata_of
from auditor.review.plan import Strata, Wishes
from auditor.review.rounds import SAMPLE, STRATA, TARGETED, add_strata, begin, close_round, current_round, rounds
from auditor.review.tables import ItemRow
from auditor.review.targeted import SOURCES, add_rows, add_targeted
from distill.db import open_database
from distill.errors import ReviewError
from distill.store import Run
from distill.types import read_frame, write_frame
from distill.workspace import Workspace


def cards(workspace: Workspace, run: Run) -> list[ItemRow]:
    with open_database(workspace).read() as session:
        return list(session.scalars(select(ItemRow).where(ItemRow.run_id == run.id).order_by(ItemRow.position)))


def decide_all(workspace: Workspace, run: Run, frame: LabelFrame, who: str, wrong: int = 0) -> int:
    done = 0
    while (card := desk.next_card(workspace, run.id, who)) is not None:
        label = int(frame.label[card.row_index])
        answer = Answer("label", (label + 1) % 3 if done < wrong else label)
        desk.decide(workspace, run.id, card.item_id, who, answer, classes=3)
        done += 1
    return done


def test_plan_seed_and_frame_are_logged_before_any_decision(workspace: Workspace, begun: Run) -> None:
    chain = entries(workspace, begun.id)
    assert [e.action for e in chain] == ["plan"]
    plan = chain[0].payload["plan"]
    assert plan["frame"] == labels_root(begun)
    assert plan["wishes"]["seed"] == 29
    now = current_round(workspace, begun.id)
    assert now is not None
    assert now.plan.model_dump(mode="json") == plan
    dealt = cards(workspace, begun)
    assert len(dealt) == 60
    assert sum(card.slots == 2 for card in dealt) == 10
    assert verify_chain(chain, begun.id).ok


def test_a_round_cannot_be_started_over_but_closed_with_a_reason(
    workspace: Workspace, begun: Run, frame: LabelFrame
) -> None:
    with pytest.raises(ReviewError, match="not finished"):
        begin(workspace, begun, Wishes(), "Pat")
    with pytest.raises(ReviewError, match="needs a reason"):
        close_round(workspace, begun, "Pat", " ")
    close_round(workspace, begun, "Pat", "the definitions were wrong")
    with pytest.raises(ReviewError, match="closed: the definitions were wrong"):
        desk.next_card(workspace, begun.id, "Ada")
    begin(workspace, begun, Wishes(fraction=0.02, double_share=0), "Pat")
    decide_all(workspace, begun, frame, "Ada")
    begin(workspace, begun, Wishes(fraction=0.02), "Pat")
    assert [r.number for r in rounds(workspace, begun.id)] == [1, 2, 3]


def test_a_round_needs_a_name(workspace: Workspace, run: Run) -> None:
    with pytest.raises(ReviewError, match="needs a name"):
        begin(workspace, run, Wishes(), "  ")


def test_sample_and_addition_follow_the_allocation_in_each_stratum(
    workspace: Workspace, run: Run, frame: LabelFrame
) -> None:
    strata = Strata(extra=120, minimum=4, group="gender")
    begin(workspace, run, Wishes(fraction=0.1, strata=strata), "Pat")
    dealt = cards(workspace, run)
    names = strata_of(frame.label, frame.confidence, frame.groups, strata.bands, True, "gender")
    sizes = {name: int((names == name).sum()) for name in set(names)}
    checked = {name: sum(names[card.row_index] == name for card in dealt) for name in sizes}
    assert all(checked[name] >= min(4, sizes[name]) for name in sizes)
    assert sum(card.queue == SAMPLE for card in dealt) == 60
    assert sum(card.queue == STRATA for card in dealt) >= 100
    assert len({card.row_id for card in dealt}) == len(dealt)
    with pytest.raises(ReviewError, match="no group column"):
        strata_of(frame.label, frame.confidence, frame.groups, (), False, "planet")


def test_neyman_sends_more_cards_where_the_pilot_found_errors(
    workspace: Workspace, run: Run, frame: LabelFrame
) -> None:
    strata = Strata(extra=150, bands=(), minimum=1, allocation="Neyman")
    with pytest.raises(ReviewError, match="a round begins without one"):
        begin(workspace, run, Wishes(fraction=0.2, strata=strata), "Pat")
    begin(workspace, run, Wishes(fraction=0.2, double_share=0), "Pat")
    with pytest.raises(ReviewError, match="needs a pilot: 0 cards of the sample are decided, 20 are the least"):
        add_strata(workspace, run, strata, "Pat")
    while (card := desk.next_card(workspace, run.id, "Ada")) is not None:
        label = int(frame.label[card.row_index])
        said = 1 if label == 0 and card.position % 2 else label
        desk.decide(workspace, run.id, card.item_id, "Ada", Answer("label", said), classes=3)
    assert add_strata(workspace, run, strata, "Pat") > 0
    more = [card for card in cards(workspace, run) if card.queue == STRATA]
    share = np.mean([card.machine_label == 0 for card in more])
    assert share > (frame.label == 0).mean() + 0.15
    with pytest.raises(ReviewError, match="already"):
        add_strata(workspace, run, strata, "Pat")


def test_the_targeted_queue_leaves_the_sample_alone(workspace: Workspace, begun: Run, frame: LabelFrame) -> None:
    dealt = add_targeted(workspace, begun, tuple(SOURCES), 15, "Pat")
    assert dealt.cards["entropy"] == dealt.cards["label quality"] == 15
    assert "pool" in dealt.missing["disagreement"]
    assert "gender" in dealt.missing["gender pairs"]
    mine = cards(workspace, begun)
    assert len({card.row_id for card in mine}) == len(mine) == 60 + 30
    card = desk.next_card(workspace, begun.id, "Ada", "targeted")
    assert card is not None
    assert not card.blind
    assert card.why == "entropy"
    sampled = next(c.row_index for c in mine if c.queue == SAMPLE)
    fresh = next(i for i in range(len(frame)) if str(frame.ids[i]) not in {c.row_id for c in mine})
    assert add_rows(workspace, begun, np.array([sampled, fresh]), "sent", "Pat") == 1
    assert sum(c.queue == TARGETED for c in cards(workspace, begun)) == 31
    with pytest.raises(ReviewError, match="Did you mean 'entropy'"):
        add_targeted(workspace, begun, ("entropi",), 1, "Pat")


def test_labels_that_changed_under_a_plan_are_noticed(workspace: Workspace, begun: Run) -> None:
    path = begun.folder / "labels.parquet"
    labels = read_frame(path)
    labels["label"] = (labels["label"] + 1) % 3
    write_frame(path, labels)
    with pytest.raises(ReviewError, match="have changed"):
        add_targeted(workspace, begun, ("entropy",), 1, "Pat")
