from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from distill.estimate import DEFAULT_RATES, Shape, estimate, measured_rates, read_rates, shape_of
from distill.files import write_json
from distill.preflight import Preflight, preflight
from distill.probe import judge, probe
from distill.spec import RunSpec, load_spec
from distill.workspace import Workspace
from tests.distill.tiny import LABELS, tiny_model, tiny_rows, tiny_spec


def teacher(classifier: Path) -> dict[str, Any]:
    return {"kind": "checkpoint", "options": {"source": str(classifier)}}


def look(root: Path, spec: RunSpec) -> Preflight:
    return preflight(spec, Workspace(root / "home").made())


def sentences(found: Preflight, state: str) -> list[str]:
    return [item.sentence for item in found.items if item.state == state]


def test_a_good_spec_may_start_and_says_what_it_needs(classifier: Path, tmp_path: Path) -> None:
    found = look(tmp_path, tiny_spec(tmp_path, teacher=teacher(classifier)))
    assert found.ok
    assert any("360 rows" in sentence for sentence in sentences(found, "ok"))
    assert any("same labels, in another order" in sentence for sentence in sentences(found, "ok"))
    assert any("60 test rows" in sentence for sentence in sentences(found, "warn"))
    needed = found.estimate
    assert needed is not None
    assert needed.labels == 140
    assert needed.seconds == pytest.approx(sum(needed.parts.values()), abs=0.5)
    assert not needed.measured
    assert needed.spend == 0


def test_what_is_wrong_fails_with_a_sentence(classifier: Path, tmp_path: Path) -> None:
    missing_column = tiny_spec(tmp_path, teacher=teacher(classifier))
    columns = missing_column.data.columns.model_copy(update={"text": "txt"})
    data = missing_column.data.model_copy(update={"columns": columns})
    found = look(tmp_path, missing_column.model_copy(update={"data": data}))
    assert not found.ok
    assert found.estimate is None
    assert "no column 'txt'" in sentences(found, "fail")[0]


def test_labels_that_differ_are_named(tmp_path: Path) -> None:
    other = tiny_model(tmp_path / "other", ("bad", "good", "so-so"))
    found = look(tmp_path, tiny_spec(tmp_path, teacher=teacher(other)))
    assert any("knows the labels bad, good, so-so" in sentence for sentence in sentences(found, "fail"))


def test_one_class_only(tmp_path: Path, base: Path) -> None:
    rows = tiny_rows(300).assign(label="positive")
    spec = tiny_spec(tmp_path, rows, teacher={"kind": "fine_tuned", "options": {"base": str(base)}})
    found = look(tmp_path, spec)
    assert "one class only" in sentences(found, "fail")[0]


def test_models_that_are_not_there_or_unsafe(tmp_path: Path, classifier: Path) -> None:
    found = look(tmp_path, tiny_spec(tmp_path, teacher=teacher(tmp_path / "nowhere")))
    assert any("no model directory" in sentence for sentence in sentences(found, "fail"))
    unsafe = tiny_model(tmp_path / "unsafe")
    (unsafe / "model.safetensors").rename(unsafe / "pytorch_model.bin")
    found = look(tmp_path, tiny_spec(tmp_path, teacher=teacher(unsafe)))
    assert any("safetensors" in sentence for sentence in sentences(found, "fail"))
    bare = tiny_model(tmp_path / "bare")
    for path in (*bare.glob("tokenizer*"), bare / "vocab.txt"):
        path.unlink()
    found = look(tmp_path, tiny_spec(tmp_path, teacher=teacher(bare)))
    assert any("no tokenizer" in sentence for sentence in sentences(found, "fail"))
    found = look(tmp_path, tiny_spec(tmp_path, teacher=teacher(Path("org/model"))))
    assert any("fetched from the hub" in sentence for sentence in sentences(found, "warn"))


def test_an_arm_that_cannot_be_made_warns_and_the_candidate_fails(tmp_path: Path, classifier: Path) -> None:
    deep = {"kind": "distilled", "name": "deep", "student": {"layers": 9}}
    spec = tiny_spec(tmp_path, teacher=teacher(classifier), arms=["distilled", deep])
    assert any("'deep' cannot be made" in sentence for sentence in sentences(look(tmp_path, spec), "warn"))
    spec = tiny_spec(tmp_path, teacher=teacher(classifier), arms=[deep])
    assert any("'deep' cannot be made" in sentence for sentence in sentences(look(tmp_path, spec), "fail"))


