from __future__ import annotations

from pathlib import Path

import pytest

from distill import provenance
from distill.files import read_json
from distill.provenance import write_provenance
from tests.distill.tiny import make_context, tiny_spec


def test_provenance_keeps_its_first_machine_and_adds_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, _ = make_context(tmp_path, tiny_spec(tmp_path, teacher={"kind": "predictions", "options": {"path": "x"}}))
    run, spec = context.run, context.spec
    write_provenance(run, spec)
    first = read_json(run.folder / "provenance.json")
    assert first["made_with"]["versions"]["torch"] != "absent"
    assert len(first["made_with"]["code"]["commit"]) in (0, 40)
    assert first["seeds"]["students"] == [1, 2]
    assert first["energy"]["estimate"] is True
    assert first["resumed_on"] == []
    run.finish_stage("data", "d", seconds=36.0, cpu_seconds=72.0)
    run.finish_stage("predictions-distilled-1", "d", seconds=5.0)
    real = provenance.hardware()
    monkeypatch.setattr(provenance, "hardware", lambda: {**real, "cpu": "another"})
    write_provenance(run, spec)
    write_provenance(run, spec)
    second = read_json(run.folder / "provenance.json")
    assert second["made_with"] == first["made_with"]
    assert [line["changed"] for line in second["resumed_on"]] == [["hardware"]]
    assert second["seconds"] == {"data": 36.0}
    assert second["energy"]["kwh"] == pytest.approx(72.0 * provenance.WATTS_PER_CORE / 3.6e6)
