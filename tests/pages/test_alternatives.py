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
    table = next(frame.value for frame in app.dataframe if "kept, published" in frame.value.columns)
    assert set(table["method"]) == {"distillation", "quantisation", "pruning", "traditional fine-tuning"}
    published = table.set_index("method")["kept, published"].to_dict()
    assert published["distillation"] == "89-93 %" and published["pruning"] == "75-85 %"
    assert "never a result of this run" in said(app)


def test_the_cascade_is_drawn_and_a_missing_curve_says_why(finished: Path) -> None:
    app = open_page("alternatives", run=RUN_ID)
    assert "passed on" in {column for frame in app.dataframe for column in frame.value.columns}
    assert "Skipped, because there are not two budgets of human labels" in said(app)
