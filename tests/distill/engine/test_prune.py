from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from distill.engine import prune
from distill.engine.layers import pick_layers
from distill.engine.lean import lean_classifier
from distill.engine.loading import LoadedClassifier, load_classifier, save_classifier
from distill.engine.onnx_model import write_onnx
from distill.engine.predict import Predictor
from distill.errors import ModelError
from tests.distill.tiny import LABELS, tiny_rows

ROWS = tiny_rows(40)
TEXTS = list(ROWS["text"])
IDS = torch.arange(2, 14).view(2, 6)


@pytest.fixture
def loaded(classifier: Path) -> LoadedClassifier:
    return load_classifier(str(classifier), LABELS)


def _importance(loaded: LoadedClassifier) -> prune.Importance:
    labels = np.array([LABELS.index(label) for label in ROWS["label"]], dtype=np.int64)
    return prune.importance(loaded.model, loaded.tokenizer, TEXTS, None, labels, 16)


def test_a_head_that_says_nothing_is_the_one_that_goes(loaded: LoadedClassifier) -> None:
    layer = prune.encoder_layers(loaded.model)[1]
    with torch.no_grad():
        layer.value.weight[16:].zero_()  # the second of two heads
        layer.value.bias[16:].zero_()
        before = loaded.model(input_ids=IDS).logits
    found = _importance(loaded)
    assert float(found.heads[1][1]) == pytest.approx(0, abs=1e-6) and found.heads[1][0] > 0
    for position, heads in enumerate(found.heads):
        heads[:] = torch.tensor([1.0, 0.0]) if position == 1 else torch.ones(2)
    keep_all = prune.Importance(found.heads, [torch.ones(64) for _ in found.inner])
    prune.cut(loaded.model, keep_all, 1e-9)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(input_ids=IDS).logits, before)
    prune._take(layer.query, rows=torch.arange(16))
    for linear in (layer.key, layer.value):
        prune._take(linear, rows=torch.arange(16))
    prune._take(layer.out, columns=torch.arange(16))
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(input_ids=IDS).logits, before)


def test_importance_sees_which_text_of_a_pair_a_token_is_in(loaded: LoadedClassifier) -> None:
    """The gradient of a gate on units is the sum of each unit's value times the loss's slope there, text by text in one batch."""
    with torch.no_grad():
        types = loaded.model.base_model.embeddings.token_type_embeddings.weight
        types[1] = torch.linspace(-1, 1, types.shape[1])
    texts, pairs, labels = ["great seat", "bad gate w1"], ["late bag", "kind"], np.array([0, 2], dtype=np.int64)
    kept: list[torch.Tensor] = []
    layer = prune.encoder_layers(loaded.model)[1]
    handle = layer.down.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
    coded = loaded.tokenizer(texts, pairs, padding=True, return_tensors="pt")
    assert coded["token_type_ids"].any()
    loss = torch.nn.functional.cross_entropy(loaded.model(**coded).logits, torch.from_numpy(labels))
    handle.remove()
    (slope,) = torch.autograd.grad(loss, kept)
    found = prune.importance(loaded.model, loaded.tokenizer, texts, pairs, labels, 16)
    torch.testing.assert_close(found.inner[1], (kept[0].detach() * slope).sum(dim=(0, 1)).abs(), atol=1e-6, rtol=1e-4)


def test_a_pruned_model_comes_back_from_disk_the_same_and_goes_to_onnx(
    loaded: LoadedClassifier, tmp_path: Path
) -> None:
    before = sum(p.numel() for p in loaded.model.parameters())
    prune.cut(loaded.model, _importance(loaded), 0.5)
    assert sum(p.numel() for p in loaded.model.parameters()) < before
    assert lean_classifier(loaded.model) is not None
    save_classifier(loaded, tmp_path / "model")
    again = load_classifier(str(tmp_path / "model"), LABELS)
    with torch.no_grad():
        torch.testing.assert_close(again.model(input_ids=IDS).logits, loaded.model(input_ids=IDS).logits)
    write_onnx(again, tmp_path / "onnx")
    asked = [Predictor(tmp_path / name, LABELS, max_tokens=16, precision="fp32") for name in ("model", "onnx")]
    np.testing.assert_allclose(asked[0].probabilities(TEXTS), asked[1].probabilities(TEXTS), atol=1e-5)


@pytest.mark.parametrize("shape", [{"heads": [9] * 4, "inner": [1] * 4}, {"heads": [1]}, {"heads": [1], "inner": [1]}])
def test_sizes_that_do_not_fit_are_refused(loaded: LoadedClassifier, shape: dict[str, list[int]]) -> None:
    with pytest.raises(ModelError, match="heirloom_pruned"):
        prune.shrink(loaded.model, shape)


def test_zeros_are_the_smallest_and_stay_through_a_forward_pass(loaded: LoadedClassifier) -> None:
    zeros = prune.smallest(loaded.model, 0.75)
    linear, place = zeros.places[0]
    sizes = linear.weight.detach().abs()
    assert sizes[~place].min() >= sizes[place].max()
    assert int(place.sum()) == int(linear.weight.numel() * 0.75)
    handles = zeros.hold()
    with torch.no_grad():
        linear.weight.add_(1.0)
        loaded.model(input_ids=IDS)
    assert float(linear.weight.detach()[place].abs().max()) == 0.0
    for handle in handles:
        handle.remove()


def test_an_architecture_that_cannot_be_pruned_is_named(loaded: LoadedClassifier) -> None:
    loaded.model.config.model_type = "funnel"
    with pytest.raises(ModelError, match="'funnel' cannot be pruned"):
        prune.encoder_layers(loaded.model)


def test_narrower_leaves_the_heads_and_keeps_the_units_that_matter(loaded: LoadedClassifier) -> None:
    """Units whose output is nothing are those that go, so the answers stay."""
    layers = prune.encoder_layers(loaded.model)
    with torch.no_grad():
        for layer in layers:
            layer.down.weight[:, 1::2].zero_()
        before = loaded.model(input_ids=IDS).logits
    prune.cut(loaded.model, _importance(loaded), 0.5, heads_too=False)
    assert getattr(loaded.model.config, prune.KEY) == {"heads": [2] * 4, "inner": [32] * 4}
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(input_ids=IDS).logits, before)


def test_layers_of_a_cut_teacher_keep_their_own_sizes(loaded: LoadedClassifier, tmp_path: Path) -> None:
    prune.cut(loaded.model, _importance(loaded), 0.5)
    student = pick_layers(loaded, (0, 3))
    assert getattr(student.model.config, prune.KEY) == {"heads": [1, 1], "inner": [32, 32]}
    save_classifier(student, tmp_path / "student")
    again = load_classifier(str(tmp_path / "student"), LABELS)
    with torch.no_grad():
        expected = student.model(input_ids=IDS).logits
        torch.testing.assert_close(again.model(input_ids=IDS).logits, expected)
