from __future__ import annotations

import pandas as pd
import pytest

from distill.errors import DataError
from distill.events import STAGES
from distill.stages.flow import task_of
from distill.tasks.classification import validate
from distill.types import Examples


def rows(labels: list[int], names: tuple[str, ...] = ("a", "b"), pairs: list[str | None] | None = None) -> Examples:
    n = len(labels)
    frame = pd.DataFrame(
        {
            "row_id": [str(i) for i in range(n)],
            "content_id": [str(i) for i in range(n)],
            "text": ["x"] * n,
            "pair": pd.Series(pairs or [None] * n, dtype=object),
            "label": labels,
            "split": ["test"] * n,
        }
    )
    return Examples(frame, names)


def test_good_rows_need_no_words() -> None:
    assert validate(rows([0, 1, 0, 1])) == []


def test_warnings() -> None:
    assert "fidelity" in validate(rows([-1, -1]))[0]
    assert "'b' (1)" in validate(rows([0, 0, 1]))[0]


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        (rows([0, 0]), "All 2 labelled rows"),
        (rows([0], ("a",)), "at least two labels"),
        (rows([0, 1], pairs=["x", None]), "1 of 2 rows have no second text"),
        (Examples(rows([0, 1]).frame.assign(split="pool"), ("a", "b")), "test split is empty"),
    ],
)
def test_rows_that_cannot_serve(examples: Examples, words: str) -> None:
    with pytest.raises(DataError, match=words):
        validate(examples)


def test_stages_stand_in_the_order_of_the_events() -> None:
    names = [name for name, _ in task_of("classification").stages]
    assert names == [stage for stage in STAGES if stage != "audit"]
