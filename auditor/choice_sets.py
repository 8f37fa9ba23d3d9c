"""Multiple-choice questions from the packs, written as lm-evaluation-harness writes them, so that figures can be held against published ones.

Where its task offers the options' texts, the options are texts (PIQA, HellaSwag, OpenBookQA, LogiQA); where it offers letters, letters
(CommonsenseQA, MedQA, MedMCQA); yes or no as its BoolQ task; ASDiv as its asdiv task: the answer is right where every token of it is the
likeliest one. A blank stands before each option.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from distill.data import packs
from distill.data.pack_tables import RIGHT

LETTERS: Final = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Choice:
    """One question.

    Attributes:
        context: what the model reads.
        options: how it may go on, without the blank before it.
        right: index of the right option; None where the file does not say.
    """

    context: str
    options: tuple[str, ...]
    right: int | None


@dataclass(frozen=True)
class ChoiceSet:
    """One set.

    Attributes:
        title: as people call it.
        domain: 'common sense', 'legal', 'medical' or 'reasoning'.
        read: gives its questions.
        normalised: the options are texts of different length, so accuracy by likelihood per character stands beside plain accuracy.
        greedy: there is one option, right where the model would write it.
    """

    title: str
    domain: str
    read: Callable[[], list[Choice]]
    normalised: bool = False
    greedy: bool = False


def _questions(pack: str) -> list[tuple[str, list[str], int | None]]:
    """Text, options and the right one's index of each question of a pack."""
    frame = packs.dataset(pack).frame
    labels = frame["label"] if "label" in frame.columns else pd.Series([None] * len(frame))
    found: dict[str, tuple[str, list[str], list[Any]]] = {}
    for unit, text, option, label in zip(frame["unit"], frame["text"], frame["pair"], labels, strict=True):
        _, options, known = found.setdefault(str(unit), (str(text), [], []))
        options.append(str(option).strip())
        known.append(label)
    return [
        (text, options, known.index(RIGHT) if RIGHT in known else None)
        for text, options, known in found.values()
        if len(set(options)) == len(options) > 1
    ]


def _texts(pack: str, form: str) -> list[Choice]:
    return [Choice(form.format(text=text.strip()), tuple(options), right) for text, options, right in _questions(pack)]


def _letters(pack: str, form: str) -> list[Choice]:
    found = []
    for text, options, right in _questions(pack):
        letters = tuple(LETTERS[: len(options)])
        lines = "".join(f"{letter}. {option}\n" for letter, option in zip(letters, options, strict=True))
        found.append(Choice(form.format(text=text.strip(), lines=lines), letters, right))
    return found


def _listed(pack: str) -> list[Choice]:
    """LogiQA: options are listed in the prompt and are the answers too. The pack has passage and question in one, so one line holds both."""
    found = []
    for text, options, right in _questions(pack):
        lines = "".join(f"{letter}. {option}\n" for letter, option in zip(LETTERS, options, strict=False))
        found.append(Choice(f"Passage: {text.strip()}\nChoices:\n{lines}Answer:", tuple(options), right))
    return found


def _yes_no(pack: str) -> list[Choice]:
    frame = packs.dataset(pack).frame
    said = {"true": 1, "yes": 1, "false": 0, "no": 0}
    return [
        Choice(f"{passage}\nQuestion: {str(question).rstrip('?')}?\nAnswer:", ("no", "yes"), said[label])
        for question, passage, label in zip(frame["text"], frame["pair"], frame["label"], strict=True)
        if label in said
    ]


def _sums() -> list[Choice]:
    """ASDiv: body, question, and the number that should follow."""
    frame = packs.dataset("asdiv").frame
    return [
        Choice(f"{body}\nQuestion:{question}\nAnswer:", (str(answer).split(" (")[0].split(" ")[0],), 0)
        for body, question, answer in zip(frame["text"], frame["pair"], frame["answer"], strict=True)
    ]


SETS: dict[str, ChoiceSet] = {
    "piqa": ChoiceSet("PIQA", "common sense", lambda: _texts("piqa", "Question: {text}\nAnswer:"), normalised=True),
    "hellaswag": ChoiceSet("HellaSwag", "common sense", lambda: _texts("hellaswag", "{text}"), normalised=True),
    "openbookqa": ChoiceSet("OpenBookQA", "common sense", lambda: _texts("openbookqa", "{text}"), normalised=True),
    "commonsenseqa": ChoiceSet(
        "CommonsenseQA", "common sense", lambda: _letters("commonsenseqa", "Question: {text}\n{lines}Answer:")
    ),
    "consumer_contracts": ChoiceSet("Consumer Contracts", "legal", lambda: _yes_no("consumer_contracts")),
    "privacy_policy": ChoiceSet("Privacy Policy", "legal", lambda: _yes_no("privacy_policy")),
    "medqa": ChoiceSet("MedQA", "medical", lambda: _letters("medqa", "Question: {text}\n{lines}Answer:")),
    "medmcqa": ChoiceSet(
        "MedMCQA", "medical", lambda: _letters("medmcqa", "Question: {text}\nChoices:\n{lines}Answer:")
    ),
    "logiqa": ChoiceSet("LogiQA", "reasoning", lambda: _listed("logiqa"), normalised=True),
    "asdiv": ChoiceSet("ASDiv", "reasoning", _sums, greedy=True),
}


def chosen(name: str, items: int, longest: int) -> tuple[list[Choice], int]:
    """``items`` questions of a set in an order by their content, and how many were too long to be asked.

    Raises:
        PackError: the pack is missing or damaged.
    """
    every = SETS[name].read()
    short = [one for one in every if len(one.context) <= longest]
    return sorted(short, key=_place)[:items], len(every) - len(short)


def _place(one: Choice) -> bytes:
    return hashlib.blake2b("\x1f".join((one.context, *one.options)).encode(), digest_size=8).digest()


def as_rows(name: str, questions: Sequence[Choice], first: int, too_long: int = 0) -> list[dict[str, Any]]:
    """The items: one row an option; ``number`` of the question counts from ``first``, ``length`` is the option's in characters."""
    return [
        {
            "text": question.context,
            "pair": f" {option}",
            "set": name,
            "number": number,
            "option": place,
            "right": question.right,
            "length": len(option),
            "too_long": too_long,
        }
        for number, question in enumerate(questions, start=first)
        for place, option in enumerate(question.options)
    ]
