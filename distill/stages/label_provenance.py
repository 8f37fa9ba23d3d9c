"""What each label says of how it came about, beyond who gave it: template, sampling, filters, and who changed it and where that is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from distill.files import canonical_json, digest_of
from distill.plugins import StageContext
from distill.spec import LANGUAGE_MODELS
from distill.store import ModelCard
from distill.teachers.local_lm import holds_template, template_digest
from distill.types import read_frame

_ASKED = ("temperature", "top_p", "samples", "seed", "max_tokens")


def with_provenance(context: StageContext, frame: pd.DataFrame, corrections: Path) -> pd.DataFrame:
    """``frame`` with the columns template, sampling, filters, decision (entries of the evidence chain) and decided_by.

    The last two are empty where nobody changed what the teacher said.
    """
    card = context.run.teacher
    columns: dict[str, Any] = {"template": template(card), "filters": filters(context)}
    if "sampling" not in frame.columns:  # a language model's answers name theirs
        columns["sampling"] = canonical_json(_sampling(context, card))
    told = read_frame(corrections) if corrections.exists() else pd.DataFrame({"row_id": []})
    told = told.drop_duplicates("row_id", keep="last").set_index("row_id")
    for name in ("decision", "decided_by"):
        said = told[name].to_dict() if name in told.columns else {}
        columns[name] = [str(said.get(row, "")) if changed else "" for row, changed in _rows(frame)]
    return frame.assign(**columns)


def _rows(frame: pd.DataFrame) -> list[tuple[Any, bool]]:
    return list(zip(frame["row_id"], frame["corrected"].astype(bool), strict=True))


def template(card: ModelCard) -> str:
    """What stood around a text when the teacher read it: a digest, or that nothing did."""
    asked = card.extra.get("decides")
    if asked:
        return f"sha256:{digest_of(asked)}"
    if card.model_dir and holds_template(Path(card.model_dir)):
        return f"sha256:{template_digest(Path(card.model_dir))}"
    return "none: the text as it stands"


def filters(context: StageContext) -> str:
    """What a text had to pass before the teacher was asked, as canonical JSON."""
    data, spec = context.spec.data, context.spec
    longest = spec.asking.max_prompt_tokens if spec.task == LANGUAGE_MODELS else spec.signals.max_tokens
    passed = {
        "distinct": True,
        "unlike_test_and_dev": data.split.near_duplicate,
        "personal_data": data.personal_data,
        "longest_tokens": longest,
    }
    return canonical_json(passed)


def _sampling(context: StageContext, card: ModelCard) -> dict[str, Any]:
    """Of a classifier: an endpoint's settings, or that its probabilities are read and not sampled."""
    asked = dict(card.extra.get("decides") or {})
    told = {name: asked[name] for name in _ASKED if name in asked}
    return told or {"sampled": False, "precision": context.spec.signals.precision}
