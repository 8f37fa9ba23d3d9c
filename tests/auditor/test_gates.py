"""Gates and verdict: the rule, its monotony, and what is said when something is missing."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from auditor.audit import audit_run
from auditor.gates import all_arms, decide, gate_interval, p_value
from auditor.stats.interval import Interval
from auditor.types import AuditReport, CheckResult, GateResult, GateState, Measure
from auditor.verdict import answer_of, make_verdict
from distill.spec import AuditSpec, GateSpec
from tests.fakes import Level, make_fake_run

ORDER: dict[str, int] = {"no": 0, "fail": 0, "cannot tell": 1, "yes": 2, "pass": 2}
STATES: list[GateState] = ["pass", "fail", "cannot tell"]


def result(value: float | None, low: float | None, high: float | None, **more: Any) -> CheckResult:
    measure = Measure(name="score", value=value, low=low, high=high, arm="a", **{"n": 100, **more})
    return CheckResult(name="made", measures=(measure,))


@pytest.mark.parametrize(
    ("bounds", "state"),
    [((0.1, 0.05, 0.2), "pass"), ((-0.1, -0.2, -0.05), "fail"), ((0.1, -0.05, 0.2), "cannot tell")],
)
def test_states(bounds: tuple[float, float, float], state: str) -> None:
    assert decide(GateSpec(measure="score", at_least=0.0), "a", [result(*bounds)]).state == state
    mirrored = result(-bounds[0], -bounds[2], -bounds[1])
    assert decide(GateSpec(measure="score", at_most=0.0), "a", [mirrored]).state == state


def test_an_open_gate_names_the_n_that_would_decide() -> None:
    found = decide(GateSpec(measure="score", at_least=0.0), "a", [result(0.1, -0.05, 0.25)])
    assert found.needed_n is not None and found.needed_n > 100
    assert f"{found.needed_n:,}" in found.reason


def test_a_missing_bound_cannot_tell() -> None:
    found = decide(GateSpec(measure="score", at_least=0.0), "a", [result(0.1, None, None)])
    assert found.state == "cannot tell"
    assert "too few repetitions" in found.reason


def test_a_counted_figure_needs_no_interval() -> None:
    counted = result(4.0, None, None, n=1, counted=True)
    assert decide(GateSpec(measure="score", at_most=5.0), "a", [counted]).state == "pass"


def test_what_was_measured_once_is_no_count() -> None:
    found = decide(GateSpec(measure="score", at_most=5.0), "a", [result(4.0, None, None, n=1, exact=False)])
    assert found.state == "cannot tell"
    assert "measured once" in found.reason


def test_only_counts_of_a_run_are_gated_without_bounds(tmp_path: Path) -> None:
    report = audit_run(make_fake_run(tmp_path, n_test=40, arms=["distilled"], seeds=(1,)))
    bare = {m.name for m in report.measures if m.counted}
    assert bare == {"size_bytes", "parameters", "compression", "parameters_removed"}


def test_a_record_of_before_still_loads() -> None:
    measure = Measure.model_validate({"name": "size_bytes", "value": 4.0, "n": 1})
    assert not measure.counted


def _compared(*sides: tuple[float, str | None], name: str = "score") -> list[CheckResult]:
    measures = (Measure(name=name, value=v, low=v, high=v, n=100, arm="a", versus=versus) for v, versus in sides)
    return [CheckResult(name="made", measures=tuple(measures))]


def test_a_gate_takes_the_comparison_with_the_teacher() -> None:
    made = _compared((0.9, "control"), (0.2, "teacher"))
    found = decide(GateSpec(measure="score", at_least=0.5), "a", made)
    assert (found.state, found.value) == ("fail", 0.2)


def test_a_gate_takes_no_other_comparison_in_its_place() -> None:
    found = decide(GateSpec(measure="score", at_least=0.5), "a", _compared((0.9, "control")))
    assert (found.state, found.value) == ("cannot tell", None)
    assert found.reason == "'score' compares 'a' with 'control' here, and not with the teacher."
    several = _compared((0.9, "b"), (0.2, "c"))
    assert decide(GateSpec(measure="score", at_least=0.5), "a", several).state == "cannot tell"


def test_a_name_that_says_with_whom_is_gated() -> None:
    made = _compared((0.9, "control"), name="accuracy_over_control")
    assert decide(GateSpec(measure="accuracy_over_control", at_least=0.5), "a", made).state == "pass"


def test_shares_are_gated_by_exact_bounds() -> None:
    made = result(0.9, 0.85, 0.94, detail={"exact_low": 0.84, "exact_high": 0.95})
    assert gate_interval(made.measures[0]) == Interval(0.9, 0.84, 0.95, 100)
    assert decide(GateSpec(measure="score", at_least=0.845), "a", [made]).state == "cannot tell"


def test_a_skipped_check_is_the_reason() -> None:
    skipped = CheckResult(name="latency", skipped="no model could be timed")
    found = decide(GateSpec(measure="latency_speedup", at_least=1.0), "a", [skipped])
    assert (found.state, found.value) == ("cannot tell", None)
    assert found.reason == "The check 'latency' was skipped: no model could be timed."


def test_seed_and_group_measures_do_not_decide() -> None:
    parts = [result(0.5, 0.4, 0.6, seed=1), result(0.5, 0.4, 0.6, group="gender=female")]
    assert decide(GateSpec(measure="score", at_least=0.0), "a", parts).state == "cannot tell"


def gate(state: GateState, required: bool) -> GateResult:
    return GateResult(measure="score", limit=0, direction="at_least", required=required, state=state)


gates = st.lists(st.builds(gate, st.sampled_from(STATES), st.booleans()), max_size=5)


@given(gates, st.integers(0, 4), st.sampled_from(STATES))
def test_verdict_is_monotone(made: list[GateResult], position: int, other: GateState) -> None:
    """A better state of one gate never makes a worse verdict, and an advisory gate never matters."""
    if position >= len(made):
        return
    changed = [*made[:position], gate(other, made[position].required), *made[position + 1 :]]
    before, after = ORDER[answer_of(made)], ORDER[answer_of(changed)]
    if not made[position].required:
        assert before == after
    elif ORDER[other] >= ORDER[made[position].state]:
        assert after >= before
    else:
        assert after <= before


@given(gates)
def test_verdict_follows_the_rule(made: list[GateResult]) -> None:
    required = [g.state for g in made if g.required]
    answer = answer_of(made)
    if "fail" in required:
        assert answer == "no"
    elif "cannot tell" in required or not required:
        assert answer == "cannot tell"
    else:
        assert answer == "yes"


def test_the_whole_truth_table_has_a_sentence() -> None:
    for states in itertools.product(STATES, STATES):
        verdict = make_verdict("a", [gate(states[0], True), gate(states[1], False)], [], has_labels=True)
        assert verdict.sentence.endswith(".")
        assert len(verdict.reasons) == 2


@given(st.floats(-1, 1), st.floats(0.01, 1), st.floats(-1, 1))
def test_p_value_agrees_with_the_gate(value: float, half: float, limit: float) -> None:
    interval = Interval(value, value - half, value + half, 50)
    p = p_value(interval, limit, "at least")
    if abs(interval.low - limit) > 1e-6:
        assert (p < 0.025) == (interval.low > limit)
    assert p_value(interval, limit, "at most") == pytest.approx(1 - p)


def test_holm_over_arms_and_required_gates(tmp_path: Path) -> None:
    report = audit_run(make_fake_run(tmp_path))
    table = report.result("gates")
    assert table is not None
    required = [row for row in table.tables["arms"] if row["required"] and row["p"] is not None]
    expected = multipletests([row["p"] for row in required], method="holm")[1]
    assert [row["p_holm"] for row in required] == pytest.approx(list(expected))
    assert len(required) == 4 * 3
    assert all(row["p_holm"] is None for row in table.tables["arms"] if not row["required"])


def test_an_arm_picked_afterwards_must_survive_holm() -> None:
    settings = AuditSpec(gates=(GateSpec(measure="score", at_least=0.0),))
    arms = [f"a{i}" for i in range(20)]
    measures = tuple(Measure(name="score", value=0.1, low=0.001, high=0.2, n=100, arm=arm) for arm in arms)
    table = all_arms(settings, arms, [CheckResult(name="made", measures=measures)])
    assert {row["state"] for row in table.tables["arms"]} == {"pass"}
    assert {row["pick"] for row in table.tables["picks"]} == {"cannot tell"}


def _audited(tmp_path: Path, **options: Any) -> AuditReport:
    return audit_run(make_fake_run(tmp_path, **options))


def test_a_good_student_may_replace(tmp_path: Path) -> None:
    verdict = _audited(tmp_path, n_test=3_000, levels={"distilled": Level(0.05)}).verdict
    assert verdict.answer == "yes"
    assert verdict.scope == "quality"
    assert verdict.sentence.startswith("Yes, within the limits you set. It keeps ")
    assert "of the teacher's accuracy [" in verdict.sentence
    assert "on 3,000 unseen texts, answers " in verdict.sentence or "× faster" in verdict.sentence
    assert "got worse" in verdict.sentence


def test_a_bad_student_may_not(tmp_path: Path) -> None:
    verdict = _audited(tmp_path, n_test=3_000, levels={"distilled": Level(3.0)}).verdict
    assert verdict.answer == "no"
    assert verdict.sentence.startswith("No: accuracy_difference is outside the limits you set.")


def test_few_rows_cannot_tell_and_say_how_many_would(tmp_path: Path) -> None:
    report = _audited(tmp_path, n_test=60)
    assert report.verdict.answer == "cannot tell"
    needed = report.gates[0].needed_n
    assert needed is not None
    assert f"About n = {needed:,} would decide it." in report.verdict.sentence


def test_without_labels_the_scope_is_fidelity(tmp_path: Path) -> None:
    report = _audited(tmp_path, human_labels=False)
    assert (report.verdict.answer, report.verdict.scope) == ("cannot tell", "fidelity")
    assert "No human label stands behind this" in report.verdict.sentence
    assert "agrees with the teacher on" in report.verdict.sentence
    assert report.gates[0].reason == "The check 'quality' was skipped: the test rows carry no human label."


def test_without_labels_a_fidelity_gate_can_say_yes(tmp_path: Path) -> None:
    spec = {"audit": {"gates": [{"measure": "agreement", "at_least": 0.8}]}}
    verdict = _audited(tmp_path, human_labels=False, n_test=1_000, levels={"distilled": Level(0.1)}, spec=spec).verdict
    assert (verdict.answer, verdict.scope) == ("yes", "fidelity")


def test_predictions_only(tmp_path: Path) -> None:
    report = _audited(tmp_path, models=False, arms=["distilled"], seeds=(1,))
    assert report.verdict.answer in ("cannot tell", "no")
    assert [g.state for g in report.gates][1:3] == ["cannot tell", "cannot tell"]
    assert "faster" not in report.verdict.sentence
