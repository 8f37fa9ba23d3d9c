"""The same teachers against servers that people run: `transformers serve`, and llama.cpp's for log-probabilities.

llama.cpp's server is not among the requirements, since its wheel is compiled (CONTRIBUTING.md says how); its tests are skipped without it.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from distill import events
from distill.endpoint.asking import Endpoint, Outcome
from distill.endpoint.options import EndpointOptions
from distill.endpoint.wire import Answer, Question
from distill.monitor import Monitor
from distill.stages import run_stages
from distill.stages.unanswered import read_unanswered
from distill.types import read_frame
from tests.distill.tiny import make_context, tiny_model, tiny_spec
from tests.distill.tiny_lm import tiny_generation_spec, tiny_lm

pytestmark = pytest.mark.slow
LLAMA = os.environ.get("HEIRLOOM_LLAMA_PYTHON") or (sys.executable if importlib.util.find_spec("llama_cpp") else "")


@contextmanager
def _server(command: list[str], path: str, log: Path) -> Iterator[str]:
    """Run ``command`` with a free port behind it until the block ends; yields the base address when ``path`` answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    with log.open("wb") as out:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=out, stderr=out, env=environment)
    try:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            assert process.poll() is None, log.read_text(errors="replace")[-2_000:]
            try:
                if httpx2.get(f"http://127.0.0.1:{port}{path}", timeout=2).status_code == 200:
                    break
            except httpx2.HTTPError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def _ask(
    options: EndpointOptions, cache: Path, questions: dict[str, Question]
) -> tuple[dict[str, Answer], Outcome, str]:
    found: dict[str, Answer] = {}
    told: list[events.Event] = []
    outcome = Endpoint(options, cache, "run", "g" * 64).ask(
        questions, lambda key, kept: found.__setitem__(key, kept.answer), Monitor(told.append)
    )
    return found, outcome, " | ".join(event.message for event in told if isinstance(event, events.Note))


# -- transformers serve -------------------------------------------------------------------------------------------------


@contextmanager
def _transformers(model: Path, log: Path) -> Iterator[str]:
    pytest.importorskip("fastapi")
    pytest.importorskip("openai")
    command = [str(Path(sys.executable).parent / "transformers"), "serve", str(model), "--device", "cpu"]
    with _server(command, "/health", log) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """`transformers serve` with a tiny language model made on the spot."""
    root = tmp_path_factory.mktemp("served")
    model = tiny_lm(root / "tiny", layers=2)
    with _transformers(model, root / "serve.log") as base_url:
        yield base_url, model


def _local_options(base_url: str, model: str, **over: Any) -> dict[str, Any]:
    return {"base_url": base_url, "model": model, "api_key_env": "", "timeout": 120.0, "concurrency": 2, **over}


