"""Contamination, personal data, languages and drift on runs in which the truth was planted."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from auditor.check import CHECKS, AuditInput
from auditor.checks.contamination import ContaminationOptions
from auditor.checks.personal_data import PersonalDataOptions
from auditor.tongues import LanguagesOptions, detect
from auditor.types import CheckResult
from distill.data import presidio
from distill.data.personal import find_by
from distill.errors import DataError
from distill.store import Run
from distill.types import Examples, read_frame, write_frame
from tests.fakes import make_fake_run
from tests.fakes_generation import make_fake_generation_run


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


def test_a_pool_text_that_the_teacher_was_tuned_on_is_counted_and_warned_of(run: Run) -> None:
    taught = [" ".join(f"w{row}x{word}" for word in range(14)) for row in range(20)]
    rewrite(run, {"train": taught, "pool": [f"{text} indeed" for text in taught]})
    found = result(run, "contamination")
    pool = len(run.examples.part("pool"))
    assert value(found, "shared_ngrams", "pool in teacher training")[0] == pytest.approx(20 / pool)
    assert value(found, "near_duplicates", "pool in teacher training")[0] >= 20 / pool
    warnings = [f.claim for f in found.findings if f.severity == "warning"]
    assert any("texts of the pool" in claim and "the teacher training" in claim for claim in warnings)


def test_sentences_of_a_check_are_looked_for_in_training_pool_and_test(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, with_items=True)
    path = run.folder / "items.parquet"
    items = read_frame(path)
    swapped = items.tail(1).assign(item_id="swap", check="gender_swaps")
    write_frame(path, pd.concat([items, swapped], ignore_index=True))
    sentence = str(items.loc[items["check"] == "gender_bias", "text"].iloc[0])
    rewrite(run, {"test": [sentence], "pool": [sentence], "train": [sentence]})
    found = result(run, "contamination")
    for source in ("teacher training", "pool", "test"):
        share, n = value(found, "near_duplicates", f"check sentences in {source}")
        assert share > 0 and n == (items["check"] == "gender_bias").sum(), source  # not the test rows that were swapped


def test_a_near_duplicate_of_a_short_text_is_found(run: Run) -> None:
    rewrite(run, {"test": ["The crew of flight 77 was lovely!"], "pool": ["the crew of flight 77 was  lovely"]})
    share, n = value(result(run, "contamination"), "near_duplicates", "test in pool")
    assert share * n >= 1


def test_personal_data_are_counted_and_never_shown(run: Run) -> None:
    rewrite(run, {"pool": ["write to ada@example.org", "my card is 4111 1111 1111 1111", "nothing here"]})
    found = result(run, "personal_data")
    assert value(found, "personal_data", "kind=email")[0] == pytest.approx(1 / len(run.examples))
    assert found.findings[0].severity == "warning"
    assert "ada@example.org" not in found.model_dump_json()
    assert "4111" not in found.model_dump_json()


def test_texts_of_the_test_are_prompts_too(run: Run) -> None:
    rewrite(run, {"test": ["my IBAN is DE89370400440532013000"]})
    assert value(result(run, "personal_data"), "personal_data", "kind=iban")[0] == pytest.approx(1 / len(run.examples))


def test_presidio_is_used_when_it_is_there_and_missed_in_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presidio, "_analyzer", presidio._analyzer.__wrapped__)
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(DataError, match="not installed"):
        result(run, "personal_data", engine="presidio")
    hit = SimpleNamespace(start=15, end=18, entity_type="PERSON", score=0.9)
    unsure = SimpleNamespace(start=20, end=22, entity_type="US_BANK_NUMBER", score=0.05)
    install_presidio(monkeypatch, [hit, unsure], models=["en_core_web_sm"])
    found = result(run, "personal_data", engine="presidio")
    assert value(found, "personal_data", "kind=person")[0] == 1.0
    assert not [m for m in found.measures if m.group == "kind=us_bank_number"]
    assert PersonalDataOptions().engine == "rules"


def test_presidio_without_a_model_of_the_language_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presidio, "_analyzer", presidio._analyzer.__wrapped__)
    install_presidio(monkeypatch, [], models=["de_core_news_sm"])
    with pytest.raises(DataError, match="no spaCy model for the language 'en'"):
        find_by("presidio", ["a text"], "en")


def install_presidio(monkeypatch: pytest.MonkeyPatch, hits: list[SimpleNamespace], models: list[str]) -> None:
    """Stand-ins for presidio and spaCy with the calls that are made of them."""
    analyzer, engines, spacy = ModuleType("presidio_analyzer"), ModuleType("nlp_engine"), ModuleType("spacy")
    spacy.util = SimpleNamespace(get_installed_models=lambda: models)  # type: ignore[attr-defined]
    engines.NlpEngineProvider = lambda **_: SimpleNamespace(create_engine=lambda: None)  # type: ignore[attr-defined]
    registry = SimpleNamespace(remove_recognizer=lambda name: None)
    analyzer.AnalyzerEngine = lambda **_: SimpleNamespace(  # type: ignore[attr-defined]
        analyze=lambda **_: hits, registry=registry
    )
    monkeypatch.setitem(sys.modules, "presidio_analyzer", analyzer)
    monkeypatch.setitem(sys.modules, "presidio_analyzer.nlp_engine", engines)
    monkeypatch.setitem(sys.modules, "spacy", spacy)


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


def test_label_drift_is_of_what_the_teacher_said_and_not_of_what_people_made_of_it(run: Run) -> None:
    before = value(result(run, "drift"), "label_drift", None)
    path = run.folder / "labels.parquet"
    frame = read_frame(path)
    frame["label"] = 0
    write_frame(path, frame)
    assert value(result(run, "drift"), "label_drift", None) == before


def test_prompts_of_a_language_model_are_told_apart_and_followed_per_language(tmp_path: Path) -> None:
    run = make_fake_generation_run(tmp_path, n_test=40, n_pool=20)
    rewrite(run, {"test": ["Warum mögen die Leute eigentlich so gerne Flüsse und Brücken?"] * 12})
    found = result(run, "lm_languages", among=("en", "de"), min_rows=10)
    assert value(found, "language_share", "test, language=de")[0] == pytest.approx(12 / 40)
    mine = [m for m in found.measures if m.name == "language_agreement" and m.group == "language=de"]
    assert {m.arm for m in mine} == {"token_kl", "undistilled", "sequence"} and all(m.n == 12 for m in mine)
    frame = AuditInput(run).outputs("token_kl", 1)
    german = frame["agree_sum"][:12].sum() / frame["forced_tokens"][:12].sum()
    assert next(m.value for m in mine if m.arm == "token_kl") == pytest.approx(german)
