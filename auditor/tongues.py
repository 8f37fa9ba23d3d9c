"""What the checks of languages share: which language a text is in (lingua's guess), how much of the data each has, and where a student falls back."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Any

import numpy as np
from pydantic import Field

from auditor.check import AuditInput
from auditor.measuring import measured, share
from auditor.stats.proportions import wilson
from auditor.types import Finding, Measure
from distill.spec import Part
from distill.types import Strings

UNKNOWN = "unknown"


class LanguagesOptions(Part):
    """How languages are told apart."""

    among: tuple[str, ...] = Field((), description="ISO 639-1 codes to choose from; all that lingua knows when empty.")
    certainty: float = Field(0.5, ge=0, lt=1, description="A text whose best language is less likely is 'unknown'.")
    min_words: int = Field(4, ge=1, description="Shorter texts are 'unknown'.")
    min_rows: int = Field(30, ge=2, description="A language with fewer labelled test rows gets no quality figure.")
    max_texts: int = Field(20_000, ge=100, description="Look at a seeded sample of this many pool texts.")


def mix(audit: AuditInput, options: LanguagesOptions) -> tuple[Strings, list[Measure]]:
    """The language of each test text, shape [n], and how much of pool (a seeded sample) and test each language has."""
    rng = np.random.default_rng(audit.spec.audit.seed)
    pool = audit.examples.part("pool").texts
    if len(pool) > options.max_texts:
        pool = [pool[i] for i in np.sort(rng.choice(len(pool), options.max_texts, replace=False))]
    test = detect(audit.test.texts, options)
    return test, [*_shares("pool", detect(pool, options)), *_shares("test", test)]


def large(found: Strings, options: LanguagesOptions) -> list[str]:
    """Known languages with enough texts for a figure, the commonest first."""
    return [name for name, n in Counter(found).most_common() if name != UNKNOWN and n >= options.min_rows]


def in_words(found: Strings) -> str:
    """The commonest languages with their shares."""
    return ", ".join(f"{name} {share(n / len(found))}" for name, n in Counter(found).most_common(4))


def detect(texts: list[str], options: LanguagesOptions) -> Strings:
    """ISO 639-1 code of each text, or 'unknown', shape [n]."""
    detector = _detector(options.among)
    long_enough = [i for i, text in enumerate(texts) if len(text.split()) >= options.min_words]
    found = np.full(len(texts), UNKNOWN, dtype=object)
    ranked = detector.compute_language_confidence_values_in_parallel([texts[i] for i in long_enough])
    for position, values in zip(long_enough, ranked, strict=True):
        if values and values[0].value >= options.certainty:
            found[position] = values[0].language.iso_code_639_1.name.lower()
    return found


@lru_cache(maxsize=2)
def _detector(among: tuple[str, ...]) -> Any:
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    if not among:
        return LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode().build()
    codes = [getattr(IsoCode639_1, code.upper()) for code in among]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()


def _shares(part: str, found: Strings) -> list[Measure]:
    """How much of ``part`` each language has."""
    return [
        measured("language_share", wilson(count, len(found)), "data", group=f"{part}, language={language}")
        for language, count in Counter(found).most_common()
    ]


def worse_elsewhere(check: str, measures: list[Measure], candidate: str) -> list[Finding]:
    """A warning for each language in which the candidate follows its teacher less than in the commonest one."""
    mine = [m for m in measures if m.name == "language_agreement" and m.arm == candidate]
    return [_worse(check, m, mine[0]) for m in mine[1:] if (m.high or 0.0) < (mine[0].low or 0.0)]


def _worse(check: str, here: Measure, main: Measure) -> Finding:
    return Finding(
        check=check,
        severity="warning",
        claim=f"'{here.arm}' follows its teacher on {share(here.value)} of the texts with {here.group}, "
        f"against {share(main.value)} with {main.group}.",
        evidence=(main, here),
        action="Add texts of that language to the pool, or keep the teacher for it.",
    )
