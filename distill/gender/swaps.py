"""Counterfactual swaps of the user's own rows: the same text about the other gender, only where the result is grammatical.

'her' is two words. Before a noun it is 'his' ('her bag'), elsewhere 'him' ('saw her'); and 'his' is 'her' or 'hers'. The rule, tested in
tests/auditor/bias/test_swaps.py, looks at the next word:

1. punctuation, the end of the text, or a closed-class word ('to', 'and', 'the', 'is', 'today' ...) follows: it stands alone (pronoun);
2. else a noun or adjective follows: it is a determiner, unless, for 'her',
   a verb that can take a receiver stands before it ('gave her money', 'let her go') or an -ing or -ly word follows ('saw her leaving'):
   then it cannot be told, and the row is left out.

'man', 'boy' and 'girl' at the edge of a phrase without a determiner ('oh man!') may be said to anybody: left out as well.

A row is swapped only if swapping back gives the first text, letter for letter. Rows that are not swapped are counted with the reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from distill.errors import DataError
from distill.gender.fillers import match_fillers
from distill.gender.lexicon import Gender, Lexicon, SwapList, load_lexicon

Mention = Literal["female", "male", "both", "none"]
NO_WORD = "no gendered word"
BOTH = "mentions women and men, so neither side is the female one"
UNTOLD = "'{word}' cannot be told apart by its grammar here"
ASYMMETRIC = "'{word}' has no single counterpart"
NOT_BACK = "swapping back does not give the first text"
NO_LIST = "no swap list for the language '{language}'"
# Words, but not inside links, @handles, #hashtags or e-mail addresses, which are names of things.
_TOKEN = re.compile(r"(?:https?://|www\.)\S+|[@#]\w+|\w+@\w[\w.]*|[^\W\d_]+")


@dataclass(frozen=True)
class SwapSet:
    """Swapped rows.

    Attributes:
        rows: columns row (position in the input), text, swapped, gender (of the original text), female, male (the two texts by gender).
        excluded: for each reason how many rows, the most frequent first.
        example_rows: for each reason up to three positions in the input.
        swaps: how often each word was swapped, as (from, to, times), the most frequent first; the list a page shows.
        total: rows given.
        skipped: why nothing could be swapped, None otherwise.
    """

    rows: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]
    example_rows: dict[str, tuple[int, ...]]
    swaps: tuple[tuple[str, str, int], ...]
    total: int
    skipped: str | None


@dataclass(frozen=True)
class Swapped:
    """One text: its swap, or the reason why there is none."""

    text: str | None
    gender: Mention
    reason: str
    words: tuple[tuple[str, str], ...] = ()


class Swapper:
    """Swaps texts of one language.

    Args:
        lexicon: words of the language; its first names are swapped with the counterpart of their origin and frequency.

    Raises:
        DataError: the language has no swap list.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        if lexicon.swaps is None:
            raise DataError(
                f"There is {NO_LIST.format(language=lexicon.language)}.", hint="Add a 'swaps:' section as extra data."
            )
        self._list: SwapList = lexicon.swaps
        self.to: dict[str, str] = {}
        self.gender: dict[str, Gender] = {}
        for female, male in self._list.pairs:
            self._pair(female, male)
        self.contextual = self._list.contextual
        self.gender.update({word: entry.gender for word, entry in self.contextual.items()})
        self.asymmetric = {word.lower(): gender for gender, words in self._list.asymmetric.items() for word in words}
        self.gender.update(self.asymmetric)
        left_out = {name.lower() for name in self._list.not_as_names}
        self.names: dict[str, str] = {}
        for match in match_fillers(lexicon)[0]:
            female, male = (forms.get("subj", "") for forms in (match.female, match.male))
            if match.kind == "name" and not {female.lower(), male.lower()} & left_out:
                self.names |= {female: male, male: female}
        self._name_gender: dict[str, Gender] = {
            name: gender
            for name, gender in zip(lexicon.names["name"], lexicon.names["gender"], strict=True)
            if name in self.names
        }
        self._closed = frozenset(self._list.closed_class)
        self._receiving = frozenset(self._list.receiving_verbs)
        self._titles = frozenset(self._list.titles)
        self._interjections = frozenset(self._list.interjections)
        self._determiners = frozenset(self._list.determiners)

    def _pair(self, female: str, male: str) -> None:
        self.to |= {female: male, male: female}
        self.gender |= {female: "female", male: "male"}

    def mention(self, text: str) -> Mention:
        """Whom the text mentions, by its gendered words and listed first names."""
        found = {gender for token in _TOKEN.findall(text) if (gender := self._gender_of(token)) is not None}
        return "both" if len(found) == 2 else next(iter(found), "none")

    def swap(self, text: str) -> Swapped:
        """The text about the other gender."""
        first = self._once(text)
        if first.text is None:
            return first
        if self._once(first.text).text != text:
            return Swapped(None, first.gender, NOT_BACK)
        return first

    def _gender_of(self, token: str) -> Gender | None:
        low = token.lower()
        if low in self._titles and token != low.capitalize():
            return None
        return self.gender.get(low) or self._name_gender.get(token)

    def _once(self, text: str) -> Swapped:
        tokens = [(m.start(), m.end(), m.group()) for m in _TOKEN.finditer(text)]
        hits = [k for k, (_, _, word) in enumerate(tokens) if self._gender_of(word) is not None]
        if not hits:
            return Swapped(None, "none", NO_WORD)
        genders = {self._gender_of(tokens[k][2]) for k in hits}
        if len(genders) == 2:
            return Swapped(None, "both", BOTH)
        gender: Mention = "female" if "female" in genders else "male"
        pieces, last, words = [], 0, []
        for k in hits:
            start, end, word = tokens[k]
            if word.lower() in self.asymmetric:
                return Swapped(None, gender, ASYMMETRIC.format(word=word.lower()))
            other = self._counterpart(text, tokens, k)
            if other is None:
                return Swapped(None, gender, UNTOLD.format(word=word.lower()))
            pieces += [text[last:start], other]
            last = end
            words.append(
                (word.lower() if word not in self.names else word, other.lower() if word not in self.names else other)
            )
        return Swapped("".join(pieces) + text[last:], gender, "", tuple(words))

    def _counterpart(self, text: str, tokens: Sequence[tuple[int, int, str]], k: int) -> str | None:
        word = tokens[k][2]
        if word in self.names:
            return self.names[word]
        low = word.lower()
        if low in self._interjections and self._may_be_interjection(text, tokens, k):
            return None
        entry = self.contextual.get(low)
        if entry is None:
            return _cased(self.to[low], word)
        if entry.determiner is None:
            return _cased(entry.pronoun, word)
        role = self._role(text, tokens, k, receiver=entry.gender == "female")
        return None if role is None else _cased(entry.determiner if role == "determiner" else entry.pronoun, word)

    def _may_be_interjection(self, text: str, tokens: Sequence[tuple[int, int, str]], k: int) -> bool:
        start, end, _ = tokens[k]
        if k and not text[tokens[k - 1][1] : start].strip() and tokens[k - 1][2].lower() in self._determiners:
            return False
        opens = not k or bool(text[tokens[k - 1][1] : start].strip())
        closes = k + 1 == len(tokens) or bool(text[end : tokens[k + 1][0]].strip())
        return opens or closes

    def _role(self, text: str, tokens: Sequence[tuple[int, int, str]], k: int, *, receiver: bool) -> str | None:
        after = tokens[k + 1] if k + 1 < len(tokens) else None
        # Only blanks may stand between a determiner and its noun; anything else closes the phrase.
        if after is None or text[tokens[k][1] : after[0]].strip():
            return "pronoun"
        following = after[2].lower()
        if following in self._closed:
            return "pronoun"
        if receiver:
            before = tokens[k - 1][2].lower() if k else ""
            if before in self._receiving or following.endswith(("ing", "ly")):
                return None
        return "determiner"


