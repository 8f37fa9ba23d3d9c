"""Each label says how it came about: template, sampling, filters, and who changed it where."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from distill.monitor import Monitor
from distill.plugins import StageContext
from distill.stages.label_provenance import template, with_provenance
from distill.store import TEACHER, ModelCard
from distill.types import write_frame
from tests.fakes import make_fake_run


def card(**more: object) -> ModelCard:
    return ModelCard.model_validate({"name": TEACHER, "kind": "given", "id": "t", **more})


def test_the_columns_name_filters_sampling_and_whoever_changed_a_label(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, n_test=20, n_pool=20, spec={"data": {"personal_data": "mask"}})
    context = StageContext(run=run, spec=run.spec, cache=tmp_path / "cache", monitor=Monitor())
    frame = pd.DataFrame({"row_id": ["a", "b", "c"], "corrected": [False, True, False]})
    told = pd.DataFrame(
        {"row_id": ["b", "c"], "label": [1, 0], "decided_by": ["Ada", "Ben"], "decision": ["run#4", "run#7"]}
    )
    write_frame(tmp_path / "corrections.parquet", told)
    made = with_provenance(context, frame, tmp_path / "corrections.parquet")
    assert list(made["decided_by"]) == ["", "Ada", ""]  # Ben confirmed what the teacher said
    assert list(made["decision"]) == ["", "run#4", ""]
    assert json.loads(made["filters"][0])["personal_data"] == "mask"
    assert json.loads(made["sampling"][0])["sampled"] is False
    bare = with_provenance(context, frame, tmp_path / "none.parquet")
    assert set(bare["decision"]) == {""} and set(bare["template"]) == {"none: the text as it stands"}


def test_a_template_is_named_by_what_decides_the_prompt(tmp_path: Path) -> None:
    asked = {"decides": {"template": "say {text}", "temperature": 0.0}}
    assert template(card(extra=asked)) == template(card(extra=asked)) != template(card(extra={"decides": {"x": 1}}))
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    first = template(card(model_dir=str(tmp_path)))
    (tmp_path / "chat_template.jinja").write_text("{{ other }}")
    assert first.startswith("sha256:") and template(card(model_dir=str(tmp_path))) != first


def test_a_template_within_the_tokenizers_settings_is_one_too(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 64}))
    assert template(card(model_dir=str(tmp_path))).startswith("none")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    assert template(card(model_dir=str(tmp_path))).startswith("sha256:")
