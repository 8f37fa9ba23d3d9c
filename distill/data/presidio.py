"""Personal data found by Microsoft's presidio, for those who want names and addresses found as well.

It is no requirement: presidio-analyzer brings spaCy, and a language model that the user chooses. Nothing is fetched here; presidio left to
itself would download a model of 400 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from distill.data.personal import Span
from distill.errors import DataError

FALLBACK = "en"  # the language of texts whose language nobody named
SCORE = 0.4  # presidio's confidence from which a span counts; below it are bare numbers that could be anything


def find_presidio(texts: Sequence[str], language: str | None) -> list[list[Span]]:
    """Spans in each text, in order and without overlaps; kinds are presidio's entity types in small letters.

    Raises:
        DataError: presidio, or a spaCy model of the language, is not installed.
    """
    analyzer = _analyzer(language or FALLBACK)
    return [_spans(analyzer.analyze(text=text, language=language or FALLBACK)) for text in texts]


def _spans(found: Sequence[Any]) -> list[Span]:
    """The surest and longest first; what overlaps with one that is taken is left out."""
    kept: list[Span] = []
    for each in sorted(found, key=lambda f: (-f.score, f.start - f.end, f.start)):
        span = Span(each.start, each.end, str(each.entity_type).lower())
        if each.score >= SCORE and all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return sorted(kept)


@lru_cache(maxsize=2)
def _analyzer(language: str) -> Any:
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import NlpEngineProvider
    except ImportError as error:
        raise DataError(
            "The search for personal data is set to presidio, which is not installed.",
            hint="pip install presidio-analyzer and a spaCy model, or set the engine to 'rules'.",
        ) from error
    models = sorted(name for name in spacy.util.get_installed_models() if name.startswith(f"{language}_"))
    if not models:
        raise DataError(
            f"presidio has no spaCy model for the language '{language}'.",
            hint=f"python -m spacy download {language}_core_…, or set the engine to 'rules'.",
        )
    settings = {"nlp_engine_name": "spacy", "models": [{"lang_code": language, "model_name": models[0]}]}
    engine = NlpEngineProvider(nlp_configuration=settings).create_engine()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=[language])
    analyzer.registry.remove_recognizer(
        "EmailRecognizer"
    )  # it fetches a list over the network; the rules find addresses
    return analyzer
