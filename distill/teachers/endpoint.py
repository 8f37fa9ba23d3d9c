"""A language model behind an OpenAI-compatible API as a classifier: asked for a letter or a name, its answer read as probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field

from distill.endpoint.answers import Kept
from distill.endpoint.asking import Endpoint, Outcome
from distill.endpoint.options import EndpointOptions
from distill.endpoint.verbalise import Shot, Verbaliser
from distill.errors import DataError, EndpointError
from distill.events import now
from distill.files import digest_of, read_json
from distill.monitor import Monitor
from distill.plugins import StageContext, Teacher, teacher
from distill.signals import Answers, seeded_order
from distill.spec import RunSpec
from distill.store import TEACHER, ModelCard, Run
from distill.types import Examples, Floats

SHOWN = 60  # characters of an answer that a message quotes


class EndpointTeacherOptions(EndpointOptions):
    """Which server, for how much, and how it is asked for a label."""

    form: Literal["letter", "name"] = Field(
        "letter", description="Ask for the letter of a label, or for its name. Letters are one token each."
    )
    instruction: str = Field(
        "Which of these labels fits the text?", description="What is to be decided, in a sentence."
    )
    system: str = Field("You label texts. You answer with a label and nothing else.", description="System prompt.")
    shots: int = Field(0, ge=0, le=8, description="Examples of each label in the prompt, from the labelled rows.")
    longest_text: int = Field(4_000, ge=20, description="Characters of a text that are shown; the rest is cut.")
    least_mass: float = Field(
        0.5, ge=0, le=1, description="Probability that the labels must have together; below it there is no answer."
    )


@dataclass(frozen=True)
class EndpointTeacher:
    """Asks for labels over HTTP. Its answers lie in the workspace's store of answers, one by one."""

    card: ModelCard
    endpoint: Endpoint
    verbaliser: Verbaliser

    def probabilities(self, examples: Examples, monitor: Monitor) -> Floats:
        """Probabilities, shape [n, k]; raises EndpointError when a row has no usable answer."""
        answers = self.answers(examples, monitor)
        if not answers.usable.all():
            raise EndpointError(f"The endpoint gave no usable answer to {int((~answers.usable).sum()):,} texts.")
        return answers.probs

    def answers(self, examples: Examples, monitor: Monitor) -> Answers:
        """What the endpoint says about each row; rows that it gave no usable answer to have NaN and a reason.

        Raises:
            EndpointError: no key, a wrong one, the budget, or a server that cannot be asked.
        """
        pairs = _pairs(examples)
        group = self.card.extra["decides"]
        keys = [digest_of([group, text, pair]) for text, pair in zip(examples.texts, pairs, strict=True)]
        questions = {
            key: self.verbaliser.question(text, pair)
            for key, text, pair in zip(keys, examples.texts, pairs, strict=True)
        }
        replies = _Replies(self.verbaliser)
        outcome = self.endpoint.ask(questions, replies.take, monitor)
        found = replies.answers(keys, outcome)
        hard = int(found.usable.sum()) - found.facts["with_logprobs"]
        if hard > 0 and monitor.stage_name == "labels":
            which = "The endpoint gives" if hard == int(found.usable.sum()) else f"To {hard:,} texts the endpoint gives"
            monitor.note(f"{which} no log-probabilities: its labels are hard, with probability 1.", warning=True)
        return found


class _Replies:
    """Reads answers as they come, so that their log-probabilities need not be kept in memory."""

    def __init__(self, verbaliser: Verbaliser) -> None:
        self._verbaliser = verbaliser
        self._found: dict[str, tuple[Floats | None, str, str, str, float]] = {}
        self._exact = 0

    def take(self, key: str, kept: Kept) -> None:
        """Read one answer."""
        reading = self._verbaliser.read(kept.answer)
        self._exact += reading.exact
        self._found[key] = (reading.probs, reading.reason, kept.answer.text, kept.at, kept.seconds)

    def answers(self, keys: list[str], outcome: Outcome) -> Answers:
        """All answers in the order of ``keys``."""
        nothing = np.full(len(self._verbaliser.labels), np.nan)
        refused = {key: (None, f"refused: {why}", "", now(), 0.0) for key, why in outcome.refused.items()}
        rows = [self._found.get(key) or refused[key] for key in keys]
        seconds = [row[4] for row in rows if row[4] > 0]
        facts = {
            "spent_usd": round(outcome.spent.usd, 6),
            "prompt_tokens": outcome.spent.prompt_tokens,
            "answer_tokens": outcome.spent.answer_tokens,
            "requests": outcome.spent.requests,
            "models": outcome.models,
            "with_logprobs": self._exact,
            "request_p50_ms": round(1000 * float(np.median(seconds)), 1) if seconds else None,
        }
        return Answers(
            np.array([nothing if row[0] is None else row[0] for row in rows]).reshape(len(rows), len(nothing)),
            np.array([row[3] for row in rows], dtype=object),
            outcome.asked,
            outcome.reused,
            np.array([row[2] for row in rows], dtype=object),
            np.array([row[1] for row in rows], dtype=object),
            facts,
        )


