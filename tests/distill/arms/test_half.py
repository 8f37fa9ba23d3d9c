"""An arm in bf16: half the bytes, asked in bf16 by whoever opens it, and its card says how far answers move."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from distill.engine.half import save_half
from distill.engine.layers import pick_layers
from distill.engine.loading import load_classifier, save_classifier
from distill.engine.memory import MemoryFacts
from distill.engine.predict import Predictor
from distill.stages import run_stages
from distill.store import Run
from tests.distill.tiny import make_context, tiny_spec

TEXTS = ["the crew was lovely", "my bag was lost again", "delayed and delayed"]


def test_a_half_model_is_asked_in_bf16_whatever_was_asked_for(classifier: Path, tmp_path: Path) -> None:
    labels = tuple(load_labels(classifier))
    loaded = load_classifier(str(classifier), labels)
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    save_half(loaded, tmp_path / "half")
    assert all(torch.equal(before[name], tensor) for name, tensor in loaded.model.state_dict().items())
    weights = [
        sum(path.stat().st_size for path in folder.glob("*.safetensors")) for folder in (tmp_path / "half", classifier)
    ]
    assert weights[0] < 0.6 * weights[1]
    half = Predictor(tmp_path / "half", labels, max_tokens=32, precision="fp32")
    assert half.dtype == torch.bfloat16
    expected = Predictor(classifier, labels, max_tokens=32, precision="bf16").probabilities(TEXTS)
    np.testing.assert_allclose(half.probabilities(TEXTS), expected, atol=1e-6)


def test_what_is_made_from_a_half_model_is_whole_again(classifier: Path, tmp_path: Path) -> None:
    labels = tuple(load_labels(classifier))
    save_half(load_classifier(str(classifier), labels), tmp_path / "half")
    student = pick_layers(load_classifier(str(tmp_path / "half"), labels), 1)
    save_classifier(student, tmp_path / "student")
    assert Predictor(tmp_path / "student", labels, max_tokens=32, precision="fp32").dtype == torch.float32


def load_labels(folder: Path) -> list[str]:
    from distill.files import read_json

    names = read_json(folder / "config.json")["id2label"]
    return [names[key] for key in sorted(names, key=int)]


@pytest.mark.slow
def test_a_bf16_arm_is_made_predicted_and_timed(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distill.engine.memory.peak_memory", lambda *_, **__: MemoryFacts(1, 2))
    arm = {"kind": "quantised", "name": "half", "options": {"of": "distilled", "precision": "bf16"}}
    spec = tiny_spec(
        tmp_path,
        teacher={"kind": "checkpoint", "options": {"source": str(classifier)}},
        arms=["distilled", arm],
        seeds=[1],
    )
    context, _ = make_context(tmp_path, spec)
    assert run_stages(context) == "done"
    run = Run(context.run.folder)
    cards = {card.name: card for card in run.cards()}
    half, whole = cards["half"], cards["distilled"]
    assert (half.bytes or 0) < 0.6 * (whole.bytes or 0) and half.parameters == whole.parameters
    assert half.extra["precision"] == "bf16" and half.extra["generation"] == whole.extra["generation"] == 1
    assert half.notes[0].startswith("This machine") and "bf16 may move probabilities" in half.notes[1]
    apart = np.abs(run.prediction("half", 1).probs - run.prediction("distilled", 1).probs)
    assert 0 < apart.max() < 0.1, "predicted in bf16, so not the same bits as fp32"
    import pandas as pd

    assert "half" in set(pd.read_parquet(run.folder / "timings.parquet")["arm"])
