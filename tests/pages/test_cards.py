"""The four cards of Compare say what the figures say, and hold a published figure against its like alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from auditor.types import Measure
from distill.store import TEACHER
from pages.ui import cards, forms, parts
from pages.ui.cache import Audited


def audited(*measures: Measure, skipped: dict[str, str] | None = None) -> Audited:
    """An audit with these measures, as far as the cards look into it."""
    held = {(m.name, m.arm): m for m in measures}
    reasons = skipped or {}
    report = SimpleNamespace(result=lambda name: SimpleNamespace(skipped=reasons[name]) if name in reasons else None)
    return cast(Audited, SimpleNamespace(measure=lambda name, arm: held.get((name, arm)), report=report))


@pytest.mark.parametrize(("mine", "said"), [(25.0, "4.00× smaller"), (100.0, "as large"), (400.0, "4.00× larger")])
def test_a_student_that_is_larger_is_called_larger(mine: float, said: str) -> None:
    audit = audited(
        Measure(name="size_bytes", value=100.0, arm=TEACHER), Measure(name="size_bytes", value=mine, arm="s")
    )
    assert cards._size(audit, "s")[0] == said


@pytest.mark.parametrize("names", [("accuracy_retention", "agreement"), ("token_agreement",), ("agreement",)])
def test_what_was_published_stands_beside_its_own_measure(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    claimed: dict[str, Any] = {}
    monkeypatch.setattr(cards, "_card", lambda title, *_, claim: claimed.update({title: claim}))
    spec = cast(Any, SimpleNamespace(arms=[SimpleNamespace(name="s", kind="distilled")]))
    cards.four(audited(*(Measure(name=name, value=0.9, arm="s") for name in names)), spec, "s")
    assert claimed["Quality kept"] == (names[0], "distilled")


def test_a_skipped_check_ends_its_sentence_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("streamlit.caption", told.append)
    audit = audited(skipped={"one": "the spec leaves it out", "two": "There is no key. Set it.", "three": ""})
    for name in ("one", "two", "three", "four"):
        parts.skipped(audit, name)
    assert [line.replace("\\", "") for line in told] == [
        "Skipped, because the spec leaves it out.",
        "Skipped, because There is no key. Set it.",
        "Skipped, because the audit made no such measure.",
        "Skipped, because the audit of this run is older than this check.",
    ]


def test_what_only_looks_like_a_whole_number_stays_as_it_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamlit.text_input", lambda *_, **__: "1, -2, ², --3")
    assert forms._whole_numbers("Seeds", None, (), "k") == [1, -2, "²", "--3"]


def test_the_speed_card_shows_the_medians_that_its_ratio_is_of() -> None:
    times = {
        ("latency_p50_ms", TEACHER): 27.0,
        ("latency_p50_ms", "s"): 9.1,
        ("latency_p95_ms", TEACHER): 30.0,
        ("latency_p95_ms", "s"): 10.0,
    }
    audit = audited(
        Measure(name="latency_speedup", value=2.97, low=2.9, high=3.0, arm="s", unit="×"),
        *(Measure(name=name, value=value, arm=arm, unit="ms") for (name, arm), value in times.items()),
    )
    value, _, detail, meaning = cards._speed(audit, "s")
    assert (value, detail) == ("2.97×", "median 27.0 → 9.10 ms · also p95 30.0 → 10.0 ms")
    assert "median time" in meaning and "rounds" in meaning
