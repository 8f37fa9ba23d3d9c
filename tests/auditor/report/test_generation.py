"""A language model's report speaks of answers, not of labels; every format is drawn and parses."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard, ModelCardData

from auditor.evidence.seal import seal
from auditor.report.blocks import Chart, Facts, Table
from auditor.report.bom import validate
from auditor.report.content import ReportContent, build
from auditor.report.render import FORMATS
from auditor.words import in_words
from distill.workspace import Workspace
from tests.fakes_generation import make_small_generation_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> ReportContent:
    root = tmp_path_factory.mktemp("answers")
    run = make_small_generation_run(root)
    workspace = Workspace(root).made()
    seal(workspace, run)
    return build(workspace, run)


def drawn(content: ReportContent, name: str) -> str:
    draw = next(each.draw for key, each in FORMATS.items() if key == name)
    assert draw is not None
    return draw(content).decode("utf-8", "replace")


def test_the_card_is_of_a_model_that_writes(content: ReportContent) -> None:
    found = ModelCard(drawn(content, "card")).data
    assert isinstance(found, ModelCardData)
    assert found.to_dict()["pipeline_tag"] == "text-generation"  # type: ignore[no-untyped-call]
    assert "synthetic-answers" in (found.tags or [])
    kinds = {result.metric_type for result in found.eval_results or []}
    assert {"token_agreement_with_teacher", "kl_divergence_from_teacher"} <= kinds
    assert {result.task_type for result in found.eval_results or []} == {"text-generation"}


def test_the_bill_of_materials_says_text(content: ReportContent) -> None:
    text = drawn(content, "bom")
    assert validate(text) == "" and '"format": "text"' in text and "class probabilities" not in text


def test_it_speaks_of_answers_and_has_a_chart_and_a_column_for_each_arm(content: ReportContent) -> None:
    data = next(block for block in content.section("data").blocks if isinstance(block, Facts))
    assert "Synthetic answers" in dict(data.rows) and "Synthetic labels" not in dict(data.rows)
    assert [block.title for block in content.section("results").blocks if isinstance(block, Chart)]
    models = next(block for block in content.section("models").blocks if isinstance(block, Facts))
    assert "top-p" in dict(models.rows)["How the teacher was asked"]
    bias = [block for block in content.section("bias").blocks if isinstance(block, Table)]
    assert bias and all(table.columns[1] == "teacher" for table in bias)
    assert not [block for block in content.section("bias").blocks if "not part of this audit" in str(block)]


def test_a_place_in_the_spec_is_left_as_it_is_typed() -> None:
    assert in_words("Set data.personal_data to 'mask'.") == "Set data.personal_data to 'mask'."
    assert in_words("of 'latency_speedup' here") == "of speed-up here"
