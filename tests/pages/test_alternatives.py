from __future__ import annotations

from pathlib import Path

from tests.fakes import RUN_ID
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
