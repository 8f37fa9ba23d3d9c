from __future__ import annotations

from pathlib import Path

import pytest

from auditor.evidence.seal import seal
from auditor.report.content import ReportContent, build
from auditor.report.stated import AnnexAnswers, IntendedUse, state
from distill.store import Run
from distill.workspace import Workspace
from tests.fakes import make_fake_run

QUICK = {"audit": {"resamples": 200, "skip": ["languages"]}}
Sealed = tuple[Workspace, Run]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    """A finished, sealed run with a stated use and answers to the annex; never changed."""
    root = tmp_path_factory.mktemp("report")
    arms = ("distilled", "hard_label")
    run = make_fake_run(
        root, n_test=80, n_dev=40, n_pool=50, seeds=(1, 2), arms=arms, with_items=True, audit=True, spec=QUICK
    )
    workspace = Workspace(root).made()
    seal(workspace, run)
    use = IntendedUse(
        purpose="Sort airline tweets by mood.", oversight="The desk reads a sample each day.", not_for="Hiring."
    )
    state(workspace, run, use, "Ada")
    answers = AnnexAnswers(applies={"high-risk": True, "employment": False}, fields={"iv-9": "Monthly sample of 200."})
    state(workspace, run, answers, "Ada")
    return workspace, run


@pytest.fixture(scope="session")
def content(finished: Sealed) -> ReportContent:
    return build(*finished)


@pytest.fixture
def fresh(tmp_path: Path) -> Sealed:
    """A small sealed run that a test may change."""
    run = make_fake_run(
        tmp_path, n_test=40, n_dev=30, n_pool=30, seeds=(1,), arms=("distilled",), audit=True, spec=QUICK
    )
    workspace = Workspace(tmp_path).made()
    seal(workspace, run)
    return workspace, run
