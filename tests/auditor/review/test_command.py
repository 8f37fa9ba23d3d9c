"""`heirloom review` from plan to apply."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from auditor.cli.main import main
from auditor.review import decisions_frame, desk
from distill import jobs
from distill.store import Run, RunStore
from distill.workspace import Workspace


@pytest.fixture(autouse=True)
def _at_home(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEIRLOOM_HOME", str(workspace.root))
    monkeypatch.setattr(jobs, "ensure_runner", lambda *_: False)


def heirloom(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["review", *words])
    return int(ended.value.code or 0)


def test_from_plan_to_apply(workspace: Workspace, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert heirloom("status", run.id) == 0
    assert "No review is planned" in capsys.readouterr().out
    assert heirloom("plan", run.id) == 0
    assert "Nothing is frozen yet" in capsys.readouterr().out
    assert heirloom("plan", run.id, "--fraction", "0.05", "--targeted", "3", "--start", "--by", "Pat") == 0
    assert "Round 1 is frozen and logged" in capsys.readouterr().out
    cards = tmp_path / "cards.csv"
    assert heirloom("export", run.id, "-o", str(cards), "--by", "Pat") == 0
    rows = list(csv.DictReader(cards.open(newline="")))
    rows = [row | {"label": "neutral"} for row in rows]
    bad = [*rows[:2], rows[2] | {"label": "\x1b[31mred"}]
    for name, content in (("bad", bad), ("good", rows)):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(content)
    assert heirloom("import", run.id, str(tmp_path / "bad.csv"), "--by", "Eve") == 2
    told = capsys.readouterr().err
    assert "line 4: unknown label" in told
    assert "\x1b" not in told
    assert decisions_frame(workspace, run.id).empty
    assert heirloom("import", run.id, str(tmp_path / "good.csv"), "--by", "Eve") == 0
    capsys.readouterr()
    assert heirloom("status", run.id, "--json") == 0
    status = json.loads(capsys.readouterr().out)
    assert status["sample"]["decided"] == 30
    assert status["lot"]["final"] is True
    assert status["lot"]["word"] == "refused"
    assert heirloom("apply", run.id, "--by", "Pat") == 0
    children = [r for r in RunStore(workspace).all() if r.spec.parent == run.id]
    assert [child.spec.label_version for child in children] == [1]


def test_a_plan_by_limiting_quality_and_cards_after_a_pilot(
    workspace: Workspace, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """The published plan by its defaults on a lot of 600, other risks by options, and Neyman once there is a pilot."""
    assert heirloom("plan", run.id, "--aql", "0.01", "--lq", "0.05") == 0
    default = capsys.readouterr().out
    assert "passes at least 95 % of the time; one with 5 % wrong is refused at least 90 %" in default
    harder = ["--producer-risk", "0.01", "--consumer-risk", "0.05", "--doubles", "0"]
    assert heirloom("plan", run.id, "--aql", "0.01", "--lq", "0.05", *harder) == 0
    told = capsys.readouterr().out
    assert "passes at least 99 % of the time; one with 5 % wrong is refused at least 95 %" in told
    assert "Double-review cards: 0" in told
    assert int(told.split(" of ")[0]) > int(default.split(" of ")[0])
    assert heirloom("plan", run.id, "--doubles", "0", "--fraction", "0.1", "--start", "--by", "Pat") == 0
    assert heirloom("plan", run.id, "--strata", "40", "--neyman", "--by", "Pat") == 2
    assert "needs a pilot" in capsys.readouterr().err
    for _ in range(25):
        card = desk.next_card(workspace, run.id, "Ada")
        assert card is not None
        desk.decide(workspace, run.id, card.item_id, "Ada", desk.Answer("label", card.item_id % 3), classes=3)
    assert heirloom("plan", run.id, "--strata", "40", "--minimum", "3", "--neyman", "--by", "Pat") == 0
    assert "cards within strata are added" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["plan", "nothing"], "There is no run called"),
        (["plan", "RUN", "--fraction", "3"], "fraction"),
        (["plan", "RUN", "--aql", "0.01"], "Give --lq too"),
        (["plan", "RUN", "--consumer-risk", "0.01"], "--consumer-risk belongs to a limiting-quality plan"),
        (["plan", "RUN", "--strata", "5", "--neyman"], "No review of run"),
        (["export", "RUN", "-o", "x.csv"], "No review of run"),
        (["import", "RUN", "missing.csv"], "cannot be read"),
        (["apply", "RUN"], "nothing to apply"),
        (["apply", "RUN", "--unchanged"], "does not wait"),
    ],
)
def test_mistakes_are_one_sentence(run: Run, words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert heirloom(*[run.id if word == "RUN" else word for word in words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert "Traceback" not in err
