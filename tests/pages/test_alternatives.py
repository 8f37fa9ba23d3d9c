from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes import RUN_ID, Level, make_fake_run
from tests.pages.driver import assert_well, open_page, said


def test_the_recommendation_stands_first_and_follows_the_weights(finished: Path) -> None:
    app = open_page("alternatives", run=RUN_ID)
    assert_well(app)
    assert app.subheader[0].value.startswith("By your weights")
    for name in ("quality", "speed", "cost", "memory", "bias"):
        app.slider(key=f"weight_{name}").set_value(0)
    app.run()
    assert "every weight is 0" in app.subheader[0].value
    assert not app.exception


def test_every_method_of_the_article_stands_there_tried_or_not(finished: Path) -> None:
    app = open_page("alternatives", run=RUN_ID)
    table = next(frame.value for frame in app.table if "published" in frame.value.columns).map(
        lambda cell: cell.replace("\\", "")
    )
    assert set(table["method"]) - {""} == {
        "distillation",
        "quantisation",
        "pruning",
        "traditional fine-tuning",
        "vocabulary trimming",
        "stacked",
    }
    published = table.set_index("method")["published"].to_dict()
    assert "keeps 89-93 %" in published["distillation"] and "keeps 75-85 %" in published["pruning"]
    assert (
        "speed gain minimal" in published["traditional fine-tuning"]
        and "low (no extra training)" in published["quantisation"]
    )
    measured, cost = (
        dict(zip(table["arm"], table[column], strict=True))
        for column in ("measured here, with 95 % interval", "training cost, measured")
    )
    mine = str(measured["distilled student"])
    assert "keeps" in mine and "[" in mine and "as fast" in mine and "(estimate)" in mine
    mine = str(cost["distilled student"])
    assert "Wh (estimate, no meter)" in mine and "no human labels" in mine and "synthetic labels" in mine
    assert "human labels" in str(cost["fine-tuned on human labels"]) and cost["no such arm in this run"] == "–"
    assert "never a result of this run" in said(app) and "Energy: estimate" in said(app).replace("\\", "")


def test_the_cascade_is_drawn_and_a_missing_curve_says_why(finished: Path) -> None:
    app = open_page("alternatives", run=RUN_ID)
    assert "passed on" in {column for frame in app.dataframe for column in frame.value.columns}
    assert "Skipped, because there are not two budgets of human labels" in said(app)


DEPTHS = {"d1": Level(1.6, ms=2.5, size=0.3), "d2": Level(0.4, ms=4.0, size=0.45), "d6": Level(0.1, ms=11.0, size=0.95)}
INT8 = {
    f"{name}-int8": Level(level.noise + 0.1, ms=level.ms / 2, size=level.size / 4) for name, level in DEPTHS.items()
}


def sweep(root: Path, **over: Any) -> None:
    """A finished sweep of three depths and two precisions, with an arm whose vocabulary is trimmed."""
    arms: list[str | dict[str, Any]] = [
        *({"kind": "distilled", "name": name} for name in DEPTHS),
        *({"kind": "quantised", "name": f"{name}-int8", "options": {"of": name}} for name in DEPTHS),
        {"kind": "trimmed", "name": "d2-trimmed", "options": {"of": "d2"}},
        "hard_label",
    ]
    sizes = {"n_test": 200, "n_dev": 150, "n_pool": 40, "n_train": 20, **over}
    make_fake_run(root, arms=arms, seeds=(1,), levels={**DEPTHS, **INT8}, audit=True, **sizes)


@pytest.mark.slow
def test_a_sweep_shows_what_dev_chose_and_what_the_test_says_of_it(home: Path) -> None:
    sweep(home)
    app = open_page("alternatives", run=RUN_ID)
    assert_well(app)
    choices = next(frame.value for frame in app.dataframe if "chosen on dev" in frame.value.columns)
    assert {"most accurate", "smallest"} <= set(choices["chosen on dev"])
    assert all("[" in shown for shown in choices["kept, test"])
    arms = next(frame.value for frame in app.dataframe if "on dev's front" in frame.value.columns)
    assert set(arms["arm"]) >= {"d1", "d2-int8", "d2-trimmed"} and (arms["on dev's front"] != "").any()
    words = said(app).replace("\\", "")
    assert "the test chose nothing" in words and "Dev chooses 'd" in words
    methods = next(frame.value for frame in app.table if "published" in frame.value.columns)
    stacked = methods.index[methods["method"].map(lambda cell: "stacked" in cell)][0]
    assert "int8" in methods["arm"][stacked], "int8 of a distilled student is two methods on top of one another"


@pytest.mark.slow
def test_without_labels_on_dev_there_is_no_front_and_it_says_why(home: Path) -> None:
    sweep(home, n_dev=0)
    app = open_page("alternatives", run=RUN_ID)
    assert_well(app)
    words = said(app).replace("\\", "")
    assert "No front, no knee and no choice" in words and "arms are chosen there" in words
