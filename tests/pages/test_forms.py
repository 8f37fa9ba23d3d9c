from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from streamlit.testing.v1 import AppTest

from distill.errors import SpecError
from distill.plugins import ARMS, TEACHERS
from distill.spec import (
    Columns,
    LatencySpec,
    PriceSpec,
    ReviewSpec,
    SignalSpec,
    SplitSpec,
    StudentSpec,
    TrainingSpec,
)
from pages.ui import forms

NEEDS = {
    "GivenOptions": {"checkpoint": "a/b"},  # either of two, which no field says
    "StudentOptions": {"run": "20260101-000000-abcdef", "arm": "distilled", "seed": 1},
}
MODELS: tuple[type[BaseModel], ...] = (
    SplitSpec, SignalSpec, StudentSpec, TrainingSpec, ReviewSpec, LatencySpec, PriceSpec, Columns,
    *(entry.options for entry in [*TEACHERS, *ARMS]),
)  # fmt: skip


def _script(module: str, name: str, values: dict) -> None:  # type: ignore[type-arg]  # its source is run alone
    import importlib

    import streamlit

    from pages.ui import forms as drawn

    model = getattr(importlib.import_module(module), name)
    streamlit.session_state["back"] = drawn.draw(model, values, "form")


def through_the_form(model: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    """Draw ``values`` and read them back, nothing touched."""
    app = AppTest.from_function(
        _script, kwargs={"module": model.__module__, "name": model.__name__, "values": values}, default_timeout=30
    ).run()
    assert not app.exception, app.exception[0].value
    return model.model_validate(app.session_state["back"])


TRAINING = st.builds(
    TrainingSpec,
    temperature=st.floats(0.01, 20).map(lambda x: round(x, 4)),
    hard_label_weight=st.floats(0, 1).map(lambda x: round(x, 4)),
    learning_rate=st.floats(1e-6, 1).map(lambda x: float(f"{x:.6g}")),
    schedule=st.sampled_from(["linear", "cosine", "constant"]),
    warmup=st.floats(0, 0.99).map(lambda x: round(x, 4)),
    epochs=st.integers(1, 100),
    max_texts=st.none() | st.integers(1, 10**6),
    freeze_embeddings=st.booleans(),
    patience=st.none() | st.integers(1, 20),
    precision=st.sampled_from(["auto", "fp32", "bf16"]),
)
STUDENT = st.builds(
    StudentSpec, layers=st.integers(1, 24) | st.lists(st.integers(0, 23), min_size=1, max_size=6).map(tuple)
)
COLUMNS = st.builds(
    Columns,
    text=st.text("abc é_", min_size=1, max_size=8).map(str.strip).filter(bool),
    label=st.none() | st.just("label"),
    groups=st.lists(st.sampled_from(["gender", "language", "région"]), unique=True, max_size=3).map(tuple),
)
LATENCY = st.builds(
    LatencySpec, rounds=st.integers(5, 99), batch_sizes=st.lists(st.integers(1, 99), max_size=5).map(tuple)
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TRAINING | STUDENT | COLUMNS | LATENCY)
def test_a_form_gives_back_what_it_was_given(made: BaseModel) -> None:
    assert through_the_form(type(made), made.model_dump(mode="json")) == made


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_every_model_of_a_spec_can_be_drawn(model: type[BaseModel]) -> None:
    needed = {name: "x" for name, field in model.model_fields.items() if field.is_required()}
    made = model.model_validate(NEEDS.get(model.__name__, needed))
    assert through_the_form(model, made.model_dump(mode="json")) == made


def test_a_bad_value_is_one_sentence() -> None:
    with pytest.raises(SpecError) as caught:
        forms.check(TrainingSpec, {"temperature": 0}, "the training")
    assert "temperature" in caught.value.message
