"""Pairs of texts that differ in gender only, made of the texts that a student learns from: what the mitigations work with.

A text with gendered words is paired with its swap. Most texts have none: some of those get a neutral frame about a woman or about a man ("My
sister said: …" and "My brother said: …"), or a mitigation would hardly have anything to work with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from distill.errors import DataError
from distill.gender.fillers import FillerMatch, match_fillers
from distill.gender.lexicon import Lexicon
from distill.gender.swaps import NO_WORD, Swapper


@dataclass(frozen=True)
class Pair:
    """One counterfactual pair.

    Attributes:
        row: position of the text that it was made of.
        text, twin: the two sides; ``text`` is the row's own where it was swapped.
        swapped: True for a swap of the row's own words, False for an inserted frame.
    """

    row: int
    text: str
    twin: str
    swapped: bool


@dataclass(frozen=True)
class PairSet:
    """All pairs of a pool, in the order of the rows.

    Attributes:
        fillers: ids of the noun phrases and names that frames were filled with.
        held_out: ids of those that were kept away, so that an audit can tell whether an effect carries over to them.
    """

    pairs: tuple[Pair, ...]
    fillers: tuple[str, ...]
    held_out: tuple[str, ...]

    @property
    def swapped(self) -> int:
        """How many pairs are swaps of a row's own words."""
        return sum(pair.swapped for pair in self.pairs)


def counterfactual_pairs(
    texts: Sequence[str], lexicon: Lexicon, *, insert: float = 0.5, filler_share: float = 0.5
) -> PairSet:
    """Pairs for the texts that have one; the same input gives the same pairs on every machine.

    Args:
        texts: the rows.
        lexicon: its swap list, frames and fillers.
        insert: share (0 to 1) of the texts without any gendered word that get a frame.
        filler_share: share of the fillers that may stand in frames, chosen by a hash of their names; the rest is held out.

    Raises:
        DataError: no swap list for the language, or not a single pair can be made.
    """
    swapper = Swapper(lexicon)
    fillers = [match for match in match_fillers(lexicon)[0] if match.kinds is None]
    used = [match for match in fillers if _unit("filler", match.id) < filler_share]
    frames = lexicon.swaps.frames if lexicon.swaps is not None else ()
    pairs = []
    for row, text in enumerate(texts):
        swapped = swapper.swap(text)
        if swapped.text is not None:
            pairs.append(Pair(row, text, swapped.text, True))
        elif swapped.reason == NO_WORD and used and frames and _unit("row", text) < insert:
            pairs.append(_framed(row, text, frames, used))
    if not pairs:
        raise DataError(
            "No text of the pool can be paired with one about the other gender.",
            hint="Raise 'insert', so that texts without a gendered word get one, or use 'reweighting' with a group column.",
        )
    ids = {match.id for match in used}
    held_out = tuple(match.id for match in fillers if match.id not in ids)
    return PairSet(tuple(pairs), tuple(match.id for match in used), held_out)


def _framed(row: int, text: str, frames: Sequence[str], fillers: Sequence[FillerMatch]) -> Pair:
    frame = frames[int(_unit("frame", text) * len(frames))]
    match = fillers[int(_unit("who", text) * len(fillers))]
    before, _, after = frame.partition("{text}")
    sides = [
        _capitalised(before.format(**forms)) + text + _capitalised(after.format(**forms))
        for forms in (match.female, match.male)
    ]
    # which side carries the row is decided by the hash as well, or one gender would always be the one that is learnt from
    if _unit("side", text) < 0.5:
        sides.reverse()
    return Pair(row, sides[0], sides[1], False)


def _unit(*parts: str) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    digest = hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _capitalised(words: str) -> str:
    start = len(words) - len(words.lstrip())
    return words[:start] + words[start : start + 1].upper() + words[start + 1 :]
