"""Many questions at once, from a synchronous stage: each is stored as it is answered, and a stop lets what is under way arrive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from distill.endpoint.answers import AnswerStore, Kept, Spent
from distill.endpoint.budget import Budget
from distill.endpoint.client import AgainError, Client, Pacer, RefusedError, rest, same_model, wait_before
from distill.endpoint.options import EndpointOptions
from distill.endpoint.secret import Secret, read_secret
from distill.endpoint.wire import Answer, Question
from distill.errors import EndpointError
from distill.events import now
from distill.locks import hold
from distill.monitor import Monitor

LOOK = 0.5  # seconds between two looks at the cancel flag
ALL_REFUSED = 3  # so many refusals without a single answer mean that it is not the texts

Use = Callable[[str, Kept], None]


@dataclass
class Outcome:
    """What came of asking.

    Attributes:
        asked, reused: answers that were paid for now, and that were there.
        refused: reason by key of what the server will not answer.
        models: how often each name was given by the server.
        spent: what the run has used so far, earlier processes included.
    """

    asked: int = 0
    reused: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)


class Endpoint:
    """One server as one run asks it.

    Args:
        options: which server, how fast, for how much.
        cache: the workspace's cache folder.
        run: id of the run that pays.
        group: digest of what all questions share; one process at a time asks them.
    """

    def __init__(self, options: EndpointOptions, cache: Path, run: str, group: str) -> None:
        self.options, self._cache, self._run = options, cache, run
        self._lock = cache / "endpoint" / f"{group[:32]}.lock"

    def ask(self, questions: Mapping[str, Question], use: Use, monitor: Monitor) -> Outcome:
        """Answer every question, from the store where it was answered before.

        Args:
            questions: by key; a key is a digest of everything that decides the answer.
            use: called with key and answer of each, in any order.
            monitor: told of each answer with the money spent; may raise Cancelled, which keeps all answers.

        Raises:
            EndpointError: the key, the budget, the server.
            Cancelled: a person asked to stop.
        """
        with hold(self._lock, monitor, "these answers"), self._store() as store:
            outcome = Outcome(spent=store.spent(self._run))
            missing = dict(questions)
            for key, kept in store.kept(questions).items():
                use(key, kept)
                outcome.reused += 1
                _count(outcome, kept.answer)
                del missing[key]
            monitor.restart(outcome.reused)
            if missing:
                secret = read_secret(self.options.api_key_env)
                asking = _Asking(self.options, secret, store, self._run, use, monitor, outcome, len(questions))
                asyncio.run(asking.everything(missing))
                monitor.note(f"{self.options.host}: {outcome.asked:,} answers now. {bill(self.options, outcome.spent)}")
            return outcome

    def spent(self) -> tuple[Spent, dict[str, int]]:
        """What the run has used, and its requests by state."""
        with self._store() as store:
            return store.spent(self._run), store.states(self._run)

    @contextmanager
    def _store(self) -> Iterator[AnswerStore]:
        store = AnswerStore(self._cache)
        try:
            yield store
        finally:
            store.close()


def bill(options: EndpointOptions, spent: Spent) -> str:
    """What a run has used, in a sentence."""
    priced = bool(options.usd_per_million_in or options.usd_per_million_out)
    money = f", {spent.usd:,.4f} USD" if priced else "; no prices are set, so money is not counted"
    return f"The run has used {spent.tokens:,} tokens in {spent.requests:,} requests so far{money}."


def _count(outcome: Outcome, answer: Answer) -> None:
    if answer.model:
        outcome.models[answer.model] = outcome.models.get(answer.model, 0) + 1


class _Asking:
    """One pass over what is missing."""

    def __init__(
        self,
        options: EndpointOptions,
        secret: Secret,
        store: AnswerStore,
        run: str,
        use: Use,
        monitor: Monitor,
        outcome: Outcome,
        total: int,
    ) -> None:
        self._options, self._secret, self._store, self._run = options, secret, store, run
        self._use, self._monitor, self._outcome, self._total = use, monitor, outcome, total
        self._pacer = Pacer(options.requests_per_minute)
        self._beyond = 0  # tokens that this server adds to a prompt beyond our bound
        self._warned = False

    async def everything(self, missing: Mapping[str, Question]) -> None:
        """Workers share one iterator; the first error stops them all, after what is under way has arrived."""
        self._stop = asyncio.Event()
        self._budget = Budget(self._options, self._outcome.spent)
        work = iter(missing.items())
        async with Client(self._options, self._secret, lambda text: self._monitor.note(text, warning=True)) as client:
            count = min(self._options.concurrency, len(missing))
            watch = asyncio.create_task(self._watch())
            workers = [asyncio.create_task(self._worker(client, work)) for _ in range(count)]
            done = await asyncio.gather(*workers, return_exceptions=True)
            self._stop.set()
            done += await asyncio.gather(watch, return_exceptions=True)
        self._outcome.spent = self._budget.spent
        problems = [found for found in done if isinstance(found, BaseException)]
        if problems:
            raise problems[0]

    async def _watch(self) -> None:
        """Look for a cancel while all answers are slow."""
        while not self._stop.is_set():
            try:
                self._monitor.check()
            except BaseException:
                self._stop.set()
                raise
            await rest(LOOK, self._stop)

    async def _worker(self, client: Client, work: Iterator[tuple[str, Question]]) -> None:
        try:
            for key, question in work:
                await self._one(client, key, question)
                if self._stop.is_set():
                    return
        except BaseException:
            self._stop.set()
            raise

    async def _one(self, client: Client, key: str, question: Question) -> None:
        """Ask until there is an answer, a refusal, or no patience left."""
        attempt, reason = 0, ""
        while attempt < self._options.attempts:
            if not await self._pacer.turn(self._stop):
                return
            attempt += 1
            try:
                kept = await self._try(client, key, question)
            except RefusedError as refusal:
                self._refuse(key, str(refusal))
                return
            except AgainError as problem:
                reason = problem.reason
                if problem.free:
                    attempt -= 1
                    continue
                wait = wait_before(attempt, problem.after)
                if problem.after is not None:
                    self._pacer.pause(problem.after)
                if attempt < self._options.attempts:
                    await rest(wait, self._stop)
                    continue
            else:
                self._done(key, kept)
                return
        raise EndpointError(
            f"{self._options.host} did not answer after {attempt} tries; the last time: {reason}.",
            hint="Resume the run when it is well again: every answer so far is kept.",
        )

    async def _try(self, client: Client, key: str, question: Question) -> Kept:
        """One request, its price held, noted before it goes and settled when it is back."""
        options = self._options
        prompt = question.bound + self._beyond
        most = Spent(1, prompt, question.max_tokens, options.usd(prompt, question.max_tokens))
        await self._budget.hold(most)
        number = self._store.sent(self._run, key, most)
        began, cost = time.monotonic(), Spent()
        try:
            answer = await client.ask(question)
            seconds = time.monotonic() - began
            cost = self._cost(answer, question, most)
            fitting = same_model(options.model, answer.model) or options.other_model == "warn"
            self._store.came(number, answer, cost, seconds, "paid" if fitting else "other")
        except AgainError as problem:
            cost = most if problem.charged else cost
            self._store.failed(number, "lost" if problem.charged else "void")
            raise
        except (RefusedError, EndpointError):
            self._store.failed(number, "void")
            raise
        except BaseException:
            cost = most  # killed or broken within: it stays 'open' and counts in full
            raise
        finally:
            await self._budget.settle(most, cost)
        self._look_at(answer, fitting)
        return Kept(answer, now(), seconds)

    def _cost(self, answer: Answer, question: Question, most: Spent) -> Spent:
        """What the server charged; where it does not count, the most it can be."""
        prompt = most.prompt_tokens if answer.prompt_tokens is None else answer.prompt_tokens
        said = most.answer_tokens if answer.answer_tokens is None else answer.answer_tokens
        self._beyond = max(self._beyond, prompt - question.bound)
        return Spent(1, prompt, said, self._options.usd(prompt, said))

    def _look_at(self, answer: Answer, fitting: bool) -> None:
        """Hold the server's name for its model against the one that was asked for."""
        if same_model(self._options.model, answer.model):
            return
        sentence = f"{self._options.host} was asked for '{self._options.model}' and answered as '{answer.model[:80]}'."
        if not fitting:
            raise EndpointError(
                sentence,
                hint="Name that model, or set other_model to 'warn' if the two are the same. Its answer is not used.",
            )
        if not self._warned:
            self._warned = True
            self._monitor.note(sentence, warning=True)

    def _refuse(self, key: str, reason: str) -> None:
        outcome = self._outcome
        outcome.refused[key] = reason
        if len(outcome.refused) >= ALL_REFUSED and not outcome.asked and not outcome.reused:
            raise EndpointError(
                f"{self._options.host} refuses every question: {reason}", hint="Check the teacher's options."
            )
        self._progress()

    def _done(self, key: str, kept: Kept) -> None:
        self._outcome.asked += 1
        _count(self._outcome, kept.answer)
        self._use(key, kept)
        self._progress()

    def _progress(self) -> None:
        outcome = self._outcome
        step = outcome.asked + outcome.reused + len(outcome.refused)
        self._monitor.progress(step, self._total, "answers", spend=round(self._budget.spent.usd, 6))
