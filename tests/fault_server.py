"""An OpenAI-compatible server for tests: it knows a few words of sentiment, counts what it would charge, and fails in every way that is asked for.

    with FaultServer(fault=lambda ask: "500" if ask.seen == 1 else None) as server:
        ... server.base_url ...

`python -m tests.fault_server --port 8899` keeps a well one open, to be used as a teacher by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MODEL = "little-1"
KEY = "sk-test-0123456789abcdef0123456789abcdef"
WORDS = {
    "negative": [
        "bad",
        "late",
        "lost",
        "rude",
        "awful",
        "hours",
        "never",
        "worst",
        "delayed",
        "cancelled",
        "sad",
        "hate",
        "terrible",
        "no",
        "not",
        "why",
        "crash",
    ],
    "neutral": [
        "seat",
        "gate",
        "flight",
        "ticket",
        "bag",
        "car",
        "driverless",
        "new",
        "apple",
        "when",
        "from",
        "is",
        "it",
    ],
    "positive": [
        "great",
        "kind",
        "early",
        "thanks",
        "lovely",
        "thank",
        "love",
        "good",
        "best",
        "awesome",
        "happy",
        "glad",
        "cool",
        "nice",
    ],
}


@dataclass(frozen=True)
class Ask:
    """One request: its number from 1 on, the text to be labelled, how often this text was asked for, and the body."""

    number: int
    text: str
    seen: int
    body: dict[str, Any]


Fault = Callable[[Ask], str | None]
Said = list[tuple[str, float, list[tuple[str, float]]]]


def _well(_: Ask) -> None:
    return None


@dataclass
class FaultServer:
    """A server in a thread.

    Attributes:
        fault: what goes wrong with a request: '429', '429-date', '429-quota', '500', '401', '400', '404', 'redirect', 'half', 'cut', 'reset',
            'slow', 'drip', 'other_model', 'dated_model', 'no_logprobs', 'null_logprobs', 'merged', 'nonsense', 'empty', 'no_usage',
            'error_200', 'echo_key', 'not_logprobs', 'only_5', 'completion_tokens', 'context'; None: nothing.
        key: what is accepted as a key; '' accepts all.
        retry_after: seconds that a 429 asks for.
        pause: seconds before each answer.
        billed: how often each text was answered with a status 200 and at least a part of an answer.
        times: monotonic time of each request.
        split: a story's text into tokens.
        most: largest number of requests under way at once.
    """

    fault: Fault = _well
    key: str = ""
    retry_after: float = 0.2
    pause: float = 0.0
    port: int = 0
    model: str = MODEL
    split: Callable[[str], list[str]] = field(default=lambda text: re.findall(r"\s?\w+", text))
    asks: list[Ask] = field(default_factory=list)
    billed: Counter[str] = field(default_factory=Counter)
    keys_seen: set[str] = field(default_factory=set)
    times: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    answer_tokens: int = 0
    most: int = 0
    _now: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FaultServer:
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    # -- HTTP -------------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head.split("\r\n")[1:])}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        given = headers.get("authorization", "")
        self.keys_seen.add(given)
        path = head.split(" ", 2)[1]
        if self.key and given != f"Bearer {self.key}":
            return await _send(
                writer, 401, {"error": {"message": f"Incorrect API key provided: {given[:22]}***{given[-4:]}."}}
            )
        if path.endswith("/models"):
            return await _send(writer, 200, {"object": "list", "data": [{"id": self.model, "object": "model"}]})
        if not path.endswith(("/chat/completions", "/completions")):
            return await _send(writer, 404, {"error": {"message": "no such path"}})
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            return await self._complete(json.loads(raw), given, writer)
        finally:
            self._now -= 1

    async def _complete(self, body: dict[str, Any], given: str, writer: asyncio.StreamWriter) -> bool:
        text = _text_of(body)
        seen = 1 + sum(ask.text == text for ask in self.asks)
        ask = Ask(len(self.asks) + 1, text, seen, body)
        self.asks.append(ask)
        self.times.append(time.monotonic())
        fault = self.fault(ask) or ""
        await asyncio.sleep(self.pause)
        refused = self._refusal(fault, body, given)
        if refused is not None:
            return await _send(writer, *refused)
        if fault == "reset":
            return False
        answer = self._answer(body, text, fault)
        self.billed[text] += 1
        usage = answer["usage"]
        self.prompt_tokens += usage["prompt_tokens"]
        self.answer_tokens += usage["completion_tokens"]
        if fault == "no_usage":
            del answer["usage"]
        payload = json.dumps(answer).encode()
        if fault == "slow":
            await asyncio.sleep(3600)
        if fault in ("half", "drip"):
            writer.write(_head(200, len(payload)) + payload[: len(payload) // 2])
            await writer.drain()
            for byte in payload[len(payload) // 2 : -1] if fault == "drip" else b"":
                await asyncio.sleep(0.1)
                writer.write(bytes([byte]))
                await writer.drain()
            return False
        if fault == "cut":
            payload = payload[: len(payload) // 2]
        writer.write(_head(200, len(payload)) + payload)
        await writer.drain()
        return True

    def _refusal(self, fault: str, body: dict[str, Any], given: str) -> tuple[int, Any, dict[str, str]] | None:
        """Status, body and headers where a fault is a refusal."""
        wait = {"retry-after": f"{self.retry_after:g}"}
        soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 1.5))
        plain: dict[str, tuple[int, str, dict[str, str]]] = {
            "429": (429, "Rate limit reached", wait),
            "429-date": (429, "Rate limit reached", {"retry-after": soon}),
            "429-long": (429, "Come back tomorrow", {"retry-after": "86400"}),
            "429-quota": (429, "You exceeded your quota: insufficient_quota", {}),
            "500": (500, "The server had an error", {}),
            "401": (401, f"Bad key {given}", {}),
            "400": (400, "This content is filtered", {}),
            "404": (404, "The model does not exist", {}),
            "echo_key": (500, f"could not handle the request with {given} and {given[7:]}", {}),
            "echo_key_400": (400, f"could not handle the request with {given} and {given[7:]}", {}),
            "redirect": (302, "", {"location": "http://127.0.0.1:1/elsewhere"}),
        }
        if fault in plain:
            status, message, headers = plain[fault]
            return status, {"error": {"message": message}}, headers
        if fault == "not_logprobs" and "logprobs" in body:
            return 400, {"error": {"message": "Unsupported parameter: logprobs", "param": "logprobs"}}, {}
        if fault == "only_5" and body.get("top_logprobs", body.get("logprobs", 0)) > 5:
            return 400, {"error": {"message": "top_logprobs must be at most 5"}}, {}
        if fault == "completion_tokens" and "max_tokens" in body:
            return 400, {"error": {"message": "Use 'max_completion_tokens' instead of 'max_tokens'."}}, {}
        if fault == "error_200":
            return 200, {"error": {"message": "upstream is busy", "code": 502}}, {}
        return None

    # -- what it says -----------------------------------------------------------------------------------------------

    def _answer(self, body: dict[str, Any], text: str, fault: str) -> dict[str, Any]:
        tokens = {"nonsense": [("Well", -0.1, [("Well", -0.1), ("Hm", -2.5)])], "empty": []}.get(fault)
        if tokens is None:
            tokens = _label(body, text) or self._story(text, int(body.get("max_tokens", 16)))
        if fault == "merged":
            tokens = [
                (a[0] + b[0], a[1] + b[1], [(a[0] + b[0], a[1] + b[1])])
                for a, b in zip(tokens[::2], tokens[1::2], strict=False)
            ]
        if fault == "wordy":
            tokens = [
                ("A", -0.2, [("A", -0.2), ("B", -2.0)]),
                (" good", -0.2, [(" good", -0.2)]),
                (" day", -0.2, [(" day", -0.2)]),
            ]
        said = "".join(token for token, _, _ in tokens)
        chat = "messages" in body
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": None}
        choice |= {"message": {"role": "assistant", "content": said}} if chat else {"text": said}
        top = int(body.get("top_logprobs") or body.get("logprobs") or 0)
        if top and fault != "no_logprobs":
            choice["logprobs"] = _chat_logprobs(tokens, top) if chat else _text_logprobs(tokens, top)
            if fault == "null_logprobs":
                choice["logprobs"] = {"content": None} if chat else {"tokens": None}
        model = {"other_model": "quite-another-7b", "dated_model": f"{self.model}-2026-05-01"}.get(fault, self.model)
        prompt = json.dumps(body.get("messages") or body.get("prompt"))
        usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(tokens)}
        return {"id": "x", "model": model, "choices": [choice], "usage": {**usage, "total_tokens": sum(usage.values())}}

    def _story(self, prompt: str, most: int) -> Said:
        """The words of the prompt in reverse."""
        tokens = self.split(" ".join(re.findall(r"\w+", prompt)[::-1]))[:most]
        return [(token, -0.3, [(token, -0.3), (" so", -1.8)]) for token in tokens]


def _text_of(body: dict[str, Any]) -> str:
    """The text that is to be labelled, or the whole last prompt."""
    prompt = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    found = re.findall(r"^Text: (.*?)(?:\n\nAnswer|\nSecond text:)", prompt, re.DOTALL | re.MULTILINE)
    return str(found[-1] if found else prompt)


def _label(body: dict[str, Any], text: str) -> Said | None:
    """The answer to a question for a label: a letter or the first piece of a name, with the probabilities of all."""
    prompt = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    if "Answer with the" not in prompt:
        return None
    letters = dict(re.findall(r"^([A-Z]): (\w+)", prompt, re.MULTILINE))
    names = list(letters.values()) or [name for name in WORDS if re.search(rf"^{name}\b", prompt, re.MULTILINE)]
    words = re.findall(r"[a-z]+", text.lower())
    hits = [sum(word in WORDS.get(name, ()) for word in words) + (0.3 if name == "neutral" else 0) for name in names]
    weights = [math.exp(1.2 * hit) for hit in hits]
    scores = [math.log(0.97 * weight / sum(weights)) for weight in weights]
    said = list(letters) if letters else [name[:3] for name in names]
    ranked = sorted([*zip(said, scores, strict=True), (" The", math.log(0.02))], key=lambda pair: -pair[1])
    best = next(pair for pair in ranked if pair[0] in said)
    tokens: Said = [(best[0], best[1], ranked)]
    if not letters:
        rest = next(name[3:] for name in names if name.startswith(best[0]))
        tokens.append((rest, -0.001, [(rest, -0.001)]))
    return tokens


def _chat_logprobs(tokens: Said, top: int) -> dict[str, Any]:
    def one(text: str, value: float) -> dict[str, Any]:
        return {"token": text, "logprob": value, "bytes": list(text.encode())}

    return {"content": [{**one(t, v), "top_logprobs": [one(a, b) for a, b in others[:top]]} for t, v, others in tokens]}


def _text_logprobs(tokens: Said, top: int) -> dict[str, Any]:
    return {
        "tokens": [t for t, _, _ in tokens],
        "token_logprobs": [v for _, v, _ in tokens],
        "top_logprobs": [dict(others[:top]) for _, _, others in tokens],
    }


def _head(status: int, length: int, headers: dict[str, str] | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", "content-type: application/json", f"content-length: {length}"]
    return "\r\n".join([*lines, *(f"{k}: {v}" for k, v in (headers or {}).items()), "", ""]).encode()


async def _send(writer: asyncio.StreamWriter, status: int, body: Any, headers: dict[str, str] | None = None) -> bool:
    payload = json.dumps(body).encode()
    writer.write(_head(status, len(payload), headers) + payload)
    await writer.drain()
    return True


def main() -> None:
    """Keep a server open until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8899)
    parser.add_argument("--key", default="")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--nonsense", type=float, default=0.0, help="share of texts that get no label")
    given = parser.parse_args()

    def fault(ask: Ask) -> str | None:
        return "nonsense" if (sum(ask.text.encode()) % 1000) / 1000 < given.nonsense else None

    with FaultServer(fault=fault, key=given.key, port=given.port, pause=given.pause) as server:
        print(f"{server.base_url} answers as '{server.model}'", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
