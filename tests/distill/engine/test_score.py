"""Teacher-forced measures and log-likelihoods, held against a plain loop over transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from distill.engine.generate import Asking, write_answers
from distill.engine.language_model import LanguageModel
from distill.engine.score import KnownStates, answer_states, encode_pairs, forced, log_likelihoods, top_of
from distill.spec import GenerationSpec
from tests.distill.tiny_lm import tiny_lm, tiny_prompts

CONTEXTS = ["the cat", "the cat ", "", "red green blue", "red green blue", "red green", "who  ", "sun moon"]
CONTINUATIONS = [" dog", "dog and sun", "river", " cat", " tree stone", " blue cat", "why", ""]


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def models(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LanguageModel, LanguageModel]:
    root = tmp_path_factory.mktemp("score")
    teacher = LanguageModel(tiny_lm(root / "teacher", kind=request.param), "fp32")
    return teacher, LanguageModel(tiny_lm(root / "arm", kind=request.param, seed=1, layers=2), "fp32")


def test_log_likelihoods_are_those_of_a_plain_loop(models: tuple[LanguageModel, LanguageModel]) -> None:
    model, _ = models
    tokenizer, own = model.tokenizer, model.loaded.model
    found = log_likelihoods(model, CONTEXTS, CONTINUATIONS)
    for context, continuation, mine in zip(CONTEXTS, CONTINUATIONS, found, strict=True):
        spaces = len(context) - len(context.rstrip())
        if spaces:
            context, continuation = context[:-spaces], context[-spaces:] + continuation
        head = tokenizer(context, add_special_tokens=False)["input_ids"]
        whole = tokenizer(context + continuation, add_special_tokens=False)["input_ids"]
        if not context:
            start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
            head, whole = [start], [start, *whole]
        n = len(whole) - len(head)
        with torch.inference_mode():
            logprobs = torch.log_softmax(own(input_ids=torch.tensor([whole])).logits[0].double(), dim=-1)
        at = range(len(head) - 1, len(whole) - 1)
        expected = sum(float(logprobs[place, whole[place + 1]]) for place in at)
        assert mine.tokens == n
        assert mine.loglik == pytest.approx(expected, abs=1e-3)
        assert mine.greedy == all(int(logprobs[place].argmax()) == whole[place + 1] for place in at)


def test_pairs_longer_than_the_context_lose_their_beginning(models: tuple[LanguageModel, LanguageModel]) -> None:
    model, _ = models
    ((ids, n),) = encode_pairs(model.tokenizer, ["red " * 50], [" cat dog"], 10)
    assert len(ids) == 11 and 0 < n <= 10


def test_measures_on_a_teachers_answers(models: tuple[LanguageModel, LanguageModel]) -> None:
    teacher, arm = models
    asking = GenerationSpec(max_new_tokens=9, max_prompt_tokens=60)
    prompts = teacher.prompts(list(tiny_prompts(9)["prompt"]), asking).ids
    answers = [answer.ids for answer in write_answers(teacher.forward, prompts, Asking(9, teacher.ends, 4), None)]
    head = teacher.forward.head.weight.detach().float()
    known = KnownStates(answer_states(teacher, prompts, answers), head)
    found = forced(arm, answer_states(arm, prompts, answers), answers, known)
    alone = forced(arm, answer_states(arm, prompts, answers), answers, None)
    for prompt, ids, one, text in zip(prompts, answers, found, alone, strict=True):
        whole = torch.from_numpy(np.concatenate([prompt, ids])[:-1].astype(np.int64))[None]
        with torch.inference_mode():
            p = torch.log_softmax(teacher.loaded.model(input_ids=whole).logits[0, len(prompt) - 1 :], dim=-1)
            q = torch.log_softmax(arm.loaded.model(input_ids=whole).logits[0, len(prompt) - 1 :], dim=-1)
        np.testing.assert_allclose(one.kl, (p.exp() * (p - q)).sum(-1).numpy(), atol=1e-4)
        np.testing.assert_array_equal(one.agrees, (p.argmax(-1) == q.argmax(-1)).numpy())
        np.testing.assert_allclose(
            one.logprob, q.gather(-1, torch.from_numpy(ids.astype(np.int64))[:, None])[:, 0], atol=1e-4
        )
        assert np.isnan(text.kl).all()
        np.testing.assert_array_equal(text.agrees, one.agrees)  # greedy: the teacher's token is its first choice
    itself = forced(teacher, known.states, answers, known)
    assert max(float(one.kl.max()) for one in itself) < 1e-6 and all(one.agrees.all() for one in itself)


def test_the_most_probable_tokens_at_given_states(models: tuple[LanguageModel, LanguageModel]) -> None:
    model, _ = models
    prompt = np.arange(5, 12, dtype=np.int32)
    answer = np.array([7, 8, 9], dtype=np.int32)
    (states,) = answer_states(model, [prompt], [answer])
    ids, logprobs, tail = top_of(model, states, 4)
    assert ids.shape == (3, 4) and (np.diff(logprobs, axis=1) <= 0).all()
    np.testing.assert_allclose(np.exp(logprobs).sum(axis=1) + tail, 1.0, atol=1e-5)


def test_a_pair_without_a_continuation_has_likelihood_one(tmp_path: Path) -> None:
    model = LanguageModel(tiny_lm(tmp_path / "lm"), "fp32")
    (one,) = log_likelihoods(model, ["cat"], [""])
    assert (one.loglik, one.tokens, one.greedy) == (0.0, 0, True)
