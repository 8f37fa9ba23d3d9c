"""The page Bias in AppTest, and what it starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from auditor.bias.pairs import pairs_view
from distill.store import Run, RunStore
from distill.workspace import Workspace
from tests.auditor.checks.test_gender_checks import SMALL, planted
from tests.fakes import RUN_ID, make_fake_run
from tests.pages.driver import assert_well, open_page, said

GAPS = {"teacher": 0.02, "hard_label": 0.05, "distilled": 0.3}


def fake(root: Path, **more: object) -> Run:
    spec = {"audit": {"checks": SMALL}, **more.pop("spec", {})}  # type: ignore[dict-item]
    return make_fake_run(
        root, arms=("distilled", "hard_label"), seeds=(1, 2), n_test=90, n_pool=40, n_train=20, n_dev=30, with_items=True,
        item_probs=planted(GAPS, noise=0.02), spec=spec, audit=True, **more,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bias")
    fake(root)
    return root


@pytest.fixture
def biased(home: Path, made: Path) -> Path:
    """A workspace with one run whose student is biased."""
    shutil.copytree(made, home, dirs_exist_ok=True)
    return home


def test_the_answer_stands_first_and_every_part_follows(biased: Path) -> None:
    app = open_page("bias", run=RUN_ID)
    assert_well(app)
    assert "Distillation changed the gender gap by +0." in app.subheader[0].value
    assert "amplified" in app.subheader[0].value
    heads = [head.value for head in app.subheader]
    for part in (
        "The gap of every arm",
        "The ledger",
        "Quality against bias",
        "Stereotypes of occupations",
        "Groups",
        "Pairs",
    ):
        assert part in heads
    assert "12\\.3" in said(app)  # the published claim, beside it
    assert "Skipped, because no row holds a gendered word" in said(app)


def test_charts_have_tables_and_measures_have_plain_words(biased: Path) -> None:
    app = open_page("bias", run=RUN_ID)
    charts = app.get("plotly_chart")
    assert len([e for e in app.expander if e.label == "Table"]) >= len(charts) >= 5
    helps = [head.help for head in app.subheader if head.help]
    assert any("It cannot" in text for text in helps)


def test_a_pair_has_an_address_and_a_wrong_one_is_said(biased: Path) -> None:
    view = pairs_view(Run(biased / "runs" / RUN_ID))
    number = int(view.chosen("largest gaps", "distilled")[0])
    app = open_page("bias", run=RUN_ID, item=str(view.frame["pair_id"].iloc[number]))
    assert_well(app)
    assert "blue\\-background" not in said(app)
    assert ":blue-background[**" in said(app)
    assert "hard labels" in said(app)
    wrong = open_page("bias", run=RUN_ID, item="gone")
    assert "no such pair" in wrong.error[0].value


def test_run_again_starts_a_child_in_which_one_thing_differs(biased: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill.jobs.ensure_runner", lambda *_, **__: None)
    app = open_page("bias", run=RUN_ID)
    app.selectbox(key="again_change").set_value("logit_pairing").run()
    app.number_input(key="again_strength").set_value(2.0).run()
    app.button(key="again_start").click().run()
    assert not app.exception
    child = next(run for run in RunStore(Workspace(biased)).all() if run.id != RUN_ID)
    assert child.spec.parent == RUN_ID
    options = child.spec.arm("distilled").options
    assert (options["mitigation"], options["strength"]) == ("logit_pairing", 2.0)


def test_parent_and_child_stand_in_one_plot(biased: Path) -> None:
    arms = [{"kind": "distilled", "options": {"mitigation": "averaging"}}]
    make_fake_run(
        biased, run_id="20260103-000000-child0", arms=arms, seeds=(1,), n_test=60, n_pool=20, n_dev=20, with_items=True,
        item_probs=planted({"distilled": 0.01}), spec={"audit": {"checks": SMALL}, "parent": RUN_ID}, audit=True,
    )  # fmt: skip
    app = open_page("bias", run=RUN_ID)
    assert_well(app)
    assert "2 runs of one family" in said(app)


def test_without_a_positive_class_the_page_asks_and_starts_a_child(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill.jobs.ensure_runner", lambda *_, **__: None)
    fake(home, spec={"data": {"positive": None}})
    app = open_page("bias", run=RUN_ID)
    assert_well(app)
    assert "Which label is good" in said(app)
    app.selectbox(key=f"positive_{RUN_ID}").set_value("positive").run()
    app.button(key="positive_start").click().run()
    child = next(run for run in RunStore(Workspace(home)).all() if run.id != RUN_ID)
    assert child.spec.data.positive == "positive"
    assert child.spec.parent == RUN_ID
