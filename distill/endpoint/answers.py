"""Every request and every answer of a workspace, in one SQLite file: written before it is sent and as it comes back.

A request is 'open' when it is sent, and then 'paid' (with its answer), 'void' (the server refused it, nothing is charged), 'lost' (perhaps
charged, the answer never came whole) or 'other' (charged, and answered by a model that was not asked). A process that is killed leaves its
requests 'open': they count against the run's budget at the most they can have cost, so a hard stop stays hard. An answer and its price are
one row, so there is no moment at which one is kept and the other is not.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from distill.endpoint.wire import Answer, from_json, to_json
from distill.errors import StoreError
from distill.events import now

State = Literal["open", "paid", "void", "lost", "other"]
_TABLE = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, at TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, answer_tokens INTEGER NOT NULL, usd REAL NOT NULL, seconds REAL, answer BLOB);
CREATE INDEX IF NOT EXISTS by_key ON requests (key) WHERE state = 'paid';
CREATE INDEX IF NOT EXISTS by_run ON requests (run);
"""
_CHUNK = 500  # keys in one question to SQLite


@dataclass(frozen=True)
class Spent:
    """What a run has used: requests that count, tokens of prompts and of answers, USD."""

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompts and answers together."""
        return self.prompt_tokens + self.answer_tokens

    def plus(self, other: Spent, sign: int = 1) -> Spent:
        """The sum, or with ``sign`` −1 the difference."""
        return Spent(
            self.requests + sign * other.requests,
            self.prompt_tokens + sign * other.prompt_tokens,
            self.answer_tokens + sign * other.answer_tokens,
            self.usd + sign * other.usd,
        )


@dataclass(frozen=True)
class Kept:
    """An answer and when it was given, ISO 8601."""

    answer: Answer
    at: str
    seconds: float


class AnswerStore:
    """The file ``endpoint/answers.db`` below a workspace's cache folder.

    Args:
        cache: the workspace's cache folder.

    Raises:
        StoreError: the file is not what it should be.
    """

    def __init__(self, cache: Path) -> None:
        self.path = cache / "endpoint" / "answers.db"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(self.path, timeout=60.0, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")  # money: a power cut must not forget what was paid for
            self._db.executescript(_TABLE)
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.path} cannot be used: {error}.", hint="Move that file away; its answers are then asked again."
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def kept(self, keys: Iterable[str]) -> dict[str, Kept]:
        """The answers that were paid for, by key."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Kept] = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            rows = self._db.execute(
                f"SELECT key, at, seconds, answer FROM requests WHERE state = 'paid' AND key IN ({marks}) ORDER BY id DESC",  # noqa: S608 - marks are question marks
                chunk,
            )
            for key, at, seconds, blob in rows:
                found[key] = Kept(from_json(json.loads(zlib.decompress(blob))), at, seconds or 0.0)
        return found

    def sent(self, run: str, key: str, most: Spent) -> int:
        """Note that a request is about to be sent and what it can cost at most; returns its number."""
        row = (run, key, now(), most.prompt_tokens, most.answer_tokens, most.usd)
        cursor = self._db.execute(
            "INSERT INTO requests (run, key, state, at, prompt_tokens, answer_tokens, usd) VALUES (?, ?, 'open', ?, ?, ?, ?)",
            row,
        )
        return int(cursor.lastrowid or 0)

    def came(self, number: int, answer: Answer, cost: Spent, seconds: float, state: State = "paid") -> None:
        """Keep the answer of request ``number`` and what it cost, in one row."""
        blob = zlib.compress(
            json.dumps(to_json(answer), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        )
        self._db.execute(
            "UPDATE requests SET state = ?, at = ?, prompt_tokens = ?, answer_tokens = ?, usd = ?, seconds = ?, answer = ? WHERE id = ?",
            (state, now(), cost.prompt_tokens, cost.answer_tokens, cost.usd, seconds, blob, number),
        )

    def failed(self, number: int, state: Literal["void", "lost"]) -> None:
        """Note that request ``number`` brought no answer: 'void' costs nothing, 'lost' may have."""
        self._db.execute("UPDATE requests SET state = ? WHERE id = ?", (state, number))

    def spent(self, run: str) -> Spent:
        """What a run has used so far, requests without an outcome at the most they can have cost."""
        row = self._db.execute(
            "SELECT COUNT(*), COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(answer_tokens), 0), COALESCE(SUM(usd), 0.0) "
            "FROM requests WHERE run = ? AND state != 'void'",
            (run,),
        ).fetchone()
        return Spent(*row)

    def states(self, run: str) -> dict[str, int]:
        """How many requests of a run ended in which state."""
        rows = self._db.execute("SELECT state, COUNT(*) FROM requests WHERE run = ? GROUP BY state", (run,))
        return dict(rows.fetchall())
