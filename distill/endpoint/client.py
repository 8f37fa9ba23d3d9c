"""One request to the endpoint: sent, read, and judged: an answer, try again, this question never, or nothing at all any more."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from distill.endpoint.options import EndpointOptions
from distill.endpoint.secret import Secret
from distill.endpoint.wire import Answer, HalfAnswerError, Question, body_of, parse_answer, path_of
from distill.errors import EndpointError

FIRST_WAIT = 0.5  # seconds before the second try; doubled each time
LONGEST_WAIT = 60.0
TOO_LONG = 900.0  # a server that asks for more patience than this stops the run, which can be resumed
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 524, 529})
_BROKEN_KEY = (
    "Check the key, and that it may use this model; it is read from the environment variable {variable} alone."
)


class AgainError(Exception):
    """Worth another try. ``after`` seconds when the server says so; ``charged`` when it may cost; ``free`` tries do not count."""

    def __init__(self, reason: str, *, after: float | None = None, charged: bool = False, free: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.after, self.charged, self.free = reason, after, charged, free


class RefusedError(Exception):
    """The server will never answer this question (a filter, a text beyond its context); the others may go on."""


def wait_before(attempt: int, after: float | None, draw: Callable[[], float] = random.random) -> float:
    """Seconds before try number ``attempt`` + 1: doubling with full jitter, never less than the server asks for.

    Source: "Exponential backoff and jitter", AWS Architecture Blog 2015 (full jitter).
    """
    backoff = draw() * min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1))
    # a little more than was asked for, so that waiting requests do not all come back in the same instant
    return backoff if after is None else after + min(backoff, 0.1 * after + 0.1)


class Pacer:
    """When the next request may go: the pace of ``requests_per_minute``, and a pause that one refusal imposes on all."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = self._pause = 0.0

    async def turn(self, stop: asyncio.Event) -> bool:
        """Wait for a turn; False when ``stop`` was set meanwhile."""
        while not stop.is_set():
            moment = time.monotonic()
            wait = max(self._next, self._pause) - moment
            if wait <= 0:
                self._next = moment + self._gap
                return True
            await rest(wait, stop)
        return False

    def pause(self, seconds: float) -> None:
        """Nobody sends before ``seconds`` are over."""
        self._pause = max(self._pause, time.monotonic() + seconds)


