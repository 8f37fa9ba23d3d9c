"""Ready settings of a run: one click in the form, one word on the command line."""

from __future__ import annotations

from typing import Any

from distill.spec import RunSpec, parse_spec

PRESETS: dict[str, dict[str, Any]] = {
    "quick": {
        "training": {"epochs": 1, "batch_size": 32, "max_texts": 3_000},
        "signals": {"max_labels": 3_000},
        "seeds": [1, 2],
        "audit": {"resamples": 2_000, "latency": {"rounds": 15, "texts": 64, "batch_sizes": [1, 32]}},
    },
    "article": {
        "training": {"temperature": 0.7, "batch_size": 32, "epochs": 2, "max_texts": 5_000},
        "signals": {"max_labels": 5_000},
    },
    "thorough": {
        "training": {"temperature": 2.0, "batch_size": 32, "epochs": 4, "patience": 6},
        "signals": {"max_labels": 15_000},
        "seeds": [1, 2, 3, 4, 5],
    },
}
SUMMARIES = {
    "quick": "A first look in minutes: 3,000 texts, one pass, two seeds.",
    "article": "Practitioners' rule of thumb: temperature 0.7, batches of 32, 5,000 texts.",
    "thorough": "15,000 texts, four passes with early stopping, five seeds.",
}


def with_preset(spec: RunSpec, preset: str) -> RunSpec:
    """``spec`` with the preset's values laid over it."""
    return parse_spec(_merge(spec.model_dump(mode="json"), PRESETS[preset]))


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged
