"""A head that was deposited elsewhere catches a chain that was written anew; jobs say in the chain what they did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auditor.cli.main import main
from auditor.evidence import jobs
from auditor.evidence.anchor import held_against, make_anchor, read_anchor
from auditor.evidence.chain import Entry, next_entry
from auditor.evidence.log import entries, record
from auditor.evidence.seal import SEAL, seal
from auditor.evidence.verify import verify_run
from distill.errors import ReportError
from distill.files import read_json
from distill.store import Run
from distill.workspace import Workspace
from tests.fakes import make_fake_run


@pytest.fixture
def run(tmp_path: Path) -> tuple[Workspace, Run]:
    made = make_fake_run(tmp_path, n_test=30, n_pool=20, seeds=(1,), arms=("distilled",))
    return Workspace(tmp_path).made(), made


def test_a_later_chain_holds_the_anchor_and_one_written_anew_does_not(run: tuple[Workspace, Run]) -> None:
    workspace, made = run
    for number in range(3):
        record(workspace, made.id, "Ada", "decision", {"row": f"r{number}"})
    anchor = read_anchor(make_anchor(workspace, made))
    record(workspace, made.id, "Ben", "decision", {"row": "r9"})
    chain = entries(workspace, made.id)
    assert held_against(chain, anchor).state == "ok" and "1 entries ago" in held_against(chain, anchor).sentence
    anew: list[Entry] = []
    for entry in chain:  # the same but for one decision, every link right
        payload = {"row": "other"} if entry.seq == 1 else entry.payload
        anew.append(next_entry(made.id, anew[-1] if anew else None, entry.actor, entry.action, payload, entry.at))
    assert "written anew" in held_against(anew, anchor).sentence
    assert "taken away" in held_against(chain[:2], anchor).sentence
    other = [next_entry("another", None, "Ada", "decision", {})]
    assert held_against(other, anchor).state == "failed"


def test_an_anchor_whose_signature_does_not_hold_is_refused(run: tuple[Workspace, Run]) -> None:
    workspace, made = run
    with pytest.raises(ReportError, match="no evidence chain"):
        make_anchor(workspace, made)
    record(workspace, made.id, "Ada", "decision", {"row": "r1"})
    data = json.loads(make_anchor(workspace, made))
    data["statement"]["entries"] = 7
    with pytest.raises(ReportError, match="does not hold"):
        read_anchor(json.dumps(data).encode())
    for damaged in (b"", b"{}", b"[1]", b"\xff"):
        with pytest.raises(ReportError, match="no anchor"):
            read_anchor(damaged)


def test_the_command_writes_an_anchor_that_verify_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = {"audit": {"resamples": 200, "skip": ["gender_bias", "languages"]}}
    made = make_fake_run(
        tmp_path, n_test=40, n_dev=30, n_pool=20, seeds=(1,), arms=("distilled",), audit=True, spec=quick
    )
    seal(Workspace(tmp_path).made(), made)
    monkeypatch.setenv("HEIRLOOM_HOME", str(tmp_path))
    path = tmp_path / "head.json"
    for words in (["anchor", made.id, "-o", str(path)], ["verify", made.id, "--anchor", str(path)]):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert not left.value.code, capsys.readouterr()
    assert "is in the chain, 0 entries ago" in capsys.readouterr().out


def test_jobs_say_what_they_did_each_stage_once(run: tuple[Workspace, Run]) -> None:
    workspace, made = run
    made.finish_stage("data", "d1", seconds=1.5)
    jobs.began(workspace, made, "run", "Ada")
    assert jobs.finished_stages(workspace, made) > 0
    assert jobs.finished_stages(workspace, made) == 0
    made.finish_stage("data", "d2", seconds=1.0)
    jobs.ended(workspace, made, "failed", "labels")
    chain = entries(workspace, made.id)
    assert [chain[0].action, chain[-1].action] == ["begin", "end"]
    assert chain[0].payload["asked_by"] == "Ada" and chain[-1].payload == {"state": "failed", "stage": "labels"}
    told = [(e.payload["stage"], e.payload["digest"]) for e in chain if e.action == "stage"]
    assert len(told) == len(set(told)) and ("data", "d1") in told and ("data", "d2") in told


def test_a_failed_audit_of_a_sealed_run_is_signed_as_well(tmp_path: Path) -> None:
    quick = {"audit": {"resamples": 200, "skip": ["gender_bias", "languages"]}}
    made = make_fake_run(
        tmp_path, n_test=40, n_dev=30, n_pool=20, seeds=(1,), arms=("distilled",), audit=True, spec=quick
    )
    workspace = Workspace(tmp_path).made()
    seal(workspace, made)
    jobs.began(workspace, made, "audit")
    jobs.ended(workspace, made, "failed", "audit")
    assert read_json(made.folder / SEAL)["statement"]["entries"] == len(entries(workspace, made.id))
    assert verify_run(workspace, made).ok
