"""A teacher over the network through a whole run: what is no answer is kept and left out everywhere, and nothing is asked twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.check import AuditInput
from distill import events
from distill.errors import EndpointError, SpecError
from distill.plugins import StageContext
from distill.spec import RunSpec, parse_spec
from distill.stages import run_stages
from distill.stages.unanswered import partners, read_unanswered
from distill.store import RunStore
from distill.types import read_frame
from distill.workspace import Workspace
from tests.distill.tiny import context_of, make_context, tiny_rows, tiny_spec
from tests.distill.tiny_lm import _tokenizer, tiny_generation_spec, tiny_lm
from tests.fault_server import KEY, MODEL, Ask, FaultServer


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill.endpoint.client.FIRST_WAIT", 0.01)
    monkeypatch.setenv("TEST_KEY", KEY)


def _teacher(server: FaultServer, **over: Any) -> dict[str, Any]:
    options = {"base_url": server.base_url, "model": MODEL, "api_key_env": "TEST_KEY", "usd_per_million_in": 1.0}
    return {"kind": "endpoint", "options": {**options, **over}}


def _spec(root: Path, server: FaultServer, student: Path, **over: Any) -> RunSpec:
    return tiny_spec(
        root,
        teacher=_teacher(server, **over),
        student={"init": "checkpoint", "checkpoint": str(student)},
        arms=["distilled"],
        seeds=[1],
    )


def _items() -> pd.DataFrame:
    """Three pairs; one sentence of the second gets no answer."""
    texts = ["she is kind", "he is kind", "she is strange", "he is odd", "she is late", "he is late"]
    meta = [f'{{"gender": "{"fm"[i % 2]}", "pair_number": {i // 2}}}' for i in range(6)]
    return pd.DataFrame(
        {"item_id": [f"i{i}" for i in range(6)], "check": "gender_bias", "text": texts, "pair": None, "meta": meta}
    )


def _odd(ask: Ask) -> str | None:
    """Nonsense for the texts with w7 and for one of the sentences; the network has its moods too."""
    if "w7 " in f"{ask.text} " or "strange" in ask.text:
        return "nonsense"
    return "429" if ask.number % 17 == 0 and ask.seen == 1 else None


def _notes(seen: list[events.Event]) -> str:
    return " | ".join(event.message for event in seen if isinstance(event, events.Note))


@pytest.mark.slow
def test_a_whole_run(tmp_path: Path, base: Path) -> None:
    with FaultServer(fault=_odd, key=KEY, retry_after=0.05) as server:
        context, seen = make_context(tmp_path, _spec(tmp_path, server, base))
        assert run_stages(context, items=_items()) == "done"
        assert max(server.billed.values()) == 1, (
            "no text is paid for twice, though labels, dev and test are stages of their own"
        )
        run = context.run
        _no_answer_is_a_label(run.folder, context)
        _audit_leaves_them_out(AuditInput(run))
        card = run.teacher
        assert (card.kind, card.id, card.weights_digest, card.model_dir) == ("endpoint", MODEL, "", None)
        spends = [event.spend for event in seen if isinstance(event, events.Progress) and event.spend]
        # events come at most twice a second, so the last of them lags behind; the note at the end of the asking does not
        assert spends == sorted(spends) and 0 < max(spends) <= server.prompt_tokens / 1e6 + 1e-6
        assert f"{server.prompt_tokens / 1e6:,.4f} USD." in _notes(seen)
        marker = run.json("stages/labels")
        assert (marker["models"], marker["unanswered"]) == ({MODEL: 140}, len(_missing(run.folder, "pool")))
        asked = len(server.asks)
        again, second = make_context(tmp_path, _spec(tmp_path, server, base))
        run_stages(again, until="labels", items=_items())
        assert len(server.asks) == asked, "another run of the same day has all answers"
        assert "0 asked now" in _notes(second)
    told = [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(KEY in text for text in told)


def _missing(folder: Path, part: str) -> pd.DataFrame:
    found = read_unanswered(folder)
    return found[found["part"] == part]


def _no_answer_is_a_label(folder: Path, context: StageContext) -> None:
    labels, pool = read_frame(folder / "labels.parquet"), _missing(folder, "pool")
    assert len(labels) + len(pool) == 140
    assert len(pool) > 0 and pool["text"].str.contains(r"\bw7\b").all()
    assert set(pool["raw_answer"]) == {"Well"}
    assert pool["reason"].str.contains("probability of 0.00").all()
    assert not labels["text"].str.contains(r"\bw7\b").any()
    assert set(labels["raw_answer"]) <= {"A", "B", "C"}
    assert labels[["p_0", "p_1", "p_2"]].notna().all(axis=None)
    assert (labels["confidence"] > 0.4).mean() > 0.9


def _audit_leaves_them_out(audit: AuditInput) -> None:
    rows = audit.run.examples.part("test")
    odd = np.array([" w7 " in f" {text} " for text in rows.texts])
    assert odd.any()
    assert len(audit.test) == int((~odd).sum())
    assert audit.probs("teacher").shape[1] == audit.probs("distilled").shape[1] == len(audit.test)
    assert len(audit.signal("teacher", 0, "dev").ids) == len(audit.dev)
    right = (audit.probs("teacher")[0].argmax(axis=1) == audit.y).mean()
    assert right > 0.95, "the server knows the words that give a label away"
    assert list(audit.items["item_id"]) == ["i0", "i1", "i4", "i5"], "half of a pair says nothing"
    assert len(audit.signal("teacher", 0, "items").ids) == len(audit.signal("distilled", 1, "items").ids) == 4


def test_resuming_on_another_day_pays_nothing_twice(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer() as server:
        context, _ = make_context(tmp_path, _spec(tmp_path, server, base))
        run_stages(context, until="labels")
        (context.run.folder / "labels.parquet").unlink()
        monkeypatch.setattr("distill.teachers.endpoint.now", lambda: "2031-01-01T00:00:00+00:00")
        context_again, _ = context_of(context.run, Workspace(tmp_path / "home"))
        run_stages(context_again, until="labels")
        assert len(server.asks) == 140
        fresh, _ = make_context(tmp_path, _spec(tmp_path, server, base))
        run_stages(fresh, until="labels")
        assert len(server.asks) == 280, "a new run on a new day asks anew: the model may have changed"
        assert fresh.run.teacher.version == "2031-01-01"
        kept, _ = make_context(tmp_path, _spec(tmp_path, server, base, day=context.run.teacher.version))
        run_stages(kept, until="labels")
        assert len(server.asks) == 280


def test_a_budget_that_ends_within_the_labels(tmp_path: Path, base: Path) -> None:
    with FaultServer() as server:
        small, _ = make_context(tmp_path, _spec(tmp_path, server, base, budget_tokens=6_000, concurrency=3))
        with pytest.raises(EndpointError, match="budget of 6,000 tokens"):
            run_stages(small, until="labels")
        paid = len(server.asks)
        assert 0 < server.prompt_tokens + server.answer_tokens <= 6_000
        with pytest.raises(EndpointError, match="budget"):
            run_stages(small, until="labels")
        assert len(server.asks) == paid, "a resume does not spend the budget again"
        large, _ = make_context(tmp_path, _spec(tmp_path, server, base))
        run_stages(large, until="labels")
        assert len(server.asks) == 140
        assert max(server.billed.values()) == 1


@pytest.mark.parametrize(("fault", "over"), [("no_logprobs", {}), ("null_logprobs", {}), (None, {"top_logprobs": 0})])
def test_without_log_probabilities_the_answer_is_the_label(
    fault: str | None, over: dict[str, Any], tmp_path: Path, base: Path
) -> None:
    with FaultServer(fault=lambda _: fault) as server:
        context, seen = make_context(tmp_path, _spec(tmp_path, server, base, **over))
        run_stages(context, until="labels")
    labels = read_frame(context.run.folder / "labels.parquet")
    assert set(labels["confidence"]) == {1.0}
    assert "no log-probabilities: its labels are hard" in _notes(seen)


def test_names_and_shots_and_the_older_api(tmp_path: Path, base: Path) -> None:
    with FaultServer() as server:
        spec = _spec(tmp_path, server, base, form="name", shots=1, api="completions", top_logprobs=5)
        context, _ = make_context(tmp_path, spec)
        run_stages(context, until="labels")
        prompt = server.asks[0].body["prompt"]
        assert prompt.count("Answer with the label only.") == 4
        assert server.asks[0].body["logprobs"] == 5
    labels = read_frame(context.run.folder / "labels.parquet")
    truth = tiny_rows(360).set_index("id")["label"]
    names = np.array(context.run.examples.labels)[labels["teacher_label"]]
    assert (names == truth.loc[labels["row_id"]].to_numpy()).mean() > 0.95


def test_a_teacher_that_never_answers_stops_the_run(tmp_path: Path, base: Path) -> None:
    with FaultServer(fault=lambda _: "nonsense") as server:
        context, _ = make_context(tmp_path, _spec(tmp_path, server, base))
        with pytest.raises(EndpointError, match="no usable answer to any of 140 texts"):
            run_stages(context, until="labels")


@pytest.mark.parametrize(
    ("over", "sentence"),
    [
        ({"base_url": "https://user:secret@host/v1"}, "may hold no user"),
        ({"base_url": "https://host/v1?api-key=secret"}, "may hold no user"),
        ({"base_url": "ftp://host"}, "must look like"),
        ({"base_url": "https://host:99999/v1"}, "must look like"),
        ({"api_key_env": "sk-proj-secret"}, "names an environment variable"),
        ({"api_key_env": "gsk_secret"}, "names an environment variable"),
        ({"budget_usd": 1.0, "usd_per_million_in": 0.0}, "needs the prices"),
        ({"day": "yesterday"}, "such as 2026-11-24"),
        ({"model": ""}, "must not be empty"),
    ],
)
def test_options_that_are_refused_without_repeating_a_secret(
    over: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with FaultServer() as server:
        value = tiny_spec(tmp_path).model_dump(mode="json") | {"teacher": _teacher(server, **over)}
    with pytest.raises(SpecError, match=sentence) as refused:
        parse_spec(value)
    assert "secret" not in str(refused.value)


def test_partners_of_what_is_missing() -> None:
    assert partners(_items(), {"i2"}) == {"i2", "i3"}
    assert partners(_items(), set()) == set()


# -- language models ----------------------------------------------------------------------------------------------------


def _pieces(text: str) -> list[str]:
    """What a server that shares the tiny tokenizer would say."""
    tokenizer = _tokenizer(320)
    return [tokenizer.decode([index]) for index in tokenizer(text, add_special_tokens=False)["input_ids"]]


def _writing(root: Path, server: FaultServer, model: Path, **over: Any) -> RunSpec:
    options = {**_teacher(server)["options"], "top_logprobs": 5, "tokenizer": str(model), **over}
    return tiny_generation_spec(
        root,
        model,
        teacher={"kind": "endpoint_lm", "options": options},
        student={"init": "checkpoint", "checkpoint": str(model)},
        arms=["token_kl"],
    )


def test_a_language_model_over_the_network_teaches_token_by_token(tmp_path: Path) -> None:
    model = tiny_lm(tmp_path / "student", layers=2)
    with FaultServer(split=_pieces, key=KEY) as server:
        context, seen = make_context(tmp_path, _writing(tmp_path, server, model))
        assert run_stages(context, until="predictions") == "done"
        assert max(server.billed.values()) <= 3, "sampled and greedy answers to a prompt, and dev"
    summary = context.run.json("stages/labels")
    assert summary["with_signals"] == summary["labels"] == 30
    labels = read_frame(context.run.folder / "labels.parquet")
    np.testing.assert_allclose(labels["confidence"], np.exp(-0.3), atol=1e-6)
    assert "learnt as text" not in _notes(seen)
    assert context.run.cards()[0].trained_on == 30


def test_merged_tokens_are_learnt_as_text_and_said(tmp_path: Path) -> None:
    model = tiny_lm(tmp_path / "student", layers=2)
    with FaultServer(split=_pieces, fault=lambda ask: "merged" if ask.number % 2 else None) as server:
        context, seen = make_context(tmp_path, _writing(tmp_path, server, model))
        run_stages(context, until="students")
    summary = context.run.json("stages/labels")
    assert 0 < summary["with_signals"] < 30
    notes = _notes(seen)
    assert "cannot be learnt token by token" in notes
    assert "for the tokenizer" in notes


def test_without_a_tokenizer_the_run_is_sequence_level(tmp_path: Path) -> None:
    model = tiny_lm(tmp_path / "student", layers=2)
    with FaultServer() as server:
        context, seen = make_context(tmp_path, _writing(tmp_path, server, model, tokenizer=""))
        run_stages(context, until="students")
    assert "sequence-level" in _notes(seen)
    assert context.run.json("stages/labels")["with_signals"] == 0
    assert [run.id for run in RunStore(Workspace(tmp_path / "home")).all()]
