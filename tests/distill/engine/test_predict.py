from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from distill.engine.loading import load_classifier
from distill.engine.predict import Predictor
from distill.errors import ModelError
from tests.distill.tiny import LABELS, tiny_rows

TEXTS = [*tiny_rows(60)["text"], "bad", "", "great " * 50]


def _predictor(folder: Path, labels: tuple[str, ...] = LABELS, **options: object) -> Predictor:
    return Predictor(folder, labels, **{"max_tokens": 16, "precision": "fp32", "batch_size": 7, **options})  # type: ignore[arg-type]


def test_input_order_and_one_by_one(classifier: Path) -> None:
    predictor = _predictor(classifier)
    probs = predictor.probabilities(TEXTS)
    assert probs.shape == (len(TEXTS), 3) and probs.dtype == np.float64
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-12)
    singly = np.concatenate([predictor.probabilities([text]) for text in TEXTS])
    np.testing.assert_allclose(probs, singly, atol=1e-6)


def test_equals_transformers(classifier: Path) -> None:
    loaded = load_classifier(str(classifier), LABELS)
    coded = loaded.tokenizer(TEXTS, truncation=True, max_length=16, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = torch.softmax(loaded.model(**coded).logits.double(), -1).numpy()
    np.testing.assert_allclose(_predictor(classifier).probabilities(TEXTS), expected, atol=1e-6)


def test_columns_follow_the_labels(classifier: Path) -> None:
    one = _predictor(classifier).probabilities(TEXTS)
    other = _predictor(classifier, ("positive", "neutral", "negative")).probabilities(TEXTS)
    np.testing.assert_allclose(one, other[:, [2, 1, 0]], atol=1e-7)


def test_the_same_text_is_asked_once(classifier: Path) -> None:
    counts: list[int] = []
    texts = ["bad", "great", "bad", "seat w1"]
    probs = _predictor(classifier, batch_size=2).probabilities(texts, progress=counts.append)
    np.testing.assert_array_equal(probs[0], probs[2])
    assert counts[-1] == 4 and len(counts) == 2


def test_pairs_matter(classifier: Path) -> None:
    predictor = _predictor(classifier)
    probs = predictor.probabilities(["great", "great"], ["w1", "bad late"])
    assert not np.allclose(probs[0], probs[1])


def test_bfloat16_stays_near(classifier: Path) -> None:
    fine = _predictor(classifier).probabilities(TEXTS)
    coarse = _predictor(classifier, precision="bf16").probabilities(TEXTS)
    assert np.abs(fine - coarse).max() < 0.05


def test_not_a_number_is_an_error(classifier: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(classifier, tmp_path / "broken"))
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.bias"][0] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="not a number"):
        _predictor(folder).probabilities(["bad"])


def test_nothing_asked_nothing_answered(classifier: Path) -> None:
    assert _predictor(classifier).probabilities([]).shape == (0, 3)


def test_threads_are_given_back(classifier: Path) -> None:
    before = torch.get_num_threads()
    _predictor(classifier, threads=1).probabilities(["bad"])
    assert torch.get_num_threads() == before
