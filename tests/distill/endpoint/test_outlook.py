"""What is said before the first question: key, server, model, volume, budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill.endpoint.client import retry_after, same_model, wait_before
from distill.endpoint.options import EndpointOptions
from distill.endpoint.secret import Secret
from distill.estimate import estimate
from distill.preflight import Preflight, preflight
from distill.spec import RunSpec
from distill.workspace import Workspace
from tests.distill.tiny import tiny_spec
from tests.distill.tiny_lm import tiny_generation_spec
from tests.fault_server import KEY, MODEL, FaultServer


def _spec(root: Path, base_url: str, **over: Any) -> RunSpec:
    options = {"base_url": base_url, "model": MODEL, "api_key_env": "TEST_KEY", "licence": "ours", **over}
    student = {"init": "checkpoint", "checkpoint": str(root)}
    return tiny_spec(root, teacher={"kind": "endpoint", "options": options}, student=student, arms=["distilled"])


def _look(spec: RunSpec, root: Path, monkeypatch: pytest.MonkeyPatch, key: str | None = KEY) -> Preflight:
    monkeypatch.delenv("TEST_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("TEST_KEY", key)
    return preflight(spec, Workspace(root / "home").made(), items=500)


def _said(found: Preflight, state: str) -> str:
    return " | ".join(f"{item.sentence} {item.hint}" for item in found.items if item.state == state)


def test_all_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(key=KEY) as server:
        found = _look(_spec(tmp_path, server.base_url, usd_per_million_in=1.0), tmp_path, monkeypatch)
        assert not server.asks, "nothing is paid for a look"
    well = _said(found, "ok")
    assert "key is in TEST_KEY" in well
    assert f"has the model '{MODEL}'" in well
    assert "140 pool texts, 40 dev rows, 60 test rows, 500 of the checks' own sentences" in well
    assert found.estimate is not None and found.estimate.spend > 0
    assert "cannot be timed" in _said(found, "warn")
    assert KEY not in repr(found)


def test_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(key=KEY) as server:
        spec = _spec(tmp_path, server.base_url)
        assert "TEST_KEY is not set" in _said(_look(spec, tmp_path, monkeypatch, None), "fail")
        assert "refuses the key (401)" in _said(_look(spec, tmp_path, monkeypatch, "wrong"), "fail")
        other = _look(_spec(tmp_path, server.base_url, model="litle-1b", licence=""), tmp_path, monkeypatch)
        assert f"does not list the model 'litle-1b'. Did you mean '{MODEL}'?" in _said(other, "warn")
        assert "terms are not stated" in _said(other, "warn")
        assert "No price is set" in _said(other, "warn")
        small = _look(_spec(tmp_path, server.base_url, budget_tokens=1000), tmp_path, monkeypatch)
        assert "budget_tokens is 1,000: the run will stop before its end" in _said(small, "warn")
    gone = _look(_spec(tmp_path, "http://127.0.0.1:9/v1"), tmp_path, monkeypatch)
    assert "127.0.0.1:9 cannot be reached" in _said(gone, "fail")


def test_a_language_model_over_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(key=KEY) as server:
        options = {"base_url": server.base_url, "model": MODEL, "api_key_env": "TEST_KEY", "usd_per_million_out": 100.0}
        spec = tiny_generation_spec(
            tmp_path,
            tmp_path,
            teacher={"kind": "endpoint_lm", "options": options},
            student={"init": "checkpoint", "checkpoint": str(tmp_path)},
            arms=["sequence"],
        )
        found = _look(spec, tmp_path, monkeypatch)
    said = _said(found, "ok")
    assert "30 answers to learn, 20 dev answers, 20 test rows" in said
    assert found.estimate is not None and found.estimate.spend == pytest.approx(70 * 8 * 100 / 1e6)


def test_the_estimate_is_of_the_size_of_the_bill(tmp_path: Path) -> None:
    spec = _spec(tmp_path, "http://127.0.0.1:9/v1", usd_per_million_in=1e6)
    found = estimate(spec, Workspace(tmp_path), {"pool": 100, "dev": 0, "test": 0}, 10, items=0)
    # the fault server counts four characters a token too: a prompt of some 300 characters and its JSON
    assert 100 * 50 < found.spend < 100 * 150


@pytest.mark.parametrize(
    ("asked", "said", "same"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o", "gpt-4o-mini-2024-07-18", False),
        ("HuggingFaceTB/SmolLM2", "HuggingFaceTB/SmolLM2@main", True),
        ("/models/tiny", "/models/tiny@main", True),
        ("smollm2", "/home/me/SmolLM2.gguf", True),
        ("llama3", "llama3:latest", True),
        ("llama-3-8b", "llama-3-70b", False),
        ("any", "", True),
    ],
)
def test_names_of_models(asked: str, said: str, same: bool) -> None:
    assert same_model(asked, said) is same


def test_waiting() -> None:
    assert [wait_before(n, None, lambda: 1.0) for n in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert wait_before(30, None, lambda: 1.0) == 60.0
    assert wait_before(3, None, lambda: 0.0) == 0.0, "full jitter"
    assert wait_before(1, 7.0, lambda: 0.0) == 7.0
    assert 7.0 <= wait_before(9, 7.0, lambda: 1.0) <= 8.0, "never less than the server asks for"


def test_retry_after_in_all_spellings() -> None:
    from datetime import UTC, datetime

    import httpx2

    at = datetime(2026, 11, 24, 9, 0, 0, tzinfo=UTC)
    for value, seconds in {
        "3": 3.0,
        "1.5": 1.5,
        "Tue, 24 Nov 2026 09:00:10 GMT": 10.0,
        "soon": None,
        "-4": None,
    }.items():
        assert retry_after(httpx2.Headers({"retry-after": value}), at) == seconds, value
    assert retry_after(httpx2.Headers({"retry-after": "9", "retry-after-ms": "250"}), at) == 0.25
    assert retry_after(httpx2.Headers({}), at) is None
    past = httpx2.Headers({"retry-after": "Tue, 24 Nov 2020 09:00:10 GMT"})
    assert retry_after(past, at) == 0.0


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(KEY)
    assert KEY not in f"{secret!r} {secret} {[secret]}"
    assert secret.headers() == {"Authorization": f"Bearer {KEY}"}
    for text in (KEY, f"a {KEY[:12]}***", f"***{KEY[-8:]} b", f"Authorization: Bearer {KEY}", "sk-another-key-123456"):
        scrubbed = secret.scrub(text)
        assert KEY[:12] not in scrubbed and KEY[-8:] not in scrubbed and "another" not in scrubbed, scrubbed
    assert secret.scrub("the server is busy") == "the server is busy"
    assert Secret("").headers() == {}


@pytest.mark.parametrize(
    ("address", "readable"),
    [
        ("https://api.openai.com/v1", False),
        ("http://localhost:8000/v1", False),
        ("http://127.0.0.1:8000/v1", False),
        ("http://[::1]:8000/v1", False),
        ("http://10.0.0.4:8000/v1", True),
        ("http://gpu.example/v1", True),
    ],
)
def test_where_a_key_travels_in_the_open(address: str, readable: bool) -> None:
    assert EndpointOptions(base_url=address, model="m").readable_key is readable
