"""Models in bfloat16: stored at half the size, and asked and timed in bfloat16 wherever they are opened.

A prediction is in fp32 as a rule, since bf16 moves probabilities. A model that *is* bf16 would look better than what its user gets if it were
asked in fp32, so its configuration says what it is, and :class:`distill.engine.predict.Predictor` goes by that.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from distill.engine.loading import PRECISION_KEY, LoadedClassifier, save_classifier

BF16 = "bf16"


def save_half(loaded: LoadedClassifier, folder: Path) -> None:
    """Write ``loaded`` in bfloat16 to ``folder``; ``loaded`` itself stays as it is."""
    model = copy.deepcopy(loaded.model).to(torch.bfloat16)
    setattr(model.config, PRECISION_KEY, BF16)
    save_classifier(replace(loaded, model=model), folder)


def is_half(model: Any) -> bool:
    """True for a model that was saved by :func:`save_half`."""
    return getattr(model.config, PRECISION_KEY, None) == BF16
