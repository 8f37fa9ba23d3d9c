"""Labels as letters or names: the prompt that asks for one, and the probability of each read from the answer. Nothing is guessed.

With log-probabilities a label's probability is the mass of the tokens that say it (Zhao et al. 2021, "Calibrate before use", section 3;
Brown et al. 2020, section 2.4), renormalised over the labels. Without them the answer must be a label's letter or name and nothing else;
then the label has probability 1. An answer that says neither is no answer: it is counted, kept and left out.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from distill.endpoint.wire import Answer, Choice, Question
from distill.errors import SpecError
from distill.types import Floats

Form = Literal["letter", "name"]
FIRST_TOKENS = 16  # tokens that a name may take, with a quotation mark and a full stop
LEAST_PREFIX = 3  # letters of a name that a token must have to stand for it where the answer went another way
_OPENING = " \t\r\n\"'`*_([{<>#:-Ġ▁"
_CLOSING = " \t\r\n\"'`*_)]}>.,;:!"

Shot = tuple[str, str | None, int]  # text, second text, label


@dataclass(frozen=True)
class Reading:
    """What an answer says: a distribution over the labels, or why there is none.

    Attributes:
        probs: shape [k], sums to 1; None when the answer is unusable.
        reason: why; empty when it is usable.
        exact: True when log-probabilities stand behind it.
    """

    probs: Floats | None
    reason: str = ""
    exact: bool = False


@dataclass(frozen=True)
class Verbaliser:
    """How labels are asked for.

    Attributes:
        labels: names in order.
        definitions: meaning of each label; may lack some.
        form: 'letter' (A, B, C …) or 'name'.
        instruction: what is to be decided.
        system: system prompt; empty for none.
        shots: examples with their labels, shown before the question.
        longest: characters of a text that are shown; the rest is cut.
        least_mass: least probability that the labels must have together.
    """

    labels: tuple[str, ...]
    definitions: tuple[tuple[str, str], ...]
    form: Form
    instruction: str
    system: str
    shots: tuple[Shot, ...]
    longest: int
    least_mass: float

    def __post_init__(self) -> None:
        if self.form == "letter" and len(self.labels) > len(string.ascii_uppercase):
            raise SpecError(
                f"{len(self.labels)} labels have no letters of their own.",
                hint="Set the teacher's option form to 'name'.",
            )
        plain = [_plain(label) for label in self.labels]
        if self.form == "name" and (len(set(plain)) < len(plain) or not all(plain)):
            raise SpecError(
                "Two labels differ in capitals or punctuation only, so an answer could mean either.",
                hint="Set the teacher's option form to 'letter'.",
            )

    @property
    def words(self) -> tuple[str, ...]:
        """What the model is to say for each label."""
        return tuple(string.ascii_uppercase[: len(self.labels)]) if self.form == "letter" else self.labels

    @property
    def identity(self) -> dict[str, object]:
        """Everything that decides an answer beside text and model."""
        return {
            "labels": list(self.labels),
            "definitions": [list(pair) for pair in self.definitions],
            "form": self.form,
            "instruction": self.instruction,
            "system": self.system,
            "shots": [list(shot) for shot in self.shots],
            "longest": self.longest,
        }

    def question(self, text: str, pair: str | None = None) -> Question:
        """The prompt for one text."""
        messages = [("system", self.system)] if self.system else []
        for shown, second, label in self.shots:
            messages += [("user", self._ask(shown, second)), ("assistant", self.words[label])]
        messages.append(("user", self._ask(text, pair)))
        return Question(tuple(messages), 4 if self.form == "letter" else FIRST_TOKENS)

    def _ask(self, text: str, pair: str | None) -> str:
        meaning = dict(self.definitions)
        lines = [self.instruction, ""]
        for word, label in zip(self.words, self.labels, strict=True):
            head = f"{word}: {label}" if self.form == "letter" else label
            lines.append(f"{head} – {meaning[label]}" if meaning.get(label) else head)
        lines += ["", f"Text: {text[: self.longest]}"]
        lines += [f"Second text: {pair[: self.longest]}"] if pair else []
        return "\n".join(
            [*lines, "", f"Answer with the {'letter' if self.form == 'letter' else 'label'} only.", "Answer:"]
        )

    # -- reading ----------------------------------------------------------------------------------------------------

    def read(self, answer: Answer) -> Reading:
        """The distribution that an answer gives."""
        if answer.tokens and any(token.top for token in answer.tokens[:1]):
            mass = self._mass(answer)
            total = float(mass.sum())
            if total < self.least_mass or total <= 0.0:
                return Reading(None, f"the labels have a probability of {total:.2f} together")
            mass = mass + self._unseen(mass, answer.tokens[0].top)
            return Reading(mass / mass.sum(), exact=True)
        label = self.said(answer.text)
        if label is None:
            empty = not answer.text.strip()
            return Reading(None, "the answer is empty" if empty else "the answer is none of the labels")
        return Reading(np.eye(len(self.labels))[label])

    def said(self, text: str) -> int | None:
        """The label that the whole answer names: its letter, its name, or letter and name; None when it says anything else."""
        plain = _plain(text)
        names = [_plain(label) for label in self.labels]
        if plain in names:
            return names.index(plain)
        if self.form == "letter":
            for number, letter in enumerate(self.words):
                if re.fullmatch(rf"{letter.casefold()}(?:[\s.):\-–]+{re.escape(names[number])})?", plain):
                    return number
        return None

    def _mass(self, answer: Answer) -> Floats:
        """Probability of each label, shape [k], summed over the tokens that say it, along the way that the answer took."""
        mass = np.zeros(len(self.labels))
        so_far, reach = "", 1.0
        for place, token in enumerate(answer.tokens):
            others = [choice for choice in token.top if choice.text != token.chosen.text]
            chosen = next((c for c in token.top if c.text == token.chosen.text), token.chosen)
            for choice in others:
                self._add(mass, so_far + choice.text, reach * math.exp(choice.logprob), taken=False)
            here = so_far + chosen.text
            reach *= math.exp(chosen.logprob)
            more = place + 1 < len(answer.tokens) and bool(answer.tokens[place + 1].top)
            if not (more and self._open(here)):
                self._add(mass, here, reach, taken=True, text=answer.text)
                break
            so_far = here
        return mass

    def _open(self, said: str) -> bool:
        """True while it takes another token to know the label."""
        begun = said.lstrip(_OPENING).casefold()
        return not begun or len(self._fitting(begun)) > 1

    def _fitting(self, begun: str) -> list[int]:
        """The labels whose word goes on from ``begun``; the exact one alone when it is also the beginning of others."""
        words = [word.casefold() for word in self.words]
        return [number for number, word in enumerate(words) if word.startswith(begun)]

    def _add(self, mass: Floats, said: str, probability: float, *, taken: bool, text: str = "") -> None:
        """Give ``probability`` to the one label that ``said`` is or begins; to none when it could be several or something else."""
        begun = said.lstrip(_OPENING).rstrip(_CLOSING).casefold()
        words = [word.casefold() for word in self.words]
        if not begun:
            return
        if begun in words and (not taken or self.form == "name" or self.said(text) is not None or _ended(text, begun)):
            mass[words.index(begun)] += probability
            return
        fitting = self._fitting(begun)
        if len(fitting) != 1:
            return
        # the way that was taken can be checked to its end; another way must be unmistakable at its beginning
        sure = self.said(text) == fitting[0] if taken else len(begun) >= LEAST_PREFIX
        if sure:
            mass[fitting[0]] += probability

    def _unseen(self, mass: Floats, top: Sequence[Choice]) -> Floats:
        """For labels that are not among the top tokens the most that they can have: the least of the top, and no more than the rest."""
        rest = max(0.0, 1.0 - sum(math.exp(choice.logprob) for choice in top))
        least = min((math.exp(choice.logprob) for choice in top), default=0.0)
        missing = mass <= 0.0
        if not missing.any() or missing.all():
            return np.zeros_like(mass)
        return np.where(missing, min(least, rest / int(missing.sum())), 0.0)


def _ended(text: str, word: str) -> bool:
    """True when the answer is the word and then something that is no further word ('A.', 'A)', 'A' cut off)."""
    return re.fullmatch(rf"\W*{re.escape(word)}(?:[^\w\s].*)?\s*", text, re.IGNORECASE | re.DOTALL) is not None


def _plain(text: str) -> str:
    """Lower case, without quotes, marks and spaces around it."""
    return text.strip(_OPENING + _CLOSING).casefold()
