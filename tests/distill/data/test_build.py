"""From a DataSpec to Examples: what goes in, what is said about it, and what can never happen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.data.build import DataResult, build_examples
from distill.errors import DataError
from distill.spec import DataSpec
from distill.types import SPLITS, Examples, content_id
from tests.distill.data.test_near_duplicates import brute

MAPPED = {"columns": {"label": "label"}}


def build(folder: Path, frame: pd.DataFrame, task: str = "classification", **spec: Any) -> DataResult:
    path = folder / "rows.parquet"
    frame.to_parquet(path)
    source = {"kind": "file", "path": str(path)}
    return build_examples(DataSpec.model_validate({"source": source, **MAPPED, **spec}), task=task)


def sentences(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    words = np.array(
        ["plane", "late", "crew", "kind", "seat", "food", "gate", "bag", "lost", "fine", "app", "call", "wait"]
    )
    return [f"{' '.join(rng.choice(words, 8))} number {i}" for i in range(n)]


def frame(n: int, labels: int = 3) -> pd.DataFrame:
    return pd.DataFrame({"text": sentences(n), "label": [f"class {i % labels}" for i in range(n)]})


def test_every_row_lands_in_one_part_and_the_frame_keeps_its_promise(tmp_path: Path) -> None:
    result = build(tmp_path, frame(300))
    rows = result.examples.frame
    assert list(rows.columns) == ["row_id", "content_id", "text", "pair", "label", "split"]
    assert rows["row_id"].is_unique and set(rows["split"]) == set(SPLITS)
    assert result.examples.labels == ("class 0", "class 1", "class 2")
    assert rows["content_id"][0] == content_id(rows["text"][0]) and rows["pair"].isna().all()
    assert len(rows) + sum(result.report["dropped"].values()) == 300
    assert result.report["splits"] == {part: int((rows["split"] == part).sum()) for part in SPLITS}
    json.dumps(result.report, allow_nan=False)
    result.examples.write(tmp_path / "examples.parquet")
    again = Examples.read(tmp_path / "examples.parquet")
    pd.testing.assert_frame_equal(again.frame, rows, check_dtype=False)


def test_the_same_spec_gives_the_same_rows(tmp_path: Path) -> None:
    data = frame(200)
    one, other = build(tmp_path, data), build(tmp_path, data)
    pd.testing.assert_frame_equal(one.examples.frame, other.examples.frame)
    assert one.report == other.report
    changed = build(tmp_path, data, split={"seed": 99})
    assert (changed.examples.frame["split"] != one.examples.frame["split"]).any()


_WORDS = st.sampled_from(["good", "bad", "plane", "late", "crew", "seat", "thanks", "why", "never", "again", "wow"])
_TEXTS = st.lists(st.lists(_WORDS, min_size=1, max_size=6).map(" ".join), min_size=15, max_size=60)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_TEXTS, st.booleans())
@pytest.mark.slow
def test_no_text_and_no_near_duplicate_straddles_the_split(tmp_path: Path, texts: list[str], with_given: bool) -> None:
    data = pd.DataFrame({"text": texts, "label": [str(i % 2) for i in range(len(texts))]})
    columns = {"label": "label"}
    if with_given:
        data["split"] = ["test" if i % 4 == 0 else "train" for i in range(len(texts))]
        columns["split"] = "split"
    try:
        rows = build(tmp_path, data, columns=columns).examples.frame
    except DataError as error:
        assert "repeat a test or dev row" in error.message or "No row is left" in error.message
        return
    parts: dict[str, set[str]] = {part: set(rows.loc[rows["split"] == part, "text"]) for part in SPLITS}
    for kept, others in (("test", ("dev", "pool", "train")), ("dev", ("pool", "train"))):
        for other in others:
            for one in parts[kept]:
                assert all(brute(one, text) < 0.8 for text in parts[other])


def test_near_copies_within_the_test_count_once_unless_it_came_with_the_data(tmp_path: Path) -> None:
    texts = [
        *sentences(60),
        *(f"RT @someone a studio at 45,000 feet, what a day http://t.co/{i:03d}" for i in range(30)),
    ]
    data = pd.DataFrame({"text": texts, "label": ["a", "b", "c"] * 30, "split": ["test"] * 90})
    data.loc[:29, "split"] = "train"
    given = build(tmp_path, data, columns={"label": "label", "split": "split"}, split={"near_duplicate": 0.6})
    assert (given.examples.frame["split"] == "test").sum() == 60
    split = {"near_duplicate": 0.6, "test": 0.9, "pool": 0.1, "teacher_train": 0, "dev": 0}
    dealt = build(tmp_path, data.drop(columns="split"), split=split)
    inside = dealt.examples.frame.query("split == 'test'")["text"]
    assert inside.str.startswith("RT").sum() == 1
    assert "nearly copy another row of the same part were left out" in " ".join(dealt.notes)
    kept = build(tmp_path, data.drop(columns="split"), split={**split, "distinct": False})
    assert (kept.examples.frame["split"] == "test").sum() == len(inside) + dealt.report["dropped"][
        "near-copy within test"
    ]


def test_near_duplicates_are_removed_from_the_pool_and_reported(tmp_path: Path) -> None:
    data = frame(100)
    data["split"] = ["test"] * 20 + ["train"] * 80
    texts = sentences(100)
    data["text"] = [*texts[:50], texts[3] + "!", *texts[51:60], texts[4], *texts[61:]]
    result = build(tmp_path, data, columns={"label": "label", "split": "split"})
    assert {"50", "60"}.isdisjoint(result.examples.frame["row_id"])
    assert result.report["near_duplicates"] == 2 == result.report["dropped"]["near-duplicate across the split"]
    pairs = {(pair["kept"], pair["removed"]) for pair in result.report["near_duplicate_pairs"]}
    assert pairs == {("3", "50"), ("4", "60")}
    assert any("1 word for word" in note for note in result.notes)


def test_a_pool_that_only_repeats_the_test_is_refused(tmp_path: Path) -> None:
    texts = [f"Dear customer, your parcel with the number {i} will be with you tomorrow morning" for i in range(60)]
    data = pd.DataFrame({"text": texts, "label": ["a", "b"] * 30})
    with pytest.raises(DataError, match="rows of the pool repeat a test or dev row"):
        build(tmp_path, data)
    assert build(tmp_path, data, split={"near_duplicate": 1.0}).report["near_duplicates"] == 0


def test_duplicates_and_their_conflicts_are_counted_and_stay_together(tmp_path: Path) -> None:
    data = frame(90)
    data.loc[10:12, "text"] = "the very same words"
    data.loc[10:12, "label"] = ["class 0", "class 0", "class 1"]
    data.loc[20:21, "text"] = "another text that is said twice"
    data.loc[20:21, "label"] = "class 2"
    result = build(tmp_path, data)
    found = {key: result.report[key] for key in ("duplicates", "repeated_texts", "conflicting", "conflicting_rows")}
    assert found == {"duplicates": 3, "repeated_texts": 2, "conflicting": 1, "conflicting_rows": 3}
    rows = result.examples.frame
    assert rows.loc[rows["text"] == "the very same words", "split"].nunique() == 1


def test_labels_numbers_gaps_maps_and_order(tmp_path: Path) -> None:
    data = frame(60)
    data["label"] = [10.0, 9.0, float("nan")] * 20
    result = build(tmp_path, data)
    assert result.examples.labels == ("9", "10")
    unlabelled = result.examples.frame["label"] == -1
    assert unlabelled.sum() == 20 and set(result.examples.frame.loc[unlabelled, "split"]) == {"pool"}
    assert any("20 rows have no label" in note for note in result.notes)
    mapped = build(tmp_path, data, labels=["bad", "good"], label_map={"9": "bad", "10": "good", "11": "fine"})
    assert mapped.examples.labels == ("bad", "good") and mapped.report["balance"] == {"bad": 20, "good": 20}
    assert any("'11', which no row has" in note for note in mapped.notes)


def test_spellings_of_no_label_in_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "text,label\n" + "".join(f"{t},{'NaN' if i % 5 == 0 else i % 2}\n" for i, t in enumerate(sentences(50)))
    )
    result = build_examples(DataSpec.model_validate({"source": {"kind": "file", "path": str(path)}, **MAPPED}))
    assert result.report["unlabelled"] == 10 and result.report["encoding"] == "utf-8"


@pytest.mark.parametrize(
    ("change", "spec", "sentence"),
    [
        ({"label": "same"}, {}, "one class only: 'same'"),
        ({}, {"labels": ["class 0", "class 1"]}, "'class 2' .20 rows. that is not among the labels"),
        ({}, {"columns": {"label": "lable"}}, "no column 'lable' for the label"),
        ({}, {"columns": {"text": "txt"}}, "no column 'txt' for the text"),
        ({}, {"columns": {"pair": "text2"}}, "no column 'text2' for the second text"),
        ({}, {"columns": {"groups": ["gender"]}}, "no column 'gender' for the groups"),
        ({"label": [f"own words {i}" for i in range(60)]}, {}, "60 different values"),
        ({"text": ""}, {}, "no row with a text"),
        ({"text": ["only one", *[" "] * 59]}, {}, "1 usable row"),
        (
            {"id": ["a", "b", "a", *[str(i) for i in range(57)]]},
            {"columns": {"id": "id"}},
            "2 rows share an id.*first 'a' again at row 3",
        ),
        ({"split": "tset"}, {"columns": {"split": "split"}}, "a split 'tset' that is not known"),
    ],
)
def test_rows_that_cannot_be_used(tmp_path: Path, change: dict[str, Any], spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        build(tmp_path, frame(60).assign(**change), **spec)
    assert caught.value.hint


def test_nearest_names_are_offered(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        build(tmp_path, frame(60), columns={"label": "lable"})
    assert "'label'" in caught.value.hint


def test_a_class_with_one_example_is_said_and_kept(tmp_path: Path) -> None:
    data = frame(80)
    data.loc[0, "label"] = "rare"
    result = build(tmp_path, data)
    assert result.report["balance"]["rare"] == 1
    assert any("'rare' has a single row" in note for note in result.notes)
    assert any("'rare' has no row in test" in note for note in result.notes)


def test_empty_and_huge_texts_are_counted(tmp_path: Path) -> None:
    data = frame(60)
    data.loc[5, "text"] = "  "
    data.loc[6, "text"] = pd.NA
    data.loc[7, "text"] = "word " * 25_000
    result = build(tmp_path, data)
    assert result.report["dropped"]["empty text"] == 2 and "5" not in set(result.examples.ids)
    assert any("2 rows were dropped: empty text" in note for note in result.notes)
    assert any("1 texts have 100 kB or more" in note for note in result.notes)
    assert max(map(len, result.examples.texts)) == 125_000


def test_mixed_types_become_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    texts: list[Any] = [*sentences(30), 42, 3.5, True, None, ["a", "list"]]
    path.write_text("\n".join(json.dumps({"text": t, "label": i % 2}) for i, t in enumerate(texts)))
    result = build_examples(DataSpec.model_validate({"source": {"kind": "file", "path": str(path)}, **MAPPED}))
    assert {"42", "3.5", "True", "['a', 'list']"} <= set(result.examples.texts)
    assert any("4 cells of 'text' are not text" in note for note in result.notes)


def test_pairs_groups_ids_and_languages(tmp_path: Path) -> None:
    data = frame(60).assign(
        second=sentences(60, 1), key=[f"k{i}" for i in range(60)], lang=["en", "de", ""] * 20, gender=["f", "m"] * 30
    )
    columns = {"label": "label", "pair": "second", "id": "key", "groups": ["lang", "gender"]}
    result = build(tmp_path, data, columns=columns)
    examples = result.examples
    assert examples.pairs is not None and set(examples.groups) == {"lang", "gender"}
    assert result.report["languages"] == {"en": 20, "de": 20, "": 20}
    assert result.report["groups"]["gender"] == {"f": 30, "m": 30}
    row = examples.frame.iloc[0]
    assert row["row_id"].startswith("k") and row["content_id"] == content_id(row["text"], row["pair"])
    assert result.report["pair_lengths"]["words"]["p50"] == 10


def test_max_rows_is_a_stratified_sample(tmp_path: Path) -> None:
    result = build(tmp_path, frame(300), max_rows=90)
    assert len(result.examples) + result.report["near_duplicates"] == 90
    assert result.report["dropped"]["beyond max_rows"] == 210
    again = build(tmp_path, frame(300), max_rows=90)
    assert (again.examples.ids == result.examples.ids).all()


def test_unlabelled_data_need_no_label(tmp_path: Path) -> None:
    result = build(tmp_path, frame(100), columns={})
    assert (
        result.examples.labels == () and result.report["splits"]["train"] == 0 and result.report["splits"]["test"] > 0
    )
    assert any("column 'label' that the spec does not map" in note for note in result.notes)
    named = build(tmp_path, frame(100), columns={}, labels=["no", "yes"])
    assert named.examples.labels == ("no", "yes")


def test_for_another_task_the_label_is_a_reference_text(tmp_path: Path) -> None:
    data = frame(50).assign(label=[f"an answer of its own, number {i}" for i in range(50)])
    result = build(tmp_path, data, task="generation")
    assert set(result.examples.y) == {-1} and result.examples.frame["reference"].str.startswith("an answer").all()


def test_personal_data_are_kept_masked_or_dropped_and_always_counted(tmp_path: Path) -> None:
    data = frame(60)
    data.loc[3, "text"] = "write to jane@example.com please, it is urgent"
    kept = build(tmp_path, data)
    assert kept.report["personal_data"] == {"rows": 1, "kinds": {"email": 1}, "handling": "keep"}
    masked = build(tmp_path, data, personal_data="mask")
    assert "write to [email] please, it is urgent" in masked.examples.texts
    dropped = build(tmp_path, data, personal_data="drop")
    assert dropped.report["dropped"]["personal data"] == 1 and "3" not in set(dropped.examples.ids)
    with pytest.raises(DataError, match="leaves too few"):
        build(tmp_path, data.assign(text=[f"mail a{i}@example.com" for i in range(60)]), personal_data="drop")


def test_progress_is_called(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    frame(60).to_parquet(path)
    spec = DataSpec.model_validate({"source": {"kind": "file", "path": str(path)}, **MAPPED})
    seen: list[tuple[int, int]] = []
    build_examples(spec, progress=lambda step, total: seen.append((step, total)))
    assert seen and all(step <= total for step, total in seen)


@pytest.mark.slow
def test_200_000_rows(tmp_path: Path) -> None:
    result = build(tmp_path, frame(200_000))
    assert len(result.examples) + sum(result.report["dropped"].values()) == 200_000
