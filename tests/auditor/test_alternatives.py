from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.alternatives import DEFAULT_WEIGHTS, recommend
from auditor.types import Measure
from distill.store import TEACHER
from tests.auditor.checks.helpers import one, result_of, value
from tests.fakes import make_fake_run

Figures = dict[str, dict[str, tuple[float, float, float]]]


def _lookup(figures: Figures):  # type: ignore[no-untyped-def]
    def find(name: str, arm: str) -> Measure | None:
        found = figures.get(arm, {}).get(name)
        return None if found is None else Measure(name=name, arm=arm, value=found[0], low=found[1], high=found[2])

    return find


def _arm(kept: float, speed: float, wide: float = 0.1) -> dict[str, tuple[float, float, float]]:
    return {
        "accuracy_retention": (kept, kept - wide, kept + wide),
        "latency_speedup": (speed, speed * 0.99, speed * 1.01),
    }


def test_the_weights_decide() -> None:
    figures = {"quick": _arm(80, 8), "true": _arm(99.5, 1.2)}
    fast = recommend(_lookup(figures), list(figures), {"quality": 1, "speed": 10})
    good = recommend(_lookup(figures), list(figures), {"quality": 10, "speed": 1})
    assert fast.first == ("quick",) and "take quick" in fast.sentence and "speed" in fast.sentence
    assert good.first == (TEACHER, "true") or good.first[0] in {"true", TEACHER}
    assert recommend(_lookup(figures), ["quick"], {"quality": 1}).sentence.startswith(
        "By your weights keep the teacher"
    )


def test_a_score_is_what_the_units_say() -> None:
    found = recommend(_lookup({"a": _arm(95, 4)}), ["a"], {"quality": 3, "speed": 1})
    score = next(score for score in found.scores if score.arm == "a")
    assert score.value == pytest.approx((3 * -1 + 1 * 2) / 4)
    assert score.parts["speed"] == pytest.approx(0.5)


def test_a_tie_is_said() -> None:
    figures = {"a": _arm(98, 4, wide=3), "b": _arm(98.5, 4, wide=3)}
    found = recommend(_lookup(figures), list(figures), {"quality": 5, "speed": 2})
    assert set(found.first) >= {"a", "b"} and "a tie between" in found.sentence


def test_what_was_not_measured_for_all_counts_for_none() -> None:
    figures = {"a": _arm(98, 4), "b": {"accuracy_retention": (90.0, 89.0, 91.0)}, "c": {}}
    found = recommend(_lookup(figures), list(figures), DEFAULT_WEIGHTS)
    assert "Speed" in found.left_out and found.without == ("c",) and found.first == (TEACHER,)
    nothing = recommend(_lookup({"c": {}}), ["c"], DEFAULT_WEIGHTS)
    assert nothing.scores == () and "no arm has a measure of quality" in nothing.sentence
    assert "every weight is 0" in recommend(_lookup(figures), ["a"], {}).sentence


@given(kept=st.floats(50, 110), speed=st.floats(0.1, 50), weight=st.floats(0.1, 10), scale=st.floats(0.1, 10))
def test_only_the_ratio_of_weights_matters(kept: float, speed: float, weight: float, scale: float) -> None:
    lookup = _lookup({"a": _arm(kept, speed)})
    once = recommend(lookup, ["a"], {"quality": 1, "speed": weight})
    again = recommend(lookup, ["a"], {"quality": scale, "speed": weight * scale})
    assert [s.value for s in once.scores] == pytest.approx([s.value for s in again.scores])
    assert all(s.low <= s.value <= s.high for s in once.scores)


def test_what_making_cost_counts_labels_and_says_that_energy_is_an_estimate(tmp_path: Path) -> None:
    result = result_of(make_fake_run(tmp_path), "alternatives")
    assert value(one(result, "making_synthetic_labels", "distilled")) > 0
    assert value(one(result, "making_human_labels", "fine_tuned")) > 0
    behind = one(result, "making_synthetic_labels", "distilled").detail
    assert behind["teacher_human_labels"] > 0 and behind["labelling_kwh"] is None  # the fake's stages were not metered
    assert value(one(result, "making_seconds", "distilled")) > value(one(result, "making_seconds", "undistilled"))
    energy = one(result, "making_energy_kwh", "distilled")
    assert not energy.exact and value(energy) > 0


def test_memory_is_weighed_where_it_was_measured_for_every_arm_and_else_the_size_on_disk() -> None:
    small, large = _arm(98, 2), _arm(98, 2)
    disk = {"small": {**small, "compression": (4, 4, 4)}, "large": {**large, "compression": (1, 1, 1)}}
    found = recommend(_lookup(disk), list(disk), {"memory": 1})
    assert found.first == ("small",) and found.scores[0].parts == {"memory": pytest.approx(2)}
    memory = {
        "small": {**disk["small"], "memory_ratio": (1, 1, 1)},
        "large": {**disk["large"], "memory_ratio": (8, 8, 8)},
    }
    assert recommend(_lookup(memory), list(memory), {"memory": 1}).first == ("large",)
    del memory["small"]["memory_ratio"]
    assert recommend(_lookup(memory), list(memory), {"memory": 1}).first == ("small",)


def test_what_speaks_for_an_arm_is_named_as_it_was_weighed() -> None:
    figures = {"small": {**_arm(98, 1), "compression": (16.0, 16.0, 16.0)}}
    assert "size on disk" in recommend(_lookup(figures), ["small"], {"quality": 1, "memory": 5}).sentence
