"""The command line: what it prints, where, and how it exits."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from auditor.cli.main import main
from auditor.types import Measure
from auditor.words import in_words, with_interval
from distill import events, jobs
from distill.process import record_process
from distill.store import RunStore
from distill.workspace import Workspace
from tests.fakes import RUN_ID, make_fake_run
from tests.home import FAKE, make_run, until

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    for name in ("HEIRLOOM_DATABASE_URL", "HEIRLOOM_MAX_RUNNERS", "HEIRLOOM_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEIRLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(jobs, "LocalExecutor", lambda: FAKE)
    return Workspace(tmp_path / "home").made()


@pytest.fixture
def call(home: Workspace, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(int(end.value.code or 0), out, err)

    return run


def spec_file(folder: Path, name: str = "fine", more: str = "") -> str:
    path = folder / "spec.yaml"
    path.write_text(f"name: {name}\ndata:\n  source: {{kind: file, path: rows.csv}}\nseeds: [1]\n{more}")
    (folder / "rows.csv").write_text("text,label\na,b\n")
    return str(path)


@pytest.mark.slow
def test_run_and_wait_prints_the_id_last_and_the_progress_elsewhere(
    call: Call, home: Workspace, tmp_path: Path
) -> None:
    said = call("run", spec_file(tmp_path), "--wait", "--set", "training.epochs=3", "--set", "seeds=[4, 5]")
    run = RunStore(home).get(said.out.splitlines()[-1])
    assert said.code == 0
    assert run.status() == "complete"
    assert (run.spec.training.epochs, run.spec.seeds) == (3, (4, 5))
    assert run.spec.model_dump()["data"]["source"]["path"] == str(tmp_path / "rows.csv")
    assert "labels" in said.err


@pytest.mark.slow
def test_run_without_wait_returns_at_once(call: Call, home: Workspace, tmp_path: Path) -> None:
    said = call("run", spec_file(tmp_path, "slow"), "--preset", "quick")
    run = RunStore(home).get(said.out.strip())
    assert said.code == 0
    assert run.spec.signals.max_labels == 3_000
    until(lambda: run.status() == "running")
    assert call("cancel", run.id[:-2]).code == 0
    until(lambda: run.status() == "cancelled")
    until(lambda: jobs.jobs(home)[0].state == "cancelled")
    assert json.loads(call("runs", "--json").out)[0]["status"] == "cancelled"


@pytest.mark.slow
def test_a_failed_run_says_why_and_exits_with_1(call: Call, home: Workspace, tmp_path: Path) -> None:
    said = call("run", spec_file(tmp_path, "bad data"), "--wait")
    assert said.code == 1
    assert "Row 7 has no text. Fill it." in said.err
    run_id = said.out.splitlines()[-1]
    assert RunStore(home).get(run_id).status() == "failed"
    assert "Row 7 has no text" in call("show", run_id).out
    again = call("resume", run_id, "--wait")
    assert (again.code, again.out.splitlines()[-1]) == (1, run_id)
    retried = call("retry", run_id, "--wait")
    assert retried.code == 1
    assert retried.out.splitlines()[-1] != run_id


@pytest.mark.slow
def test_once_makes_no_second_run_and_resumes_the_first(call: Call, home: Workspace, tmp_path: Path) -> None:
    file = spec_file(tmp_path)
    first = call("run", file, "--once", "--wait").out.splitlines()[-1]
    assert call("run", file, "--once", "--wait").out.splitlines()[-1] == first
    (RunStore(home).get(first).folder / "manifest.json").unlink()
    assert RunStore(home).get(first).status() == "interrupted"
    assert call("run", file, "--once", "--wait").out.splitlines()[-1] == first
    assert [run.status() for run in RunStore(home).all()] == ["complete"]
    assert call("run", file, "--once", "--set", "seeds=[2]").out.splitlines()[-1] != first


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "trainning.epochs=1"), ("trainning", "training")),
        (("--set", "training.epohcs=1"), ("epohcs", "epochs")),
        (("--set", "training.epochs"), ("KEY=VALUE",)),
        (("--set", "training.epochs=many"), ("training.epochs",)),
        (("--set", "seeds.7=1"), ("seeds.7",)),
        (("--set", "name.first=x"), ("name",)),
        (("--set", "name=[1"), ("YAML",)),
        (("--preset", "quik"), ("quik", "quick")),
        (("--nonsense",), ("--nonsense",)),
    ],
)
def test_wrong_options_are_named_in_one_line(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    said = call("run", spec_file(tmp_path), *arguments)
    assert (said.code, said.out) == (2, "")
    assert all(word in said.err for word in words)
    assert said.err.count("\n") == 1


def test_wrong_specs_are_named_in_one_line(call: Call, tmp_path: Path) -> None:
    assert "epohcs" in call("run", spec_file(tmp_path, more="training: {epohcs: 1}")).err
    assert "line 5" in call("run", spec_file(tmp_path, more="]")).err
    two = call("run", spec_file(tmp_path, more="student: {layers: many}\nseeds: []\n")).err
    assert (
        "'student.layers' must be a whole number or a list, not 'many'; 'seeds' must have at least 1 entry" in two
        and two.count("\n") == 1
    )
    assert call("run", str(tmp_path / "none.yaml")).code == 2
    assert call("frobnicate").code == 2
    assert call("show", "20200101-000000-nope00").code == 2
    assert call("show", "../../etc").code == 2


def test_an_unexpected_error_is_a_sentence(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Workspace) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(jobs, "reap", broken)
    said = call("runs")
    assert (said.code, said.out) == (1, "")
    assert "ZeroDivisionError" in said.err
    monkeypatch.setenv("HEIRLOOM_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["runs"])


def test_show_a_finished_run(call: Call, home: Workspace) -> None:
    make_fake_run(home.root, audit=True)
    shown = json.loads(call("show", RUN_ID, "--json").out)
    assert {"schema_version", "run", "arms", "measures", "findings", "gates", "verdict"} <= set(shown)
    assert shown["run"]["status"] == "complete"
    said = call("show", RUN_ID)
    assert in_words(shown["verdict"]["sentence"]) in " ".join(said.out.split())
    accuracy = next(Measure.model_validate(m) for m in shown["measures"] if (m["name"], m["arm"]) == ("accuracy", "distilled") and m["seed"] is None)  # fmt: skip
    assert with_interval(accuracy) in said.out and "distilled student" in said.out
    assert "accuracy_difference" not in said.out and "e+0" not in said.out
    row = json.loads(call("runs", "--json").out)[0]
    assert set(row) == {"id", "name", "status", "queued_at", "started_at", "ended_at"}


def test_looking_makes_no_workspace_and_says_where_it_looked(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEIRLOOM_HOME")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    here = str(tmp_path / "elsewhere" / "workspace")
    words = (["show", "r-1"], ["report", "r-1"], ["verify", "run1"], ["lineage", "r-1"], ["audit", "r-1"], ["bias", "r-1"], ["review", "status", "r-1"])  # fmt: skip
    for command in words:
        said = call(*command)
        assert said.code == 2 and here in said.err and "HEIRLOOM_HOME" in said.err, command
    assert here in call("runs").out and here in call("suite").out
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_of_a_run_that_is_under_way_it_is_said_how_far_it_is(call: Call, home: Workspace) -> None:
    run = make_run(home, run_id="run-1")
    run.append(events.Queued())
    assert "waits in the queue" in call("audit", "run-1").err
    run.append(events.Started(stage="predictions"))
    run.append(events.Progress(stage="predictions", step=120, total=3611))
    record_process(run.folder / "process.json")
    for command in (["audit"], ["export"], ["verify"], ["report", "--format", "bundle"]):
        said = call(command[0], "run-1", *command[1:])
        assert said.code == 2 and "is still running (predictions: 120 of 3,611)" in said.err, command
        assert "Wait for it" in said.err and "heirloom show run-1" in said.err and "resume" not in said.err


def test_a_path_in_place_of_a_run_is_told_what_it_is(call: Call, home: Workspace, tmp_path: Path) -> None:
    run = make_run(home, run_id="run-1")
    assert "is a folder" in call("verify", str(tmp_path)).err
    assert f"HEIRLOOM_HOME={home.root} heirloom verify run-1" in call("verify", str(run.folder)).err
    (tmp_path / "SHA256SUMS").touch()
    assert "sha256sum -c" in call("verify", str(tmp_path)).err
    assert "There is no file" in call("verify", "none.zip").err


def test_the_bare_command_prints_its_help_and_nothing_glued_to_it(call: Call) -> None:
    said = call()
    assert said.code == 2 and "Commands:" in said.err and "lists the commands" not in said.err


def test_delete_asks_unless_told_not_to(call: Call, home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(home, run_id="run-1")
    monkeypatch.setattr("sys.stdin", StringIO())
    assert call("delete", run.id).code == 130
    assert run.folder.exists()
    assert call("delete", run.id, "--yes").code == 0
    assert not run.folder.exists()
    assert json.loads(call("runs", "--json").out) == []


def test_names_of_foreign_origin_cannot_steer_the_terminal(call: Call, home: Workspace) -> None:
    make_run(home, "\x1b[31mred\x1b]0;title\x07 [bold]\u202eevil", run_id="run-1")
    said = call("runs")
    assert "\x1b" not in said.out
    assert "\u202e" not in said.out
    assert "[bold]" in said.out


def test_catalogues(call: Call) -> None:
    assert "distilled" in call("arms").out
    assert {entry["name"] for entry in json.loads(call("teachers", "--json").out)} >= {"fine_tuned", "checkpoint"}
    assert "quality" in call("checks").out
    assert "tweets" in call("packs", "--no-check").out
    assert json.loads(call("schema").out)["title"] == "RunSpec"


def test_a_taken_port_is_one_sentence(call: Call) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = call("app", "--port", str(taken.getsockname()[1]))
    assert said.code == 2
    assert "cannot be used" in said.err


def test_backup_and_restore(call: Call, home: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(home, run_id="run-1")
    file = str(tmp_path / "all.zip")
    assert call("backup", file).code == 0
    assert call("restore", file).code == 2
    monkeypatch.setenv("HEIRLOOM_HOME", str(tmp_path / "new"))
    assert call("restore", file).code == 0
    assert "run-1" in call("runs").out


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom auditor.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'pandas', 'numpy', 'pyarrow', 'sqlalchemy', 'streamlit'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"
    assert "Commands" in out