def test_predictions_are_held_against_the_test_rows(tmp_path: Path) -> None:
    ids = list(tiny_rows(360)["id"])[:200]
    frame = pd.DataFrame(np.full((200, 3), 1 / 3), columns=pd.Index(sorted(LABELS)))
    frame.insert(0, "id", ids)
    frame.to_parquet(tmp_path / "t.parquet")
    given = {"kind": "given", "options": {"predictions": str(tmp_path / "t.parquet")}}
    predictions = {"kind": "predictions", "options": {"path": str(tmp_path / "t.parquet")}}
    found = look(tmp_path, tiny_spec(tmp_path, teacher=predictions, arms=[given]))
    assert len([s for s in sentences(found, "fail") if "of 60 test rows" in s]) == 2


def test_preflight_loads_no_torch(tmp_path: Path, classifier: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(tiny_spec(tmp_path, teacher=teacher(classifier)).to_yaml(), encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from distill.spec import load_spec; from distill.preflight import preflight;"
        f"from distill.workspace import Workspace; preflight(load_spec(Path({str(path)!r})), Workspace(Path({str(tmp_path)!r})).made());"
        "print(sorted({'torch', 'transformers', 'scipy', 'sklearn', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_shapes_are_read_without_torch(base: Path) -> None:
    shape = shape_of(str(base))
    assert shape is not None
    assert (shape.layers, shape.hidden, shape.inner) == (4, 32, 64)
    assert shape.with_layers(2).operations == shape.operations / 2
    assert shape.with_layers(2).parameters < shape.parameters
    assert shape_of("org/model") is None
    assert Shape(1, 10, 40, 0).operations == 2 * (400 + 800)


def test_measured_rates_replace_the_defaults_and_a_damaged_file_is_no_harm(tmp_path: Path, base: Path) -> None:
    from distill.estimate import _machine

    home = Workspace(tmp_path).made()
    assert read_rates(home.cache) == (DEFAULT_RATES, False)
    write_json(home.cache / "rates.json", {_machine(): {"label": 5.0}})
    assert read_rates(home.cache) == ({**DEFAULT_RATES, "label": 5.0}, True)
    slow = tiny_spec(tmp_path, teacher={"kind": "fine_tuned", "options": {"base": str(base)}})
    splits = {"train": 100, "pool": 1000, "dev": 10, "test": 10}
    slowed = estimate(slow, home, splits, 10)
    (home.cache / "rates.json").write_text("{half", encoding="utf-8")
    assert read_rates(home.cache) == (DEFAULT_RATES, False)
    assert slowed.parts["labels"] > 100 * estimate(slow, home, splits, 10).parts["labels"]


def answers(y: np.ndarray, right: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(len(y)) < right, y, (y + 1) % 3)
    return np.eye(3)[said] * 0.8 + 0.2 / 3


def test_a_teacher_is_judged_by_what_it_says() -> None:
    y = np.random.default_rng(0).integers(0, 3, 400)
    assert judge(answers(y, 0.8), y, LABELS).state == "ok"
    assert judge(answers(y, 0.33), y, LABELS).state in ("warn", "fail")
    exchanged = answers(y, 0.9)[:, [2, 1, 0]]
    item = judge(exchanged, y, LABELS)
    assert item.state == "fail"
    assert "negative → positive" in item.sentence


@pytest.mark.slow
def test_the_probe_asks_in_a_process_of_its_own(tmp_path: Path, classifier: Path) -> None:
    item = probe(tiny_spec(tmp_path, teacher=teacher(classifier)), rows=50)
    assert "on 50 labelled rows" in item.sentence
    item = probe(tiny_spec(tmp_path, teacher=teacher(tmp_path / "nowhere")))
    assert item.state == "fail"
    assert "no model directory" in item.sentence


def test_a_language_model_is_looked_at_as_one(tmp_path: Path) -> None:
    assert shape_of("pack:smollm2") == Shape(30, 576, 1536, 134_515_008)  # the GGUF file's own metadata
    spec = load_spec(Path(__file__).parents[2] / "specs" / "generation-tiny.yaml")
    checked = preflight(spec, Workspace(tmp_path).made())
    said = " ".join(item.sentence for item in checked.items)
    assert checked.ok and "GGUF" in said
    assert "about 110 bytes a token at the 50 most probable" in said
    assert "accuracy" not in said and "positive" not in said
    longer = spec.model_copy(update={"generation": spec.asking.model_copy(update={"max_new_tokens": 160})})
    needed = preflight(longer, Workspace(tmp_path).made()).estimate
    assert checked.estimate is not None and needed is not None
    assert needed.parts["labels"] > 3 * checked.estimate.parts["labels"]


def test_a_run_that_writes_teaches_no_rates(tmp_path: Path) -> None:
    """Its stages read, write and score in one: taken for reading alone they once made the next estimate 128 hours."""
    from tests.fakes_generation import make_fake_generation_run

    run = make_fake_generation_run(tmp_path, n_test=4, n_pool=4, n_dev=2)
    assert measured_rates(run) == {}
