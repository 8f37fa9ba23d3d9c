from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from distill.engine import use_threads
from distill.engine.loading import load_classifier
from distill.engine.onnx_model import FACTS, FILE, is_onnx, quantise_dynamic, write_onnx
from distill.engine.predict import Predictor
from distill.errors import ModelError
from tests.distill.tiny import LABELS, tiny_rows

TEXTS = [*tiny_rows(60)["text"], "bad", "", "great " * 50]


@pytest.fixture(scope="module")
def exported(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx") / "model"
    write_onnx(load_classifier(str(classifier), LABELS), folder)
    return folder


def _ask(folder: Path, labels: tuple[str, ...] = LABELS, pairs: list[str | None] | None = None) -> np.ndarray:
    return Predictor(folder, labels, max_tokens=16, precision="fp32", batch_size=7).probabilities(TEXTS, pairs)


def test_fp32_gives_what_torch_gives(classifier: Path, exported: Path) -> None:
    np.testing.assert_allclose(_ask(exported), _ask(classifier), atol=1e-5)


def test_pairs_and_their_token_types(classifier: Path, exported: Path) -> None:
    pairs: list[str | None] = [text[::-1][:20] for text in TEXTS]
    np.testing.assert_allclose(_ask(exported, pairs=pairs), _ask(classifier, pairs=pairs), atol=1e-5)


def test_columns_follow_the_labels_that_are_asked_for(exported: Path) -> None:
    turned = LABELS[1:] + LABELS[:1]
    np.testing.assert_allclose(_ask(exported, turned), _ask(exported)[:, [1, 2, 0]], atol=1e-12)
    with pytest.raises(ModelError, match="knows the labels"):
        _ask(exported, ("a", "b", "c"))


def test_int8_is_smaller_and_close(exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "int8")
    quantise_dynamic(folder)
    assert (folder / FILE).stat().st_size < (exported / FILE).stat().st_size
    assert np.abs(_ask(folder) - _ask(exported)).max() < 0.1
    assert not list(folder.glob(".int8.*"))


def test_another_number_of_threads_gives_the_same(exported: Path) -> None:
    predictor = Predictor(exported, LABELS, max_tokens=16)
    with use_threads(1):
        one = predictor.probabilities(TEXTS)
    with use_threads(2):
        np.testing.assert_allclose(predictor.probabilities(TEXTS), one, atol=1e-6)


def test_damaged_folders_are_refused(exported: Path, tmp_path: Path) -> None:
    assert is_onnx(exported) and not is_onnx(tmp_path)
    cut = shutil.copytree(exported, tmp_path / "cut")
    (cut / FILE).write_bytes((cut / FILE).read_bytes()[:2000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        _ask(cut)
    (cut / FACTS).unlink()
    with pytest.raises(ModelError, match="missing or damaged"):
        _ask(cut)


def test_static_int8_calibrated_on_texts_answers_nearly_alike(tmp_path: Path) -> None:
    from distill.engine.encode import encode
    from distill.engine.onnx_model import quantise_static
    from distill.engine.predict import Predictor
    from tests.distill.engine.test_trim import LABELS as CLASSES
    from tests.distill.engine.test_trim import POOL, _loaded

    loaded = _loaded("WordPiece")
    write_onnx(loaded, tmp_path / "m")
    before = Predictor(tmp_path / "m", CLASSES, max_tokens=32).probabilities(POOL)
    size = (tmp_path / "m" / "model.onnx").stat().st_size
    quantise_static(tmp_path / "m", encode(loaded.tokenizer, POOL, None, 32))
    after = Predictor(tmp_path / "m", CLASSES, max_tokens=32).probabilities(POOL)
    assert (tmp_path / "m" / "model.onnx").stat().st_size != size
    assert not np.array_equal(before, after)
    assert np.abs(before - after).max() < 0.15


class _NoOperator(torch.nn.Module):
    """A pooler with an operation that ONNX has no word for."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return torch.erfinv(torch.tanh(states[:, 0]) / 2)


def test_an_operation_that_does_not_export_names_the_architecture(classifier: Path, tmp_path: Path) -> None:
    loaded = load_classifier(str(classifier), LABELS)
    loaded.model.bert.pooler = _NoOperator()
    with pytest.raises(ModelError, match="The architecture 'bert' does not export to ONNX") as caught:
        write_onnx(loaded, tmp_path / "onnx")
    assert "leave this arm out" in caught.value.hint
