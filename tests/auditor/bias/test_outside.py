from __future__ import annotations

from pathlib import Path

import pytest

from auditor.audit import audit_run, collect_items
from auditor.bias.outside import outside_spec
from distill.stages import run_stages
from distill.workspace import Workspace
from tests.distill.tiny import LABELS, make_context, tiny_model


@pytest.mark.slow
def test_two_checkpoints_are_audited_on_the_sentences_alone(tmp_path: Path) -> None:
    teacher, model = tiny_model(tmp_path / "teacher", seed=1), tiny_model(tmp_path / "student", layers=2, seed=2)
    spec = outside_spec(
        Workspace(tmp_path / "home").made(),
        str(model),
        str(teacher),
        labels=LABELS,
        positive="positive",
        pairs_per_cell=2,
    )
    stage, _ = make_context(tmp_path, spec)
    assert run_stages(stage, items=lambda examples: collect_items(spec, examples)) == "done"
    report = audit_run(stage.run)
    found = report.result("gender_bias")
    assert found is not None
    assert found.skipped is None
    change = report.measure("gender_bias_change", "student")
    assert change is not None
    assert change.n > 1_000
    skipped = [result.name for result in report.results if result.skipped]
    assert "quality" in skipped
    assert report.gates[0].measure == "gender_bias_change"
