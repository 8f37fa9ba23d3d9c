"""Review of a language model's answers: they stand, are mended or rejected with a reason; mended ones train; words can be erased."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditor.audit import audit_run, load_report
from auditor.evidence.bundle import ANSWERS, Bundle, make_bundle
from auditor.evidence.erase import erase
from auditor.evidence.log import entries
from auditor.evidence.seal import seal
from auditor.evidence.verify import verify_bundle, verify_run
from auditor.review import decisions_frame, desk
from auditor.review.answers import EDIT, REASONS
from auditor.review.applying import apply_decisions, corrections
from auditor.review.desk import Answer
from auditor.review.exchange.exporting import export
from auditor.review.exchange.importing import ReviewImportError, import_decisions
from auditor.review.frame import load_frame
from auditor.review.outcome import outcome
from auditor.review.plan import Wishes, promise
from auditor.review.records import problems
from auditor.review.results import differences, early_look, lot_of_run
from auditor.review.rounds import begin, current_round
from auditor.review.targeted import add_targeted, sources_of
from distill.errors import ReviewError
from distill.files import write_text
from distill.monitor import Monitor
from distill.plugins import StageContext
from distill.stages import run_stages
from distill.stages.generation.labels import _correct
from distill.store import Run
from distill.types import read_frame, write_frame
from distill.workspace import Workspace
from tests.auditor.review.test_applying import NoRunner
from tests.distill.tiny import make_context
from tests.distill.tiny_lm import tiny_generation_spec, tiny_lm
from tests.fakes_generation import RUN_ID, make_fake_generation_run

ACCEPTED, REJECTED = Answer("label", 0), Answer("none", reason="hallucinated")


def mended(words: str) -> Answer:
    return Answer("label", EDIT, edit=words)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("answers")
    make_fake_generation_run(root, n_pool=200, n_test=20, n_dev=10, audit=True)
    return root


@pytest.fixture
def workspace(tmp_path: Path, written: Path) -> Workspace:
    shutil.copytree(written, tmp_path / "home")
    return Workspace(tmp_path / "home").made()


@pytest.fixture
def run(workspace: Workspace) -> Run:
    return Run(workspace.runs / RUN_ID)


def begun(workspace: Workspace, run: Run, cards: int = 20, doubles: int = 0) -> None:
    begin(workspace, run, Wishes(fraction=cards / 200, double_share=doubles / cards, double_items=doubles), "Pat")


def say(workspace: Workspace, run: Run, who: str, *said: Answer) -> list[str]:
    rows = []
    for answer in said:
        card = desk.next_card(workspace, run.id, who)
        assert card is not None
        desk.decide(workspace, run.id, card.item_id, who, answer, classes=2)
        rows.append(card.row_id)
    return rows


def test_the_plan_speaks_of_answers_and_names_them_in_the_chain(workspace: Workspace, run: Run) -> None:
    begun(workspace, run)
    now = current_round(workspace, run.id)
    assert now is not None and now.unit == "answers" and "of 200 answers" in promise(now.plan).sentence
    plan = next(e for e in entries(workspace, run.id) if e.action == "plan")
    text = json.dumps([e.payload for e in entries(workspace, run.id)])
    assert len(plan.payload["answers"]) == 64
    assert not any(answer in text for answer in load_frame(run).table["answer"].to_pylist())


def test_what_may_be_said_of_an_answer(workspace: Workspace, run: Run) -> None:
    begun(workspace, run)
    card = desk.next_card(workspace, run.id, "Ada")
    assert card is not None
    for wrong, why in [
        (Answer("none"), "needs a reason"),
        (Answer("none", reason="not in label set"), "no reason"),
        (mended("  "), "needs words"),
        (mended("x" * 20_001), "characters"),
        (Answer("label", 2), "no label number"),
    ]:
        with pytest.raises(ReviewError, match=why):
            desk.decide(workspace, run.id, card.item_id, "Ada", wrong, classes=2)
    assert REASONS[0] == "hallucinated"


def test_share_that_would_not_stand_with_its_bound(workspace: Workspace, run: Run) -> None:
    begun(workspace, run)
    said = [ACCEPTED] * 14 + [mended("better")] * 3 + [REJECTED] * 2 + [Answer("skip")]
    say(workspace, run, "Ada", *said)
    found = outcome(decisions_frame(workspace, run.id), lot_of_run(run))
    assert (found.lot.n, found.lot.wrong, found.lot.open) == (20, 5, 1)
    assert found.overall.interval.value == pytest.approx(5 / 19)
    assert found.reasons == {"wrong": 3, "hallucinated": 2}
    kinds = {rate.kind for rate in found.slices}
    assert "class" not in kinds and {"group:finish", "group:domain", "confidence"} <= kinds
    now = current_round(workspace, run.id)
    assert now is not None
    early = early_look(workspace, now)
    assert early == found.lot
    assert problems(workspace, run.id) == []


def test_edits_take_the_answers_place_and_rejected_ones_leave(workspace: Workspace, run: Run) -> None:
    begun(workspace, run)
    rows = say(workspace, run, "Ada", mended("A better answer."), REJECTED, ACCEPTED, Answer("skip"))
    # an edit mends, whatever its reason says of the teacher's words
    now = current_round(workspace, run.id)
    assert now is not None
    card = decisions_frame(workspace, run.id)
    assert set(card["kind"]) == {"label", "none", "skip"}
    found = corrections(workspace, run)
    assert (found.changed, found.dropped) == (1, 1)
    assert dict(zip(found.frame["row_id"], found.frame["answer"], strict=True)) == {
        rows[0]: "A better answer.",
        rows[1]: "",
    }
    assert list(found.frame["decided_by"]) == ["Ada", "Ada"]
    child = apply_decisions(workspace, run, "Pat", executor=NoRunner())
    assert child.spec.label_version == 1 and child.spec.parent == run.id
    payload = next(e.payload for e in entries(workspace, child.id) if e.action == "apply")
    assert "better" not in json.dumps(payload) and len(payload["corrections"]) == 64
    labels = read_frame(run.folder / "labels.parquet").assign(finish="length")
    context = StageContext(child, child.spec, workspace.cache, Monitor())
    frame, changed, dropped = _correct(context, labels)
    assert (changed, dropped, len(frame)) == (1, 1, 199)
    mine = frame.set_index("row_id").loc[rows[0]]
    assert mine["answer"] == "A better answer." and mine["finish"] == "stop" and mine["corrected"]
    assert (frame["finish"] == "length").sum() == 198


def test_a_hallucinated_answer_that_was_mended_is_kept(workspace: Workspace, run: Run) -> None:
    begun(workspace, run)
    (row,) = say(workspace, run, "Ada", mended("The truth."))
    item = next(c for c in [desk.undo(workspace, run.id, "Ada")] if c is not None)
    desk.decide(workspace, run.id, item.item_id, "Ada", mended("The truth."), classes=2)
    desk.amend(workspace, run.id, item.item_id, "Ada", "hallucinated")
    assert corrections(workspace, run).frame[["row_id", "answer"]].values.tolist() == [[row, "The truth."]]
    assert problems(workspace, run.id) == []


def test_two_edits_agree_that_it_falls_and_a_third_person_chooses_the_words(workspace: Workspace, run: Run) -> None:
    begun(workspace, run, doubles=20)
    (row,) = say(workspace, run, "Ada", mended("One."))
    assert say(workspace, run, "Ben", mended("Two.")) == [row]
    now = current_round(workspace, run.id)
    assert now is not None
    found = outcome(decisions_frame(workspace, run.id), lot_of_run(run))
    assert found.lot.wrong == 1 and found.unsettled == ()
    assert corrections(workspace, run).frame["answer"].tolist() == ["Two."]
    (difference,) = differences(workspace, now)
    assert difference.edits == ("One.", "Two.")
    desk.adjudicate(workspace, run.id, difference.item_id, "Cleo", mended("One."), classes=2)
    assert corrections(workspace, run).frame["answer"].tolist() == ["One."]
    assert differences(workspace, now) == []


def test_an_edit_that_was_changed_in_the_database_is_named(workspace: Workspace, run: Run) -> None:
    from sqlalchemy import update

    from auditor.review.tables import DecisionRow
    from distill.db import open_database

    begun(workspace, run)
    say(workspace, run, "Ada", mended("Mine."))
    for values in ({"edit": "Theirs."}, {"edit": "", "edit_salt": ""}):
        with open_database(workspace).write() as session:
            session.execute(update(DecisionRow).values(**values))
        assert len(problems(workspace, run.id)) == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "label-studio"])
def test_out_and_in_with_words_that_look_like_formulas(workspace: Workspace, run: Run, kind: str) -> None:
    begun(workspace, run, cards=6)
    cards = pd.read_json(io.BytesIO(export(workspace, run, "cards", "jsonl", "Pat")), lines=True)
    assert "answer" in cards and "suggestion" not in cards
    words = "=HYPERLINK(1)\nsecond line"
    rows = [
        {"row_id": cards["row_id"][0], "label": "edit", "edit": words, "reviewer": "Ada"},
        {"row_id": cards["row_id"][1], "label": "reject", "reason": "hallucinated", "reviewer": "Ada"},
        {"row_id": cards["row_id"][2], "label": "accept", "reviewer": "Ada"},
        {"row_id": cards["row_id"][3], "label": "skip", "reviewer": "Ada"},
    ]
    import_decisions(workspace, run, "\n".join(map(json.dumps, rows)).encode(), "jsonl", "Pat")
    out = export(workspace, run, "decisions", kind, "Pat")
    other = Workspace(workspace.root.parent / "other").made()
    shutil.copytree(run.folder, other.runs / RUN_ID)
    twin = Run(other.runs / RUN_ID)
    begin(other, twin, current_round(workspace, run.id).plan.wishes, "Pat")  # type: ignore[union-attr]
    assert import_decisions(other, twin, out, kind, "Pat") == 4
    assert sorted(corrections(other, twin).frame[["row_id", "answer"]].values.tolist()) == sorted(
        [[cards["row_id"][0], words], [cards["row_id"][1], ""]]
    )


def test_bad_lines_are_told_one_by_one(workspace: Workspace, run: Run) -> None:
    begun(workspace, run, cards=6)
    ids = [json.loads(line)["row_id"] for line in export(workspace, run, "cards", "jsonl", "Pat").splitlines()]
    rows = [
        {"row_id": ids[0], "label": "edit"},
        {"row_id": ids[1], "label": "reject"},
        {"row_id": ids[2], "label": "none"},
        {"row_id": ids[3], "label": "reject", "reason": "not in label set"},
    ]
    with pytest.raises(ReviewImportError) as caught:
        import_decisions(workspace, run, "\n".join(map(json.dumps, rows)).encode(), "jsonl", "Pat")
    said = [p.what for p in caught.value.problems]
    assert [line.line for line in caught.value.problems] == [1, 2, 3, 4]
    for text, word in zip(said, ["needs words", "needs a reason", "unknown label", "unknown reason"], strict=True):
        assert word in text


def test_suspicious_answers_come_first(workspace: Workspace, run: Run) -> None:
    labels = read_frame(run.folder / "labels.parquet")
    labels.loc[3, ["answer", "finish"]] = ["so it is and so it is and so it is and so it is", "length"]
    labels.loc[7, ["answer", "finish"]] = ["", "empty"]
    write_frame(run.folder / "labels.parquet", labels)
    frame = load_frame(run)
    sources = sources_of(frame)
    assert list(sources["cut off"](run, frame)) == [7, 3]
    assert sources["repetitive"](run, frame)[0] == 3
    assert set(sources["far from reference"](run, frame)[:2]) == {3, 7}  # neither shares a word
    assert sources["least sure"](run, frame)[0] == int(np.argmax(labels["entropy"]))
    begun(workspace, run)
    dealt = add_targeted(workspace, run, tuple(sources), 5, "Pat")
    assert dealt.cards["far from reference"] == 5


@pytest.mark.slow
def test_the_audit_has_the_figures_and_they_verify_until_a_row_is_erased(workspace: Workspace, run: Run) -> None:
    begun(workspace, run)
    rows = say(workspace, run, "Ada", mended("An edit about Ann."), REJECTED, *[ACCEPTED] * 18)
    audit_run(run, decisions=decisions_frame(workspace, run.id))
    seal(workspace, run)
    report = load_report(run)
    assert report is not None
    rate = next(m for m in report.measures if m.name == "answer_error_rate" and m.group is None)
    assert rate.value == pytest.approx(0.1) and rate.n == 20
    assert next(m for m in report.measures if m.name == "hallucination_rate").value == pytest.approx(0.05)
    bundle = make_bundle(workspace, run, {})
    assert b"An edit about Ann." not in bundle.to_bytes()
    for checked in (verify_run(workspace, run), verify_bundle(bundle.to_bytes())):
        states = {line.what: line.state for line in checked.lines}
        assert checked.ok and states["answers"] == "ok" and states["figures"] == "ok", checked.lines
    row, answer = rows[0], load_frame(run).card(load_frame(run).index_of[rows[0]]).answer
    assert answer and answer.encode() in bundle.members[ANSWERS]
    erase(workspace, run, row, "Pat", "asked")
    seal(workspace, run, action="audit")
    after = verify_run(workspace, run)
    assert after.ok, after.lines
    assert not any(answer in path.read_text("latin-1") for path in run.folder.rglob("*.json*"))
    assert answer not in set(read_frame(run.folder / "labels.parquet")["answer"])
    assert problems(workspace, run.id) == [] and corrections(workspace, run).frame["answer"].tolist() == ["", ""]


def test_an_answer_that_is_not_the_sealed_one_is_found(workspace: Workspace, run: Run) -> None:
    seal(workspace, run)
    members = dict(make_bundle(workspace, run, {}).members)
    lines = members[ANSWERS].split(b"\n")
    row = json.loads(lines[0])
    other = {**row, "answer": row["answer"] + " and more"}
    members[ANSWERS] = b"\n".join([json.dumps(other, separators=(",", ":"), sort_keys=True).encode(), *lines[1:]])
    found = verify_bundle(Bundle(members).to_bytes())
    assert {line.what for line in found.lines if line.state == "failed"} == {"answers"}
    labels = read_frame(run.folder / "labels.parquet")
    labels.loc[0, "answer"] = "something else"
    write_frame(run.folder / "labels.parquet", labels)
    run.write_manifest()
    assert {"answers", "files"} & {line.what for line in verify_run(workspace, run).lines if line.state == "failed"}


def test_several_answers_to_a_prompt_are_erased_together(workspace: Workspace, run: Run) -> None:
    labels = read_frame(run.folder / "labels.parquet").head(3)
    twice = pd.concat([labels, labels.assign(sample=1)], ignore_index=True)
    twice["row_id"] = [f"{row}/{k}" for row, k in zip(twice["row_id"], twice["sample"], strict=True)]
    write_frame(run.folder / "labels.parquet", twice)
    spec = run.spec.model_copy(update={"generation": run.spec.asking.model_copy(update={"samples": 2})})
    write_text(run.folder / "spec.yaml", spec.to_yaml())
    run = Run(run.folder)
    assert set(load_frame(run).groups["domain"]) <= {"culture", "nature"}
    begin(workspace, run, Wishes(fraction=1.0, double_share=0), "Pat")
    say(workspace, run, "Ada", *[mended(f"edit {k}") for k in range(6)])
    apply_decisions(workspace, run, "Pat", executor=NoRunner())
    seal(workspace, run)
    erase(workspace, run, str(labels["row_id"][0]), "Pat", "asked")
    left = corrections(workspace, run).frame.set_index("row_id")["answer"]
    assert (left == "").sum() == 2 and left.index[left == ""].str.startswith(f"{labels['row_id'][0]}/").all()
    assert problems(workspace, run.id) == []


@pytest.mark.slow
def test_a_child_learns_the_edits_and_asks_nothing_again(tmp_path: Path) -> None:
    """A real tiny model: review, apply, and the child's own stages."""
    teacher = tiny_lm(tmp_path / "teacher")
    context, _ = make_context(tmp_path, tiny_generation_spec(tmp_path, teacher, arms=["token_kl"]))
    assert run_stages(context, until="labels") == "done"
    parent, workspace = context.run, Workspace(context.run.folder.parent.parent)
    begin(workspace, parent, Wishes(fraction=0.5, double_share=0), "Pat")
    edited, rejected = say(workspace, parent, "Ada", mended("cat dog sun"), REJECTED)
    child = apply_decisions(workspace, parent, "Pat", executor=NoRunner())
    seen: list[object] = []
    again = StageContext(child, child.spec, context.cache, Monitor(sink=seen.append))
    assert run_stages(again, until="students") == "done"
    marker = child.json("stages/labels")
    assert (marker["asked"], marker["corrected"], marker["dropped"]) == (0, 1, 1)
    labels = read_frame(child.folder / "labels.parquet").set_index("row_id")
    assert labels.loc[edited, "answer"] == "cat dog sun" and labels.loc[edited, "finish"] == "stop"
    assert rejected not in labels.index
    card = next(card for card in child.cards() if card.name == "token_kl")
    assert card.trained_on < len(read_frame(parent.folder / "labels.parquet"))
    assert any("learnt as text" in note for note in card.notes)
