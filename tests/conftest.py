from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _main_module() -> Iterator[None]:
    """Streamlit's AppTest leaves its script behind as ``__main__``; a process spawned by a later test would run that script."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before
