"""Training language models: the loss looks at answers alone, does not depend on the batch's cut, and goes on after a stop to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from distill.engine.adapters import merged, with_adapters
from distill.engine.causal_loading import LoadedCausal, load_causal
from distill.engine.generate import Asking, write_answers
from distill.engine.language_model import LanguageModel
from distill.engine.layers import pick_layers
from distill.engine.losses import top_k_loss
from distill.engine.token_lesson import Taught, TokenLesson, make_batch
from distill.engine.train_causal import CausalTraining, Recipe, train_causal
from distill.errors import Cancelled, DataError, ModelError
from distill.monitor import Monitor
from distill.spec import GenerationSpec, TrainingSpec
from tests.distill.tiny_lm import tiny_lm, tiny_prompts

OPTIONS = TrainingSpec(
    temperature=1.0, learning_rate=3e-3, epochs=2, batch_size=4, checks_per_epoch=1, precision="fp32"
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_lm(tmp_path_factory.mktemp("train") / "teacher", kind=request.param)


@pytest.fixture(scope="module")
def taught(folder: Path) -> list[Taught]:
    model = LanguageModel(folder, "fp32")
    asking = GenerationSpec(max_new_tokens=8, max_prompt_tokens=60)
    prompts = model.prompts(list(tiny_prompts(18)["prompt"]), asking).ids
    answers = write_answers(model.forward, prompts, Asking(8, model.ends, 8, top_k=12), None)
    return [Taught(p, a.ids, a.topk_ids, a.topk_logprobs, a.tail) for p, a in zip(prompts, answers, strict=True)]


def student(folder: Path) -> LoadedCausal:
    return pick_layers(load_causal(folder), 2)


def training(
    folder: Path, taught: list[Taught], tmp_path: Path, loaded: LoadedCausal | None = None, **over: object
) -> CausalTraining:
    options = OPTIONS.model_copy(update=over)
    return CausalTraining(
        loaded or student(folder), TokenLesson(taught, 200), options, Recipe(), 1, None, "arm", tmp_path, Monitor()
    )


def test_the_loss_is_the_plain_one_over_answer_tokens(folder: Path, taught: list[Taught], tmp_path: Path) -> None:
    own = training(folder, taught, tmp_path)
    some = taught[:5]
    mine = own.loss_of(make_batch(some, CPU))
    parts, tokens = [], 0
    for one in some:
        assert one.topk_ids is not None and one.topk_logprobs is not None and one.tail is not None
        text = torch.from_numpy(np.concatenate([one.prompt, one.answer])[:-1].astype(np.int64))[None]
        logits = own.loaded.model(input_ids=text).logits[0, len(one.prompt) - 1 :]
        parts.append(
            top_k_loss(
                logits,
                torch.from_numpy(one.topk_ids.astype(np.int64)),
                torch.from_numpy(one.topk_logprobs),
                torch.from_numpy(one.tail),
                1.0,
                total=1,
            )
        )
        tokens += len(one.answer)
    torch.testing.assert_close(mine, torch.stack(parts).sum() / tokens, rtol=1e-4, atol=1e-5)


def test_prompts_and_padding_have_no_part_in_the_gradient(
    folder: Path, taught: list[Taught], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = training(folder, taught, tmp_path, freeze_embeddings=False)
    batch = make_batch(taught[:4], CPU)
    states = own.forward.states(batch.ids)
    states.retain_grad()
    seen = torch.zeros(states.shape[:2], dtype=torch.bool)
    seen[batch.rows, batch.columns] = True
    logits = own.forward.logits(states[batch.rows, batch.columns]) if own.forward.gives_states else states
    assert logits.shape[-1] > 100
    monkeypatch.setattr(own.forward, "states", lambda *given, **more: states)
    torch.autograd.backward(own.loss_of(batch))
    assert states.grad is not None
    assert float(states.grad[~seen].abs().max()) == 0.0
    assert float(states.grad[seen].abs().max()) > 0


def test_the_gradient_does_not_depend_on_how_a_batch_is_cut(folder: Path, taught: list[Taught], tmp_path: Path) -> None:
    slopes = []
    for cut in ([slice(0, 6)], [slice(0, 1), slice(1, 4), slice(4, 6)]):
        own = training(folder, taught, tmp_path)
        total = sum(len(one.answer) for one in taught[:6])
        for piece in cut:
            batch = make_batch(taught[:6][piece], CPU)
            torch.autograd.backward(own.loss_of(batch) * (batch.tokens / total))
        slopes.append(torch.cat([p.grad.flatten() for p in own.model.parameters() if p.grad is not None]))
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-3, atol=1e-5)


def test_what_prompts_begin_with_is_read_once_and_changes_nothing(
    folder: Path, taught: list[Taught], tmp_path: Path
) -> None:
    slopes, losses = [], []
    for share in (False, True):
        own = training(folder, taught, tmp_path, freeze_embeddings=False)
        share = share and own.forward.lean
        batch = make_batch(taught[:5], CPU, share=share)
        assert (batch.prefix is not None) == share
        losses.append(own.loss_of(batch))
        torch.autograd.backward(losses[-1])
        slopes.append(torch.cat([p.grad.flatten() for p in own.model.parameters() if p.grad is not None]))
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-3, atol=1e-5)


def test_a_student_equal_to_the_teacher_has_nothing_to_learn(
    folder: Path, taught: list[Taught], tmp_path: Path
) -> None:
    own = training(folder, taught, tmp_path, load_causal(folder), temperature=2.0)
    assert abs(float(own.loss_of(make_batch(taught, CPU)).detach())) < 1e-4


def test_hard_answers_are_cross_entropy_and_count_beside_soft_ones(
    folder: Path, taught: list[Taught], tmp_path: Path
) -> None:
    own = training(folder, taught, tmp_path)
    hard = [Taught(one.prompt, one.answer) for one in taught[:3]]
    batch = make_batch([*taught[3:5], *hard], CPU)
    states = own.forward.states(batch.ids)[batch.rows, batch.columns]
    logits = own.forward.logits(states)
    loss = torch.nn.functional.cross_entropy(logits[batch.soft :], batch.answers[batch.soft :], reduction="sum")
    alone = own.loss_of(make_batch(taught[3:5], CPU)) * batch.soft
    torch.testing.assert_close(own.loss_of(batch), (loss + alone) / batch.tokens, rtol=1e-4, atol=1e-5)


def test_a_student_learns_its_teachers_distribution(folder: Path, taught: list[Taught], tmp_path: Path) -> None:
    dev = TokenLesson(taught[12:], 200)
    options = OPTIONS.model_copy(update={"epochs": 12, "freeze_embeddings": False})
    before = float(training(folder, taught, tmp_path).loss_of(make_batch(taught[:12], CPU)).detach())
    result = train_causal(
        student(folder),
        TokenLesson(taught[:12], 200),
        options,
        Recipe(),
        seed=1,
        dev=dev,
        arm="a",
        folder=tmp_path,
        monitor=Monitor(),
    )
    after = float(training(folder, taught, tmp_path, result.loaded).loss_of(make_batch(taught[:12], CPU)).detach())
    assert after < 0.6 * before
    assert result.steps == 36 and result.best_dev_loss is not None
    assert not (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize("stop", [1, 4])
def test_a_stopped_training_goes_on_to_the_same_bits(
    folder: Path, taught: list[Taught], tmp_path: Path, stop: int
) -> None:
    def run(place: Path, monitor: Monitor) -> dict[str, torch.Tensor]:
        result = train_causal(
            student(folder), TokenLesson(taught, 200), OPTIONS, Recipe("jsd", 0.4), seed=3, dev=TokenLesson(taught[:4], 200),
            arm="a", folder=place, monitor=monitor,
        )  # fmt: skip
        return dict(result.loaded.model.state_dict())

    whole = run(tmp_path / "whole", Monitor())
    with pytest.raises(Cancelled):
        run(tmp_path / "cut", _Stops(stop))
    assert (tmp_path / "cut" / "checkpoint").exists()
    again = run(tmp_path / "cut", Monitor())
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())


class _Stops(Monitor):
    """Cancels after some steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def progress(self, *args: object, **more: object) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled("stopped")


