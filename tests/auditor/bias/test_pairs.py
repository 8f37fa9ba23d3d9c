from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.bias.again import Again, child_spec, family, with_positive
from auditor.bias.lm_pairs import language_pairs, shares_of_women
from auditor.bias.pairs import PairView, pairs_view
from distill.errors import DataError, SpecError
from distill.store import TEACHER, RunStore
from distill.workspace import Workspace
from tests.auditor.checks.test_gender_checks import planted, run_with
from tests.fakes import make_fake_run
from tests.fakes_generation import make_fake_generation_run


def view() -> PairView:
    """Three pairs: the teacher flips on the second, the student on the first and second."""
    frame = pd.DataFrame(
        {
            "pair_id": ["a", "b", "c"],
            "female": ["she"] * 3,
            "male": ["he"] * 3,
            "source": ["x", "x", "y"],
            "about": [""] * 3,
        }
    )
    student = np.array([[[0.4, 0.6], [0.6, 0.4]], [[0.1, 0.9], [0.9, 0.1]], [[0.8, 0.2], [0.9, 0.1]]])
    teacher = np.array([[[0.6, 0.4], [0.6, 0.4]], [[0.4, 0.6], [0.6, 0.4]], [[0.8, 0.2], [0.8, 0.2]]])
    return PairView(frame, ("no", "yes"), 1, {"teacher": teacher, "student": student})


def test_filters_and_order() -> None:
    found = view()
    assert list(found.chosen("student only", "student")) == [0]
    assert list(found.chosen("largest gaps", "student")) == [1, 0, 2]
    assert list(found.chosen("all", "student")) == [0, 1, 2]
    assert list(found.chosen("largest gaps", "student", "y")) == [2]
    np.testing.assert_allclose(found.gap("student"), [0.2, 0.8, 0.1])
    assert found.position("c") == 2
    with pytest.raises(DataError, match="no such pair"):
        found.position("zz")


def test_the_pairs_of_a_run_are_those_that_were_measured(tmp_path: Path) -> None:
    run = run_with(tmp_path, planted({"distilled": 0.1}))
    found = pairs_view(run)
    assert set(found.probs) == {"teacher", "distilled", "hard_label"}
    assert found.probs["distilled"].shape == (len(found), 2, 3)
    np.testing.assert_allclose(found.gap("distilled"), 0.1, atol=1e-6)
    assert not found.frame["pair_id"].duplicated().any()
    assert (found.frame["female"] != found.frame["male"]).all()


def test_a_child_differs_in_the_mitigation_alone(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, n_test=20, n_pool=20, n_dev=10, timings=False)
    child = child_spec(run, Again("logit_pairing", strength=2.0, insert=0.3))
    assert child.parent == run.id
    arm = child.arm("distilled")
    assert (arm.options["mitigation"], arm.options["strength"]) == ("logit_pairing", 2.0)
    back = child.model_copy(update={"arms": run.spec.arms, "parent": None, "name": run.spec.name})
    assert back == run.spec
    warmer = child_spec(run, Again("temperature", strength=6.0))
    assert warmer.training_of(warmer.arm("distilled")).temperature == 6.0
    head = child_spec(run, Again("threshold_optimizer", column="gender"))
    assert head.arms[-1].kind == "fair_head"
    assert with_positive(run, "neutral").data.positive == "neutral"
    with pytest.raises(SpecError, match="not a label"):
        with_positive(run, "great")


def test_only_a_distilled_candidate_can_be_run_again(tmp_path: Path) -> None:
    run = make_fake_run(
        tmp_path, arms=[{"kind": "given", "name": "ours", "options": {"checkpoint": "x"}}], n_test=20, timings=False
    )
    with pytest.raises(SpecError, match="not distilled by Heirloom"):
        child_spec(run, Again("averaging"))


def test_the_family_is_parent_and_children(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"n_test": 20, "n_pool": 20, "n_dev": 10, "timings": False}
    parent = make_fake_run(tmp_path, run_id="20260101-000000-parent", **sizes)
    make_fake_run(tmp_path, run_id="20260103-000000-child1", spec={"parent": parent.id}, **sizes)
    make_fake_run(tmp_path, run_id="20260102-000000-other0", **sizes)
    store = RunStore(Workspace(tmp_path))
    for start in ("parent", "child1"):
        run = next(each for each in store.all() if each.id.endswith(start))
        assert [each.id[-6:] for each in family(Workspace(tmp_path), run)] == ["parent", "child1"]


def test_pairs_of_a_language_model_say_which_sentence_it_would_write(tmp_path: Path) -> None:
    run = make_fake_generation_run(tmp_path, n_test=10, n_pool=10, n_dev=5, with_items=True, likelihood=_likes_women)
    view = language_pairs(run)
    assert len(view) > 100 and view.arms[0] == TEACHER
    both = view.frame.iloc[0]
    assert both["female"] != both["male"] and both["female"].split()[0] == both["male"].split()[0]
    assert np.allclose(view.gap(TEACHER), 0.5 * np.tanh(0.25)) and np.allclose(
        view.gap("token_kl"), -0.5 * np.tanh(0.25)
    )
    assert set(view.chosen("student only", "token_kl")) == set(range(len(view)))
    assert not len(view.chosen("student only", "sequence"))
    assert view.perplexity[TEACHER].shape == (len(view), 2) and (view.perplexity[TEACHER] > 1).all()
    one = view.chosen("all", TEACHER, "Winogender")
    assert set(view.frame["source"].iloc[one]) == {"Winogender"}
    assert view.position(str(view.frame["pair_id"].iloc[3])) == 3


def _likes_women(items: pd.DataFrame, arm: str, seed: int) -> np.ndarray:
    """Half a nat for her, half a nat for him by one student."""
    side = items["meta"].map(lambda meta: json.loads(meta).get("side"))
    tokens = np.array([max(1, len(str(text or "").split())) for text in items["pair"]])
    sign = -1.0 if arm == "token_kl" else 1.0
    return np.asarray(-3.0 * tokens + 0.25 * sign * ((side == "female").astype(float) - (side == "male")))


def test_shares_of_women_are_the_lexicons_then_winogenders() -> None:
    known = shares_of_women()
    assert known["occupation"].is_unique and known["share_women"].between(0, 1).all()
    assert {"US BLS, as in Winogender"} < set(known["source"])
