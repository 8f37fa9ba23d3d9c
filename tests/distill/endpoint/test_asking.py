"""Against a server that fails in every way: no answer is lost, none is paid twice, and what is spent never exceeds the budget."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill import events
from distill.endpoint.answers import AnswerStore, Kept, Spent
from distill.endpoint.asking import Endpoint, Outcome
from distill.endpoint.options import EndpointOptions
from distill.endpoint.wire import Question
from distill.errors import Cancelled, EndpointError
from distill.monitor import Monitor
from tests.fault_server import KEY, MODEL, Ask, FaultServer


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill.endpoint.client.FIRST_WAIT", 0.01)
    monkeypatch.setenv("TEST_KEY", KEY)


def _options(server: FaultServer, **changed: Any) -> EndpointOptions:
    return EndpointOptions.model_validate(
        {"base_url": server.base_url, "model": MODEL, "api_key_env": "TEST_KEY", "timeout": 5.0, **changed}
    )


def _questions(n: int) -> dict[str, Question]:
    return {f"k{i}": Question((("user", f"prompt number {i} of many"),), 8) for i in range(n)}


def _ask(
    options: EndpointOptions, cache: Path, n: int = 12, run: str = "run", monitor: Monitor | None = None
) -> tuple[dict[str, Kept], Outcome]:
    found: dict[str, Kept] = {}

    def take(key: str, kept: Kept) -> None:
        assert key not in found, "an answer is handed over once"
        found[key] = kept

    outcome = Endpoint(options, cache, run, "g" * 64).ask(_questions(n), take, monitor or Monitor())
    return found, outcome


def _every(number: int, fault: str) -> Callable[[Ask], str | None]:
    return lambda ask: fault if ask.number % number == 0 else None


@pytest.mark.parametrize(
    "fault",
    ["429", "500", "half", "cut", "reset", "error_200", "echo_key", "not_logprobs", "completion_tokens", "only_5"],
)
def test_every_question_is_answered_once_whatever_goes_wrong(fault: str, tmp_path: Path) -> None:
    with FaultServer(fault=_every(3, fault)) as server:
        found, outcome = _ask(_options(server), tmp_path)
        assert sorted(found) == sorted(_questions(12))
        assert all(kept.answer.text for kept in found.values())
        answered = {text: times for text, times in server.billed.items() if times > 1}
        assert not answered or fault in ("half", "cut"), "only an answer that never came whole is asked for again"
        again, second = _ask(_options(server), tmp_path)
        assert {k: v.answer for k, v in again.items()} == {k: v.answer for k, v in found.items()}
        assert (second.asked, second.reused) == (0, 12)
        assert outcome.spent == second.spent


@pytest.mark.parametrize("fault", ["half", "cut"])
def test_an_answer_that_may_have_been_charged_counts_at_its_most(fault: str, tmp_path: Path) -> None:
    with FaultServer(fault=lambda ask: fault if ask.seen == 1 else None) as server:
        _, outcome = _ask(_options(server), tmp_path, n=3)
        assert outcome.spent.requests == 6
        assert outcome.spent.tokens >= server.prompt_tokens + server.answer_tokens


def test_retry_after_is_honoured_by_all_requests(tmp_path: Path) -> None:
    with FaultServer(fault=lambda ask: "429" if ask.number == 1 else None, retry_after=0.8) as server:
        _ask(_options(server, concurrency=2), tmp_path, n=8)
        # what was sent before the refusal was read may have gone; after it nobody sends for 0.8 s
        later = [moment - server.times[0] for moment in server.times[1:]]
        assert not [moment for moment in later if 0.3 < moment < 0.8]
        assert max(later) >= 0.8


def test_retry_after_as_a_date(tmp_path: Path) -> None:
    with FaultServer(fault=lambda ask: "429-date" if ask.number == 1 else None) as server:
        _ask(_options(server, concurrency=1), tmp_path, n=2)
        assert server.times[1] - server.times[0] >= 0.4


def test_a_wait_of_a_day_stops_the_run(tmp_path: Path) -> None:
    with FaultServer(fault=lambda _: "429-long") as server, pytest.raises(EndpointError, match="1440 minutes"):
        _ask(_options(server), tmp_path)


@pytest.mark.parametrize("fault", ["slow", "drip"])
def test_a_slow_answer_is_given_up_and_asked_again(fault: str, tmp_path: Path) -> None:
    with FaultServer(fault=lambda ask: fault if ask.number == 1 else None) as server:
        found, outcome = _ask(_options(server, timeout=0.7), tmp_path, n=4)
        assert len(found) == 4
        assert outcome.spent.requests == 5, "the one that was given up may have been charged"


def test_the_server_gives_up_before_we_lose_patience(tmp_path: Path) -> None:
    with FaultServer(fault=lambda _: "500") as server:
        with pytest.raises(EndpointError, match=r"after 3 tries.*500 The server had an error"):
            _ask(_options(server, attempts=3, concurrency=1), tmp_path)
        assert len(server.asks) == 3
        assert Endpoint(_options(server), tmp_path, "run", "g").spent()[0] == Spent()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("401", "refuses the key in TEST_KEY"),
        ("404", "knows no model 'little-1'"),
        ("429-quota", "account is empty"),
        ("redirect", "sends requests elsewhere"),
        ("400", "refuses every question: 400 This content is filtered"),
    ],
)
def test_what_cannot_be_mended_stops_at_once(fault: str, sentence: str, tmp_path: Path) -> None:
    with FaultServer(fault=lambda _: fault) as server:
        with pytest.raises(EndpointError, match=sentence):
            _ask(_options(server, concurrency=1), tmp_path)
        assert len(server.asks) <= 3


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    options = EndpointOptions(base_url="http://127.0.0.1:9/v1", model=MODEL, api_key_env="TEST_KEY", attempts=2)
    with pytest.raises(EndpointError, match="cannot be reached"):
        _ask(options, tmp_path, n=2)


def test_one_refused_question_does_not_stop_the_others(tmp_path: Path) -> None:
    with FaultServer(fault=lambda ask: "400" if "number 3 " in ask.text else None) as server:
        found, outcome = _ask(_options(server), tmp_path)
        assert len(found) == 11
        assert list(outcome.refused.values()) == ["400 This content is filtered"]


# -- models -------------------------------------------------------------------------------------------------------------


def test_another_model_stops_the_run_and_its_answer_is_not_used(tmp_path: Path) -> None:
    with FaultServer(fault=lambda _: "other_model") as server:
        with pytest.raises(EndpointError, match="asked for 'little-1' and answered as 'quite-another-7b'"):
            _ask(_options(server, concurrency=1), tmp_path)
        spent, states = Endpoint(_options(server), tmp_path, "run", "g").spent()
        assert (states, spent.requests) == ({"other": 1}, 1)
        server.fault = lambda _: None
        found, _ = _ask(_options(server), tmp_path, n=1)
        assert found["k0"].answer.model == MODEL


def test_another_model_may_be_allowed_and_is_said(tmp_path: Path) -> None:
    told: list[events.Event] = []
    with FaultServer(fault=lambda _: "other_model") as server:
        _, outcome = _ask(_options(server, other_model="warn"), tmp_path, monitor=Monitor(told.append))
    notes = [event.message for event in told if isinstance(event, events.Note)]
    assert len([note for note in notes if "answered as 'quite-another-7b'" in note]) == 1
    assert outcome.models == {"quite-another-7b": 12}


def test_a_dated_version_is_the_same_model(tmp_path: Path) -> None:
    with FaultServer(fault=lambda _: "dated_model") as server:
        assert _ask(_options(server), tmp_path)[1].models == {f"{MODEL}-2026-05-01": 12}


# -- budget -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tokens=st.integers(50, 1500), concurrency=st.integers(1, 6), fault=st.sampled_from(["429", "500", "half", ""]))
def test_the_budget_is_never_exceeded_and_what_was_paid_is_kept(
    tokens: int, concurrency: int, fault: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    with FaultServer(fault=_every(4, fault)) as server:
        small = _options(server, budget_tokens=tokens, concurrency=concurrency)
        try:
            found, _ = _ask(small, cache)
        except EndpointError as error:
            assert "budget" in error.message
            found = {}
        charged = server.prompt_tokens + server.answer_tokens
        assert charged <= Endpoint(small, cache, "run", "g").spent()[0].tokens <= tokens
        before = server.billed.copy()
        server.fault = lambda _: None
        rest, outcome = _ask(_options(server, budget_tokens=None), cache, run="next")
        assert len(rest) == 12
        assert outcome.reused == 12 - outcome.asked
        assert outcome.spent.requests == outcome.asked, "the next run pays for what was missing alone"
        assert sum((server.billed - before).values()) == outcome.asked
        assert found == {} or outcome.asked == 0


def test_a_budget_in_money(tmp_path: Path) -> None:
    told: list[events.Event] = []
    with FaultServer() as server:
        prices = {"usd_per_million_in": 1000.0, "usd_per_million_out": 4000.0}
        options = _options(server, budget_usd=0.5, budget_tokens=None, concurrency=1, **prices)
        with pytest.raises(EndpointError, match=r"budget of 0\.50 USD"):
            _ask(options, tmp_path, n=40, monitor=Monitor(told.append))
        charged = server.prompt_tokens * 1e-3 + server.answer_tokens * 4e-3
    spends = [event.spend for event in told if isinstance(event, events.Progress) and event.spend is not None]
    assert spends == sorted(spends)
    assert 0.2 < charged <= 0.5
    assert Endpoint(options, tmp_path, "run", "g").spent()[0].usd == pytest.approx(charged)


def test_a_server_that_does_not_count_is_charged_at_the_most(tmp_path: Path) -> None:
    with FaultServer(fault=lambda _: "no_usage") as server:
        _, outcome = _ask(_options(server), tmp_path, n=2)
        assert outcome.spent.tokens == sum(q.bound + q.max_tokens for q in _questions(2).values())


# -- stopping -----------------------------------------------------------------------------------------------------------


def test_a_cancel_lets_what_is_under_way_arrive(tmp_path: Path) -> None:
    with FaultServer(pause=0.3) as server:
        monitor = Monitor(cancelled=lambda: len(server.asks) >= 5)
        with pytest.raises(Cancelled):
            _ask(_options(server, concurrency=4), tmp_path, n=40, monitor=monitor)
        assert 5 <= len(server.asks) < 40
        _, states = Endpoint(_options(server), tmp_path, "run", "g").spent()
        assert states == {"paid": len(server.asks)}


def _victim(options: EndpointOptions, cache: Path) -> None:
    _ask(options, cache, n=60)


@pytest.mark.slow
def test_kill_9_loses_nothing_that_had_arrived_and_counts_what_was_under_way(tmp_path: Path) -> None:
    with FaultServer(pause=0.05) as server:
        options = _options(server, concurrency=4)
        process = multiprocessing.get_context("spawn").Process(target=_victim, args=(options, tmp_path))
        process.start()
        deadline = time.monotonic() + 60
        while len(server.asks) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(int(process.pid or 0), signal.SIGKILL)
        process.join(10)
        spent, states = Endpoint(options, tmp_path, "run", "g").spent()
        assert states["paid"] >= 15
        assert 1 <= states.get("open", 0) <= 4
        assert spent.requests == states["paid"] + states["open"]
        found, outcome = _ask(options, tmp_path, n=60)
        assert len(found) == 60
        assert outcome.reused == states["paid"], "what had arrived is not asked again"
        twice = sum(times - 1 for times in server.billed.values())
        assert twice <= states["open"], "only answers that never arrived are paid for again"


def test_pace_and_concurrency(tmp_path: Path) -> None:
    with FaultServer(pause=0.02) as server:
        _ask(_options(server, concurrency=3, requests_per_minute=1200), tmp_path, n=10)
        assert server.most <= 3
        assert server.times[-1] - server.times[0] >= 9 * 0.05 - 0.02


# -- the key ------------------------------------------------------------------------------------------------------------


def test_the_key_is_sent_and_stands_nowhere_else(tmp_path: Path) -> None:
    told: list[events.Event] = []
    faults = {3: "echo_key", 5: "echo_key_400", 7: "echo_key", 8: "half"}
    with FaultServer(fault=lambda ask: faults.get(ask.number), key=KEY) as server:
        options = _options(server)
        _, outcome = _ask(options, tmp_path, monitor=Monitor(told.append))
        assert server.keys_seen == {f"Bearer {KEY}"}
        server.fault = lambda _: "echo_key"
        with pytest.raises(EndpointError) as failure:
            _ask(_options(server, attempts=2), tmp_path, n=30)
        server.key = "sk-another"
        with pytest.raises(EndpointError) as refused:
            _ask(options, tmp_path, n=30)
    everything = [
        str(failure.value),
        repr(failure.value.__cause__),
        str(refused.value),
        repr(options),
        repr(outcome),
        repr(told),
    ]
    everything += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    for text in everything:
        assert KEY not in text
        assert KEY[7:] not in text
    assert len(outcome.refused) == 1


def test_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY")
    with FaultServer() as server:
        with pytest.raises(EndpointError, match="variable TEST_KEY is not set"):
            _ask(_options(server), tmp_path)
        assert len(_ask(_options(server, api_key_env=""), tmp_path)[0]) == 12
        assert server.keys_seen == {""}


def test_a_damaged_store_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "endpoint").mkdir()
    (tmp_path / "endpoint" / "answers.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(Exception, match=r"answers\.db cannot be used"):
        AnswerStore(tmp_path)