def test_adapters_train_little_and_end_in_plain_weights(folder: Path, taught: list[Taught], tmp_path: Path) -> None:
    pytest.importorskip("peft")
    loaded = with_adapters(student(folder), 4, 8, seed=1)
    trained = [name for name, p in loaded.model.named_parameters() if p.requires_grad]
    assert trained and all("lora_" in name for name in trained)
    result = train_causal(
        loaded,
        TokenLesson(taught, 200),
        OPTIONS,
        Recipe(),
        seed=1,
        dev=None,
        arm="a",
        folder=tmp_path,
        monitor=Monitor(),
    )
    batch = make_batch(taught[:3], CPU)
    with torch.no_grad():
        before = result.loaded.model(input_ids=batch.ids).logits
        plain = merged(result.loaded)
        torch.testing.assert_close(plain.model(input_ids=batch.ids).logits, before, rtol=1e-4, atol=1e-4)
    names = set(student(folder).model.state_dict())
    assert set(plain.model.state_dict()) == names


def test_nothing_to_learn_is_an_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no answer"):
        train_causal(
            student(folder),
            TokenLesson([], 200),
            OPTIONS,
            Recipe(),
            seed=1,
            dev=None,
            arm="a",
            folder=tmp_path,
            monitor=Monitor(),
        )


def test_a_loss_that_is_no_number_is_named(folder: Path, taught: list[Taught], tmp_path: Path) -> None:
    loaded = student(folder)
    with torch.no_grad():
        next(p for name, p in loaded.model.named_parameters() if "norm" in name or "ln" in name).fill_(float("nan"))
    with pytest.raises(ModelError, match="not a number"):
        train_causal(
            loaded,
            TokenLesson(taught, 200),
            OPTIONS,
            Recipe(),
            seed=1,
            dev=None,
            arm="a",
            folder=tmp_path,
            monitor=Monitor(),
        )


def test_a_text_beyond_the_limit_loses_the_beginning_of_its_prompt(taught: list[Taught]) -> None:
    one = max(taught, key=lambda row: len(row.prompt))
    (short,) = TokenLesson([one], len(one.answer) + 5).taught
    np.testing.assert_array_equal(short.prompt, one.prompt[-5:])
    np.testing.assert_array_equal(short.answer, one.answer)
    (tiny,) = TokenLesson([one], 4).taught
    assert len(tiny.prompt) == 1 and len(tiny.answer) == 3 and tiny.topk_ids is not None and len(tiny.topk_ids) == 3
