from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from auditor.review.frame import LabelFrame, load_frame
from auditor.review.plan import Wishes
from auditor.review.rounds import begin
from distill.store import Run
from distill.workspace import Workspace
from tests.fakes import RUN_ID, make_fake_run


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("review")
    make_fake_run(root, n_pool=600, n_test=60, n_dev=60, seeds=(1,), timings=False)
    return root


@pytest.fixture
def workspace(tmp_path: Path, made: Path) -> Workspace:
    shutil.copytree(made, tmp_path / "home")
    return Workspace(tmp_path / "home").made()


@pytest.fixture
def run(workspace: Workspace) -> Run:
    return Run(workspace.runs / RUN_ID)


@pytest.fixture
def frame(run: Run) -> LabelFrame:
    return load_frame(run)


@pytest.fixture
def begun(workspace: Workspace, run: Run) -> Run:
    """A run with a round of 60 cards, ten of which two people decide."""
    begin(workspace, run, Wishes(fraction=0.1, double_items=10), "Pat")
    return run
