"""Blind votes: random order, one a person and prompt, in the chain, counted by prompt, and held against the chain by verify."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from auditor.answers_view import AnswersView, load_answers
from auditor.audit import audit_run, load_report
from auditor.checks.lm_preference import sentence, tallies
from auditor.evidence.bundle import make_bundle
from auditor.evidence.log import entries
from auditor.evidence.seal import seal
from auditor.evidence.verify import verify_bundle, verify_run
from auditor.review import decisions_frame
from auditor.stats.paired import sign_test
from auditor.votes import FILE, Question, ballots, cast, first_of, problems, voted, votes_frame
from distill.errors import ReviewError
from distill.store import TEACHER, Run
from distill.types import write_frame
from distill.workspace import Workspace
from tests.fakes_generation import RUN_ID, make_fake_generation_run

ASK = Question(RUN_ID, "token_kl", TEACHER)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("votes")
    make_fake_generation_run(root, n_pool=10, n_test=40, n_dev=5, audit=True)
    return root


@pytest.fixture
def workspace(tmp_path: Path, written: Path) -> Workspace:
    shutil.copytree(written, tmp_path / "home")
    return Workspace(tmp_path / "home").made()


@pytest.fixture
def run(workspace: Workspace) -> Run:
    return Run(workspace.runs / RUN_ID)


@pytest.fixture
def view(run: Run) -> AnswersView:
    return load_answers(run)


def test_prompts_come_in_one_order_and_sides_are_random_for_each_person(view: AnswersView) -> None:
    ada, ben = ballots(view, ASK, "Ada"), ballots(view, ASK, "Ben")
    assert [b.row_id for b in ada] == [b.row_id for b in ben] != sorted(b.row_id for b in ada)
    sides = np.array([b.first == ASK.arm for b in ada]), np.array([b.first == ASK.arm for b in ben])
    assert 0.15 < sides[0].mean() < 0.85 and (sides[0] != sides[1]).any()
    frame = view.frame.set_index("row_id")
    for ballot in ada:
        mine = str(frame.loc[ballot.row_id, "token_kl/answer"])
        assert ballot.answers[0 if ballot.first == "token_kl" else 1] == mine
    assert ada == ballots(view, ASK, "ada (self-declared)")


def test_equal_answers_are_not_asked(view: AnswersView) -> None:
    view.frame["token_kl/answer"] = view.frame[f"{TEACHER}/answer"] + " "
    assert ballots(view, ASK, "Ada") == []


def test_one_vote_a_person_and_prompt_and_back(workspace: Workspace) -> None:
    cast(workspace, ASK, "r1", "Ada", "arm", 2.0)
    with pytest.raises(ReviewError, match="already"):
        cast(workspace, ASK, "r1", "ada (self-declared)", "tie")
    cast(workspace, ASK, "r1", "Ben", "versus")
    cast(workspace, ASK, "r1", "ada", "undo")
    assert voted(workspace, ASK, "Ada") == [] and voted(workspace, ASK, "Ben") == ["r1"]
    with pytest.raises(ReviewError, match="no vote of yours"):
        cast(workspace, ASK, "r1", "Ada", "undo")
    cast(workspace, ASK, "r1", "Ada", "tie")
    frame = votes_frame(workspace, RUN_ID)
    assert list(frame["standing"]) == [False, True, False, True]
    chain = entries(workspace, RUN_ID)
    assert [e.action for e in chain] == ["vote"] * 4 and problems(frame, chain) == []
    with pytest.raises(ReviewError, match="no vote"):
        cast(workspace, ASK, "r2", "Ada", "both")  # type: ignore[arg-type]
    with pytest.raises(ReviewError, match="name"):
        cast(workspace, ASK, "r2", " ", "tie")


def test_a_pair_asked_the_other_way_round_is_the_same_question(workspace: Workspace) -> None:
    one, other = Question(RUN_ID, "b", "a"), Question(RUN_ID, "a", "b")
    assert one.ordered == other and ASK.ordered == ASK == Question(RUN_ID, TEACHER, "token_kl").ordered
    cast(workspace, one, "r1", "Ada", "arm")  # b is better
    with pytest.raises(ReviewError, match="already"):
        cast(workspace, other, "r1", "ada", "tie")
    assert voted(workspace, one, "Ada") == voted(workspace, other, "Ada") == ["r1"]
    kept = votes_frame(workspace, RUN_ID)
    assert kept[["arm", "versus", "choice"]].values.tolist() == [["a", "b", "versus"]]
    cast(workspace, other, "r1", "Ada", "undo")
    cast(workspace, other, "r1", "Ada", "arm")  # a is better
    frame = votes_frame(workspace, RUN_ID)
    assert frame.loc[frame["standing"], ["arm", "versus", "choice"]].values.tolist() == [["a", "b", "arm"]]
    assert problems(frame, entries(workspace, RUN_ID)) == []


def test_a_vote_that_was_kept_the_other_way_round_is_taken_back_where_it_lies(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Question(RUN_ID, "b", "a")
    with monkeypatch.context() as before:  # as it was before pairs were ordered
        before.setattr(Question, "ordered", property(lambda self: self))
        cast(workspace, asked, "r1", "Ada", "arm")
    with pytest.raises(ReviewError, match="already"):
        cast(workspace, asked.ordered, "r1", "Ada", "tie")
    cast(workspace, asked.ordered, "r1", "Ada", "undo")
    frame = votes_frame(workspace, RUN_ID)
    assert not frame["standing"].any() and set(frame["arm"]) == {"b"}
    cast(workspace, asked, "r1", "Ada", "arm")
    frame = votes_frame(workspace, RUN_ID)
    assert frame.loc[frame["standing"], ["arm", "choice"]].values.tolist() == [["a", "versus"]]
    assert problems(frame, entries(workspace, RUN_ID)) == []


def _votes(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["row_id", "voter", "choice"])
    return frame.assign(arm="s", versus=TEACHER, standing=True)


def test_a_prompt_counts_once_whoever_voted() -> None:
    rows = [("a", "x", "arm"), ("a", "y", "arm"), ("b", "x", "arm"), ("b", "y", "versus"), ("c", "x", "versus")]
    (tally,) = tallies(_votes([*rows, ("d", "x", "tie"), ("d", "y", "arm")]))
    assert (tally.wins, tally.losses, tally.ties) == (2, 1, 1)
    assert (tally.agree, tally.shared, tally.voters, tally.votes) == (1, 3, 2, 7)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (3, 0), (9, 1), (7, 12), (40, 60)])
def test_the_sign_test_is_the_exact_binomial(wins: int, losses: int) -> None:
    n, k = wins + losses, min(wins, losses)
    expected = min(1.0, 2 * float(binom.cdf(k, n, 0.5))) if n else 1.0
    assert sign_test(wins, losses) == pytest.approx(expected)


def test_the_words_follow_the_interval() -> None:
    def of(wins: int, losses: int, ties: int = 0) -> str:
        rows = [("arm",)] * wins + [("versus",)] * losses + [("tie",)] * ties
        (tally,) = tallies(_votes([(str(i), "x", row[0]) for i, row in enumerate(rows)]))
        return sentence(tally)

    assert of(9, 1).endswith("better.") and of(1, 9).endswith("worse.") and of(5, 5, 2).endswith("cannot tell.")
    assert "2 more are ties" in of(5, 5, 2) and "see no difference" in of(0, 0, 3)


def test_the_measure_is_audited_and_verified(workspace: Workspace, run: Run, view: AnswersView) -> None:
    for who in ("Ada", "Ben"):
        for ballot in ballots(view, ASK, who)[:20]:
            cast(workspace, ASK, ballot.row_id, who, "arm" if int(ballot.row_id[1:]) % 4 else "versus")
    audit_run(run, decisions=decisions_frame(workspace, run.id), votes=votes_frame(workspace, run.id))
    seal(workspace, run)
    report = load_report(run)
    assert report is not None
    found = next(m for m in report.measures if m.name == "human_preference")
    assert (found.arm, found.versus, found.n) == ("token_kl", TEACHER, 20)
    assert found.low is not None and found.high is not None and found.low < (found.value or 0) < found.high
    bundle = make_bundle(workspace, run, {}, texts=False)
    for checked in (verify_run(workspace, run), verify_bundle(bundle.to_bytes())):
        states = {line.what: line.state for line in checked.lines}
        assert checked.ok and states["votes"] == "ok", checked.lines
    frame = votes_frame(workspace, run.id)
    frame.loc[frame["choice"] == "versus", "choice"] = "arm"
    write_frame(run.folder / FILE, frame)
    audit_run(run)
    seal(workspace, run)
    assert "votes" in {line.what for line in verify_run(workspace, run).lines if line.state == "failed"}
    assert first_of(ASK, "r1", "Ada") in {ASK.arm, ASK.versus}


def test_nobody_voted(run: Run) -> None:
    report = load_report(run)
    assert report is not None
    found = report.result("lm_preference")
    assert found is not None and found.skipped == "nobody has compared answers of this run"
