"""The sentences that checks want scored: collected before the predictions, handed back to each check after them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from auditor.check import CHECKS, ITEMS, AuditInput, checks_of
from distill.errors import SpecError, nearest
from distill.registry import Entry
from distill.spec import RunSpec, check_options
from distill.store import TEACHER
from distill.types import Examples, content_id

COLUMNS = ["item_id", "check", "text", "pair", "meta"]
_OWN = {"item_id", "check", "text", "pair", "meta"}


def options_of(spec: RunSpec, entry: Entry[Any]) -> Any:
    """A check's options as its pydantic model, from ``spec.audit.checks``; raises SpecError."""
    given = spec.audit.checks.get(entry.name, {})
    return entry.options.model_validate(check_options(entry.options, given, f"the check '{entry.name}'"))


def validate_checks(spec: RunSpec) -> None:
    """Raise SpecError when the spec names a check that does not exist or is not for its task, or gives one an impossible option."""
    fitting = checks_of(spec.task)
    for name in (*spec.audit.checks, *spec.audit.skip):
        if name not in CHECKS.names():
            raise SpecError(
                f"There is no check called '{name}'.", hint=nearest(name, [entry.name for entry in fitting])
            )
    for name in spec.audit.checks:
        if spec.task not in CHECKS.get(name).tasks:
            raise SpecError(
                f"The check '{name}' is not for the task '{spec.task}'.",
                hint=nearest(name, [entry.name for entry in fitting]),
            )
    for entry in fitting:
        options_of(spec, entry)


def collect_items(spec: RunSpec, examples: Examples) -> pd.DataFrame:
    """The sentences that all checks want scored.

    Returns:
        ``item_id`` (unique, named by content), ``check``, ``text``, ``pair`` (str or None) and ``meta``: the check's own
        columns as a JSON object. The same sentence with the same meta stands there once for each check; a sentence that
        plays a second part gets an id of its own with a counter, so that each row is about one part.
    """
    validate_checks(spec)
    rows: dict[tuple[str, str, str | None, str], None] = {}
    for entry in checks_of(spec.task):
        if entry.name not in ITEMS or entry.name in spec.audit.skip:
            continue
        frame = ITEMS[entry.name](spec, examples, options_of(spec, entry))
        rows.update(dict.fromkeys(_rows(entry.name, frame)))
    seen: Counter[str] = Counter()
    collected = []
    for check, text, pair, meta in rows:
        content = content_id(text, pair)
        seen[content] += 1
        item = content if seen[content] == 1 else f"{content}.{seen[content]}"
        collected.append((item, check, text, pair, meta))
    return pd.DataFrame(collected, columns=COLUMNS, dtype=object)


def check_items(items: pd.DataFrame, check: str) -> pd.DataFrame:
    """The rows of one check with its own columns back in place, and ``position``: where each stands in the items' arrays."""
    if items.empty or "check" not in items.columns:
        return pd.DataFrame(columns=["position", "item_id", "text", "pair"])
    mine = (items["check"] == check).to_numpy()
    own = pd.DataFrame([json.loads(meta) for meta in items.loc[mine, "meta"]])
    known = items.loc[mine, ["item_id", "text", "pair"]].reset_index(drop=True)
    position = pd.Series(mine.nonzero()[0], name="position", dtype="int64")
    return pd.concat([position, known, own], axis=1)


def answered(audit: AuditInput) -> list[str]:
    """Teacher and arms whose every seed has predictions for the checks' sentences; one that was never trained has none."""
    seeds = {arm: audit.seeds(arm) for arm in (TEACHER, *audit.arms)}
    return [
        arm
        for arm, each in seeds.items()
        if each and all(audit.run.prediction_path(arm, seed, "items").exists() for seed in each)
    ]


def _rows(check: str, frame: pd.DataFrame) -> list[tuple[str, str, str | None, str]]:
    if frame.empty:
        return []
    own = [column for column in frame.columns if column not in _OWN]
    if own:
        records: list[Mapping[str, Any]] = json.loads(frame[own].to_json(orient="records", force_ascii=False))
    else:
        records = [{} for _ in range(len(frame))]
    pairs = list(frame["pair"]) if "pair" in frame.columns else [None] * len(frame)
    return [
        (check, text, pair if isinstance(pair, str) else None, json.dumps(record, sort_keys=True, ensure_ascii=False))
        for text, pair, record in zip(frame["text"], pairs, records, strict=True)
    ]
