"""An erasure that is stopped anywhere is finished by the same call again; chain, roots and signature hold, and the text is gone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from auditor.audit import audit_run
from auditor.evidence import erase as erasing
from auditor.evidence.bundle import make_bundle
from auditor.evidence.erase import erase, unfinished
from auditor.evidence.log import entries
from auditor.evidence.seal import salts_of, seal
from auditor.evidence.verify import Verification, verify_bundle, verify_run
from distill import jobs
from distill.db import open_database
from distill.errors import DataError
from distill.store import Run
from distill.types import Examples, read_frame
from distill.workspace import Workspace
from tests.fakes import RUN_ID, make_fake_run
from tests.fakes_generation import make_fake_generation_run

QUICK = {
    "audit": {
        "resamples": 200,
        "skip": ["gender_bias", "gender_swaps", "languages", "slices", "text_slices", "latency", "cascade"],
    }
}
# what is called, in this order, between the transaction and the end: a kill at each of them leaves what came before it done
STEPS = (
    "_say_erased",
    "_blank_everywhere",
    "_blank",
    "blanked_answers",
    "write_examples",
    "_name_anew",
    "record",
    "sign_head",
)


class Killed(BaseException):
    """The process ended here."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("erase")
    run = make_fake_run(root, n_test=60, n_dev=40, n_pool=50, seeds=(1,), arms=("distilled",), audit=True, spec=QUICK)
    seal(Workspace(root).made(), run)
    return root


@pytest.fixture
def sealed(tmp_path: Path, made: Path) -> tuple[Workspace, Run]:
    shutil.copytree(made, tmp_path / "home")
    workspace = Workspace(tmp_path / "home").made()
    return workspace, Run(workspace.runs / RUN_ID)


def kill_at(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    if step == "write_examples":
        monkeypatch.setattr(Examples, "write", killed)
    else:
        monkeypatch.setattr(erasing, step, killed)


def failed(found: Verification) -> list[str]:
    return [line.what for line in found.lines if line.state == "failed"]


def lies_in_no_file(run: Run, text: str) -> bool:
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    return all(text.encode() not in path.read_bytes() for path in files) and text not in run.examples.texts


@pytest.mark.parametrize("step", [s for s in STEPS if s != "blanked_answers"])
def test_what_was_stopped_is_named_and_finished_by_the_same_call(
    sealed: tuple[Workspace, Run], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    workspace, run = sealed
    row, text = str(run.examples.ids[-1]), run.examples.texts[-1]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, step)
        erase(workspace, run, row, "Ada", "the person asked")
    assert unfinished(run, entries(workspace, run.id)) == [row]
    with open_database(workspace).write() as session:
        assert row not in salts_of(session, run)
    assert "erasure" in failed(verify_run(workspace, run))
    erase(workspace, run, row, "Ada", "the person asked")
    assert unfinished(run, entries(workspace, run.id)) == [] and lies_in_no_file(run, text)
    assert [e.action for e in entries(workspace, run.id)].count("erase") == 1
    assert failed(verify_run(workspace, run)) == []
    with pytest.raises(DataError, match="erased before"):
        erase(workspace, run, row, "Ada", "again")


def test_a_stop_within_the_transaction_leaves_nothing(
    sealed: tuple[Workspace, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, run = sealed
    row, before = str(run.examples.ids[-1]), len(entries(workspace, run.id))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, "_forget_edits")
        erase(workspace, run, row, "Ada", "the person asked")
    assert len(entries(workspace, run.id)) == before and not unfinished(run, entries(workspace, run.id))
    assert failed(verify_run(workspace, run)) == []


def test_a_seal_between_stop_and_retry_holds_afterwards(
    sealed: tuple[Workspace, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, run = sealed
    one, two = (str(row) for row in run.examples.ids[-2:])
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, "_say_erased")
        erase(workspace, run, one, "Ada", "the person asked")
    run.write_manifest()
    seal(workspace, run, action="audit")
    erase(workspace, run, two, "Ada", "another one asked")  # tells of both, blanks its own
    assert unfinished(run, entries(workspace, run.id)) == [one]
    erase(workspace, run, one, "Ada", "the person asked")
    assert run.json("erased")["rows"] == [one, two]
    assert failed(verify_run(workspace, run)) == []
    assert failed(verify_bundle(make_bundle(workspace, run, {}).to_bytes())) == []


def test_nothing_is_erased_while_a_job_of_the_run_is_open(sealed: tuple[Workspace, Run]) -> None:
    workspace, run = sealed
    jobs.enqueue(workspace, run, "audit")
    before = len(entries(workspace, run.id))
    with pytest.raises(DataError, match="queued or under way"):
        erase(workspace, run, str(run.examples.ids[-1]), "Ada", "the person asked")
    assert len(entries(workspace, run.id)) == before and not (run.folder / "erased.json").exists()


@pytest.mark.parametrize("step", ["_say_erased", "blanked_answers", "write_examples"])
def test_answers_of_a_language_model_go_with_their_prompt_whatever_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    run = make_fake_generation_run(tmp_path, n_pool=12, n_test=10, n_dev=5, audit=True)
    workspace = Workspace(tmp_path).made()
    seal(workspace, run)
    row = next(str(r) for r, part in zip(run.examples.ids, run.examples.frame["split"], strict=True) if part == "test")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, step)
        erase(workspace, run, row, "Ada", "the person asked")
    erase(workspace, run, row, "Ada", "the person asked")
    assert failed(verify_run(workspace, run)) == [] and unfinished(run, entries(workspace, run.id)) == []


def test_another_row_with_the_same_text_keeps_its_answer(tmp_path: Path) -> None:
    run = make_fake_generation_run(tmp_path, n_pool=12, n_test=10, n_dev=5)
    examples, labels = run.examples, read_frame(run.folder / "labels.parquet")
    frame = examples.frame.copy()
    row, twin = str(frame.loc[frame["split"] == "test", "row_id"].iloc[0]), str(labels["row_id"].iloc[0])
    frame.loc[frame["row_id"] == row, "text"] = frame.loc[frame["row_id"] == twin, "text"].iloc[0]
    Examples(frame, examples.labels).write(run.folder / "examples.parquet")
    workspace = Workspace(tmp_path).made()
    audit_run(run)
    run.write_manifest()
    seal(workspace, run)
    erase(workspace, run, row, "Ada", "the person asked")
    assert read_frame(run.folder / "labels.parquet")["answer"].iloc[0] == labels["answer"].iloc[0]
    assert failed(verify_run(workspace, run)) == []
