"""Richer students in a whole run: inner states, narrower layers, a vocabulary trimmed before training, and all of it stacked in int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from distill.arms.distilled import DistilledOptions
from distill.arms.stacked import StackedOptions
from distill.engine.loading import load_classifier
from distill.engine.memory import MemoryFacts
from distill.files import read_json
from distill.stages import run_stages
from distill.stages.students import skipped_arms
from distill.store import Run
from tests.distill.tiny import LABELS, make_context, tiny_model, tiny_spec


def test_defaults_are_not_written_so_that_older_runs_keep_their_digests() -> None:
    plain = DistilledOptions().model_dump(mode="json")
    assert set(plain) == {"mitigation", "strength", "column", "insert", "fillers", "extra"}
    asked = DistilledOptions(hidden_weight=1.0, layer_map=(1, 3)).model_dump(mode="json")
    assert asked["hidden_weight"] == 1.0 and asked["layer_map"] == [1, 3] and "inner" not in asked
    assert DistilledOptions.model_validate(asked).layer_map == (1, 3)
    assert (
        StackedOptions().trim_vocabulary
        and StackedOptions.model_validate(StackedOptions().model_dump()).trim_vocabulary
    )
    assert not StackedOptions.model_validate(StackedOptions(trim_vocabulary=False).model_dump()).trim_vocabulary


def _arm(name: str, kind: str = "distilled", **options: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, "options": options}


ARMS = [
    "distilled",
    _arm("states", hidden_weight=1.0, cosine_weight=0.5),
    _arm("mapped", hidden_weight=1.0, layer_map=[1, 2]),
    _arm("narrow", inner=0.5),
    _arm("small", trim_vocabulary=True, hidden_weight=1.0),
    _arm("all-three", "stacked", inner=0.5),
    _arm("misfit", hidden_weight=1.0, layer_map=[7, 8]),
    {**_arm("foreign", hidden_weight=1.0), "student": {"init": "checkpoint", "checkpoint": "FOREIGN"}},
]


@pytest.fixture(scope="module")
def run(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("richer")
    foreign = tiny_model(root / "foreign", LABELS, layers=2)
    words = (foreign / "vocab.txt").read_text(encoding="utf-8").splitlines()
    (foreign / "vocab.txt").write_text("\n".join([*words[:5], *words[:4:-1]]), encoding="utf-8")
    from transformers import BertTokenizerFast

    vocabulary = {word: place for place, word in enumerate([*words[:5], *words[:4:-1]])}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(foreign)
    ARMS[-1]["student"]["checkpoint"] = str(foreign)  # type: ignore[index]
    teacher = {"kind": "checkpoint", "options": {"source": str(classifier)}}
    context, _ = make_context(root, tiny_spec(root, teacher=teacher, arms=ARMS, seeds=[1], student={"layers": 2}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distill.engine.memory.peak_memory", lambda *_, **__: MemoryFacts(1, 2))
        assert run_stages(context) == "done"
    return Run(context.run.folder)


@pytest.mark.slow
def test_what_cannot_be_is_skipped_with_a_sentence(run: Run) -> None:
    reasons = skipped_arms(run)
    assert set(reasons) == {"misfit", "foreign"}
    assert "does not fit a student of 2 layers and a teacher of 4" in reasons["misfit"]
    assert "does not share the teacher's tokenizer" in reasons["foreign"]


@pytest.mark.slow
def test_states_are_learnt_beside_the_last_word(run: Run) -> None:
    cards = {card.name: card for card in run.cards()}
    assert cards["states"].extra["layer_map"] == [0, 3] and cards["mapped"].extra["layer_map"] == [1, 2]
    assert "0 like 0, 1 like 3" in cards["states"].notes[-1]
    assert "layer_map" not in cards["distilled"].extra
    weights = {
        name: load_file(Path(str(cards[name].model_dir)) / "model.safetensors") for name in ("distilled", "states")
    }
    key = "bert.encoder.layer.0.output.dense.weight"
    assert not np.allclose(weights["distilled"][key], weights["states"][key])
    assert weights["states"].keys() == weights["distilled"].keys(), "the teacher is not saved with it"


@pytest.mark.slow
def test_a_narrow_student_starts_from_the_teachers_units(run: Run) -> None:
    cards = {card.name: card for card in run.cards()}
    narrow, whole = cards["narrow"], cards["distilled"]
    assert narrow.extra["inner"] == [32, 32]
    assert (whole.parameters or 0) - (narrow.parameters or 0) == 2 * 32 * (2 * 32 + 1)
    config = read_json(Path(str(narrow.model_dir)) / "config.json")
    assert config["heirloom_pruned"] == {"heads": [2, 2], "inner": [32, 32]}
    load_classifier(str(narrow.model_dir), run.examples.labels)


@pytest.mark.slow
def test_trimmed_at_training_and_stacked(run: Run) -> None:
    cards = {card.name: card for card in run.cards()}
    small, stacked, whole = cards["small"], cards["all-three"], cards["distilled"]
    assert small.extra["vocabulary"] <= small.extra["vocabulary_before"] and small.extra["layer_map"] == [0, 3]
    assert 0 <= small.extra["test_tokens_lost"] <= small.extra["test_tokens"]
    assert (Path(str(stacked.model_dir)) / "model.onnx").exists() and stacked.extra["precision"] == "int8"
    assert (
        stacked.extra["inner"] == [32, 32] and "vocabulary" in stacked.extra and stacked.trained_on == whole.trained_on
    )
    assert stacked.extra["generation"] == 1 and stacked.extra["made_in"] >= 0 and "int8" in stacked.notes[-1]
    for name in ("small", "all-three", "narrow", "states"):
        assert np.isfinite(run.prediction(name, 1).probs).all()
    import pandas as pd

    assert {"small", "all-three"} <= set(pd.read_parquet(run.folder / "timings.parquet")["arm"])
