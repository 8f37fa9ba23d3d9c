"""Pages on a run of language models: answers side by side, and nothing on any page that is about labels only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from auditor.answers_view import load_answers
from auditor.review import decisions_frame
from auditor.review.plan import Wishes
from auditor.review.records import edits
from auditor.review.rounds import begin
from auditor.votes import Question, ballots, cast, votes_frame
from distill.store import TEACHER, Run
from distill.workspace import Workspace
from tests.fakes_generation import RUN_ID, make_fake_generation_run
from tests.pages.driver import assert_well, open_page, said
from tests.pages.hostile import STRINGS


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run; never changed."""
    root = tmp_path_factory.mktemp("written")
    return make_fake_generation_run(root, n_test=30, n_pool=20, n_dev=10, with_items=True, audit=True)


@pytest.fixture
def writing(written: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("HEIRLOOM_HOME", str(written.folder.parents[1]))
    return written


def test_answers_are_accepted_mended_and_rejected_on_the_page(home: Path) -> None:
    run = make_fake_generation_run(home, n_test=10, n_pool=40, n_dev=5)
    workspace = Workspace(home)
    app = open_page("review", run=RUN_ID)
    assert_well(app)
    assert "answers" in said(app) and "Share of wrong labels" not in said(app)
    begin(workspace, run, Wishes(fraction=0.1, double_share=0), "Pat")
    app = open_page("review", run=RUN_ID)
    app.text_input(key="review_name").set_value("Ada").run()
    press(app, "It stands")
    press(app, "hallucinated")
    press(app, "Edit")
    area = next(area for area in app.text_area if area.key and area.key.startswith("edit_text_"))
    before = area.value
    area.set_value(f"{before} And more.")
    press(app, "Save the edit")
    decisions = decisions_frame(workspace, RUN_ID)
    assert list(zip(decisions["kind"], decisions["label"], decisions["reason"], strict=True)) == [
        ("label", 0, ""),
        ("none", -1, "hallucinated"),
        ("label", 1, "wrong"),
    ]
    assert list(edits(workspace, RUN_ID).values()) == [f"{before} And more."]
    press(app, "Edit")
    press(app, "Save the edit")  # the teacher's own words are no edit
    assert len(decisions_frame(workspace, RUN_ID)) == 3 and "Nothing was changed" in said(app)
    press(app, "Undo")
    assert not decisions_frame(workspace, RUN_ID)["standing"].to_numpy()[2]
    for view in ("Results", "Differences", "Targeted", "What follows", "In and out"):
        app.segmented_control(key="review_view").set_value(view).run()
        assert_well(app)
    assert "Wrong labels" not in said(app)


def test_votes_are_blind_and_come_back_by_undo(home: Path) -> None:
    run = make_fake_generation_run(home, n_test=6, n_pool=10, n_dev=5)
    app = open_page("examples", run=RUN_ID)
    app.segmented_control(key="answers_view").set_value("Vote blind").run()
    assert_well(app)
    app.text_input(key="vote_name").set_value("Ada").run()
    words = said(app)
    assert "token" not in words.replace("token_kl #", "") and "Teacher" not in words
    first = ballots(load_answers(run), Question(RUN_ID, run.spec.candidate, TEACHER), "Ada (self-declared)")[0]
    assert first.answers[0] in words and first.answers[1] in words
    press(app, "The first is better")
    frame = votes_frame(Workspace(home), RUN_ID)
    expected = "arm" if first.first == run.spec.candidate else "versus"
    assert (frame["choice"][0], frame["row_id"][0]) == (expected, first.row_id)
    press(app, "No difference")
    press(app, "Undo")
    assert list(votes_frame(Workspace(home), RUN_ID)["standing"]) == [True, False, False]
    app.toggle(key="vote_tally").set_value(True).run()
    assert "preferred over" in said(app)
    second = ballots(load_answers(run), Question(RUN_ID, run.spec.candidate, TEACHER), "Ben")[0]
    cast(Workspace(home), Question(RUN_ID, run.spec.candidate, TEACHER), second.row_id, "Ben", "tie")
    app.run()
    assert "2 people" in said(app)


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert_well(app)


def test_answers_are_found_by_what_is_wrong_with_them(writing: Run) -> None:
    view = load_answers(writing)
    arm = writing.spec.candidate
    everything = view.chosen(arm, "all")
    far = view.frame[f"{arm}/kl"].to_numpy()
    assert len(everything) == 30 and list(far[everything]) == sorted(far, reverse=True)
    differing = view.chosen(arm, "differ")
    assert set(differing) == {i for i, row in view.frame.iterrows() if row[f"{arm}/answer"] != row[f"{TEACHER}/answer"]}
    assert view.chosen(TEACHER, "differ") == []
    word = str(view.frame["text"].iloc[7])
    assert 7 in view.chosen(arm, "all", word.upper()) and view.chosen(arm, "all", "no such words") == []
    assert view.position(str(view.frame["row_id"].iloc[3])) == 3 and view.position("x") is None


@pytest.mark.parametrize(
    "page", ["runs", "run", "compare", "examples", "bias", "alternatives", "lineage", "review", "report"]
)
def test_no_page_stumbles(writing: Run, page: str) -> None:
    app = open_page("" if page == "runs" else page, run=RUN_ID)
    assert_well(app)
    text = said(app)
    assert "Which label is good" not in text and "Per class" not in [each.value for each in app.subheader]


def test_one_prompt_has_an_address_and_a_table_of_tokens(writing: Run) -> None:
    row = str(load_answers(writing).frame["row_id"].iloc[0])
    app = open_page("examples", run=RUN_ID, item=row)
    assert_well(app)
    table = next(f.value for f in app.dataframe if "token" in f.value.columns)
    assert len(table) == len(load_answers(writing).tokens[0])
    assert_well(open_page("examples", run=RUN_ID, item="gone"))


@pytest.mark.slow
def test_hostile_answers_are_text(home: Path) -> None:
    texts = iter(range(10_000))
    make_fake_generation_run(
        home, n_test=len(STRINGS), n_pool=10, n_dev=5, answer=lambda *_: STRINGS[next(texts) % len(STRINGS)]
    )
    app = open_page("examples", run=RUN_ID)
    assert_well(app)
    for each in app.markdown:
        assert not re.search(r"(?<!\\)(<script|!\[)", each.value)
    begin(Workspace(home), Run(Workspace(home).runs / RUN_ID), Wishes(fraction=1.0, double_share=0), "Pat")
    cards = open_page("review", run=RUN_ID)
    cards.text_input(key="review_name").set_value("Ada").run()
    votes = open_page("examples", run=RUN_ID)
    votes.segmented_control(key="answers_view").set_value("Vote blind").run()
    votes.text_input(key="vote_name").set_value("Ada").run()
    for app in (cards, votes):
        assert_well(app)
        for each in app.markdown:
            assert not re.search(r"(?<!\\)(<script|!\[)", each.value)
