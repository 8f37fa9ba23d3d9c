from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import DataError, ModelError
from distill.mitigation import MitigationOptions, kamiran_calders, make_lesson
from distill.monitor import Monitor
from distill.plugins import ArmContext, StageContext
from distill.spec import ArmSpec, RunSpec, StudentSpec, TrainingSpec
from distill.store import ModelCard, Run
from distill.types import ClassSignal
from tests.fakes import fake_examples


def context(tmp_path: Path, *, pairs: bool = False, language: str | None = "en", teacher: str = "model") -> ArmContext:
    """An arm's context over fake rows, without a model."""
    examples, _ = fake_examples(np.random.default_rng(0), (10, 40, 10, 10), pairs=pairs)
    frame = examples.frame.copy()
    pool = frame.index[frame["split"] == "pool"]
    frame.loc[pool[:5], "text"] = [f"she was kind at gate {n}" for n in range(5)]
    examples = replace(examples, frame=frame)
    rows = examples.part("pool")
    probs = np.random.default_rng(1).dirichlet(np.ones(3), size=len(rows))
    spec = RunSpec.model_validate(
        {
            "name": "x",
            "data": {"source": {"kind": "pack", "name": "tweets"}, "language": language},
            "arms": ["distilled"],
        }
    )
    card = ModelCard(name="teacher", kind="x", predictions="p.parquet" if teacher == "file" else None)
    return ArmContext(
        stage=StageContext(Run(tmp_path), spec, tmp_path, Monitor()),
        arm=ArmSpec(kind="distilled"),
        student=StudentSpec(),
        training=TrainingSpec(),
        seed=1,
        examples=examples,
        pool=rows,
        signal=ClassSignal(rows.ids, probs),
        dev_signal=ClassSignal(rows.ids[:0], probs[:0]),
        teacher=card,
        folder=tmp_path,
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(2, 4))
def test_hard_labels_get_the_published_weights(seed: int, groups: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    g = np.array([f"g{i}" for i in np.r_[np.arange(groups), rng.integers(0, groups, 80)]], dtype=object)
    y = np.r_[np.arange(groups) % k, rng.integers(0, k, 80)]
    weights = kamiran_calders(g, np.eye(k)[y])
    raw = np.array(
        [(g == gi).mean() * (y == yi).mean() / ((g == gi) & (y == yi)).mean() for gi, yi in zip(g, y, strict=True)]
    )
    np.testing.assert_allclose(weights, raw / raw.mean())


def test_weighted_labels_no_longer_go_with_the_group() -> None:
    rng = np.random.default_rng(0)
    g = rng.choice(np.array(["f", "m"], dtype=object), 5_000)
    y = (rng.random(5_000) < np.where(g == "f", 0.7, 0.3)).astype(int)
    w = kamiran_calders(g, np.eye(2)[y])
    rates = [np.average(y[g == who], weights=w[g == who]) for who in ("f", "m")]
    assert rates[0] == pytest.approx(rates[1], abs=1e-9)
    np.testing.assert_allclose(kamiran_calders(g, np.eye(2)[y], 0.0), 1.0)


def test_one_group_cannot_be_weighed() -> None:
    with pytest.raises(DataError, match="there is 1"):
        kamiran_calders(np.array(["a"] * 5, dtype=object), np.eye(2)[[0, 1, 0, 1, 0]])


def test_pairing_gives_twins_and_keeps_the_pool_first(tmp_path: Path) -> None:
    made = context(tmp_path)
    lesson = make_lesson(made, MitigationOptions(mitigation="logit_pairing", insert=1.0))
    assert lesson.twins is not None
    assert lesson.rows.texts[:40] == made.pool.texts
    assert lesson.twins[0] == "he was kind at gate 0"
    assert len(lesson.rows) == len(lesson.targets) == len(lesson.twins) == 40 + 35
    assert all(twin is not None for twin in lesson.twins[40:])
    np.testing.assert_array_equal(lesson.targets[:40], made.signal.probs)
    assert "held out" in lesson.notes[0]


def test_augmentation_adds_texts_with_the_rows_target_and_a_weight(tmp_path: Path) -> None:
    made = context(tmp_path)
    lesson = make_lesson(made, MitigationOptions(mitigation="augmentation", insert=0.0, strength=0.5))
    assert lesson.rows.texts[40:] == [f"he was kind at gate {n}" for n in range(5)]
    np.testing.assert_array_equal(lesson.targets[40:], made.signal.probs[:5])
    assert lesson.weights is not None
    assert lesson.weights.mean() == pytest.approx(1)
    assert lesson.weights[40] / lesson.weights[0] == pytest.approx(0.5)
    assert (lesson.rows.y[40:] == -1).all()


def test_averaging_gives_both_sides_one_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = context(tmp_path)
    monkeypatch.setattr("distill.mitigation._ask", lambda _context, texts: np.tile([0.2, 0.3, 0.5], (len(texts), 1)))
    lesson = make_lesson(made, MitigationOptions(mitigation="averaging", insert=0.0))
    mean = (made.signal.probs[:5] + np.array([0.2, 0.3, 0.5])) / 2
    np.testing.assert_allclose(lesson.targets[:5], mean)
    np.testing.assert_allclose(lesson.targets[40:], mean)
    np.testing.assert_array_equal(lesson.targets[5:40], made.signal.probs[5:])
    half = make_lesson(made, MitigationOptions(mitigation="averaging", insert=0.0, strength=0.5))
    np.testing.assert_allclose(half.targets[:5], (made.signal.probs[:5] + mean) / 2)


def test_what_cannot_be_mitigated_is_said_in_a_sentence(tmp_path: Path) -> None:
    pairing = MitigationOptions(mitigation="logit_pairing")
    with pytest.raises(DataError, match="two texts a row"):
        make_lesson(context(tmp_path, pairs=True), pairing)
    with pytest.raises(DataError, match="language of the texts is not stated"):
        make_lesson(context(tmp_path, language=None), pairing)
    with pytest.raises(DataError, match="no swap list for the language 'fi'"):
        make_lesson(context(tmp_path, language="fi"), pairing)
    with pytest.raises(ModelError, match="only its predictions"):
        make_lesson(context(tmp_path, teacher="file"), MitigationOptions(mitigation="averaging"))
    with pytest.raises(DataError, match="no group column 'age'"):
        make_lesson(context(tmp_path), MitigationOptions(mitigation="reweighting", column="age"))


def test_reweighting_by_a_column_or_by_mentions_changes_weights_alone(tmp_path: Path) -> None:
    made = context(tmp_path)
    for column in ("gender", None):
        lesson = make_lesson(made, MitigationOptions(mitigation="reweighting", column=column))
        assert lesson.rows is made.pool
        assert lesson.weights is not None
        assert lesson.weights.shape == (40,)
    assert make_lesson(made, MitigationOptions()).weights is None
