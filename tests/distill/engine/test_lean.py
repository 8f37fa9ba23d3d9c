from __future__ import annotations

import copy

import pytest
import torch

from distill.engine.encode import Batch
from distill.engine.forward import Forward
from distill.engine.lean import LONG, lean_classifier
from tests.distill.engine.architectures import LEAN, OTHERS, make

CPU = torch.device("cpu")


def _batch(width: int = 9, typed: bool = False) -> Batch:
    torch.manual_seed(1)
    ids = torch.randint(5, 100, (3, width))
    mask = torch.ones_like(ids)
    mask[1, width // 2 :] = 0
    return Batch(ids, (torch.arange(width) > 3).long().expand(3, -1) if typed else None, mask)


@pytest.mark.parametrize("name", LEAN)
def test_logits_and_gradients_are_transformers_own(name: str) -> None:
    own = make(LEAN[name])
    for module in own.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    own.train()
    model = copy.deepcopy(own)
    lean = lean_classifier(model)
    assert lean is not None and model.training
    batch = _batch(typed=name in {"bert", "electra"})
    extra = {} if batch.types is None else {"token_type_ids": batch.types}
    expected = own(input_ids=batch.ids, attention_mask=batch.mask, **extra).logits
    logits = lean(batch)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)
    weights = torch.randn_like(expected)
    torch.autograd.backward((expected * weights).sum())
    torch.autograd.backward((logits * weights).sum())
    for (key, parameter), other in zip(own.named_parameters(), model.parameters(), strict=True):
        if parameter.grad is not None and other.grad is not None:
            torch.testing.assert_close(other.grad, parameter.grad, atol=1e-4, rtol=1e-3, msg=key)
        else:  # unused positions of a table, a pooler without use
            assert parameter.grad is None or float(parameter.grad.abs().max()) == 0


def test_long_texts_go_through_fused_attention() -> None:
    config = copy.deepcopy(LEAN["bert"])
    config.max_position_embeddings = 2 * LONG
    model = make(config)
    batch = _batch(width=LONG + 20)
    lean = lean_classifier(model)
    assert lean is not None
    with torch.inference_mode():
        expected = model(input_ids=batch.ids, attention_mask=batch.mask).logits
        torch.testing.assert_close(lean(batch), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures_keep_their_own_forward(name: str) -> None:
    model = make(OTHERS[name])
    batch = _batch()
    with torch.inference_mode():
        expected = model(input_ids=batch.ids, attention_mask=batch.mask).logits
        forward = Forward(model, CPU, torch.float32, 64)
        assert forward._lean is None
        torch.testing.assert_close(forward(batch), expected, atol=1e-5, rtol=1e-4)


def test_a_model_that_computes_something_else_is_left_alone() -> None:
    model = make(LEAN["bert"])
    model.bert.encoder.layer[0].output.register_forward_hook(lambda *given: given[2] + 1.0)
    assert lean_classifier(model) is None


def test_bfloat16_stays_near() -> None:
    model = make(LEAN["bert"])
    batch = _batch()
    with torch.inference_mode():
        expected = torch.softmax(model(input_ids=batch.ids, attention_mask=batch.mask).logits, -1)
        logits = Forward(model, CPU, torch.bfloat16, 64)(batch)
    assert logits.dtype == torch.bfloat16
    assert float((torch.softmax(logits.float(), -1) - expected).abs().max()) < 0.05
