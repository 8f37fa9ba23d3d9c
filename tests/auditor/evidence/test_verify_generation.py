"""A sealed run of language models verifies anywhere, with and without its texts; what was answered goes where the texts go."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from auditor.evidence.bundle import make_bundle
from auditor.evidence.erase import erase
from auditor.evidence.seal import seal
from auditor.evidence.verify import Verification, verify_bundle, verify_run
from distill.store import Run
from distill.types import read_frame
from distill.workspace import Workspace
from tests.fakes_generation import make_small_generation_run

pytestmark = pytest.mark.slow


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[Workspace, Run]:
    run = make_small_generation_run(tmp_path)
    workspace = Workspace(tmp_path).made()
    seal(workspace, run)
    return workspace, run


def failed(found: Verification) -> list[str]:
    return [line.sentence for line in found.lines if line.state == "failed"]


def test_every_figure_is_recomputed(sealed: tuple[Workspace, Run]) -> None:
    assert failed(verify_run(*sealed)) == []
    assert failed(verify_bundle(make_bundle(*sealed, reports={}).to_bytes())) == []


def test_without_texts_no_answer_leaves_the_house(sealed: tuple[Workspace, Run]) -> None:
    bundle = make_bundle(*sealed, reports={}, texts=False)
    for name, data in bundle.members.items():
        if name.endswith(".parquet") and ".items." not in name:
            frame = pd.read_parquet(io.BytesIO(data))
            for column in {"answer", "teacher_answer"} & set(frame.columns):
                assert not any(frame[column]), name
            assert "token_text" not in frame.columns or not any(len(each) for each in frame["token_text"])
    found = verify_bundle(bundle.to_bytes())
    assert failed(found) == []
    attested = " ".join(line.sentence for line in found.lines if line.state == "attested")
    assert "lm_answers" in attested and "lm_degeneration" in attested and "lm_bias" not in attested


def test_an_erased_prompt_takes_its_answers_with_it(sealed: tuple[Workspace, Run]) -> None:
    workspace, run = sealed
    row = str(run.examples.part("test").ids[0])
    erase(workspace, run, row, "Ada", "the person asked")
    for arm, seed in (("teacher", 0), ("token_kl", 1)):
        frame = read_frame(run.prediction_path(arm, seed, "test")).set_index("row_id")
        assert frame.loc[row, "answer"] == "" and (frame["answer"] != "").sum() == len(frame) - 1
    assert failed(verify_run(workspace, Run(run.folder))) == []
