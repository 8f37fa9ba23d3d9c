from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.arms.fair_head import FairHeadOptions, fair_head, spread
from distill.errors import DataError, ModelError
from distill.plugins import ArmContext
from distill.stages import run_stages
from distill.teachers.predictions import read_predictions
from distill.types import ClassSignal
from tests.distill.arms import test_arms
from tests.distill.tiny import make_context, tiny_spec

labelled = test_arms.context  # the fixture of a run whose pool is labelled


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 9_999), st.integers(2, 5))
def test_the_rest_is_shared_out_as_the_student_would(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    student, share = rng.dirichlet(np.ones(k), size=7), rng.random(7)
    found = spread(share, student, 0)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found[:, 0], share)
    np.testing.assert_allclose(found[:, 1:] * (1 - student[:, :1]), student[:, 1:] * (1 - share)[:, None], atol=1e-12)


def with_source(made: ArmContext, folder: Path, positive: str | None = "positive") -> ArmContext:
    """The context with a source arm's model in place: the teacher itself."""
    where = made.stage.run.arm_folder("distilled", 1) / "model"
    where.parent.mkdir(parents=True, exist_ok=True)
    if not where.exists():
        where.symlink_to(str(made.teacher.model_dir))
    data = made.stage.spec.data.model_copy(update={"positive": positive})
    spec = made.stage.spec.model_copy(update={"data": data})
    folder.mkdir(exist_ok=True)
    probs = np.random.default_rng(0).dirichlet(np.ones(3), size=len(made.pool))
    signal = ClassSignal(made.pool.ids, probs)
    return replace(made, folder=folder, stage=replace(made.stage, spec=spec), signal=signal)


@pytest.mark.parametrize("method", ["exponentiated_gradient", "threshold_optimizer"])
def test_answers_every_dev_and_test_row_and_says_what_it_needs(
    labelled: ArmContext, tmp_path: Path, method: str
) -> None:
    made = with_source(labelled, tmp_path / method)
    card = fair_head(made, FairHeadOptions.model_validate({"method": method, "column": "gender"}))
    asked = made.examples.part("dev", "test")
    found = read_predictions(Path(str(card.predictions)), made.examples.labels).aligned(asked.ids)
    assert found.probs.shape == (len(asked), 3)
    assert card.model_dir is None
    assert any("binary" in note for note in card.notes)
    assert (card.notes[0].startswith("What if")) == (method == "threshold_optimizer")


def test_what_it_cannot_do_is_said_in_a_sentence(labelled: ArmContext, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none was chosen"):
        fair_head(with_source(labelled, tmp_path, positive=None), FairHeadOptions(column="gender"))
    made = with_source(labelled, tmp_path)
    one_sided = replace(made, signal=ClassSignal(made.pool.ids, np.tile([0.8, 0.1, 0.1], (len(made.pool), 1))))
    with pytest.raises(DataError, match="both answers, and there are 0"):
        fair_head(one_sided, FairHeadOptions(column="gender"))
    with pytest.raises(ModelError, match="no model with seed"):
        fair_head(made, FairHeadOptions(source="other", column="gender"))
    with pytest.raises(DataError, match="no group column 'age'"):
        fair_head(made, FairHeadOptions(column="age"))


@pytest.mark.slow
def test_it_goes_through_a_run_beside_its_source_and_a_mitigated_student(base: Path, tmp_path: Path) -> None:
    teacher = {"kind": "fine_tuned", "options": {"base": str(base), "epochs": 12, "learning_rate": 3e-3}}
    paired = {"kind": "distilled", "name": "paired", "options": {"mitigation": "logit_pairing", "insert": 0.3}}
    head = {"kind": "fair_head", "options": {"column": "gender"}}
    spec = tiny_spec(tmp_path, teacher=teacher, arms=["distilled", paired, head], seeds=[1])
    data = spec.data.model_copy(update={"positive": "positive", "language": "en"})
    stage, _ = make_context(tmp_path, spec.model_copy(update={"data": data}))
    assert run_stages(stage, until="predictions") == "done"
    assert not list(stage.run.folder.glob("arms/*/skipped.json"))
    cards = {card.name: card for card in stage.run.cards()}
    assert cards["paired"].extra["mitigation"] == "logit_pairing"
    assert "held out" in cards["paired"].notes[0]
    found = stage.run.prediction("fair_head", 1)
    assert found.probs.shape == (len(stage.run.examples.part("test")), 3)
