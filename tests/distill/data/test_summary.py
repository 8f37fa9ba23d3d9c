"""The preview of the data page."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from distill.data.summary import counts, duplicates, guess_columns, lengths, profile
from distill.errors import DataError
from distill.spec import Columns

ROWS = pd.DataFrame(
    {
        "id": ["a", "b", "c", "d", "e"],
        "tweet": ["late again", "late again", "  ", "so kind", None],
        "sentiment": ["neg", "pos", "neg", "pos", ""],
        "gender": ["f", "m", "f", "m", "f"],
        "split": ["train", "train", "dev", "test", "test"],
        "n": [1.0, 2.0, None, 4.0, 5.0],
    }
)


def test_the_mapping_is_guessed_from_names_and_contents() -> None:
    expected = Columns(text="tweet", label="sentiment", id="id", split="split", groups=("gender",))
    assert guess_columns(ROWS) == expected
    odd = pd.DataFrame({"a": ["x", "y"], "b": ["a much longer cell", "and another one"]})
    assert guess_columns(odd).text == "b" and guess_columns(odd).label is None
    repeated = pd.DataFrame({"id": ["a", "a"], "text": ["x", "y"], "premise": ["p", "q"], "hypothesis": ["h", "i"]})
    assert guess_columns(repeated).id is None and guess_columns(repeated).pair == "hypothesis"


def test_the_profile_is_json_and_counts_what_is_there() -> None:
    found = profile(ROWS)
    json.dumps(found, allow_nan=False)
    assert found["rows"] == 5 and found["empty_texts"] == 2 and found["unlabelled"] == 1
    assert found["balance"] == {"neg": 2, "pos": 2} and found["splits"] == {"train": 2, "test": 2, "dev": 1}
    assert (found["duplicates"], found["conflicting"]) == (1, 1)
    assert found["groups"] == {"gender": {"f": 3, "m": 2}}
    assert found["lengths"]["words"]["p50"] == 2
    number = next(column for column in found["columns"] if column["name"] == "n")
    assert number == {"name": "n", "type": "number", "filled": 4, "distinct": 4, "example": "1"}
    assert len(found["preview"]) == 5 and found["preview"][4][1] == ""


def test_a_mapping_that_does_not_fit_names_the_nearest_column() -> None:
    with pytest.raises(DataError) as caught:
        profile(ROWS, Columns(text="twet"))
    assert "'tweet'" in caught.value.hint


def test_small_parts() -> None:
    assert lengths([]) == {}
    assert counts(["a", "b", "a", None, "c"], most=2) == {"a": 2, "b": 1, "other": 1}
    series = pd.Series(["x", "x", "y"], dtype=object).to_numpy()
    assert duplicates(series, pd.Series(["1", None, "2"], dtype=object).to_numpy())["conflicting"] == 0
