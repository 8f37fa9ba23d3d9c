from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import streamlit as st

from tests.fakes import make_fake_run


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one finished, audited run; copied, never changed."""
    root = tmp_path_factory.mktemp("audited")
    make_fake_run(root, audit=True, n_test=120, n_pool=60, n_train=20, n_dev=60)
    return root


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace that the app sees, with empty caches."""
    monkeypatch.setenv("HEIRLOOM_HOME", str(tmp_path / "home"))
    st.cache_data.clear()
    st.cache_resource.clear()
    return tmp_path / "home"


@pytest.fixture
def finished(home: Path, audited: Path) -> Path:
    """A workspace with one finished run."""
    shutil.copytree(audited, home, dirs_exist_ok=True)
    return home
