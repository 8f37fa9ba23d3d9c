from __future__ import annotations

from pathlib import Path

import pytest

from tests.distill.tiny import tiny_model


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder without a head."""
    return tiny_model(tmp_path_factory.mktemp("base") / "encoder", None)


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny classifier, untrained, whose labels stand in another order than the data's."""
    return tiny_model(tmp_path_factory.mktemp("ready") / "classifier", ("positive", "negative", "neutral"))
