"""Counterfactual sentences: the same sentence about a woman and about a man, in matched pairs."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from distill.errors import DataError
from distill.gender.fillers import FillerMatch, match_fillers
from distill.gender.lexicon import Gender, Lexicon, Template, Word

VOWELS = "aeiou"
# Spelt with a vowel, spoken with a consonant; and the reverse.
SPOKEN_CONSONANT = ("uni", "use", "eu", "one")
SPOKEN_VOWEL = ("hour", "hono", "heir")


@dataclass(frozen=True)
class BiasItem:
    """One sentence.

    Attributes:
        text: the sentence.
        template, wording: id of the template, and which of its wordings (0, 1, ...).
        kind: kind of the template: 'emotion', 'event', 'occupation', or the user's own.
        cell: template and word; the two genders are compared within a cell.
        word: the emotion, event or occupation in the sentence; ``word_group`` is the emotion or tone it stands for.
        filler: who the sentence is about ('Emily', 'my sister'); ``filler_kind`` is 'name' or 'noun phrase'.
        gender: 'female' or 'male'.
        origin: origin of a first name, '' for a noun phrase.
        filler_pair: which female and male filler are matched; the unit that a name-wise bootstrap resamples.
        pair: the pair of sentences; the female and the male item of a pair differ in the filler only.
        language: language of the sentence.
    """

    text: str
    template: str
    wording: int
    kind: str
    cell: str
    word: str
    word_group: str
    filler: str
    filler_kind: str
    gender: Gender
    origin: str
    filler_pair: str
    pair: int
    language: str

    @property
    def occupation(self) -> str | None:
        """The occupation, where the sentence is about one."""
        return self.word if self.kind == "occupation" else None

    @property
    def emotion(self) -> str | None:
        """The emotion or event word, where the sentence has one."""
        return None if self.kind == "occupation" else self.word


@dataclass(frozen=True)
class ItemSet:
    """All items.

    Attributes:
        frame: one row an item, columns as in ``BiasItem``; rows 2k and 2k + 1 are the female and the male item of pair k.
        texts: the distinct texts, to be predicted once each.
        index: for each row of ``frame`` the position of its text in ``texts``.
        unmatched_names: first names that have no counterpart of the other gender in their origin and are left out.
    """

    frame: pd.DataFrame
    texts: tuple[str, ...]
    index: np.ndarray
    unmatched_names: tuple[str, ...]

    @property
    def pairs(self) -> int:
        """Number of pairs of sentences."""
        return len(self.frame) // 2


def build_items(lexicon: Lexicon, pairs_per_cell: int = 5) -> ItemSet:
    """The counterfactual sentences of a lexicon; the same input gives the same items on every machine.

    Every template meets every word of its kind (a cell). A cell gets one pair of noun phrases and, for the rest, first names of as many
    origins as fit; which ones is decided by a hash, so that names, words, wordings and templates are not aliased. Both sentences of a
    pair use the same wording.

    Args:
        lexicon: see ``load_lexicon``.
        pairs_per_cell: pairs a cell, at least 2; with the bundled English data 5 gives 2,790 pairs or 5,580 distinct sentences.

    Raises:
        DataError: fewer than two matched fillers, or no template.
    """
    if pairs_per_cell < 2:
        raise DataError(
            "A cell needs at least two pairs, or noise cannot be told from bias.",
            hint="Set pairs per cell to 2 or more.",
        )
    if not lexicon.templates:
        raise DataError(
            f"There are no templates for the language '{lexicon.language}'.", hint="Add a YAML file with templates."
        )
    matches, unmatched = match_fillers(lexicon)
    items: list[BiasItem] = []
    for template in lexicon.templates:
        usable = [m for m in matches if m.kinds is None or template.kind in m.kinds]
        if len(usable) < 2:
            raise DataError(
                f"The template '{template.id}' has {len(usable)} matched fillers and needs two.",
                hint="Add noun phrase pairs or first names of both genders.",
            )
        for position, word in enumerate(lexicon.words_of(template.kind)):
            chosen = _choose(template.id, position, usable, pairs_per_cell)
            for offset, match in enumerate(chosen):
                wording = (position + offset) % len(template.wordings)
                items += _pair(template, word, wording, match, len(items) // 2, lexicon.language)
    frame = pd.DataFrame([asdict(item) for item in items])
    codes, texts = pd.factorize(frame["text"])
    return ItemSet(frame, tuple(str(text) for text in texts), codes, unmatched)


def differing_words(female: str, male: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Both sentences in pieces, each with whether it differs from the other sentence; for marking the words on a page."""
    left, right = female.split(" "), male.split(" ")
    first: list[tuple[str, bool]] = []
    second: list[tuple[str, bool]] = []
    for op, a0, a1, b0, b1 in difflib.SequenceMatcher(a=left, b=right, autojunk=False).get_opcodes():
        changed = op != "equal"
        if a1 > a0:
            first.append((" ".join(left[a0:a1]), changed))
        if b1 > b0:
            second.append((" ".join(right[b0:b1]), changed))
    return first, second


def _hash(*parts: object) -> bytes:
    return hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest()


def _turn(template: str, position: int, group: Sequence[FillerMatch]) -> list[FillerMatch]:
    """``group`` in this cell's order: a new hash order each time a template has used all of it once, so that use stays balanced."""
    block, start = divmod(position, len(group))
    order = sorted(group, key=lambda match: _hash(template, block, match.id))
    return order[start:] + order[:start]


def _choose(template: str, position: int, usable: Sequence[FillerMatch], count: int) -> list[FillerMatch]:
    phrases = [m for m in usable if m.kind == "noun phrase"]
    origins = sorted({m.origin for m in usable if m.kind == "name"}, key=lambda o: _hash(template, position, o))
    queues = [_turn(template, position, [m for m in usable if m.kind == "name" and m.origin == o]) for o in origins]
    queues = ([_turn(template, position, phrases)] if phrases else []) + queues
    rounds = [queue[turn] for turn in range(max(map(len, queues))) for queue in queues if turn < len(queue)]
    return rounds[:count]


def _pair(template: Template, word: Word, wording: int, match: FillerMatch, pair: int, language: str) -> list[BiasItem]:
    items = []
    sides: tuple[tuple[Gender, dict[str, str], str | None], ...] = (
        ("female", match.female, word.female),
        ("male", match.male, word.male),
    )
    for gender, forms, inflected in sides:
        text = inflected or word.text
        sentence = template.wordings[wording].format(**forms, word=text, a_word=f"{_article(text)} {text}")
        items.append(
            BiasItem(
                text=sentence[:1].upper() + sentence[1:],
                template=template.id,
                wording=wording,
                kind=template.kind,
                cell=f"{template.id} | {word.text}",
                word=word.text,
                word_group=word.group,
                filler=forms.get("subj", next(iter(forms.values()))),
                filler_kind=match.kind,
                gender=gender,
                origin=match.origin,
                filler_pair=match.id,
                pair=pair,
                language=language,
            )
        )
    return items


def _article(word: str) -> str:
    low = word.lower()
    if low.startswith(SPOKEN_VOWEL):
        return "an"
    return "an" if low[:1] in VOWELS and not low.startswith(SPOKEN_CONSONANT) else "a"