async def rest(seconds: float, stop: asyncio.Event) -> None:
    """Sleep, or less when ``stop`` is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


class Client:
    """Talks to one server. An async context manager; knows nothing of budgets or stores.

    Args:
        options: which server.
        secret: its key.
        note: told, once each, what is odd about the server.
    """

    def __init__(self, options: EndpointOptions, secret: Secret, note: Callable[[str], None]) -> None:
        self._options, self._secret, self._note = options, secret, note
        self._top_logprobs = options.top_logprobs
        self._dropped: set[str] = set()
        self._renamed = False
        self._said: set[str] = set()
        limits = httpx2.Limits(max_connections=options.concurrency, max_keepalive_connections=options.concurrency)
        # redirects are not followed: they would carry the key to another host
        self._http = httpx2.AsyncClient(timeout=options.timeout, limits=limits, follow_redirects=False)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(self, question: Question) -> Answer:
        """One try.

        Raises:
            AgainError: the server is busy, slow or broken.
            RefusedError: it will not answer this question.
            EndpointError: it will not answer any.
        """
        options, body = self._options, self._body(question)
        try:
            async with asyncio.timeout(options.timeout):  # httpx's own limit is for each read: a slow drip never ends
                response = await self._http.post(
                    options.base_url + path_of(options.api), json=body, headers=self._secret.headers()
                )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise AgainError(f"{options.host} cannot be reached") from error
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise AgainError(f"no answer within {options.timeout:g} s", charged=True) from error
        except httpx2.DecodingError as error:
            raise AgainError("an answer that cannot be decoded", charged=True) from error
        except httpx2.UnsupportedProtocol as error:
            raise EndpointError(f"{options.host} cannot be asked over HTTP.", hint="Check base_url.") from error
        except httpx2.TransportError as error:
            raise AgainError("the connection broke off", charged=True) from error
        if response.status_code == 200:
            return self._read(response)
        raise self._problem(response, body, question)

    def _body(self, question: Question) -> dict[str, Any]:
        body = body_of(question, api=self._options.api, model=self._options.model, top_logprobs=self._top_logprobs)
        for name in self._dropped:
            body.pop(name, None)
        if self._renamed:
            body["max_completion_tokens"] = body.pop("max_tokens")
        return body

    def _read(self, response: httpx2.Response) -> Answer:
        """The answer in a response of status 200."""
        try:
            body = response.json()
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise AgainError("half an answer", charged=True) from error
        if isinstance(body, dict) and body.get("error") and not body.get("choices"):
            raise AgainError(f"an error in place of an answer: {self._secret.scrub(_words(body))}")
        try:
            answer = parse_answer(body)
        except HalfAnswerError as error:
            raise AgainError("half an answer", charged=True) from error
        # whatever a server says may quote what it was sent, and this is stored
        return replace(answer, model=self._secret.scrub(answer.model))

    def _problem(self, response: httpx2.Response, body: dict[str, Any], question: Question) -> Exception:
        """What a status other than 200 means."""
        status, host, options = response.status_code, self._options.host, self._options
        said = self._secret.scrub(_text(response))
        if status in (401, 403):
            # the server's words are left out on purpose: some of them repeat the key
            key = f"the key in {options.api_key_env}" if options.api_key_env else "a request without a key"
            hint = _BROKEN_KEY.format(variable=options.api_key_env or "named by api_key_env")
            return EndpointError(f"{host} refuses {key} ({status}).", hint=hint)
        if status == 402 or (status == 429 and "insufficient_quota" in _text(response)):
            return EndpointError(f"{host} says that the account is empty ({status}).", hint="Add credit, then resume.")
        if status == 404:
            return EndpointError(
                f"{host} knows no model '{options.model}', or no such path ({status}): {said}",
                hint="Check the teacher's options model, base_url and api.",
            )
        if 300 <= status < 400:
            return EndpointError(
                f"{host} sends requests elsewhere ({status}).", hint="Write its new address in base_url."
            )
        if status in _AGAIN or status >= 500:
            after = retry_after(response.headers)
            if after is not None and after > TOO_LONG:
                return EndpointError(
                    f"{host} asks to wait {after / 60:.0f} minutes ({status}).",
                    hint="Resume the run then: every answer so far is kept.",
                )
            return AgainError(f"{status} {said}".strip(), after=after)
        if body != self._body(question):
            return AgainError("a request of the old form", free=True)  # another answer has taught us meanwhile
        if self._adapt(_text(response), body):
            return AgainError(f"{status} {said}", free=True)
        return RefusedError(f"{status} {said}".strip())

    def _adapt(self, text: str, body: dict[str, Any]) -> bool:
        """Leave out what this server does not understand; False when there is nothing to leave out."""
        if "max_completion_tokens" in text and "max_tokens" in body:
            self._renamed = True
            return True
        if "logprobs" in text and "logprobs" in body:
            self._top_logprobs = 5 if self._top_logprobs > 5 else 0
            what = f"at most {self._top_logprobs}" if self._top_logprobs else "no"
            self._once(f"{self._options.host} gives {what} log-probabilities a token.")
            return True
        for name in ("seed", "top_p", "temperature", "stop"):
            if name in body and re.search(rf"\b{name}\b", text):
                self._dropped.add(name)
                self._once(f"{self._options.host} does not let '{name}' be set: its own value is used.")
                return True
        return False

    def _once(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self._note(sentence)


def retry_after(headers: httpx2.Headers, at: datetime | None = None) -> float | None:
    """Seconds that a server asks to wait: ``retry-after-ms``, or Retry-After as seconds or as a date (RFC 9110, 10.2.3)."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d+(\.\d+)?", value):
            return float(value) * scale
    try:
        until = parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return None
    moment = at or datetime.now(UTC)
    return max(0.0, (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - moment.timestamp())


def _text(response: httpx2.Response) -> str:
    try:
        return _words(response.json())
    except (ValueError, UnicodeDecodeError):
        return response.text[:2_000]


def _words(body: Any) -> str:
    """The sentence in an error's body, whatever the dialect; its code behind it."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        parts = [error.get(name) for name in ("message", "detail", "code", "param")]
        return " ".join(str(part) for part in parts if part) or json.dumps(error)[:2_000]
    return str(error)[:2_000]


_VERSIONED = re.compile(r"[-.:@]?(\d{4}-\d{2}-\d{2}|\d{3,8}|latest|main|[0-9a-f]{7,40})")


def same_model(asked: str, said: str) -> bool:
    """True when a server's name for its model is the one asked for: itself, a dated version of it, or the file behind it."""
    if not said:
        return True  # it gives no name, so there is nothing to compare
    first, second = (_plain(name) for name in (asked, said))
    if first == second:
        return True
    return second.startswith(first) and _VERSIONED.fullmatch(second[len(first) :]) is not None


def _plain(name: str) -> str:
    """The last part of a name or path, without a revision or a file's ending."""
    last = name.strip().replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].casefold()
    return last.rsplit("@", 1)[0].removesuffix(".gguf")
