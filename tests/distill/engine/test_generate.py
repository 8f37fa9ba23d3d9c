"""Writing answers, held against transformers: the same tokens, the same distributions, whatever the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill.engine.chat import render
from distill.engine.generate import Asking, spoken, write_answers
from distill.engine.language_model import LanguageModel
from distill.engine.sampling import pick, uniforms
from distill.errors import ModelError
from distill.spec import GenerationSpec
from tests.distill.tiny_lm import WORDS, tiny_lm, tiny_prompts

ASKING = GenerationSpec(max_new_tokens=12, max_prompt_tokens=100)


@pytest.fixture(scope="module", params=["llama", "qwen2", "gpt2"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder = tiny_lm(tmp_path_factory.mktemp("lm") / request.param, kind=request.param)
    return LanguageModel(folder, "fp32")


@pytest.fixture(scope="module")
def prompts(model: LanguageModel) -> list[Any]:
    return model.prompts(list(tiny_prompts(21)["prompt"]), ASKING).ids


def test_only_the_llama_family_takes_the_lean_way(model: LanguageModel) -> None:
    assert model.forward.lean == (model.loaded.model.config.model_type != "gpt2")


def test_states_times_the_head_are_the_logits(model: LanguageModel, prompts: list[Any]) -> None:
    ids = torch.from_numpy(prompts[3].astype(np.int64))[None]
    with torch.inference_mode():
        own = model.loaded.model(input_ids=ids).logits
        mine = model.forward.logits(model.forward.states(ids))
    torch.testing.assert_close(mine, own, atol=1e-4, rtol=1e-4)


def test_greedy_answers_are_those_of_transformers(model: LanguageModel, prompts: list[Any]) -> None:
    answers = write_answers(model.forward, prompts, Asking(12, model.ends, 4), None)
    for prompt, answer in zip(prompts, answers, strict=True):
        own = model.loaded.model.generate(
            torch.from_numpy(prompt.astype(np.int64))[None], max_new_tokens=12, do_sample=False, pad_token_id=0
        )[0, len(prompt) :].tolist()
        assert answer.ids.tolist() == own
        assert answer.finish == ("length" if own[-1] not in model.ends else "empty" if len(own) == 1 else "stop")


@pytest.mark.parametrize("batch", [1, 3, 8, 32])
def test_the_batch_does_not_decide_what_is_drawn(model: LanguageModel, prompts: list[Any], batch: int) -> None:
    draws = [uniforms(1, f"p{row}", 0, 12) for row in range(len(prompts))]
    alone = write_answers(model.forward, prompts, Asking(12, model.ends, 5, 0.9, 0.9), draws)
    mine = write_answers(model.forward, prompts, Asking(12, model.ends, batch, 0.9, 0.9), draws)
    assert [one.ids.tolist() for one in mine] == [one.ids.tolist() for one in alone]


def test_signals_are_the_distribution_at_each_token(model: LanguageModel, prompts: list[Any]) -> None:
    draws = [uniforms(2, f"p{row}", 0, 6) for row in range(len(prompts))]
    answers = write_answers(model.forward, prompts, Asking(6, model.ends, 8, 0.7, 0.95, 5), draws)
    for prompt, answer in zip(prompts, answers, strict=True):
        text = torch.from_numpy(np.concatenate([prompt, answer.ids])[:-1].astype(np.int64))[None]
        with torch.inference_mode():
            logits = model.loaded.model(input_ids=text).logits[0, len(prompt) - 1 :]
        values, ids = torch.topk(torch.log_softmax(logits, dim=-1), 5)
        np.testing.assert_array_equal(answer.topk_ids, ids.numpy())
        np.testing.assert_allclose(answer.topk_logprobs, values.numpy(), atol=1e-4)
        np.testing.assert_allclose(answer.tail, 1 - values.exp().sum(-1).numpy(), atol=1e-5)


def test_a_model_that_answers_with_nan_is_named(tmp_path: Path) -> None:
    model = LanguageModel(tiny_lm(tmp_path / "lm"), "fp32")
    with torch.no_grad():
        model.loaded.model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="not a number"):
        write_answers(model.forward, [np.arange(4, dtype=np.int32)], Asking(3, model.ends, 1), None)


def test_an_end_token_is_no_part_of_what_is_said() -> None:
    assert spoken(np.array([5, 6, 2], dtype=np.int32), (2,)).tolist() == [5, 6]
    assert spoken(np.array([5, 6], dtype=np.int32), (2,)).tolist() == [5, 6]


def test_drawing_follows_the_kept_distribution() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 12).float()
    for temperature, top_p in ((0.7, 0.8), (1.3, 1.0)):
        probs = torch.softmax(logits[0] / temperature, dim=-1).double().numpy()
        order = np.argsort(-probs)
        mass = np.cumsum(probs[order])
        kept = order[: int(np.searchsorted(mass, top_p)) + 1]
        expected = np.zeros(12)
        expected[kept] = probs[kept] / probs[kept].sum()
        draws = (np.arange(20_000) + 0.5) / 20_000
        chosen = pick(logits.expand(20_000, -1), temperature, top_p, draws)
        np.testing.assert_allclose(np.bincount(chosen, minlength=12) / 20_000, expected, atol=2e-3)


def test_drawing_sorts_fully_where_the_first_tokens_do_not_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(50, generator=torch.Generator().manual_seed(1)).expand(40, -1) * 0.3
    draws = np.linspace(0, 0.99, 40)
    whole = pick(logits, 1.0, 0.9, draws)
    monkeypatch.setattr("distill.engine.sampling.FIRST", 7)
    np.testing.assert_array_equal(pick(logits, 1.0, 0.9, draws), whole)
    assert len(set(whole.tolist())) > 20


def test_draws_depend_on_seed_content_and_sample_alone() -> None:
    assert uniforms(1, "a", 0, 3).tolist() == uniforms(1, "a", 0, 5)[:3].tolist()
    assert len({tuple(uniforms(*key, 2)) for key in ((1, "a", 0), (1, "a", 1), (1, "b", 0), (2, "a", 0))}) == 4


def test_a_long_prompt_loses_the_beginning_of_its_text(model: LanguageModel) -> None:
    text = " ".join(WORDS * 10)
    found = render(model.tokenizer, [text, "cat"], "be small", 40)
    shown = model.tokenizer.decode(found.ids[0])
    assert found.cut == 1 and len(found.ids[0]) <= 40
    assert shown.startswith("<|start|>system be small") and shown.endswith("who<|end|><|start|>assistant ")


def test_without_a_template_the_prompt_stands_alone(tmp_path: Path) -> None:
    model = LanguageModel(tiny_lm(tmp_path / "lm", template=False), "fp32")
    found = render(model.tokenizer, ["cat dog"], "", 40)
    assert not found.templated
    assert model.tokenizer.decode(found.ids[0]) == "cat dog"


def test_a_template_longer_than_the_limit_is_refused(model: LanguageModel) -> None:
    with pytest.raises(ModelError, match="alone are longer"):
        render(model.tokenizer, ["cat"], "be small " * 30, 20)
