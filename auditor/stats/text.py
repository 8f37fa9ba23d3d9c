"""How alike two texts are: exact match and token F1 as in SQuAD (Rajpurkar et al. 2016), ROUGE-L (Lin 2004), repetition (Welleck et al. 2020).

ROUGE-L gives what the package rouge-score gives (rougeL, without stemmer) on ASCII. That package is no dependency because it drops
every character beyond a-z and 0-9: two equal answers in Russian or Japanese would score 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

# written without blanks between words: each character is a token
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_ARTICLES = frozenset({"a", "an", "the"})


def tokens(text: str) -> list[str]:
    """Words and numbers in lower case, marks and punctuation left out."""
    return _TOKEN.findall(unicodedata.normalize("NFC", text).lower())


def normalised(text: str) -> list[str]:
    """Tokens as SQuAD's script compares them: without punctuation and English articles."""
    plain = "".join(
        c for c in unicodedata.normalize("NFC", text).lower() if not unicodedata.category(c).startswith("P")
    )
    spaced = re.sub(rf"([{_UNSPACED}])", r" \1 ", plain)
    return [word for word in spaced.split() if word not in _ARTICLES]


def exact_match(answer: str, reference: str) -> float:
    """1 where both are the same after normalisation, else 0."""
    return float(normalised(answer) == normalised(reference))


def token_f1(answer: str, reference: str) -> float:
    """Harmonic mean of precision and recall of the tokens as a bag; 1 where both are empty, 0 where one is."""
    mine, theirs = normalised(answer), normalised(reference)
    if not mine or not theirs:
        return float(mine == theirs)
    return _f1((Counter(mine) & Counter(theirs)).total(), len(mine), len(theirs))


def rouge_l(answer: str, reference: str) -> float:
    """F measure of the longest common subsequence of tokens; 0 where one text has no token."""
    mine, theirs = tokens(answer), tokens(reference)
    return _f1(longest_common(mine, theirs), len(mine), len(theirs)) if mine and theirs else 0.0


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, a word of bits for a row of the table (Crochemore et al. 2001)."""
    places: dict[str, int] = {}
    for index, token in enumerate(one):
        places[token] = places.get(token, 0) | (1 << index)
    full = (1 << len(one)) - 1
    row = full
    for token in other:
        hits = row & places.get(token, 0)
        row = ((row + hits) | (row - hits)) & full
    return len(one) - row.bit_count()


def repeated_share(text: str, n: int = 4) -> float | None:
    """Share of the runs of ``n`` tokens that stood in the text before (seq-rep-n); None for a text with fewer than n tokens."""
    runs = _runs(tokens(text), n)
    return 1 - len(set(runs)) / len(runs) if runs else None


def distinct_share(text: str, n: int = 2) -> float | None:
    """Different runs of ``n`` tokens over all of them, within one text (distinct-n of Li et al. 2016); None without any."""
    runs = _runs(tokens(text), n)
    return len(set(runs)) / len(runs) if runs else None


def _runs(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def _f1(shared: int, mine: int, theirs: int) -> float:
    return 2 * shared / (mine + theirs) if shared else 0.0
