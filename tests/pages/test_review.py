"""The page Review in AppTest: plan, blind cards, keys, results, hostile texts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from auditor.evidence.log import entries
from auditor.review import decisions_frame, desk
from auditor.review.desk import Answer
from auditor.review.frame import load_frame
from auditor.review.outcome import Outcome, Rate, lot_outcome
from auditor.review.plan import Wishes, make_plan
from auditor.review.rounds import begin, current_round
from auditor.review.targeted import add_targeted
from auditor.stats.interval import Interval
from distill.store import Run
from distill.types import read_frame, write_frame
from distill.workspace import Workspace
from pages.ui import review_results
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
    assert "settle" in said(app) and "Teacher:" not in said(app)  # blind here too
    app = next(b for b in app.button if (b.key or "").startswith("adjudicate_")).click().run()
    assert_well(app)
    assert entries(started, RUN_ID)[-1].action == "adjudication"


def test_every_figure_of_the_results_has_its_interval_its_n_and_a_sentence(started: Workspace) -> None:
    run = Run(started.runs / RUN_ID)
    frame = load_frame(run)
    for who in ("Ben", "Cleo"):
        while (card := desk.next_card(started, RUN_ID, who)) is not None:
            label = int(frame.label[card.row_index])
            wrong = int(frame.confidence[card.row_index] > 0.8 and label == 0)
            desk.decide(started, RUN_ID, card.item_id, who, Answer("label", (label + wrong) % 3), classes=3)
    words = said(opened()).replace("\\", "")
    for told in (
        r"\d+ of 30 cards\.",
        r"\[[\d.]+, [\d.]+\] 95 %, exact",
        r"one-sided bound, 95 %, n = 30",
        r"At least [\d.]+\u00a0%\. The limit is 5\.0\u00a0%",
        r"\[[\d.]+, 100\.0\] 95 %, n = 4 cards",
        r"Beyond chance \(AC1\): 1\.00 \[[\d.]+, 1\.00\]",
        r"Too few cards to tell: no band has 10 that are decided\.",  # 30 cards in five bands
        r"Most in .*: [\d.]+ % \[[\d.]+, [\d.]+\] of \d+ cards; in the whole|No slice is shown to be worse than the whole",
        r"At most [\d.]+ % of the labels are wrong \(30 cards, 95 %\)",
    ):
        assert re.search(told, words), told


def test_what_the_results_say_in_words() -> None:
    def rate(kind: str, name: str, value: float, low: float, high: float, mean: float = 0.9) -> Rate:
        return Rate(kind, name, 200, 40, round(40 * value), 0, Interval(value, low, high, 40), "exact", mean)

    honest, vain = (
        rate("confidence", "0.80–0.90", 0.1, 0.05, 0.2, 0.86),
        rate("confidence", "0.95–1.00", 0.3, 0.2, 0.4, 0.97),
    )
    assert review_results.honesty_sentence([honest]) == "Nothing shows that it is surer than it is right, on 40 cards."
    few = replace(vain, n=9, wrong=6)
    assert review_results.honesty_sentence([few]) == "Too few cards to tell: no band has 10 that are decided."
    assert review_results.honesty_sentence([honest, few]) == review_results.honesty_sentence([honest]).replace(
        "40", "49"
    )
    assert review_results.honesty_sentence([honest, vain]) == (
        "No: it is surer than it is right in 1 of 2 bands. Where it is 97.0 % sure, 70.0 % [60.0, 80.0] of its labels are right (40 cards)."
    )
    plan = make_plan(400, "f", Wishes())
    whole = rate("all", "all", 0.1, 0.07, 0.14)
    found = Outcome(
        1, plan, lot_outcome(plan, 60, 6, 0), whole, (rate("class", "2", 0.25, 0.15, 0.4), honest), {}, (0, 0), ()
    )
    assert review_results.slices_sentence(found, ("a", "b", "c")) == (
        "Most in class c: 25.0 % [15.0, 40.0] of 40 cards; in the whole 10.0 %."
    )
    even = replace(found, slices=(honest,))
    assert review_results.slices_sentence(even, ("a", "b", "c")).startswith("No slice is shown to be worse")


def test_what_followed_is_listed_and_held_against_its_parent(started: Workspace) -> None:
    child_id = "20260103-120000-child1"
    over = {"parent": RUN_ID, "label_version": 1, "name": "child <b>"}
    make_fake_run(started.root, run_id=child_id, audit=True, n_test=60, n_pool=60, n_dev=30, seeds=(1,), spec=over)
    app = opened().segmented_control(key="review_view").set_value("What follows").run()
    assert_well(app)
    words = said(app).replace("\\", "")
    assert "there is nothing to apply" in words
    assert "child <b> · label version 1" in words
    assert re.search(r"accuracy differs by [+−][\d.]+ points \[.*\] from that of run|Not compared, because", words)
    card = desk.next_card(started, RUN_ID, "Ada (self-declared)")
    assert card is not None
    desk.decide(started, RUN_ID, card.item_id, "Ada (self-declared)", Answer("none"), classes=3)
    app = app.run()
    assert "0 labels change and 1 row is left out of training" in said(app)


def test_cards_within_strata_are_added_after_a_pilot(started: Workspace) -> None:
    for _ in range(30):
        card = desk.next_card(started, RUN_ID, "Ben")
        assert card is not None
        desk.decide(started, RUN_ID, card.item_id, "Ben", Answer("label", card.item_id % 3), classes=3)
    app = opened().segmented_control(key="review_view").set_value("What follows").run()
    app = app.number_input(key="more_extra").set_value(20).run()
    app = app.button(key="more_strata").click().run()
    assert_well(app)
    now = current_round(started, RUN_ID)
    assert now is not None and now.plan.wishes.strata is not None
    assert now.plan.wishes.strata.allocation == "Neyman"


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
