"""The arrays that flow between the stages: examples, signals, predictions. Immutable by convention and by ``frozen``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from distill.errors import DataError, StoreError
from distill.files import atomic_path

Split = Literal["train", "pool", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "pool", "dev", "test")
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Strings = npt.NDArray[np.object_]

UNLABELLED = -1
GROUP_PREFIX = "group_"


def content_id(text: str, pair: str | None = None) -> str:
    """Name of a text (pair) by what it says: first 128 bits of SHA-256, hex. The unit separator keeps pairs distinct."""
    joined = text if pair is None else f"{text}\x1f{pair}"
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def read_frame(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """A Parquet file as a frame; raises StoreError when it is missing or torn."""
    try:
        frame: pd.DataFrame = pq.read_table(path, columns=columns).to_pandas()
        return frame
    except FileNotFoundError as error:
        raise StoreError(
            f"{path} is missing.", hint="Resume the run: the stage that writes it is done again."
        ) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            f"{path} is truncated or not Parquet.", hint="Delete that file and resume the run: it is written again."
        ) from error


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write ``frame`` as Parquet (zstd), whole or not at all."""
    with atomic_path(path) as part:
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), part, compression="zstd")


@dataclass(frozen=True)
class Examples:
    """The rows of a data set, in file order, with their split.

    ``frame`` has the columns ``row_id`` (str, unique), ``content_id`` (str; the same text may stand in two rows, with two
    labels), ``text`` (str), ``pair`` (str or None), ``label`` (int64 index into ``labels``; −1 = no human label),
    ``split`` (one of SPLITS) and one ``group_<name>`` column (str) for each group column that the user mapped.
    """

    frame: pd.DataFrame
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        missing = {"row_id", "content_id", "text", "pair", "label", "split"} - set(self.frame.columns)
        if missing:
            raise DataError(
                f"The examples lack the columns {sorted(missing)}.", hint="Rebuild them with the data stage."
            )

    def __len__(self) -> int:
        return len(self.frame)

    def part(self, *splits: Split) -> Examples:
        """Only the rows of ``splits``, order kept."""
        return Examples(self.frame[self.frame["split"].isin(splits)].reset_index(drop=True), self.labels)

    def take(self, mask: npt.NDArray[np.bool_] | Ints) -> Examples:
        """Only the rows that ``mask`` (boolean, or positions) picks, order as given."""
        return Examples(self.frame.loc[mask].reset_index(drop=True), self.labels)

    @property
    def ids(self) -> Strings:
        """row_id of each row, shape [n]."""
        return self.frame["row_id"].to_numpy(dtype=object)

    @property
    def texts(self) -> list[str]:
        """The texts, in order."""
        return list(self.frame["text"])

    @property
    def pairs(self) -> list[str] | None:
        """The second texts, in order; None when the task has single texts."""
        return list(self.frame["pair"]) if len(self) and self.frame["pair"].notna().any() else None

    @property
    def y(self) -> Ints:
        """Human labels as indices into ``labels``, shape [n]; −1 where there is none."""
        return self.frame["label"].to_numpy(dtype=np.int64)

    @property
    def groups(self) -> dict[str, Strings]:
        """Group columns by name (without the prefix), each of shape [n]."""
        names = [name for name in self.frame.columns if name.startswith(GROUP_PREFIX)]
        return {name.removeprefix(GROUP_PREFIX): self.frame[name].to_numpy(dtype=object) for name in names}

    def write(self, path: Path) -> None:
        """Write to Parquet with the label names in the schema's metadata."""
        table = pa.Table.from_pandas(self.frame, preserve_index=False)
        metadata = {**(table.schema.metadata or {}), b"heirloom.labels": "\x1f".join(self.labels).encode()}
        with atomic_path(path) as part:
            pq.write_table(table.replace_schema_metadata(metadata), part, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> Examples:
        """Read what ``write`` wrote; raises StoreError when missing or torn."""
        frame = read_frame(path)
        raw = (pq.read_schema(path).metadata or {}).get(b"heirloom.labels", b"").decode()
        return cls(frame, tuple(raw.split("\x1f")) if raw else ())


@dataclass(frozen=True)
class ClassSignal:
    """What a model said about examples: class probabilities.

    Attributes:
        ids: row_id of each row, shape [n].
        probs: probabilities over the labels, shape [n, k]; rows sum to 1.
    """

    ids: Strings
    probs: Floats

    @property
    def argmax(self) -> Ints:
        """The most probable label, shape [n]."""
        return np.asarray(self.probs.argmax(axis=1), dtype=np.int64)

    @property
    def confidence(self) -> Floats:
        """The largest probability, shape [n]."""
        return np.asarray(self.probs.max(axis=1), dtype=np.float64)

    @property
    def entropy(self) -> Floats:
        """Shannon entropy in nats, shape [n]."""
        p = np.clip(self.probs, 1e-12, 1.0)
        return np.asarray(-(p * np.log(p)).sum(axis=1), dtype=np.float64)

    def aligned(self, ids: Sequence[str] | Strings) -> ClassSignal:
        """The same signal in the order of ``ids``; raises DataError when one is missing."""
        position = {row: index for index, row in enumerate(self.ids)}
        missing = [row for row in ids if row not in position]
        if missing:
            raise DataError(
                f"{len(missing)} of {len(ids)} rows have no prediction, the first is '{missing[0]}'.",
                hint="Give one probability per label for every id of the test split.",
            )
        order = np.array([position[row] for row in ids], dtype=np.int64)
        return ClassSignal(np.asarray(ids, dtype=object), self.probs[order])

    def write(self, path: Path) -> None:
        """Write as Parquet: ``row_id`` and one float32 column ``p_<index>`` per label."""
        columns = {f"p_{k}": self.probs[:, k].astype(np.float32) for k in range(self.probs.shape[1])}
        write_frame(path, pd.DataFrame({"row_id": self.ids, **columns}))

    @classmethod
    def read(cls, path: Path) -> ClassSignal:
        """Read what ``write`` wrote; raises StoreError when missing or torn."""
        frame = read_frame(path)
        names = sorted((c for c in frame.columns if c.startswith("p_")), key=lambda c: int(c[2:]))
        probs = frame[names].to_numpy(dtype=np.float64)
        return cls(frame["row_id"].to_numpy(dtype=object), probs / probs.sum(axis=1, keepdims=True))
