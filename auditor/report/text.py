"""Text that comes from data, models or people, made safe to print anywhere: nothing in it is invisible, and its length is bounded."""

from __future__ import annotations

import unicodedata

LONGEST = 2_000
_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def visible(value: object, limit: int = LONGEST) -> str:
    """``value`` with its invisible characters made visible, cut after ``limit`` characters.

    Control characters become their Unicode pictures (NUL ␀, ESC ␛), direction overrides and lone surrogates their code point.
    Line breaks and tabs stay.
    """
    text = "" if value is None else str(value)
    shown = "".join(_shown(c) for c in text[:limit])
    return shown if len(text) <= limit else f"{shown} … (cut here; {len(text):,} characters in all)"


def one_line(value: object, limit: int = 300) -> str:
    """As :func:`visible`, on one line."""
    return " ".join(visible(value, limit).split())


def _shown(character: str) -> str:
    code = ord(character)
    if character in "\n\t":
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code in _BIDI or unicodedata.category(character) in {"Cc", "Cs"} or code in {0xFFFE, 0xFFFF}:
        return f"⟨U+{code:04X}⟩"
    return character