@teacher(
    "endpoint",
    "A language model behind an OpenAI-compatible API, asked for a label over the network.",
    EndpointTeacherOptions,
)
def endpoint(context: StageContext, options: Any) -> Teacher:
    """The teacher; nothing is asked yet.

    Raises:
        DataError: examples are wanted in the prompt and no training row has a label.
        SpecError: labels that cannot be asked for in this form.
    """
    verbaliser = verbaliser_of(context.spec, context.run.examples, options)
    day = day_of(context.run, options)
    decides = {
        **{name: getattr(options, name) for name in ("base_url", "model", "api", "top_logprobs")},
        "day": day,
        **verbaliser.identity,
    }
    card = endpoint_card("endpoint", options, day, decides, verbaliser.labels)
    place = Endpoint(options, context.cache, context.run.id, digest_of(decides))
    return EndpointTeacher(card, place, verbaliser)


def endpoint_card(
    kind: str, options: Any, day: str, decides: dict[str, Any], labels: tuple[str, ...] = ()
) -> ModelCard:
    """The card of a model behind an endpoint: it has no digest, so server, name and day stand for it."""
    return ModelCard(
        name=TEACHER,
        kind=kind,
        id=options.model,
        version=day,
        licence=options.licence,
        labels=labels,
        notes=(
            f"Asked over the network ({options.host}): it may change without notice, and it cannot be timed or taken apart here.",
        ),
        extra={"generation": 0, "host": options.host, "day": day, "decides": decides},
    )


def day_of(run: Run, options: Any) -> str:
    """The day under which answers are kept: the spec's, else that of the run's first question, so that resuming tomorrow pays nothing twice."""
    if options.day:
        return str(options.day)
    path = run.folder / "teacher.json"
    known = read_json(path).get("extra", {}).get("day") if path.exists() else None
    return str(known or now()[:10])


def verbaliser_of(spec: RunSpec, examples: Examples, options: Any) -> Verbaliser:
    """How this run's labels are asked for; raises DataError, SpecError."""
    labels = examples.labels
    return Verbaliser(
        labels,
        tuple((name, meaning) for name, meaning in sorted(spec.data.definitions.items()) if name in labels),
        options.form,
        options.instruction,
        options.system,
        _shots(examples, options.shots, spec.data.split.seed, options.longest_text),
        options.longest_text,
        options.least_mass,
    )


def _pairs(examples: Examples) -> list[str | None]:
    """The second text of each row, or None."""
    return list(examples.pairs or []) or [None] * len(examples)


def _shots(examples: Examples, count: int, seed: int, longest: int) -> tuple[Shot, ...]:
    """``count`` labelled training rows of each label by a seeded choice, the labels taking turns."""
    if not count:
        return ()
    train = examples.part("train")
    rows = train.take(train.y >= 0)
    if not len(rows):
        raise DataError(
            "The prompt is to show examples, and no training row has a human label.",
            hint="Set the teacher's option shots to 0, or give split.teacher_train a share.",
        )
    rows = rows.take(seeded_order(rows.ids, seed))
    pairs = _pairs(rows)
    by_label: list[list[Shot]] = [[] for _ in examples.labels]
    for text, pair, label in zip(rows.texts, pairs, rows.y.tolist(), strict=True):
        if len(by_label[label]) < count:
            by_label[label].append((text[:longest], pair, label))
    return tuple(shots[turn] for turn in range(count) for shots in by_label if turn < len(shots))
