"""What an endpoint teacher will be asked and what that costs, before anything is asked. Estimates: tokens are counted as characters over four."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

from distill.endpoint.client import same_model
from distill.endpoint.options import EndpointOptions
from distill.endpoint.secret import read_secret
from distill.endpoint.wire import Question
from distill.errors import EndpointError, nearest
from distill.spec import RunSpec

if TYPE_CHECKING:
    from distill.preflight import PreflightItem, State

REMOTE = ("endpoint", "endpoint_lm")  # teacher backends that are asked over the network
CHARACTERS_A_TOKEN = 4  # rule of thumb for English; code and other scripts take more tokens
SAMPLE = 200  # questions whose length is measured
PATIENCE = 5.0  # seconds for a look at the server


@dataclass(frozen=True)
class Outlook:
    """How much will be asked.

    Attributes:
        questions: by part: pool, dev, test, items.
        prompt_tokens, answer_tokens: of all of them, estimated; answers at their longest.
        usd: price of that.
    """

    questions: dict[str, int]
    prompt_tokens: int
    answer_tokens: int
    usd: float

    @property
    def total(self) -> int:
        """All questions."""
        return sum(self.questions.values())

    @property
    def tokens(self) -> int:
        """Prompts and answers together."""
        return self.prompt_tokens + self.answer_tokens


def outlook(options: EndpointOptions, questions: dict[str, int], sample: list[Question]) -> Outlook:
    """Tokens and money for so many questions like those of the sample."""
    characters = [sum(len(content) for _, content in question.messages) for question in sample]
    total = sum(questions.values())
    prompt = round(total * (sum(characters) / CHARACTERS_A_TOKEN) / max(1, len(sample)))
    answer = round(total * sum(question.max_tokens for question in sample) / max(1, len(sample)))
    return Outlook(questions, prompt, answer, options.usd(prompt, answer))


def outlook_of(spec: RunSpec, labels: int, splits: dict[str, int], items: int, words: float) -> Outlook | None:
    """The outlook of a run whose teacher is elsewhere; None for teachers of this machine.

    Args:
        spec: the run.
        labels: pool rows that are asked.
        splits: rows of each split.
        items: sentences of the checks.
        words: median words of a text.

    Raises:
        SpecError: options that cannot be.
    """
    if spec.teacher.kind == "endpoint":
        return label_outlook(spec, labels, splits, items, words)
    return writing_outlook(spec, labels, splits, words) if spec.teacher.kind == "endpoint_lm" else None


def writing_outlook(spec: RunSpec, labels: int, splits: dict[str, int], words: float) -> Outlook:
    """The outlook of a run with a language model: pool, dev as the pool, dev and test at temperature 0; items are not asked."""
    from distill.teachers.endpoint_lm import question_of

    asking, dev = spec.asking, splits.get("dev", 0)
    question = question_of("x" * round(6 * words), 0, asking)
    counts = {"answers": labels * asking.samples, "dev_answers": 2 * dev, "test": splits.get("test", 0)}
    return outlook(options_of(spec), counts, [question])


def options_of(spec: RunSpec) -> EndpointOptions:
    """The teacher's options that every endpoint has."""
    shared = {name: value for name, value in spec.teacher.options.items() if name in EndpointOptions.model_fields}
    return EndpointOptions.model_validate(shared)


def label_outlook(spec: RunSpec, labels: int, splits: dict[str, int], items: int, words: float) -> Outlook:
    """The outlook of a classification run, from the length of its texts; raises SpecError for options that cannot be."""
    from distill.endpoint.verbalise import Verbaliser
    from distill.teachers.endpoint import EndpointTeacherOptions

    options = EndpointTeacherOptions.model_validate(spec.teacher.options)
    text = "x" * min(options.longest_text, round(6 * words))  # a word and its space take six characters
    names = spec.data.labels or tuple(spec.data.definitions) or ("label",)
    verbaliser = Verbaliser(
        labels=names,
        definitions=tuple(spec.data.definitions.items()),
        form=options.form,
        instruction=options.instruction,
        system=options.system,
        shots=tuple((text, None, label) for label in range(len(names)) for _ in range(options.shots)),
        longest=options.longest_text,
        least_mass=options.least_mass,
    )
    question = verbaliser.question(text)
    counts = {"pool": labels, "dev": splits.get("dev", 0), "test": splits.get("test", 0), "items": items}
    return outlook(options, counts, [question])


