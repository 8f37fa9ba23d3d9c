"""Spreadsheets run what begins like a formula. Cells of a CSV that do get an apostrophe in front, and lose it again on import."""

from __future__ import annotations

import re

# what OWASP lists, and the full-width signs that some spreadsheets take for them
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_GUARDED = re.compile("'+[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def neutralised(text: str) -> str:
    """``text`` with one more apostrophe where a spreadsheet would otherwise run it (or where it already carried one)."""
    return f"'{text}" if _FORMULA.match(text) else text


def restored(text: str) -> str:
    """What :func:`neutralised` was given."""
    return text[1:] if _GUARDED.match(text) else text
