"""What a language model said about each token of its answers: the top k token ids with their log-probabilities, and the mass of the rest.

Packed for the disk. Log-probabilities stand on a grid of STEP nats, counted from the most probable token down, so a row is a first
level and k − 1 small steps; ids are stored as their high and low bytes apart, since the high bytes repeat. The tail stands on the
same grid. What is read back is renormalised: the k probabilities and the tail sum to 1. The grid moves a log-probability by at most
STEP / 2, on average by STEP / 4. Files are Parquet, zstd, one row an answer, whole or absent. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from distill.errors import StoreError
from distill.files import atomic_path

STEP: Final = 0.06  # nats; mean |Δ log p| is a quarter of it
FLOOR: Final = 60.0  # nats: a log-probability below minus this is stored as minus this
# steps of like size are stored together: between the first ranks they are large, between the last nearly always 0 or 1
BANDS: Final = (slice(0, 3), slice(3, 10), slice(10, 25), slice(25, None))
_BAND_NAMES: Final = tuple(f"steps_{number}" for number in range(len(BANDS)))
OVER: Final = 255  # a step of this size or more stands in a place of its own
LEVEL: Final = 12  # of zstd: slower ones save less than a byte a token

Int32s = npt.NDArray[np.int32]
Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TokenSignal:
    """One answer and what its teacher said at each of its t tokens.

    Attributes:
        row_id: name of the answer; content id and sample in the cache.
        prompt_ids: token ids of the rendered prompt, shape [p].
        answer_ids: token ids of the answer, the end token included where there is one, shape [t].
        topk_ids: most probable tokens first, shape [t, k].
        topk_logprobs: their log-probabilities at temperature 1, shape [t, k].
        tail: probability of all other tokens together, shape [t].
    """

    row_id: str
    prompt_ids: Int32s
    answer_ids: Int32s
    topk_ids: Int32s
    topk_logprobs: Float32s
    tail: Float32s

    @property
    def emitted(self) -> Float32s:
        """Log-probability of each token of the answer, shape [t]; NaN where it is not among the k."""
        found = self.topk_ids == self.answer_ids[:, None]
        values = np.where(found, self.topk_logprobs, -np.inf).max(axis=1, initial=-np.inf)
        return np.where(found.any(axis=1), values, np.nan).astype(np.float32)

    @property
    def entropy(self) -> Float32s:
        """Entropy at each token in nats, the tail counted as one outcome: a lower bound, shape [t]."""
        p = np.exp(self.topk_logprobs.astype(np.float64))
        rest = np.clip(self.tail.astype(np.float64), 1e-12, 1.0)
        return np.asarray(-(p * self.topk_logprobs).sum(axis=1) - rest * np.log(rest), dtype=np.float32)


def expected_bytes(k: int) -> float:
    """Bytes that a token of an answer takes on the disk at the k most probable, its share of the prompt included.

    A line through what SmolLM2's answers took at k from 1 (7 bytes) to 50 (110); within a tenth of each.
    """
    return 5.1 + 2.1 * k


def write_signals(path: Path, signals: Sequence[TokenSignal], columns: dict[str, list[Any]] | None = None) -> None:
    """Write ``signals``, and further columns of one value an answer, whole or not at all.

    Args:
        path: the file.
        signals: answers with the same k.
        columns: further columns by name, in the same order.
    """
    packed = [_pack(signal) for signal in signals]
    arrays: dict[str, Any] = {"row_id": [signal.row_id for signal in signals], **(columns or {})}
    for name in ("prompt", "answer", "high", "low", "first", *_BAND_NAMES, "over", "tail"):
        arrays[name] = pa.array([row[name] for row in packed], pa.binary())
    k = int(signals[0].topk_ids.shape[1]) if signals else 0
    table = pa.table(arrays).replace_schema_metadata({"heirloom.k": str(k), "heirloom.step": repr(STEP)})
    with atomic_path(path) as part:
        pq.write_table(
            table, part, compression="zstd", compression_level=LEVEL, use_dictionary=False, write_statistics=False
        )


def read_signals(path: Path) -> list[TokenSignal]:
    """What ``write_signals`` wrote; raises StoreError when it is missing or torn."""
    return list(iterate(path))


def iterate(path: Path) -> Iterator[TokenSignal]:
    """The signals of one file, one after the other; raises StoreError when it is missing or torn."""
    table, k, step = _table(path)
    for row in table.to_pylist():
        yield _unpack(row, k, step)


def columns_of(path: Path, names: Sequence[str]) -> dict[str, list[Any]]:
    """Further columns of a file; raises StoreError."""
    table, _, _ = _table(path)
    return {name: table.column(name).to_pylist() for name in names}


def _table(path: Path) -> tuple[pa.Table, int, float]:
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise StoreError(f"{path} is missing.", hint="Resume the run: the teacher is asked again.") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(f"{path} is truncated or not Parquet.", hint="Delete it and resume the run.") from error
    facts = table.schema.metadata or {}
    return table, int(facts.get(b"heirloom.k", b"0")), float(facts.get(b"heirloom.step", str(STEP).encode()))


def _pack(signal: TokenSignal) -> dict[str, bytes]:
    order = np.argsort(-signal.topk_logprobs, axis=1, kind="stable")
    ids = np.take_along_axis(signal.topk_ids, order, axis=1).astype(np.uint32)
    levels = _levels(np.take_along_axis(signal.topk_logprobs, order, axis=1))
    steps = np.diff(levels, axis=1).astype("<u2")
    small = np.minimum(steps, OVER).astype("u1")
    wide = bool(ids.size) and int(ids.max()) > 0xFFFF  # vocabularies beyond 65,536 need a third byte
    return {
        "prompt": signal.prompt_ids.astype("<i4").tobytes(),
        "answer": signal.answer_ids.astype("<i4").tobytes(),
        "high": (ids >> 8).astype("<u4" if wide else "u1").tobytes(),
        "low": (ids & 0xFF).astype("u1").tobytes(),
        "first": levels[:, 0].astype("<u2").tobytes() if levels.size else b"",
        **{name: small[:, band].tobytes() for name, band in zip(_BAND_NAMES, BANDS, strict=True)},
        "over": steps[steps >= OVER].tobytes(),
        "tail": _bytes_apart(_levels(np.log(np.maximum(signal.tail, np.exp(-FLOOR)))).astype("<u2")),
    }


def _levels(logprobs: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Places on the grid, 0 for probability 1."""
    return np.rint(np.clip(-logprobs.astype(np.float64), 0.0, FLOOR) / STEP).astype(np.int64)


