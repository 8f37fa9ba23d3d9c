"""Finds likely personal data in texts and masks them. Patterns narrowed by check digits; it may miss names and free-form addresses.

All texts are searched at once, joined by a character that no pattern crosses: one pass of the regular expression engine per kind.
Check digits: card Luhn (ISO/IEC 7812), IBAN mod 97 (ISO 13616), Spanish DNI/NIE mod 23, Dutch BSN eleven test, German tax number
ISO 7064 mod 11,10. Where digits alone could be anything, a passed check counts as found: one masked order number costs less than
one leaked person.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

Engine = Literal["rules", "presidio"]
PUBLIC = {"handle"}  # written to be seen, unlike an address or a number
SEPARATOR = "\x1e\n\x1e"
_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_IBAN_LENGTH = {
    "AD": 24,
    "AE": 23,
    "AL": 28,
    "AT": 20,
    "AZ": 28,
    "BA": 20,
    "BE": 16,
    "BG": 22,
    "BH": 22,
    "BR": 29,
    "BY": 28,
    "CH": 21,
    "CR": 22,
    "CY": 28,
    "CZ": 24,
    "DE": 22,
    "DK": 18,
    "DO": 28,
    "EE": 20,
    "EG": 29,
    "ES": 24,
    "FI": 18,
    "FO": 18,
    "FR": 27,
    "GB": 22,
    "GE": 22,
    "GI": 23,
    "GL": 18,
    "GR": 27,
    "GT": 28,
    "HR": 21,
    "HU": 28,
    "IE": 22,
    "IL": 23,
    "IQ": 23,
    "IS": 26,
    "IT": 27,
    "JO": 30,
    "KW": 30,
    "KZ": 20,
    "LB": 28,
    "LC": 32,
    "LI": 21,
    "LT": 20,
    "LU": 20,
    "LV": 21,
    "MC": 27,
    "MD": 24,
    "ME": 22,
    "MK": 19,
    "MR": 27,
    "MT": 31,
    "MU": 30,
    "NL": 18,
    "NO": 15,
    "PK": 24,
    "PL": 28,
    "PS": 29,
    "PT": 25,
    "QA": 29,
    "RO": 24,
    "RS": 22,
    "SA": 24,
    "SC": 31,
    "SE": 24,
    "SI": 19,
    "SK": 24,
    "SM": 27,
    "TN": 24,
    "TR": 26,
    "UA": 29,
    "VA": 22,
    "VG": 24,
    "XK": 20,
}


class Span(NamedTuple):
    """Where something personal stands in a text, and of which kind it is."""

    start: int
    end: int
    kind: str


def luhn(digits: str) -> bool:
    """True when the last digit is the Luhn check digit of the others."""
    doubled = [sum(divmod(2 * int(d), 10)) for d in digits[-2::-2]]
    return (sum(doubled) + sum(int(d) for d in digits[-1::-2])) % 10 == 0


def iban_length(text: str) -> int | None:
    """How many characters of ``text`` (blanks included) make a valid IBAN from its start; None when they do not."""
    wanted, compact = _IBAN_LENGTH.get(text[:2]), ""
    for position, character in enumerate(text, start=1):
        compact += character if character != " " else ""
        if len(compact) == wanted:
            moved = compact[4:] + compact[:4]
            return position if int("".join(str(int(c, 36)) for c in moved)) % 97 == 1 else None
    return None


def dni(text: str) -> bool:
    """True when the letter of a Spanish DNI or NIE fits its number."""
    plain = text.replace("-", "").upper()
    return _DNI[int(plain[:-1].translate(str.maketrans("XYZ", "012"))) % 23] == plain[-1]


def bsn(digits: str) -> bool:
    """True when a Dutch citizen service number passes the eleven test."""
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return digits != "0" * 9 and sum(w * int(d) for w, d in zip(weights, digits, strict=True)) % 11 == 0


def steuer_id(digits: str) -> bool:
    """True when a German tax number has its one repeated digit and its check digit (ISO 7064 mod 11,10)."""
    repeated = [n for n in Counter(digits[:10]).values() if n > 1]
    if digits[0] == "0" or len(repeated) != 1 or repeated[0] > 3:
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = 2 * total % 11
    return (11 - product) % 10 == int(digits[10])


def _address(version: int) -> Callable[[str], bool]:
    def valid(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return valid


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _phone(text: str) -> bool:
    return 8 <= len(_digits(text)) <= 15


class _Kind(NamedTuple):
    """A pattern, and a check that has the last word on what it matched."""

    name: str
    pattern: re.Pattern[str]
    check: Callable[[str], bool]


def _always(_: str) -> bool:
    return True


# in order of priority: where two overlap, the earlier kind wins. Every run is bounded, so that a long text costs linear time
_KINDS = (
    _Kind(
        "url_user",
        re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s/@:\x1e]{1,64}(?::[^\s/@\x1e]{0,64})?@[^\s\x1e]{1,200}"),
        _always,
    ),
    _Kind(
        "email", re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}(?![\w])"), _always
    ),
    _Kind(
        "iban",
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}"),
        lambda text: iban_length(text) is not None,
    ),
    _Kind(
        "card",
        re.compile(
            r"(?<![\w.,-])[2-6](?:\d{12,18}|\d{3}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{3}([ -])\d{6}\2\d{4,5})(?!\w|[.,-]\d)"
        ),
        lambda text: luhn(_digits(text)),
    ),
    _Kind(
        "ipv6",
        re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{4,39}(?:\.\d{1,3}){0,3}(?![\w:])"),
        _address(6),
    ),
    _Kind("ipv4", re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)"), _address(4)),
    _Kind("us_ssn", re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])"), _always),
    _Kind("es_dni", re.compile(r"(?<![\w-])(?:[XYZ]-?\d{7}|\d{8})-?[A-Z](?![\w-])"), dni),
    _Kind(
        "de_tax_id",
        re.compile(r"(?<![\w.,-])\d{2}( ?)\d{3}\1\d{3}\1\d{3}(?!\w|[.,-]\d)"),
        lambda text: steuer_id(_digits(text)),
    ),
    _Kind("nl_bsn", re.compile(r"(?<![\w.,#-])\d{9}(?!\w|[.,-]\d)"), bsn),
    _Kind(
        "phone",
        re.compile(r"(?<![\w.+])(?:\+|00)[1-9]\d{0,2}[ .\-/]?(?:\(0\) ?)?(?:\(?\d{1,5}\)?[ .\-/]?){1,5}\d{2,5}(?!\w)"),
        _phone,
    ),
    _Kind("phone", re.compile(r"(?<![\w.+-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"), _phone),
    _Kind(
        "phone",
        re.compile(r"(?<![\w.+-])0\d{1,4}[ \-/]\d{3,8}(?:[ -]\d{2,6})?(?![\w-])"),
        lambda text: 9 <= len(_digits(text)) <= 12,
    ),
    _Kind("handle", re.compile(r"(?<![\w@.])@[A-Za-z_]\w{1,29}(?!\w)"), _always),
)
KINDS = tuple(dict.fromkeys(kind.name for kind in _KINDS))
_PREFILTER = re.compile(r"[@\d]|::|://")


def find(texts: Sequence[str]) -> list[list[Span]]:
    """Likely personal data in each text, in order and without overlaps.

    Returns:
        One list of spans per text.
    """
    out: list[list[Span]] = [[] for _ in texts]
    rows = [index for index, text in enumerate(texts) if _PREFILTER.search(text)]
    if not rows:
        return out
    joined = SEPARATOR.join(texts[row].replace("\x1e", " ") for row in rows)
    sizes = np.fromiter((len(texts[row]) for row in rows), dtype=np.int64, count=len(rows))
    starts = np.concatenate([[0], np.cumsum(sizes + len(SEPARATOR))[:-1]])
    taken: dict[int, list[Span]] = {}
    for kind in _KINDS:
        for match in _matches(kind, joined):
            found = match.group()
            length = (iban_length(found) or len(found)) if kind.name == "iban" else len(found)
            position = int(np.searchsorted(starts, match.start(), "right")) - 1
            begin = match.start() - int(starts[position])
            span = Span(begin, begin + length, kind.name)
            others = taken.setdefault(position, [])
            if all(span.end <= other.start or span.start >= other.end for other in others):
                others.append(span)
    for position, spans in taken.items():
        out[rows[position]] = sorted(spans)
    return out


def _matches(kind: _Kind, text: str) -> Iterator[re.Match[str]]:
    """What the pattern matches and the check lets pass. Of what it refuses, only the first character is passed over: the reference before
    an IBAN may look like the beginning of one."""
    at = 0
    while match := kind.pattern.search(text, at):
        passed = kind.check(match.group())
        if passed:
            yield match
        at = match.end() if passed and kind.name != "iban" else match.start() + 1


def find_by(engine: Engine, texts: Sequence[str], language: str | None) -> list[list[Span]]:
    """As :func:`find`; with presidio, what the rules found and what presidio finds beside it (names, places …).

    Raises:
        DataError: presidio is asked for and not installed.
    """
    found = find(texts)
    if engine == "rules":
        return found
    from distill.data.presidio import find_presidio

    return [_beside(mine, more) for mine, more in zip(found, find_presidio(texts, language), strict=True)]


def _beside(mine: list[Span], more: list[Span]) -> list[Span]:
    """``mine`` and those of ``more`` that overlap with none of them."""
    free = [span for span in more if all(span.end <= one.start or span.start >= one.end for one in mine)]
    return sorted([*mine, *free])


def mask(text: str, spans: Sequence[Span]) -> str:
    """``text`` with each span replaced by its kind in brackets, such as '[email]'."""
    parts, end = [], 0
    for span in sorted(spans):
        parts += [text[end : span.start], f"[{span.kind}]"]
        end = span.end
    return "".join([*parts, text[end:]])


def mask_all(texts: Sequence[str]) -> list[str]:
    """All texts masked; masking the result again changes nothing, since it is searched until nothing is left to find."""
    out = list(texts)
    rows = list(range(len(out)))
    while rows:
        spans = find([out[row] for row in rows])
        rows_left = []
        for row, found in zip(rows, spans, strict=True):
            if found:
                out[row] = mask(out[row], found)
                rows_left.append(row)
        rows = rows_left
    return out


def masked(texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[str]:
    """All texts with their spans masked, and whatever the rules find in what is left."""
    return mask_all([mask(text, found) for text, found in zip(texts, spans, strict=True)])


def count(spans: Sequence[Sequence[Span]]) -> dict[str, int]:
    """How many spans of each kind, most frequent first."""
    return dict(Counter(span.kind for found in spans for span in found).most_common())
