"""docs/SCHEMA.md says what other tools will read."""

from __future__ import annotations

from pathlib import Path

from auditor.check import CHECKS, MEASURES
from auditor.document import document
from auditor.types import SCHEMA_VERSION, Measure
from tests.fakes import make_fake_run

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "SCHEMA.md").read_text(encoding="utf-8")


def test_every_measure_is_documented() -> None:
    CHECKS.names()
    missing = [name for name in MEASURES if f"`{name}`" not in PAGE]
    assert missing == [], "run scripts/measure_table.py"


def test_every_key_of_the_document_is_documented(tmp_path: Path) -> None:
    shown = document(make_fake_run(tmp_path, audit=True))
    keys = {*shown, *shown["run"], *shown["arms"][0], *Measure.model_fields, *shown["gates"][0], *shown["verdict"]}
    assert {key for key in keys if f"`{key}`" not in PAGE and f'"{key}"' not in PAGE} == set()
    assert f'"schema_version": "{SCHEMA_VERSION}"' in PAGE
