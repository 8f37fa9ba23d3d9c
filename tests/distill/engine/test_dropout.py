from __future__ import annotations

import pytest
import torch

from distill.engine.dropout import QuickDropout, add_dropped, keep_mask, use_quick_dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mask_keeps_the_share_and_the_expectation(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    mask = keep_mask(torch.empty(400, 501, dtype=dtype), p)
    kept = mask > 0
    share = float(kept.double().mean())
    assert share == pytest.approx(1 - p, abs=4 * (p * (1 - p) / mask.numel()) ** 0.5 + 1e-5)
    assert sorted(set(mask[kept].tolist())) == pytest.approx(
        [1 / (1 - p)], rel=1e-2 if dtype == torch.bfloat16 else 1e-4
    )
    assert mask.dtype == dtype


def test_neighbours_are_independent() -> None:
    torch.manual_seed(0)
    kept = (keep_mask(torch.empty(400_000), 0.5) > 0).double()
    for lag in (1, 2, 3, 4, 5):  # four numbers come from one draw
        assert abs(float(torch.corrcoef(torch.stack([kept[:-lag], kept[lag:]]))[0, 1])) < 0.01


def test_everything_or_nothing() -> None:
    assert float(keep_mask(torch.empty(9), 1.0).sum()) == 0
    assert keep_mask(torch.empty(9), 0.0).tolist() == [1.0] * 9


def test_the_generators_state_decides() -> None:
    state = torch.get_rng_state()
    first = keep_mask(torch.empty(1001), 0.3)
    torch.set_rng_state(state)
    assert torch.equal(first, keep_mask(torch.empty(1001), 0.3))


def test_adding_equals_dropping_and_adding() -> None:
    residual, states = torch.randn(2, 7, 5)
    torch.manual_seed(3)
    together = add_dropped(residual, states, 0.4, True)
    torch.manual_seed(3)
    torch.testing.assert_close(together, residual + states * keep_mask(states, 0.4))
    assert torch.equal(add_dropped(residual, states, 0.4, False), residual + states)


def test_modules_are_replaced_and_do_nothing_in_evaluation() -> None:
    nested = torch.nn.Sequential(torch.nn.Dropout(0.25))
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), nested).eval()
    use_quick_dropout(model)
    inner = nested[0]
    assert isinstance(inner, QuickDropout) and inner.p == 0.25 and not inner.training
    states = torch.randn(4, 3)
    assert torch.equal(inner(states), states)
