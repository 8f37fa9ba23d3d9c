"""Pareto front and knee on points whose answer is known, and the arms that a frontier becomes."""

from __future__ import annotations

import numpy as np

from auditor.frontier import knee, pareto
from distill.frontier import FrontierSpec, frontier_arms
from distill.spec import parse_spec


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
    import yaml

    assert parse_spec(yaml.safe_load(spec.to_yaml())) == spec