def look(options: EndpointOptions, expected: Outlook) -> Iterator[PreflightItem]:
    """What can be said before the first question: key, server, model, volume and budget."""
    from distill.preflight import PreflightItem

    try:
        secret = read_secret(options.api_key_env)
        where = f"in {options.api_key_env}" if options.api_key_env else "not needed (api_key_env is empty)"
        yield PreflightItem("ok", f"The endpoint's key is {where}.")
    except EndpointError as error:
        yield PreflightItem("fail", error.message, error.hint)
        return
    if secret and options.readable_key:
        yield PreflightItem("warn", f"The key travels to {options.host} unencrypted.", "Use https.")
    yield _reach(options, secret.headers())
    yield _volume(options, expected)
    if not options.licence:
        yield PreflightItem(
            "warn",
            "The endpoint's terms are not stated: many forbid training a model on their answers.",
            "Read them, and name them in the teacher's option licence.",
        )


def _reach(options: EndpointOptions, headers: dict[str, str]) -> PreflightItem:
    """One look at the list of models; nothing is paid for it."""
    from distill.preflight import PreflightItem

    try:
        response = httpx2.get(f"{options.base_url}/models", headers=headers, timeout=PATIENCE, follow_redirects=False)
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return PreflightItem(
            "fail", f"The endpoint {options.host} cannot be reached.", "Check base_url, and that the server runs."
        )
    if response.status_code in (401, 403):
        return PreflightItem(
            "fail",
            f"{options.host} refuses the key ({response.status_code}).",
            f"Check {options.api_key_env or 'api_key_env'}.",
        )
    names = _models(response)
    if response.status_code != 200 or names is None:
        return PreflightItem("ok", f"{options.host} answers; it does not list its models.")
    if any(same_model(options.model, name) for name in names):
        return PreflightItem("ok", f"{options.host} answers and has the model '{options.model}'.")
    return PreflightItem(
        "warn",
        f"{options.host} answers and does not list the model '{options.model}'.",
        nearest(options.model, names[:20]),
    )


def _models(response: httpx2.Response) -> list[str] | None:
    try:
        return [str(entry["id"])[:100] for entry in response.json()["data"]]
    except (ValueError, KeyError, TypeError):
        return None


_PARTS = {
    "answers": "answers to learn",
    "dev_answers": "dev answers",
    "pool": "pool texts",
    "dev": "dev rows",
    "test": "test rows",
    "items": "of the checks' own sentences",
}


def _volume(options: EndpointOptions, expected: Outlook) -> PreflightItem:
    from distill.preflight import PreflightItem

    parts = ", ".join(f"{n:,} {_PARTS.get(part, part)}" for part, n in expected.questions.items() if n)
    priced = bool(options.usd_per_million_in or options.usd_per_million_out)
    money = f" and {expected.usd:,.2f} USD" if priced else ""
    pace = options.requests_per_minute
    slow = f", at {pace:g} requests a minute at least {expected.total / pace / 60:.1f} h" if pace else ""
    sentence = (
        f"The endpoint is asked about {expected.total:,} times ({parts}): some {expected.tokens:,} tokens{money}{slow}. An estimate, "
        f"at {CHARACTERS_A_TOKEN} characters a token; the endpoint's own time is not known."
    )
    over = [
        f"budget_tokens is {options.budget_tokens:,}"
        if options.budget_tokens is not None and expected.tokens > options.budget_tokens
        else "",
        f"budget_usd is {options.budget_usd:g}"
        if options.budget_usd is not None and expected.usd > options.budget_usd
        else "",
    ]
    if any(over):
        state: State = "warn"
        hint = (
            f"{' and '.join(filter(None, over))}: the run will stop before its end unless answers are kept from before. Raise the budget, "
            "or lower signals.max_labels, the test split, or the checks' sentences (audit.skip, audit.checks)."
        )
        return PreflightItem(state, sentence, hint)
    if not priced and options.api_key_env and os.environ.get(options.api_key_env):
        return PreflightItem(
            "warn", sentence, "No price is set, so money is not counted: set usd_per_million_in and …_out."
        )
    return PreflightItem("ok", sentence)
