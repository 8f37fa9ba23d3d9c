"""The page Review in AppTest: plan, blind cards, keys, results, hostile texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from auditor.evidence.log import entries
from auditor.review import decisions_frame, desk
from auditor.review.desk import Answer
from auditor.review.frame import load_frame
from auditor.review.plan import Wishes
from auditor.review.rounds import begin, current_round
from auditor.review.targeted import add_targeted
from distill.store import Run
from distill.types import read_frame, write_frame
from distill.workspace import Workspace
from tests.fakes import RUN_ID, make_fake_run
from tests.pages.driver import assert_well, open_page, said
from tests.pages.hostile import STRINGS, hostile_run


def opened(name: str = "Ada") -> AppTest:
    app = open_page("review", run=RUN_ID)
    app = app.text_input(key="person_name").set_value(name).run()
    assert_well(app)
    return app


def press(app: AppTest, name: str) -> AppTest:
    """Press the button of the present card whose key begins so."""
    button = next(b for b in app.button if (b.key or "").startswith(f"rv_{name}"))
    app = button.click().run()
    assert_well(app)
    return app


@pytest.fixture
def started(finished: Path) -> Workspace:
    workspace = Workspace(finished)
    begin(workspace, Run(workspace.runs / RUN_ID), Wishes(fraction=0.5, double_items=4), "Pat")
    return workspace


def test_what_it_will_prove_is_said_before_anything_starts(finished: Path) -> None:
    app = open_page("review", run=RUN_ID)
    assert_well(app)
    assert "What will this sample prove?" in said(app)
    assert app.button(key="review_begin").disabled
    assert entries(Workspace(finished), RUN_ID) == []
    app = app.text_input(key="person_name").set_value("Ada").run()
    app = app.segmented_control(key="plan_method").set_value("limiting quality").run()
    app = app.number_input(key="plan_lq").set_value(20.0).run()
    assert "passes at least" in said(app)
    app = app.button(key="review_begin").click().run()
    assert_well(app)
    now = current_round(Workspace(finished), RUN_ID)
    assert now is not None
    assert (now.by, now.plan.wishes.lq) == ("Ada (self-declared)", 0.2)


def test_cards_are_blind_until_answered_and_every_key_is_a_decision(started: Workspace) -> None:
    app = opened()
    assert "Choose first" in said(app)
    assert "Teacher:" not in said(app)
    keys = {b.proto.shortcut for b in app.button if (b.key or "").startswith("rv_sample")}
    assert {key.upper() for key in keys} == {"1", "2", "3", "X", "S", "U", "N", "H"}
    app = press(app, "sample_label1")
    assert "you said **neutral**" in said(app)
    assert "Teacher:" in said(app)
    app = press(app, "sample_skip")
    app = press(app, "sample_none")
    app = press(app, "sample_undo")
    kinds = decisions_frame(started, RUN_ID)
    assert kinds["kind"].tolist() == ["label", "skip", "none", "undo"]
    assert set(kinds["reviewer"]) == {"Ada (self-declared)"}
    assert kinds["seconds"].notna().sum() == 3
    app = press(app, "sample_keys")
    assert "take back your last answer" in said(app)


def test_a_note_and_a_reason_belong_to_the_decision(started: Workspace) -> None:
    app = press(opened(), "sample_note")
    app = app.text_area[0].set_value("odd").run()
    frame = load_frame(Run(started.runs / RUN_ID))
    card = desk.next_card(started, RUN_ID, "Ada (self-declared)")
    assert card is not None
    app = press(app, f"sample_label{(int(frame.label[card.row_index]) + 1) % 3}")
    why = next(p for p in app.button_group if (p.key or "").startswith("why_"))
    app = why.set_value("ambiguous").run()
    assert_well(app)
    decisions = decisions_frame(started, RUN_ID)
    assert decisions["reason"].tolist() == ["wrong", "ambiguous"]


def test_a_press_that_comes_too_late_changes_nothing(started: Workspace) -> None:
    one, two = opened("Ada"), opened("Ada")  # the same person in two tabs sees the same card
    one = press(one, "sample_label0")
    two = press(two, "sample_label2")
    assert decisions_frame(started, RUN_ID)["label"].tolist() == [0]
    assert "card" in said(two)


def test_the_targeted_queue_shows_its_suggestion(started: Workspace) -> None:
    run = Run(started.runs / RUN_ID)
    add_targeted(started, run, ("entropy",), 3, "Pat")
    app = opened().segmented_control(key="review_view").set_value("Targeted").run()
    assert "Teacher:" in said(app)
    assert "Never part of the estimate" in said(app)
    app = press(app, "targeted_accept")
    decision = decisions_frame(started, RUN_ID).iloc[-1]
    assert decision["queue"] == "targeted"
    assert decision["label"] == decision["machine_label"]


def test_results_at_the_end_and_everything_else_draws(started: Workspace) -> None:
    run = Run(started.runs / RUN_ID)
    frame = load_frame(run)
    for who in ("Ben", "Cleo"):
        while (card := desk.next_card(started, RUN_ID, who)) is not None:
            label = int(frame.label[card.row_index])
            said_ = (label + 1) % 3 if who == "Cleo" and card.double else label
            desk.decide(started, RUN_ID, card.item_id, who, Answer("label", said_), classes=3)
    app = opened()
    words = said(app)
    assert "Not decidable" in words or "accepted" in words
    assert "Wrong labels" in words
    for view in ("Cards", "Targeted", "Differences", "Results", "What follows", "In and out"):
        app = app.segmented_control(key="review_view").set_value(view).run()
        assert_well(app)
    app = app.segmented_control(key="review_view").set_value("Differences").run()
    app = next(b for b in app.button if (b.key or "").startswith("adjudicate_")).click().run()
    assert_well(app)
    assert entries(started, RUN_ID)[-1].action == "adjudication"


def test_a_run_without_labels_says_so(home: Path) -> None:
    make_fake_run(home, status="queued")
    app = open_page("review", run=RUN_ID)
    assert_well(app)
    assert "no synthetic labels" in said(app)


@pytest.mark.slow
def test_hostile_texts_are_text(home: Path) -> None:
    run = hostile_run(home)
    path = run.folder / "labels.parquet"
    labels = read_frame(path)
    labels["text"] = [STRINGS[i % len(STRINGS)] for i in range(len(labels))]
    write_frame(path, labels)
    workspace = Workspace(home)
    begin(workspace, run, Wishes(fraction=1.0, double_share=0), "<b>Pat</b> ![x](http://evil.invalid/p.png)")
    app = opened("![me](http://evil.invalid/me.png)")
    for _ in range(len(STRINGS)):
        assert not [m.value for m in app.markdown if "![" in m.value.replace("\\!\\[", "") or "<b>" in m.value]
        assert all("\x00" not in t.value and "\x1b" not in t.value and "\u202e" not in t.value for t in app.text)
        assert all(len(t.value) < 25_000 for t in app.text)
        app = press(app, "sample_label0")
    app = app.segmented_control(key="review_view").set_value("Results").run()
    assert_well(app)
    assert not [m.value for m in app.markdown if "![" in m.value.replace("\\!\\[", "") or "<b>" in m.value]


def test_a_name_typed_on_the_page_brings_the_first_card(started: Workspace) -> None:
    app = open_page("review", run=RUN_ID)
    app = app.text_input(key="review_name").set_value("Ada").run()
    assert_well(app)
    app = press(app, "sample_label0")
    assert set(decisions_frame(started, RUN_ID)["reviewer"]) == {"Ada (self-declared)"}
    assert app.text_input(key="person_name").value == "Ada"
