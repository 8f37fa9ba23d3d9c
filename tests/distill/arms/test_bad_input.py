"""What the alternatives cannot do with a model is said by name, and the arm is skipped: the run goes on without it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AlbertConfig, AlbertForSequenceClassification, AutoTokenizer

from distill.engine.memory import MemoryFacts
from distill.stages import run_stages
from distill.stages.students import skipped_arms
from distill.store import Run
from tests.distill.tiny import LABELS, make_context, tiny_spec

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A teacher whose layers share their weights, so that none can be picked, pruned or narrowed."""
    root = tmp_path_factory.mktemp("albert")
    tokenizer = AutoTokenizer.from_pretrained(classifier, local_files_only=True)
    torch.manual_seed(2)
    config = AlbertConfig(
        vocab_size=len(tokenizer),
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        id2label=dict(enumerate(LABELS)),
        label2id={label: place for place, label in enumerate(LABELS)},
    )
    AlbertForSequenceClassification(config).save_pretrained(root / "albert")
    tokenizer.save_pretrained(root / "albert")
    own = {"init": "checkpoint", "checkpoint": str(classifier)}
    arms = [
        {"kind": "distilled", "name": "own", "student": own},
        {"kind": "distilled", "name": "picked", "student": {"layers": 2}},
        {"kind": "pruned", "name": "cut", "options": {"recover": False, "texts": 16}},
        {"kind": "label_budget", "name": "too-many", "student": own, "options": {"labels": 5000}},
        {"kind": "quantised", "name": "of-picked", "options": {"of": "picked"}},
    ]
    teacher = {"kind": "checkpoint", "options": {"source": str(root / "albert")}}
    spec = tiny_spec(root, teacher=teacher, arms=arms, seeds=[1], audit={"candidate": "own"})
    context, _ = make_context(root, spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distill.engine.memory.peak_memory", lambda *_, **__: MemoryFacts(1, 2))
        assert run_stages(context) == "done"
    return Run(context.run.folder)


def test_the_architecture_is_named_and_the_run_goes_on(run: Run) -> None:
    reasons = skipped_arms(run)
    assert set(reasons) == {"picked", "cut", "too-many", "of-picked"}
    assert reasons["picked"].startswith("Layers of the architecture 'albert' cannot be picked")
    assert reasons["cut"].startswith("The architecture 'albert' cannot be pruned")
    assert [card.name for card in run.cards()] == ["own"]
    assert len(run.prediction("own", 1).probs)


def test_a_budget_above_the_labels_and_a_source_that_was_not_made(run: Run) -> None:
    reasons = skipped_arms(run)
    assert reasons["too-many"].startswith("A budget of 5,000 human labels is more than the")
    assert reasons["of-picked"] == "The arm 'picked', which this one is made from, was not made."
