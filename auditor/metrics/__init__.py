"""The quality measures as `evaluate` modules kept in the repo: one folder each, loaded by path, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

HERE = Path(__file__).parent


def compute(name: str, predictions: npt.ArrayLike, references: npt.ArrayLike, classes: int) -> dict[str, Any]:
    """Run the module ``name`` on class indices, shape [n] each. Imports evaluate (and so torch): not in the Streamlit process."""
    import evaluate

    module = evaluate.load(str(HERE / name), keep_in_memory=True)
    result: dict[str, Any] = module.compute(predictions=predictions, references=references, classes=classes)
    return result
