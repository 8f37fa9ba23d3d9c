"""How a check is added: one file in auditor/checks/.

    @check("fidelity", "How closely the student follows its teacher.", needs={"probabilities"})
    def fidelity(audit: AuditInput, options: FidelityOptions) -> CheckResult: ...

A check says what it needs. Where that is missing it is reported as 'skipped, because …', never as a zero and never as a pass.
A check never runs a model: with ``items=`` it may name sentences that it wants scored; the items of all checks are predicted
in one pass per model, then the checks score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from auditor.types import CheckResult
from distill.errors import StoreError
from distill.plugins import CLASSIFICATION, NoOptions
from distill.registry import Entry, Registry
from distill.spec import RunSpec
from distill.stages.unanswered import partners, read_unanswered
from distill.store import TEACHER, ModelCard, Run, SetName
from distill.types import ClassSignal, Examples, Floats, Ints, read_frame

NEEDS = {
    "human_labels": "the test rows carry no human label",
    "probabilities": "there are no predictions",
    "answers": "no teacher has answered the test prompts",
    "references": "the test prompts carry no reference answer",
    "student": "no arm has predictions",
    "timings": "no model could be timed",
    "models": "there are only predictions, no models",
    "groups": "the data have no group column",
    "items": "no model could be asked for the check's own sentences",
    "decisions": "nobody has reviewed labels of this run",
    "votes": "nobody has compared answers of this run",
    "synthetic_labels": "the run has no synthetic labels",
    "texts": "the texts are not here",
}


# checks whose sentences are templates of our own or published test sets
NOBODYS = ("gender_bias", "lm_bias", "lm_choice", "lm_stereotypes", "lm_honest")


@dataclass(frozen=True)
class AuditInput:
    """One finished run as the checks see it. Everything is read from files, once.

    Attributes:
        run: the run directory.
        decisions: review decisions of the run, one row each (empty frame when there are none).
        prices: USD per machine hour and per 1,000 tokens, from the price book.
    """

    run: Run
    decisions: pd.DataFrame = field(default_factory=pd.DataFrame)
    prices: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> RunSpec:
        """The run's spec."""
        return self.run.spec

    @cached_property
    def examples(self) -> Examples:
        """All rows."""
        return self.run.examples

    @cached_property
    def test(self) -> Examples:
        """The frozen test rows, in the order that every test array follows."""
        return self._answered(self.examples.part("test"), "test")

    @cached_property
    def dev(self) -> Examples:
        """The dev rows, in the order that every dev array follows."""
        return self._answered(self.examples.part("dev"), "dev")

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names, in the order of the probabilities."""
        return self.examples.labels

    @cached_property
    def teacher_card(self) -> ModelCard:
        """The teacher's card."""
        return self.run.teacher

    @cached_property
    def cards(self) -> list[ModelCard]:
        """Cards of every arm and seed that was made."""
        return self.run.cards()

    @cached_property
    def arms(self) -> list[str]:
        """Names of the arms that have test predictions, in the order of the spec; the teacher is not among them."""
        names = dict.fromkeys(card.name for card in self.cards)
        return [name for name in names if self.seeds(name)]

    def seeds(self, arm: str) -> list[int]:
        """Seeds of ``arm`` that have test predictions; [0] for the teacher."""
        if arm == TEACHER:
            return [0] if self.run.prediction_path(TEACHER, 0, "test").exists() else []
        seeds = [card.seed or 0 for card in self.cards if card.name == arm]
        return [seed for seed in seeds if self.run.prediction_path(arm, seed, "test").exists()]

    def signal(self, arm: str, seed: int, part: SetName = "test") -> ClassSignal:
        """Predictions of one model, in the order of ``test`` / ``dev`` / ``items``; read once."""
        key = (arm, seed, part)
        if key not in self._signals:
            ids = self.items["item_id"] if part == "items" else getattr(self, part).ids
            self._signals[key] = self.run.prediction(arm, seed, part).aligned(np.asarray(ids, dtype=object))
        return self._signals[key]

    @cached_property
    def _signals(self) -> dict[tuple[str, int, str], ClassSignal]:
        return {}

    def outputs(self, arm: str, seed: int, part: SetName = "test") -> pd.DataFrame:
        """What a language model wrote and was measured at, one row for each row of ``test`` / ``dev``, in their order; read once.

        Columns as in the predictions of the task 'generation': answer, answer_tokens, finish, forced_tokens, kl_sum, agree_sum, nll_sum …

        Raises:
            StoreError: a row of the part is missing in the file.
        """
        return self._rows(arm, seed, part, "row_id", getattr(self, part).ids)

    def likelihoods(self, arm: str, seed: int) -> pd.DataFrame:
        """A language model's log-likelihoods (nats), tokens, bytes and greedy flag of every item, in the order of ``items``."""
        return self._rows(arm, seed, "items", "item_id", self.items["item_id"].to_numpy(dtype=object))

    def _rows(self, arm: str, seed: int, part: SetName, name: str, ids: Any) -> pd.DataFrame:
        key = (arm, seed, part)
        if key not in self._frames:
            path = self.run.prediction_path(arm, seed, part)
            frame = read_frame(path).drop_duplicates(name, keep="last").set_index(name)
            missing = [str(one) for one in ids if one not in frame.index]
            if missing:
                raise StoreError(
                    f"{path} lacks {len(missing)} of {len(ids)} rows, such as {missing[0][:60]}.",
                    hint="Delete that file and resume the run: it is written again.",
                )
            self._frames[key] = frame.loc[list(ids)].reset_index()
        return self._frames[key]

    @cached_property
    def _frames(self) -> dict[tuple[str, int, str], pd.DataFrame]:
        return {}

    def probs(self, arm: str, part: SetName = "test") -> Floats:
        """Probabilities of all seeds of an arm, shape [seeds, n, k]."""
        return np.stack([self.signal(arm, seed, part).probs for seed in self.seeds(arm)])

    @cached_property
    def labelled(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which test rows carry a human label, shape [n]."""
        return self.test.y >= 0

    @property
    def y(self) -> Ints:
        """Human labels of the test rows, −1 where there is none, shape [n]."""
        return self.test.y

    @cached_property
    def items(self) -> pd.DataFrame:
        """Sentences that checks asked for: item_id, check, text, pair and the check's own columns in ``meta`` (JSON)."""
        path = self.run.folder / "items.parquet"
        items = read_frame(path) if path.exists() else pd.DataFrame(columns=["item_id", "text", "pair"])
        missing = partners(items, self._unanswered("items"))
        return items[~items["item_id"].isin(missing)].reset_index(drop=True) if missing else items

    def _unanswered(self, part: str) -> set[str]:
        """Ids of the rows to which a teacher over the network gave no usable answer: no arm is compared on them."""
        found = read_unanswered(self.run.folder)
        return set(found.loc[found["part"] == part, "row_id"])

    def _answered(self, rows: Examples, part: str) -> Examples:
        missing = self._unanswered(part)
        return rows.take(~np.isin(rows.ids.astype(str), list(missing))) if missing else rows

    @cached_property
    def timings(self) -> pd.DataFrame:
        """Raw timings: arm, seed, mode, threads, batch, round, texts (of classifiers), tokens, seconds, device."""
        path = self.run.folder / "timings.parquet"
        return read_frame(path) if path.exists() else pd.DataFrame()

    @cached_property
    def synthetic(self) -> pd.DataFrame:
        """labels.parquet: the review frame, with probabilities and provenance (empty when nothing was labelled)."""
        path = self.run.folder / "labels.parquet"
        return read_frame(path) if path.exists() else pd.DataFrame()

    @cached_property
    def votes(self) -> pd.DataFrame:
        """votes.parquet: which of two answers people prefer, one row a vote (empty when nobody voted)."""
        path = self.run.folder / "votes.parquet"
        return read_frame(path) if path.exists() else pd.DataFrame()

    def missing(self, needs: Iterable[str]) -> str | None:
        """Why a check with these needs cannot be made, or None."""
        have = {
            "human_labels": bool(self.labelled.any()),
            "probabilities": bool(self.seeds(TEACHER)),
            "answers": bool(self.seeds(TEACHER)),
            "references": self.test.pairs is not None,
            "student": bool(self.arms),
            "timings": not self.timings.empty,
            "models": any(card.model_dir for card in self.cards),
            "groups": bool(self.test.groups),
            "items": len(self.items) > 0 and self.run.prediction_path(TEACHER, 0, "items").exists(),
            "decisions": not self.decisions.empty,
            "votes": not self.votes.empty and bool(self.votes["standing"].any()),
            "synthetic_labels": not self.synthetic.empty,
            "texts": any(self.test.texts),
        }
        return next((NEEDS[need] for need in sorted(needs) if not have[need]), None)


CheckFunction = Callable[[AuditInput, Any], CheckResult]
ItemsFunction = Callable[[RunSpec, Examples, Any], pd.DataFrame]
CHECKS: Registry[CheckFunction] = Registry("check", "auditor.checks")
ITEMS: dict[str, ItemsFunction] = {}
# check -> measure name -> what it means; a measure may be given by one check of each task
GIVES: dict[str, dict[str, str]] = {}
# measure name -> (a check that gives it, what it means): the gates' form, plain names, and the reason when a gate has no measure
MEASURES: dict[str, tuple[str, str]] = {}


def check(
    name: str,
    summary: str,
    *,
    needs: Iterable[str] = (),
    tasks: Iterable[str] = CLASSIFICATION,
    options: type[Any] = NoOptions,
    items: ItemsFunction | None = None,
    measures: Mapping[str, str] | None = None,
) -> Callable[[CheckFunction], CheckFunction]:
    """Register a check.

    Args:
        name: word in specs and reports.
        summary: one line of plain words: the question that it answers.
        needs: words of :data:`NEEDS`.
        tasks: for which it is; in a run of another task it is left out of the report altogether.
        options: pydantic model of its options, filled from ``spec.audit.checks[name]``.
        items: ``(spec, examples, options) -> frame with columns text and pair`` (None or str) and any columns of its own.
        measures: name and meaning of each measure that it gives.
    """
    unknown = set(needs) - set(NEEDS)
    if unknown:
        raise ValueError(f"check '{name}' needs unknown things: {sorted(unknown)}")

    def register(function: CheckFunction) -> CheckFunction:
        CHECKS.add(Entry(name, function, options, summary, frozenset(needs), frozenset(tasks)))
        if items is not None:
            ITEMS[name] = items
        GIVES[name] = dict(measures or {})
        for measure, meaning in GIVES[name].items():
            MEASURES.setdefault(measure, (name, meaning))
        return function

    return register


def checks_of(task: str) -> list[Entry[CheckFunction]]:
    """The checks for one task, by name."""
    return [entry for entry in CHECKS if task in entry.tasks]