def test_transformers_serve_says_what_transformers_generates(served: tuple[str, Path], tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base_url, folder = served
    options = EndpointOptions.model_validate(_local_options(base_url, str(folder)))
    texts = ("red green", "why is the moon blue", "small stone")
    questions = {text: Question((("user", text),), 8) for text in texts}
    found, outcome, _ = _ask(options, tmp_path, questions)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    for text in texts:
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.no_grad():
            made = model.generate(**ids, max_new_tokens=8, do_sample=False)
        assert found[text].text == tokenizer.decode(made[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        assert found[text].prompt_tokens == ids["input_ids"].shape[1]
        assert found[text].tokens == (), "it gives no log-probabilities"
    assert outcome.spent.prompt_tokens == sum(answer.prompt_tokens or 0 for answer in found.values())
    assert list(outcome.models) == [f"{folder}@main"]


def test_a_student_learns_from_transformers_serve(served: tuple[str, Path], tmp_path: Path) -> None:
    base_url, folder = served
    teacher = {"kind": "endpoint_lm", "options": _local_options(base_url, str(folder), tokenizer=str(folder))}
    spec = tiny_generation_spec(
        tmp_path, folder, teacher=teacher, student={"init": "checkpoint", "checkpoint": str(folder)}, arms=["sequence"]
    )
    context, seen = make_context(tmp_path, spec)
    assert run_stages(context, until="students") == "done"
    labels = read_frame(context.run.folder / "labels.parquet")
    assert len(labels) == 30 and (labels["answer_tokens"] > 0).all()
    notes = " | ".join(event.message for event in seen if isinstance(event, events.Note))
    assert "sequence-level" in notes
    assert context.run.cards()[0].kind == "sequence"


# -- SmolLM2: a model that can read ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M-Instruct of the pack as a directory of safetensors."""
    from distill.engine.causal_loading import resolve_causal

    return resolve_causal("pack:smollm2", tmp_path_factory.mktemp("cache"), Monitor())


def _labelling(root: Path, base_url: str, model: str, **over: Any) -> Any:
    encoder = tiny_model(root / "encoder", None)
    return tiny_spec(
        root,
        teacher={"kind": "endpoint", "options": _local_options(base_url, model, **over)},
        student={"init": "checkpoint", "checkpoint": str(encoder)},
        arms=["distilled"],
        seeds=[1],
        signals={"max_tokens": 24, "precision": "fp32", "max_labels": 12},
    )


def test_transformers_serve_labels_and_what_is_no_label_is_counted(smollm: Path, tmp_path: Path) -> None:
    with _transformers(smollm, tmp_path / "serve.log") as base_url:
        context, seen = make_context(tmp_path, _labelling(tmp_path, base_url, str(smollm), form="name", shots=1))
        run_stages(context, until="labels")
    labels, missing = read_frame(context.run.folder / "labels.parquet"), read_unanswered(context.run.folder)
    assert len(labels) + len(missing) == 12
    assert len(labels) > 0
    names = context.run.examples.labels
    for said, label in zip(labels["raw_answer"], labels["teacher_label"], strict=True):
        assert said.strip().strip(".").casefold() == names[label], "only a label's own name is that label"
    assert all(reason.startswith("the answer is") for reason in missing["reason"])
    assert any("labels are hard" in event.message for event in seen if isinstance(event, events.Note))


# -- llama.cpp ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """llama.cpp's server with SmolLM2, which gives log-probabilities."""
    if not LLAMA:
        pytest.skip("llama-cpp-python[server] is not here: see CONTRIBUTING.md")
    from distill.data.packs import file

    log = tmp_path_factory.mktemp("llama") / "llama.log"
    settings = ["--model", str(file("smollm2")), "--model_alias", "smollm2", "--n_ctx", "2048", "--logits_all", "true"]
    # without the last one a new request breaks off the one under way
    command = [LLAMA, "-m", "llama_cpp.server", *settings, "--interrupt_requests", "false", "--n_threads", "2"]
    with _server(command, "/v1/models", log) as base_url:
        yield base_url


def test_llama_cpp_gives_the_probabilities_of_the_labels(llama: str, tmp_path: Path) -> None:
    context, _ = make_context(tmp_path, _labelling(tmp_path, llama, "smollm2", shots=1, least_mass=0.2))
    run_stages(context, until="labels")
    labels, missing = read_frame(context.run.folder / "labels.parquet"), read_unanswered(context.run.folder)
    assert len(labels) + len(missing) == 12
    assert context.run.json("stages/labels")["with_logprobs"] == len(labels) > 0
    assert labels[["p_0", "p_1", "p_2"]].sum(axis=1).between(0.999, 1.001).all()
    assert (labels["confidence"] < 1).all()
    assert context.run.json("stages/labels")["models"] == {"smollm2": 12}


def test_llama_cpp_log_probabilities_are_those_of_the_model(llama: str, smollm: Path, tmp_path: Path) -> None:
    """The oracle is transformers on the dequantised weights; llama.cpp computes with 8-bit activations, so they differ a little."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options = EndpointOptions.model_validate(_local_options(llama, "smollm2", api="completions", top_logprobs=5))
    prompt = "The capital of France is"
    answer = _ask(options, tmp_path, {"k": Question((("user", prompt),), 3)})[0]["k"]
    tokenizer = AutoTokenizer.from_pretrained(smollm)
    model = AutoModelForCausalLM.from_pretrained(smollm, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = model(**tokenizer(prompt, return_tensors="pt")).logits[0, -1]
    expected = torch.log_softmax(logits.float(), dim=-1)
    top = {choice.text: choice.logprob for choice in answer.tokens[0].top}
    assert len(top) >= 5
    for text, value in top.items():
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) == 1:
            assert value == pytest.approx(float(expected[ids[0]]), abs=0.5)
    best = max(top, key=lambda text: top[text])
    assert best == tokenizer.decode([int(expected.argmax())])


def test_llama_cpp_teaches_token_by_token(llama: str, smollm: Path, tmp_path: Path) -> None:
    teacher = {
        "kind": "endpoint_lm",
        "options": _local_options(llama, "smollm2", tokenizer="pack:smollm2", top_logprobs=10),
    }
    spec = tiny_generation_spec(
        tmp_path, smollm, teacher=teacher, student={"init": "checkpoint", "checkpoint": str(smollm)}, arms=["token_kl"]
    )
    context, seen = make_context(tmp_path, spec)
    run_stages(context, until="labels")
    summary = context.run.json("stages/labels")
    notes = " | ".join(event.message for event in seen if isinstance(event, events.Note))
    assert summary["with_signals"] >= 0.8 * summary["labels"], notes
    labels = read_frame(context.run.folder / "labels.parquet")
    known = labels["confidence"].dropna()
    assert len(known) and np.all((known > 0) & (known <= 1))
