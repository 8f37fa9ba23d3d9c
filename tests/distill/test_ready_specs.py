"""The ready specs can be read, stay equal to themselves as YAML, and the small one runs on the real packs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distill.estimate import estimate
from distill.preflight import preflight
from distill.spec import load_spec, spec_from_yaml
from distill.stages import run_stages
from distill.suite import load_suite, specs_of
from distill.types import read_frame
from distill.workspace import Workspace
from tests.distill.tiny import make_context

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))
SUITES = [path for path in SPECS if path.stem.startswith("suite")]
SPECS = [path for path in SPECS if path not in SUITES]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_ready_spec_reads_back_as_itself(path: Path) -> None:
    spec = load_spec(path)
    assert spec_from_yaml(spec.to_yaml()) == spec
    assert spec.candidate in [arm.name for arm in spec.arms]
    assert estimate(spec, Workspace(Path("nowhere")), {"train": 10, "pool": 10, "dev": 10, "test": 10}, 12).seconds > 0


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_task_of_a_ready_suite_is_a_spec(path: Path) -> None:
    suite = load_suite(path)
    assert [spec.candidate for spec in specs_of(suite).values()] == ["distilled"] * len(suite.tasks)
    assert {task.domain for task in suite.tasks} == {"general", "legal", "medical", "multi-step"}


@pytest.mark.slow
def test_the_tiny_spec_goes_all_the_way_on_the_real_packs(tmp_path: Path) -> None:
    spec = load_spec(SPECS[[path.stem for path in SPECS].index("tiny")])
    found = preflight(spec, Workspace(tmp_path / "home").made())
    assert found.ok, [item for item in found.items if item.state == "fail"]
    context, _ = make_context(tmp_path, spec)
    assert run_stages(context) == "done"
    run = context.run
    assert run.teacher.licence
    labels = read_frame(run.folder / "labels.parquet")
    assert labels["label"].nunique() > 1
    test = run.examples.part("test")
    teacher = run.prediction("teacher", 0)
    assert (teacher.argmax == test.y).mean() > 0.45
    distilled = run.prediction("distilled", 1)
    np.testing.assert_array_equal(distilled.ids, test.ids)
    assert (distilled.argmax == teacher.argmax).mean() > 0.6
    assert (Workspace(tmp_path / "home").cache / "rates.json").exists() or run.teacher.train_seconds < 2
