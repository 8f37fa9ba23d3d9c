"""Draws the reports of a bundle again from its files and chain, and names those that read otherwise.

Every byte of a report is signed, but a signature says who, not what: whoever holds the key could put another sentence into report.html.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from auditor.evidence.bundle import Bundle
from auditor.evidence.chain import Entry
from auditor.evidence.recompute import Line
from distill.provenance import made_by
from distill.store import Run

JSON = "report.json"
_FROM_EVENTS = ("queued", "started", "ended")  # the moments come from the event log, which stays at home


def redraw(bundle: Bundle, manifest: Mapping[str, Any], chain: list[Entry], run: Run, key: str) -> list[Line]:
    """One line: the reports say what the files say, or which do not.

    Args:
        bundle: holds the reports.
        manifest: the signed statement, which names the moment and the code that drew them.
        chain: the run's evidence chain, verified.
        run: the bundle's run, unpacked, with its audit as it was signed.
        key: public key (hex) of who signed.
    """
    from auditor.report.content import compose
    from auditor.report.material import from_chain
    from auditor.report.render import FORMATS

    named = {each.file: each.draw for each in FORMATS.values() if each.draw is not None}
    reports = [name for name in named if name in bundle.members]
    if not reports:
        return []
    if not manifest.get("drawn"):
        return [Line("reports", "not checked", "The bundle does not say when its reports were drawn.")]
    content = compose(from_chain(run, tuple(chain), key), str(manifest["drawn"]))
    differing = []
    for name in reports:
        draw = named[name]
        assert draw is not None  # filtered above
        if not _same(name, draw(content), bundle.members[name]):
            differing.append(name)
    return [_line(reports, differing, str(manifest.get("made_by", "")))]


def _line(reports: list[str], differing: list[str], by: str) -> Line:
    if not differing:
        return Line("reports", "ok", f"All {len(reports)} reports were drawn again from the files and say the same.")
    here = made_by()
    same_code = by == here and "modified" not in here
    if same_code or JSON in differing:
        return Line("reports", "failed", f"Not what the files say: {', '.join(differing)}.")
    sentence = (
        f"Drawn otherwise by this version ({here}) than by {by or 'the one that made them'}: {', '.join(differing)}."
    )
    return Line("reports", "not checked", sentence)


def _same(name: str, mine: bytes, theirs: bytes) -> bool:
    return mine == theirs or (name == JSON and _facts(mine) == _facts(theirs))


def _facts(data: bytes) -> Any:
    """A report's JSON without what is not in a bundle."""
    try:
        value = json.loads(data)
        for name in _FROM_EVENTS:
            value["run"].pop(name, None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return _homeless(value)


def _homeless(value: Any) -> Any:
    """A document in which an absolute path is its last part alone: the home that it comes from is not here."""
    if isinstance(value, dict):
        return {name: _homeless(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_homeless(inner) for inner in value]
    return PurePath(value).name if isinstance(value, str) and value.startswith("/") else value
