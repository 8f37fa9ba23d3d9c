"""Whom a sentence is about: female and male fillers, matched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distill.gender.lexicon import FillerPair, Lexicon


@dataclass(frozen=True)
class FillerMatch:
    """A female filler and the male one it is compared with, as texts a slot."""

    id: str
    kind: str
    origin: str
    female: dict[str, str]
    male: dict[str, str]
    kinds: tuple[str, ...] | None = None


def match_fillers(lexicon: Lexicon) -> tuple[tuple[FillerMatch, ...], tuple[str, ...]]:
    """Noun phrases as paired in the data, first names paired by rank of frequency within their origin.

    Returns:
        The matches, and the names left over because their origin has fewer names of the other gender.
    """
    slots = _person_slots(lexicon)
    matches = [_noun_phrases(pair, slots, lexicon.possessive) for pair in lexicon.pairs]
    left: list[str] = []
    for origin, names in lexicon.names.groupby("origin", sort=True):
        ranked = names.sort_values(["frequency", "name"], ascending=[False, True])
        female = ranked.loc[ranked["gender"] == "female", "name"].tolist()
        male = ranked.loc[ranked["gender"] == "male", "name"].tolist()
        both = min(len(female), len(male))
        left += female[both:] + male[both:]
        for f, m in zip(female[:both], male[:both], strict=True):
            forms = [_forms(name, slots, lexicon.possessive) for name in (f, m)]
            matches.append(FillerMatch(f"{f}/{m}", "name", str(origin), forms[0], forms[1]))
    return tuple(matches), tuple(left)


def _person_slots(lexicon: Lexicon) -> tuple[str, ...]:
    named = {slot for p in lexicon.pairs for side in (p.female, p.male) if isinstance(side, dict) for slot in side}
    return tuple(sorted(named or {"subj", "obj", "poss"}))


def _forms(filler: str, slots: Sequence[str], possessive: str) -> dict[str, str]:
    return {slot: possessive.format(filler) if slot == "poss" else filler for slot in slots}


def _noun_phrases(pair: FillerPair, slots: Sequence[str], possessive: str) -> FillerMatch:
    sides = [side if isinstance(side, dict) else _forms(side, slots, possessive) for side in (pair.female, pair.male)]
    label = "/".join(
        side if isinstance(side, str) else side.get("subj", next(iter(side.values())))
        for side in (pair.female, pair.male)
    )
    return FillerMatch(label, "noun phrase", "", sides[0], sides[1], pair.kinds)
