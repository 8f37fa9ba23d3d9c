"""Contamination, personal data, languages and drift on runs in which the truth was planted."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import ks_2samp

from auditor.check import CHECKS, AuditInput
from auditor.checks.contamination import ContaminationOptions
from auditor.checks.languages import LanguagesOptions, detect
from auditor.checks.personal_data import PersonalDataOptions
from auditor.types import CheckResult
from distill.errors import DataError
from distill.store import Run
from distill.types import Examples
from tests.fakes import make_fake_run


def result(run: Run, name: str, **options: Any) -> CheckResult:
    entry = CHECKS.get(name)
    return entry.function(AuditInput(run), entry.options(**options))


def rewrite(run: Run, texts: dict[str, list[str]]) -> None:
    """Replace the first texts of each split."""
    examples = run.examples
    frame = examples.frame.copy()
    for split, new in texts.items():
        rows = frame.index[frame["split"] == split][: len(new)]
        frame.loc[rows, "text"] = new
    Examples(frame, examples.labels).write(run.folder / "examples.parquet")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_fake_run(tmp_path)


def value(found: CheckResult, name: str, group: str | None) -> tuple[float, int]:
    (measure,) = [m for m in found.measures if m.name == name and m.group == group]
    assert measure.value is not None
    return measure.value, measure.n


def test_a_planted_overlap_is_counted_exactly(run: Run) -> None:
    words = [f"word{i}" for i in range(13)]
    long = " ".join(words)
    rewrite(
        run, {"test": [f"before {long} after", "nothing in common at all"], "train": [f"{long} then something else"]}
    )
    found = result(run, "contamination")
    assert value(found, "shared_ngrams", "test in teacher training")[0] == pytest.approx(1 / 300)
    assert value(found, "shared_ngrams", "test in pool")[0] == 0
    stricter = CHECKS.get("contamination").function(AuditInput(run), ContaminationOptions(words=14))
    assert value(stricter, "shared_ngrams", "test in teacher training")[0] == 0


def test_a_near_duplicate_of_a_short_text_is_found(run: Run) -> None:
    rewrite(run, {"test": ["The crew of flight 77 was lovely!"], "pool": ["the crew of flight 77 was  lovely"]})
    share, n = value(result(run, "contamination"), "near_duplicates", "test in pool")
    assert share * n >= 1


def test_personal_data_are_counted_and_never_shown(run: Run) -> None:
    rewrite(run, {"pool": ["write to ada@example.org", "my card is 4111 1111 1111 1111", "nothing here"]})
    found = result(run, "personal_data")
    assert value(found, "personal_data", "kind=email")[0] == pytest.approx(1 / 360)
    assert found.findings[0].severity == "warning"
    assert "ada@example.org" not in found.model_dump_json()
    assert "4111" not in found.model_dump_json()


def test_presidio_is_used_when_it_is_there_and_missed_in_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(DataError, match="not installed"):
        result(run, "personal_data", engine="presidio")
    fake = ModuleType("presidio_analyzer")
    hit = SimpleNamespace(start=0, end=3, entity_type="PERSON")
    fake.AnalyzerEngine = lambda: SimpleNamespace(analyze=lambda **_: [hit])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "presidio_analyzer", fake)
    assert value(result(run, "personal_data", engine="presidio"), "personal_data", "kind=person")[0] == 1.0
    assert PersonalDataOptions().engine == "rules"


def test_languages_are_told_apart_and_short_texts_are_not_guessed() -> None:
    texts = [
        "the flight was late and nobody told us anything about it",
        "der Flug war verspätet und niemand hat uns etwas gesagt",
        "el vuelo llegó tarde y nadie nos dijo absolutamente nada",
        "ok",
    ]
    assert list(detect(texts, LanguagesOptions())) == ["en", "de", "es", "unknown"]


def test_each_language_with_enough_rows_gets_its_own_figure(run: Run) -> None:
    german = ["der Flug war verspätet und niemand hat uns etwas darüber gesagt"] * 40
    english = ["the flight was late and nobody told us anything about it"] * 260
    rewrite(run, {"test": german + english})
    found = result(run, "languages", among=("en", "de"))
    assert value(found, "language_share", "test, language=de")[0] == pytest.approx(40 / 300)
    groups = {(m.group, m.n) for m in found.measures if m.name == "language_accuracy"}
    assert groups == {("language=en", 260), ("language=de", 40)}


def test_length_drift_is_the_ks_distance_and_equal_mixes_show_none(run: Run) -> None:
    examples = run.examples
    lengths = {part: [len(t.split()) for t in examples.part(part).texts] for part in ("pool", "test")}
    found = result(run, "drift")
    assert value(found, "length_drift", None)[0] == pytest.approx(ks_2samp(lengths["pool"], lengths["test"]).statistic)
    assert found.findings == ()
    rewrite(run, {"test": ["one two three four five six seven eight nine ten eleven twelve"] * 300})
    drifted = result(run, "drift")
    assert value(drifted, "length_drift", None)[0] > 0.9
    assert drifted.findings[0].severity == "warning"
    assert all(np.isfinite([m.low or 0.0, m.high or 0.0]).all() for m in drifted.measures)