def _bytes_apart(values: npt.NDArray[Any]) -> bytes:
    """Low bytes, then high bytes (nearly all of them 0)."""
    raw = np.ascontiguousarray(values).view("u1").reshape(-1, 2)
    return raw[:, 0].tobytes() + raw[:, 1].tobytes()


def _together(raw: bytes) -> npt.NDArray[np.int64]:
    half = np.frombuffer(raw, dtype="u1").reshape(2, -1).astype(np.int64)
    return np.asarray(half[0] | (half[1] << 8), dtype=np.int64)


def _unpack(row: dict[str, Any], k: int, step: float) -> TokenSignal:
    answer = np.frombuffer(row["answer"], dtype="<i4")
    t = len(answer)
    wide = len(row["high"]) == 4 * t * k and t * k > 0
    high = np.frombuffer(row["high"], dtype="<u4" if wide else "u1").astype(np.int32).reshape(t, k)
    low = np.frombuffer(row["low"], dtype="u1").astype(np.int32).reshape(t, k)
    first = np.frombuffer(row["first"], dtype="<u2").astype(np.int64).reshape(t, 1)
    widths = [len(range(max(0, k - 1))[band]) for band in BANDS]
    parts = [
        np.frombuffer(row[name], dtype="u1").reshape(t, width) for name, width in zip(_BAND_NAMES, widths, strict=True)
    ]
    steps = np.concatenate(parts, axis=1).astype(np.int64)
    steps[steps == OVER] = np.frombuffer(row["over"], dtype="<u2")
    levels = np.concatenate([first, first + np.cumsum(steps, axis=1)], axis=1)
    logprobs, log_tail = -step * levels, -step * _together(row["tail"])[:, None]
    everything = np.concatenate([logprobs, log_tail], axis=1)
    whole = np.log(np.exp(everything).sum(axis=1, keepdims=True)) if t else np.zeros((0, 1))
    return TokenSignal(
        str(row["row_id"]),
        np.frombuffer(row["prompt"], dtype="<i4").astype(np.int32),
        answer.astype(np.int32),
        (high << 8) | low,
        (logprobs - whole).astype(np.float32),
        np.exp(log_tail - whole)[:, 0].astype(np.float32),
    )
