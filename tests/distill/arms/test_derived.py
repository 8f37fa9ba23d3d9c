"""Arms that are made from another arm: order, seeds, digests, what is skipped, and a whole run with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from distill.arms.sources import arm_seeds, chain, sources_first
from distill.engine.memory import MemoryFacts
from distill.errors import SpecError
from distill.spec import RunSpec
from distill.stages import run_stages
from distill.stages.students import skipped_arms
from distill.store import Run
from tests.distill.tiny import make_context, tiny_spec

INT8 = {"kind": "quantised", "name": "distilled-int8", "options": {"of": "distilled"}}
CUT = {"kind": "pruned", "name": "cut", "options": {"sparsity": 0.5, "texts": 16}}
ZEROS = {"kind": "pruned", "name": "zeros", "options": {"method": "unstructured", "sparsity": 0.8}}
STACKED = {"kind": "quantised", "name": "cut-int8", "options": {"of": "cut"}}
TEACHER_INT8 = {"kind": "quantised", "name": "teacher-int8"}


def _spec(root: Path, classifier: Path, arms: list[Any], **over: Any) -> RunSpec:
    teacher = {"kind": "checkpoint", "options": {"source": str(classifier)}}
    return tiny_spec(root, teacher=teacher, arms=arms, **over)


def test_sources_come_first_and_give_their_seeds(tmp_path: Path, classifier: Path) -> None:
    spec = _spec(tmp_path, classifier, [INT8, TEACHER_INT8, "distilled"])
    assert [arm.name for arm in sources_first(spec)] == ["teacher-int8", "distilled", "distilled-int8"]
    assert arm_seeds(spec, spec.arm("distilled-int8")) == (1, 2)
    assert arm_seeds(spec, spec.arm("teacher-int8")) == (1,)


def test_a_cycle_and_an_unknown_source_are_said(tmp_path: Path, classifier: Path) -> None:
    loop = [
        {"kind": "quantised", "name": "a", "options": {"of": "b"}},
        {"kind": "quantised", "name": "b", "options": {"of": "a"}},
    ]
    spec = _spec(tmp_path, classifier, loop)
    with pytest.raises(SpecError, match="made from itself"):
        chain(spec, spec.arm("a"))
    gone = _spec(tmp_path, classifier, [{**INT8, "options": {"of": "destilled"}}, "distilled"])
    with pytest.raises(SpecError, match="no arm of this run") as caught:
        sources_first(gone)
    assert "distilled" in caught.value.hint


@pytest.fixture(scope="module")
def run(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("derived")
    failing = {"kind": "quantised", "name": "of-skipped", "options": {"of": "elsewhere"}}
    elsewhere = {"kind": "given", "name": "elsewhere", "options": {"checkpoint": str(root / "gone")}}
    context, _ = make_context(
        root, _spec(root, classifier, [INT8, TEACHER_INT8, "distilled", failing, elsewhere, CUT, ZEROS, STACKED])
    )
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # memory takes a process with torch for each model, and is tested elsewhere
        patch.setattr("distill.engine.memory.peak_memory", lambda *_, **__: MemoryFacts(1, 2))
        assert run_stages(context) == "done"
    return context.run


@pytest.mark.slow
def test_int8_arms_are_predicted_and_timed_like_others(run: Run) -> None:
    cards = {(card.name, card.seed): card for card in run.cards()}
    assert {("distilled-int8", 1), ("distilled-int8", 2), ("teacher-int8", 1)} <= set(cards)
    small, source = cards[("distilled-int8", 1)], cards[("distilled", 1)]
    assert small.bytes and source.bytes and small.parameters == source.parameters
    assert small.extra["base_weights"] == source.weights_digest
    assert small.extra["generation"] == source.extra["generation"] == 1
    assert cards[("teacher-int8", 1)].extra["generation"] == 0
    close = np.abs(run.prediction("distilled-int8", 2).probs - run.prediction("distilled", 2).probs).max()
    assert close < 0.1
    import pandas as pd

    timed = pd.read_parquet(run.folder / "timings.parquet")
    assert {"teacher", "distilled-int8", "teacher-int8"} <= set(timed["arm"])


def test_pruned_arms_recover_and_stack(run: Run) -> None:
    cards = {(card.name, card.seed): card for card in run.cards()}
    cut, zeros, stacked = cards[("cut", 1)], cards[("zeros", 2)], cards[("cut-int8", 2)]
    teacher = run.teacher
    assert cut.parameters and zeros.parameters == teacher.parameters and cut.parameters < (teacher.parameters or 0)
    assert cut.trained_on == 140 and cut.extra["generation"] == 1
    weights = load_file(Path(str(zeros.model_dir)) / "model.safetensors")
    inner = [tensor for name, tensor in weights.items() if "encoder.layer" in name and tensor.ndim == 2]
    assert sum(int((tensor == 0).sum()) for tensor in inner) >= zeros.extra["zeros"] > 0
    assert "no smaller" in zeros.notes[0]
    assert stacked.parameters == cut.parameters and stacked.extra["of"] == "cut"


def test_what_a_skipped_arm_would_have_given_is_skipped_too(run: Run) -> None:
    reasons = skipped_arms(run)
    assert set(reasons) == {"elsewhere", "of-skipped"}
    assert "'elsewhere'" in reasons["of-skipped"]


def test_a_changed_source_makes_the_derived_arm_anew(run: Run) -> None:
    from dataclasses import replace

    from distill.plugins import ArmContext
    from distill.stages.labels import training_signal
    from distill.stages.students import arm_digest
    from distill.workspace import Workspace
    from tests.distill.tiny import context_of

    stage, _ = context_of(run, Workspace(run.folder.parent.parent))
    pool, signal = training_signal(run, run.examples)
    spec = run.spec
    base = ArmContext(
        stage, spec.arms[0], spec.student, spec.training, 1, run.examples, pool, signal, signal, run.teacher, run.folder
    )
    before = arm_digest(base, spec.arm("distilled-int8"), 1)
    changed = spec.arm("distilled").model_copy(
        update={"training": spec.training.model_copy(update={"learning_rate": 5e-4})}
    )
    arms = tuple(changed if arm.name == "distilled" else arm for arm in spec.arms)
    other = replace(base, stage=replace(stage, spec=spec.model_copy(update={"arms": arms})))
    assert arm_digest(other, spec.arm("distilled-int8"), 1) != before
    assert arm_digest(other, spec.arm("teacher-int8"), 1) == arm_digest(base, spec.arm("teacher-int8"), 1)


@pytest.mark.slow
def test_trimmed_and_stacked_and_static_int8(classifier: Path, tmp_path: Path) -> None:
    """A student with the pool's vocabulary, that in int8, and int8 with ranges from the pool: all made, all smaller, all answering."""
    small = {"kind": "trimmed", "name": "small", "options": {"of": "distilled"}}
    stacked = {"kind": "quantised", "name": "small-int8", "options": {"of": "small"}}
    static = {"kind": "quantised", "name": "static", "options": {"of": "small", "calibration": "static", "texts": 16}}
    context, _ = make_context(tmp_path, _spec(tmp_path, classifier, ["distilled", small, stacked, static], seeds=[1]))
    run_stages(context)
    found = Run(context.run.folder)
    assert skipped_arms(found) == {}
    cards = {card.name: card for card in found.cards()}
    assert cards["small"].extra["vocabulary"] <= cards["small"].extra["vocabulary_before"]
    assert 0 <= cards["small"].extra["test_tokens_lost"] <= cards["small"].extra["test_tokens"]
    assert cards["static"].extra["calibration"] == "static"
    answers = {name: found.prediction(name, 1, "test").probs for name in cards}
    if not cards["small"].extra["test_texts_touched"]:
        assert np.allclose(answers["small"], answers["distilled"], atol=1e-6)
    assert np.mean(answers["static"].argmax(axis=1) == answers["small"].argmax(axis=1)) >= 0.8
