from __future__ import annotations

from pathlib import Path

from auditor.foreseen import unanswerable
from distill.spec import GateSpec, RunSpec
from tests.distill.tiny import tiny_spec


def with_gate(spec: RunSpec, language: str | None, skip: tuple[str, ...] = ()) -> RunSpec:
    gates = (
        GateSpec(measure="gender_bias_change", at_most=0.01, required=False),
        GateSpec(measure="agreement", at_least=0.9),
    )
    return spec.model_copy(
        update={
            "data": spec.data.model_copy(update={"language": language}),
            "audit": spec.audit.model_copy(update={"gates": gates, "skip": skip}),
        }
    )


def test_a_gate_that_the_spec_already_loses_is_named_with_the_field_to_set(tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path)
    (found,) = unanswerable(with_gate(spec, None))
    assert found.state == "warn" and "gate on gender_bias_change cannot be answered" in found.sentence
    assert "data.language" in found.hint
    assert unanswerable(with_gate(spec, "en")) == []
    (left_out,) = unanswerable(with_gate(spec, "en", ("gender_bias",)))
    assert "left out" in left_out.sentence and "audit.skip" in left_out.hint
