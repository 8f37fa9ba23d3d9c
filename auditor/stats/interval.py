"""The result type of the whole library, and the checks that every function makes on what it is given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Seed = int | np.random.Generator


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its bounds.

    ``n`` is the number of items (or seeds, or rounds) that it rests on. A bound is nan where the data cannot give one;
    every decision in this library reads a nan bound as 'cannot tell'.
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def width(self) -> float:
        return self.high - self.low

    @property
    def known(self) -> bool:
        """Whether value and both bounds are numbers (an infinite bound is one, nan is not)."""
        return not any(math.isnan(x) for x in (self.value, self.low, self.high))

    def __contains__(self, x: float) -> bool:
        return self.low <= x <= self.high


def normal_quantile(probability: float) -> float:
    return NormalDist().inv_cdf(probability)


def normal_cdf(x: float) -> float:
    return NormalDist().cdf(x)


def generator(seed: Seed) -> np.random.Generator:
    """A seed gives the same draws each time; a Generator is used, and moved on, as it is."""
    return np.random.default_rng(seed)


def require_confidence(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")


def require_count(count: int, n: int, what: str = "count") -> None:
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    if not 0 <= count <= n:
        raise ValueError(f"{what} must lie between 0 and n = {n}, got {count}")


def as_labels(labels: npt.ArrayLike, classes: int, what: str = "labels") -> IntArray:
    """Class indices as int64, any shape.

    Raises:
        ValueError: not whole numbers, or outside 0 … classes - 1.
    """
    array = np.asarray(labels)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind == "f" and not np.all(np.isfinite(array) & (array == np.floor(array))):
        raise ValueError(f"{what} must be whole numbers without NaN")
    if array.dtype.kind not in "iufb":
        raise ValueError(f"{what} must be class indices, not {array.dtype}")
    whole = array.astype(np.int64)
    if whole.min() < 0 or whole.max() >= classes:
        raise ValueError(f"{what} must lie between 0 and {classes - 1}, found {whole.min()} to {whole.max()}")
    return whole


def as_probabilities(probabilities: npt.ArrayLike, what: str = "probabilities", tolerance: float = 1e-2) -> FloatArray:
    """Rows of class probabilities ``(…, n, k)`` as float64, each row rescaled to sum to exactly one.

    Half-precision softmax rows miss one by some thousandths, hence the tolerance.

    Raises:
        ValueError: fewer than two dimensions or classes, NaN, a negative entry, or a row that does not sum to one.
    """
    array = np.asarray(probabilities, dtype=np.float64)
    if array.ndim < 2 or array.shape[-1] < 2:
        raise ValueError(f"{what} must have shape (n, k) with k at least 2, not {array.shape}")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{what} hold NaN or infinity")
    if array.size and array.min() < 0:
        raise ValueError(f"{what} hold a negative number")
    total = array.sum(axis=-1, keepdims=True)
    if array.size and np.abs(total - 1).max() > tolerance:
        raise ValueError(f"{what} do not sum to 1 in every row")
    return np.asarray(array / total)


def as_values(values: npt.ArrayLike, what: str = "values") -> FloatArray:
    """Finite numbers as float64.

    Raises:
        ValueError: empty, NaN or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError(f"{what} are empty")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{what} hold NaN or infinity")
    return array
