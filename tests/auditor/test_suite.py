"""What a suite says: order, deleted runs, and words only where something was measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from auditor.suite import Line, remark, summary
from auditor.types import Measure
from distill.files import write_json
from distill.store import RunStore
from distill.suite import SuiteRecord
from distill.workspace import Workspace
from tests.fakes import Level, make_fake_run


def kept(value: float, half: float = 2.0) -> Measure:
    return Measure(name="accuracy_retention", value=value, low=value - half, high=value + half, unit="%")


def line(task: str, domain: str, retention: Measure, level: float = 0.9) -> Line:
    teacher = Measure(name="accuracy", value=level, low=level - 0.02, high=level + 0.02, n=500)
    return Line(task, domain, "r", "complete", retention, teacher, teacher, 0.5)


def test_a_hard_domain_is_called_so_only_where_measured() -> None:
    general = [line("a", "general", kept(98)), line("b", "general", kept(96))]
    said = remark(line("law", "legal", kept(80)), general)
    assert said.startswith("Measured: this legal task keeps less")
    assert "−17.0 points [−19.4, −14.6]" in said  # half width sqrt(2² + (2² + 2²) / 4)
    assert "cannot be told" in remark(line("law", "legal", kept(96)), general)
    assert "no general task" in remark(line("law", "legal", kept(80)), [])
    assert "says nothing" in remark(line("law", "legal", kept(80), level=0.51), general)


@pytest.mark.slow
def test_lines_are_ordered_and_a_deleted_run_is_said(tmp_path: Path) -> None:
    home = Workspace(tmp_path).made()
    ids = {"good": "20260102-120000-fake01", "bad": "20260102-120000-fake02", "gone": "20260102-120000-fake03"}
    for (task, run_id), noise in zip(ids.items(), (0.1, 3.0, 1.0), strict=True):
        levels = {"distilled": Level(noise)}
        made = make_fake_run(tmp_path, run_id=run_id, arms=("distilled",), seeds=(1,), levels=levels, audit=True)
        if task == "gone":
            shutil.rmtree(made.folder)
    record = SuiteRecord(id="x", name="s", made_at="2026", runs=ids, domains={"good": "general", "bad": "legal"})
    write_json(home.root / "suites" / "x.json", record.model_dump())
    lines = summary(RunStore(home), record)
    assert [one.task for one in lines] == ["good", "bad", "gone"]
    assert lines[1].remark.startswith("Measured: this legal task keeps less") or "says nothing" in lines[1].remark
    assert lines[2].status == "deleted"


def test_a_teacher_at_chance_takes_no_part_in_the_order_nor_in_the_comparison() -> None:
    good, chance = line("a", "general", kept(95)), line("b", "general", kept(100), level=0.51)
    assert chance.at_chance and not good.at_chance
    said = remark(line("law", "legal", kept(80)), [good, chance])
    assert said == remark(line("law", "legal", kept(80)), [good])
