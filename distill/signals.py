"""The teacher's answers, kept by what decided them, so that asking twice costs nothing.

A signal's key is everything that can change a probability: weights, tokenizer, truncation, precision, label order and library
versions. Below it lie shards: Parquet files of content id, probabilities and the time of asking, each whole or absent. Which texts
share a batch can move the last bits of a probability, so shards are cut from the whole list in a fixed order and never from what is
missing: a labelling that stopped ends with the same bits as one that did not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from distill.errors import ModelError, StoreError
from distill.events import now
from distill.files import digest_of
from distill.locks import hold
from distill.monitor import Monitor
from distill.store import ModelCard
from distill.types import Floats, Ints, Strings, read_frame, write_frame

SHARD = 1_024  # texts between two points from which an interrupted labelling goes on: a few seconds' work
DECISIVE = ("torch", "transformers", "tokenizers")

Ask = Callable[[Ints, int], Floats]


def _no_strings() -> Strings:
    return np.array([], dtype=object)


@dataclass(frozen=True)
class Answers:
    """What a model said about distinct texts.

    Attributes:
        probs: shape [n, k], in the order of the ids that were asked for.
        labelled_at: when each was asked, ISO 8601, shape [n].
        asked: how many were asked now.
        reused: how many were already there.
        raw: what a teacher over the network said, word for word, shape [n]; empty for models of this machine.
        reasons: why an answer is unusable, '' where it is not, shape [n]; its probabilities are then NaN. Empty likewise.
        facts: about the asking (tokens, money), for the stage's summary.
    """

    probs: Floats
    labelled_at: Strings
    asked: int
    reused: int
    raw: Strings = field(default_factory=_no_strings)
    reasons: Strings = field(default_factory=_no_strings)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which rows have probabilities, shape [n]."""
        return np.asarray(np.isfinite(self.probs).all(axis=1), dtype=np.bool_)


def library_versions(names: Sequence[str] = DECISIVE) -> dict[str, str]:
    """Versions of installed packages, without importing them; 'absent' for those that are not there."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def signal_key(card: ModelCard, labels: Sequence[str], *, max_tokens: int, precision: str) -> dict[str, Any]:
    """Everything that decides a class signal beside the text itself.

    A model without a weights digest (an endpoint) is named by what its card says decides its answers, the day among it, else by id, version
    and day, since it may change overnight.
    """
    weights = (
        card.weights_digest or card.extra.get("decides") or {"id": card.id, "version": card.version, "day": now()[:10]}
    )
    return {
        "kind": "class_probabilities",
        "weights": weights,
        "tokenizer": card.tokenizer_digest,
        "labels": list(labels),
        "max_tokens": max_tokens,
        "precision": precision,
        "versions": library_versions(),
    }


def seeded_order(ids: Sequence[str] | Strings, seed: int) -> Ints:
    """Positions of ``ids`` in an order that looks random and depends on seed and id alone, shape [n].

    A larger cap therefore keeps the earlier choice, and rows that come or go do not move the others.
    """
    ranks = [hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in ids]
    return np.array(sorted(range(len(ranks)), key=ranks.__getitem__), dtype=np.int64)


def check_probabilities(probs: Floats, rows: int, k: int, who: str) -> Floats:
    """``probs`` when they are [rows, k], finite, not negative and sum to 1 (± 0.01, then normalised); raises ModelError."""
    array = np.asarray(probs, dtype=np.float64)
    if array.shape != (rows, k):
        raise ModelError(
            f"{who} gave {array.shape[-1] if array.ndim == 2 else 'no'} probabilities a text where the data have {k} labels.",
            hint="Check that its labels are those of the data.",
        )
    if not np.isfinite(array).all():
        raise ModelError(
            f"{who} gave {int((~np.isfinite(array)).any(axis=1).sum())} answers that are not numbers.",
            hint="Try precision 'fp32', or another checkpoint.",
        )
    sums = array.sum(axis=1)
    if (array < 0).any() or (np.abs(sums - 1.0) > 0.01).any():
        raise ModelError(
            f"{who} gave numbers that are not probabilities: they are negative or do not sum to 1.",
            hint="Give probabilities after softmax, one for each label.",
        )
    return np.asarray(array / sums[:, None], dtype=np.float64)


class SignalCache:
    """Answers of one model under one key.

    Args:
        root: the workspace's cache folder.
        key: see :func:`signal_key`.
        k: number of labels.
        who: the model in words, for messages.
    """

    def __init__(self, root: Path, key: Mapping[str, Any], k: int, who: str = "The teacher") -> None:
        self.folder = root / "signals" / digest_of(dict(key))[:32]
        self._k = k
        self._who = who

    def read(self) -> pd.DataFrame:
        """All stored answers: content_id, p_0 … p_k-1 (float32), labelled_at. A torn shard is removed and counts as not asked."""
        frames = []
        for path in sorted(self.folder.glob("*.parquet")):
            try:
                frames.append(read_frame(path))
            except StoreError:
                path.unlink(missing_ok=True)
        columns = ["content_id", *self._columns, "labelled_at"]
        frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
        return frame.drop_duplicates("content_id", keep="first")

    def ask(self, ids: Strings, sizes: Sequence[int], answer: Ask, monitor: Monitor) -> Answers:
        """Answers for distinct ``ids``; only what is missing is asked, shard by shard.

        Args:
            ids: content ids without repetition, shape [n].
            sizes: length of each text; similar lengths share a shard, so that little is padded.
            answer: ``(positions, done) -> probabilities [len(positions), k]``; ``done`` counts the answers there are so far.
            monitor: told after each shard; may raise Cancelled, which keeps the finished shards.
        """
        with hold(self.folder.with_suffix(".lock"), monitor, "these labels"):
            stored = self.read()
            have = set(stored["content_id"])
            reused = sum(name in have for name in ids)
            done = reused
            order = np.lexsort((np.asarray(ids, dtype=str), np.asarray(sizes, dtype=np.int64)))
            monitor.restart(done)
            for start in range(0, len(order), SHARD):
                shard = order[start : start + SHARD]
                missing = shard[[ids[position] not in have for position in shard]]
                if not len(missing):
                    continue
                probs = check_probabilities(answer(missing, done), len(missing), self._k, self._who)
                self._add(ids[missing], probs)
                done += len(missing)
                monitor.progress(done, len(ids), unit="texts")
            everything = self.read() if done > reused else stored
        found = everything.set_index("content_id").loc[list(ids)]
        probs = found[self._columns].to_numpy(dtype=np.float64)
        return Answers(
            probs / probs.sum(axis=1, keepdims=True) if len(probs) else probs.reshape(0, self._k),
            found["labelled_at"].to_numpy(dtype=object),
            done - reused,
            reused,
        )

    @property
    def _columns(self) -> list[str]:
        return [f"p_{index}" for index in range(self._k)]

    def _add(self, ids: Strings, probs: Floats) -> None:
        """Append one shard, named by its content, whole or not at all."""
        columns = {name: probs[:, index].astype(np.float32) for index, name in enumerate(self._columns)}
        path = self.folder / f"{digest_of(list(ids))[:32]}.parquet"
        write_frame(path, pd.DataFrame({"content_id": ids, **columns, "labelled_at": now()}))
