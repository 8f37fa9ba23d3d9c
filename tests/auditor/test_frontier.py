"""Pareto front and knee on points whose answer is known, and the arms that a frontier becomes."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from auditor.frontier import is_sweep, knee, pareto
from distill.errors import SpecError
from distill.frontier import FrontierSpec, frontier_arms
from distill.spec import RunSpec, parse_spec


def test_the_front_is_what_nothing_dominates() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.random(60).round(1), rng.random(60).round(1)
    plain = {i for i in range(60) if not any(x[j] >= x[i] and y[j] >= y[i] and (x[j] > x[i] or y[j] > y[i]) for j in range(60))}  # fmt: skip
    front = pareto(x.tolist(), y.tolist())
    assert {(x[i], y[i]) for i in front} == {(x[i], y[i]) for i in plain}
    assert [x[i] for i in front] == sorted(x[i] for i in front)


def test_the_knee_is_where_the_curve_bends() -> None:
    assert knee([1, 2, 3, 4, 5], [100, 99, 98, 60, 20]) == 2
    assert knee([1, 2, 3], [3, 2, 1]) is None
    assert knee([1, 2], [2, 1]) is None


def test_a_frontier_becomes_arms_once() -> None:
    arms = frontier_arms(FrontierSpec(depths=(1, 2)))
    assert [arm["name"] for arm in arms[:4]] == ["d1", "d1-int8", "d1-trimmed", "d1-trimmed-int8"]
    assert len(arms) == 8
    value = {"name": "f", "data": {"source": {"kind": "pack", "name": "tweets"}}, "arms": ["fine_tuned"]}
    spec = parse_spec({**value, "frontier": {"depths": [1, 2]}, "seeds": [1]})
    assert len(spec.arms) == 9
    assert parse_spec(yaml.safe_load(spec.to_yaml())) == spec


TEACHER = {"kind": "fine_tuned", "options": {"base": "pack:minilm"}}
VALUE = {"name": "f", "data": {"source": {"kind": "pack", "name": "tweets"}}, "arms": ["fine_tuned"], "seeds": [1]}


def test_all_depths_are_those_of_the_teacher_and_are_written_out() -> None:
    spec = parse_spec({**VALUE, "teacher": TEACHER, "frontier": {"depths": "all"}})
    assert spec.frontier and spec.frontier.depths == (1, 2, 3, 4, 5, 6)
    assert [arm.name for arm in spec.arms if arm.kind == "distilled"] == [f"d{n}" for n in range(1, 7)]
    assert parse_spec(yaml.safe_load(spec.to_yaml())) == spec
    assert is_sweep(spec) and not is_sweep(parse_spec(VALUE))
    assert parse_spec({**VALUE, "frontier": {"depths": "all"}}).frontier == spec.frontier, (
        "the default teacher is a pack"
    )


def test_all_depths_of_a_teacher_that_is_elsewhere_are_refused_in_a_sentence() -> None:
    away = {"kind": "fine_tuned", "options": {"base": "somebody/some-model"}}
    with pytest.raises(SpecError, match="how many layers the teacher has") as caught:
        parse_spec({**VALUE, "teacher": away, "frontier": {"depths": "all"}})
    assert "Name the depths" in caught.value.hint
    with pytest.raises(ValueError, match="written out by parse_spec"):
        RunSpec.model_validate({**VALUE, "frontier": {"depths": "all"}})
    with pytest.raises(SpecError):
        parse_spec({**VALUE, "frontier": {"depths": []}})
    with pytest.raises(SpecError):
        parse_spec({**VALUE, "frontier": {"depths": [0]}})


def test_precision_bf16_becomes_arms_of_its_own() -> None:
    arms = frontier_arms(FrontierSpec(depths=(2,), vocabulary=("full",), precision=("fp32", "int8", "bf16")))
    assert [arm["name"] for arm in arms] == ["d2", "d2-int8", "d2-bf16"]
    assert arms[-1]["options"] == {"of": "d2", "precision": "bf16"}