def swap_rows(texts: Iterable[str], language: str = "en", lexicon: Lexicon | None = None) -> SwapSet:
    """Swap every row that can be swapped.

    Args:
        texts: the rows.
        language: of all rows; where no swap list exists nothing is guessed and ``skipped`` says so.
        lexicon: the words, if the user has added some; else the bundled ones.
    """
    rows = list(texts)
    swapper, skipped = _swapper(language, lexicon)
    if swapper is None:
        return SwapSet(_frame([]), (), {}, (), len(rows), skipped)
    reasons: Counter[str] = Counter()
    examples: dict[str, tuple[int, ...]] = {}
    used: Counter[tuple[str, str]] = Counter()
    found = []
    for position, text in enumerate(rows):
        swapped = swapper.swap(text)
        if swapped.text is None:
            reasons[swapped.reason] += 1
            if len(examples.get(swapped.reason, ())) < 3:
                examples[swapped.reason] = (*examples.get(swapped.reason, ()), position)
            continue
        used.update(swapped.words)
        women = swapped.gender == "female"
        found.append(
            (
                position,
                text,
                swapped.text,
                swapped.gender,
                text if women else swapped.text,
                swapped.text if women else text,
            )
        )
    skipped = None if found else _why_none(reasons, len(rows))
    ranked = tuple((a, b, n) for (a, b), n in used.most_common())
    return SwapSet(_frame(found), tuple(reasons.most_common()), examples, ranked, len(rows), skipped)


def gender_mentions(texts: Iterable[str], language: str = "en", lexicon: Lexicon | None = None) -> np.ndarray:
    """'female', 'male', 'both' or 'none' for each text ``(n,)``: whom its words mention, not who wrote it. A group column, so labelled.

    Raises:
        DataError: no list of gendered words for the language.
    """
    swapper, skipped = _swapper(language, lexicon)
    if swapper is None:
        raise DataError(
            f"Gendered mentions cannot be found: {skipped}.", hint="Choose a group column of the data instead."
        )
    return np.array([swapper.mention(text) for text in texts], dtype=object)


def _swapper(language: str, lexicon: Lexicon | None) -> tuple[Swapper | None, str | None]:
    if lexicon is None:
        try:
            lexicon = load_lexicon(language)
        except DataError:
            return None, NO_LIST.format(language=language)
    if lexicon.language != language or lexicon.swaps is None:
        return None, NO_LIST.format(language=language)
    return Swapper(lexicon), None


def _why_none(reasons: Counter[str], total: int) -> str:
    if not total:
        return "there are no rows"
    if reasons[NO_WORD] == total:
        return "no row holds a gendered word"
    reason, times = next(item for item in reasons.most_common() if item[0] != NO_WORD)
    return f"none of the {total - reasons[NO_WORD]:,} rows with a gendered word can be swapped; the commonest reason: {reason} ({times:,})"


def _frame(rows: Sequence[tuple[int, str, str, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["row", "text", "swapped", "gender", "female", "male"])


def _cased(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word
