"""Text that comes from data, models or files is shown as text: never as Markdown, never as HTML, never able to hide."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 2_000
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:=&^\"'])")
_ADDRESS = re.compile(r"(?i)(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)")
_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def visible(value: object, limit: int = LONGEST) -> str:
    """``value`` as plain text whose invisible characters can be seen and whose length is bounded.

    Control characters become their Unicode pictures (NUL ␀, ESC ␛), direction overrides their code point; line breaks and
    tabs stay. Longer texts are cut and say how long they were. For ``st.text``, ``st.code`` and table cells.
    """
    text = "" if value is None else str(value)
    length = len(text)
    shown = "".join(_visible_character(c) for c in text[:limit])
    return shown if length <= limit else f"{shown} … (cut here; {length:,} characters in all)"


def one_line(value: object, limit: int = 160) -> str:
    """As :func:`visible`, on one line."""
    return " ".join(visible(value, limit).split())


def escaped(value: object, limit: int = 160) -> str:
    """``value`` on one line for a place where Streamlit reads Markdown (labels, captions, help): every mark is taken literally.

    Bare addresses would become links even so; a word joiner (invisible, of no width) keeps them apart.
    """
    return _MARKDOWN.sub(r"\\\1", _ADDRESS.sub("\u2060", one_line(value, limit)))


def _visible_character(character: str) -> str:
    code = ord(character)
    if code < 0x20 and character not in "\n\t":
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if (
        code in _BIDI
        or 0xD800 <= code <= 0xDFFF
        or (unicodedata.category(character) == "Cc" and character not in "\n\t")
    ):
        return f"⟨U+{code:04X}⟩"
    return character
