"""Deals rows out to train, pool, dev and test: seeded, stratified, and with everything that belongs together in one part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from distill.errors import DataError, nearest
from distill.spec import SplitSpec
from distill.types import UNLABELLED, Floats, Ints, Split, Strings

_GIVEN: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "val", "valid", "validation", "development"), "dev"),
    **dict.fromkeys(("test", "testing", "heldout", "held-out"), "test"),
    **dict.fromkeys(("pool", "unlabelled", "unlabeled", "unsupervised"), "pool"),
}


@dataclass(frozen=True)
class Deal:
    """Who goes where: ``split`` holds one of SPLITS per row, shape [n]; ``notes`` say what could not be had."""

    split: Strings
    notes: tuple[str, ...]


def deal_out(labels: Ints, units: Strings, given: Strings | None, spec: SplitSpec) -> Deal:
    """Give each row its split.

    Test, dev and train are served in this order, the pool gets every other row. Shares count labelled rows; a row without
    a label goes to the pool, unless no row has one: then test and dev are cut from the unlabelled rows and train stays empty.
    Rows that share a unit stay together. A class's share in a part is off by less than one row, more only where a unit has several.

    Args:
        labels: label index per row, −1 = none, shape [n].
        units: what must stay together, shape [n].
        given: the data's own split per row (already one of SPLITS, or None for no say), shape [n]; None when there is none.
        spec: seed, shares or counts.

    Raises:
        DataError: no row is left for the test.
    """
    split = np.full(len(labels), None, dtype=object)
    if given is not None:
        fixed = pd.Series(given).isin(_fixed_parts(given)).to_numpy()
        split[fixed] = given[fixed]
    free = np.flatnonzero(pd.isna(split))
    missing = [part for part in ("test", "dev", "train") if part == "train" or not (split == part).any()]
    if given is not None and (split == "test").any() and not len(free):
        missing = []  # an audit needs no more than its test rows
    frame = pd.DataFrame({"row": free, "unit": units[free], "label": labels[free]})
    grouped = frame.groupby("unit", sort=True)
    table = pd.DataFrame(
        {"size": grouped.size(), "label": grouped["label"].first(), "bare": grouped["label"].min() == UNLABELLED}
    )
    without_labels = not (labels[free] != UNLABELLED).any()
    usable = table if without_labels else table[~table["bare"]]
    targets, notes = _targets(missing, int(usable["size"].sum()), spec, given is not None, without_labels)
    homes = pd.Series("pool", index=table.index, dtype=object)
    homes.loc[usable.index] = _assign(usable, targets, spec.seed)
    if "test" in missing and len(usable) > 1 and not (homes == "test").any():
        # every unit was too large for the test's few places: the smallest one serves
        homes.loc[str(usable.index[int(usable["size"].to_numpy().argmin())])] = "test"
    split[free] = homes.loc[frame["unit"]].to_numpy(dtype=object)
    if not (split == "test").any():
        raise DataError("No row is left for the test.", hint="Give more rows, or a larger share for 'test'.")
    wanted = [part for part, value in (("dev", spec.dev), ("pool", spec.pool)) if value > 0 and len(free)]
    notes += [f"No row is left for {part}." for part in wanted if not (split == part).any()]
    return Deal(split, tuple(notes))


def given_parts(cells: Strings, column: str) -> Strings:
    """The data's own split in our words, None where a cell is empty; raises DataError for a word that is not known."""
    words = {cell: str(cell).strip().lower() for cell in set(cells) if cell is not None}
    unknown = [cell for cell, word in words.items() if word and word not in _GIVEN]
    if unknown:
        count = int(pd.Series(cells).isin(unknown).sum())
        raise DataError(
            f"Column '{column}' names a split '{sorted(unknown)[0]}' that is not known ({count:,} rows).",
            hint=nearest(str(sorted(unknown)[0]).lower(), _GIVEN),
        )
    table: dict[object, Split | None] = {cell: _GIVEN.get(word) for cell, word in words.items()}
    out = np.empty(len(cells), dtype=object)
    out[:] = [table.get(cell) for cell in cells]
    return out


def sample(labels: Ints, units: Strings, given: Strings | None, count: int, seed: int) -> Ints:
    """Positions of a seeded sample of about ``count`` rows, stratified by label and given split, in file order."""
    parts = (
        np.full(len(labels), "", dtype=object) if given is None else np.array([p or "" for p in given], dtype=object)
    )
    frame = pd.DataFrame({"unit": units, "label": labels, "part": parts})
    grouped = frame.groupby(["part", "unit"], sort=True)
    table = pd.DataFrame({"size": grouped.size(), "label": grouped["label"].first()})
    table["label"] = table.groupby([table.index.get_level_values("part"), "label"], sort=True).ngroup()
    chosen = _assign(table, {"in": float(count)}, seed) == "in"
    keys = pd.MultiIndex.from_frame(frame[["part", "unit"]])
    return np.flatnonzero(pd.Series(chosen, index=table.index).loc[keys].to_numpy(dtype=np.bool_)).astype(np.int64)


def seats(sizes: Sequence[int], targets: Sequence[float]) -> Ints:
    """How many rows of each stratum go to each part: every cell is its share rounded up or down, and the totals meet the targets.

    The rounding errors of one stratum are handed on to the next, so they cannot add up.

    Args:
        sizes: rows per stratum, shape [c].
        targets: rows per part, shape [p]; they sum to the rows there are.

    Returns:
        Counts of shape [c, p]; each row sums to its stratum's size.
    """
    total = max(1, sum(sizes))
    share = np.asarray(targets, dtype=np.float64) / total
    owed = np.zeros(len(share))
    table = np.zeros((len(sizes), len(share)), dtype=np.int64)
    for index, size in enumerate(sizes):
        exact = size * share
        floor = np.floor(exact + 1e-9)
        owed += exact - floor
        fractional = exact - floor > 1e-9
        left = round(size - floor.sum())
        order = np.argsort(-np.where(fractional, owed, -np.inf), kind="stable")[:left]
        floor[order] += 1
        owed[order] -= 1
        table[index] = floor
    return _settle(table, np.asarray(sizes)[:, None] * share, np.asarray(targets))


def _settle(table: Ints, exact: Floats, targets: Floats) -> Ints:
    """Move single seats, within the rounding of their cells, until the totals are as near to the targets as such moves bring them."""
    for _ in range(table.shape[1] * 4):
        over = table.sum(axis=0) - targets
        source, goal = int(over.argmax()), int(over.argmin())
        if over[source] < 0.5 or over[goal] > -0.5:
            break
        movable = (table[:, source] > exact[:, source] + 1e-9) & (table[:, goal] < exact[:, goal] - 1e-9)
        if not movable.any():
            break
        row = int(movable.argmax())
        table[row, source] -= 1
        table[row, goal] += 1
    return table


def _fixed_parts(given: Strings) -> list[str]:
    """Which given parts stand as they are: all but train, which is cut into train, pool and dev."""
    present = {part for part in given if part is not None}
    return sorted(present - {"train"})


def _targets(
    missing: list[str], rows: int, spec: SplitSpec, kept: bool, without_labels: bool
) -> tuple[dict[str, float], list[str]]:
    """Rows for each missing part and for the pool, and notes about what could not be had."""
    asked = {"test": spec.test, "dev": spec.dev, "train": 0.0 if without_labels else spec.teacher_train}
    shares = {part: value for part, value in {**asked, "pool": spec.pool}.items() if value < 1}
    # parts that came with the data were not cut from these rows, so the others' shares grow to fill the whole
    absent = sum(value for part, value in shares.items() if part in asked and part not in missing) if kept else 0.0
    left, targets, notes, exact = rows, dict[str, float](), list[str](), 0.0
    for part in missing:
        value = asked[part]
        share = rows * value / max(1e-9, 1 - absent)
        # rounding the running sum keeps shares that add up to 1 from asking for a row too many or too few
        wanted = round(value) if value >= 1 else round(exact + share) - round(exact)
        exact += 0.0 if value >= 1 else share
        wanted = max(1, wanted) if value > 0 and rows else wanted
        targets[part] = float(min(wanted, left))
        left -= int(targets[part])
        if targets[part] < wanted:
            notes.append(f"{wanted:,} rows were asked for {part}; only {int(targets[part]):,} were left.")
    return {**targets, "pool": float(left)}, notes


def _assign(table: pd.DataFrame, targets: Mapping[str, float], seed: int) -> Strings:
    """A part for each unit of ``table`` (columns size, label), shape [units]; what no target wants is called 'pool'."""
    total = int(table["size"].sum())
    rest = max(0.0, total - sum(targets.values()))
    parts = [*targets] if "pool" in targets else [*targets, "pool"]
    wanted = [targets.get(part, rest) for part in parts]
    homes = np.full(len(table), "pool", dtype=object)
    if not len(table):
        return homes
    sizes, labels = table["size"].to_numpy(), table["label"].to_numpy()
    strata = sorted(set(labels.tolist()))
    counts = seats([int(sizes[labels == stratum].sum()) for stratum in strata], wanted)
    rng = np.random.default_rng(seed)
    for row, stratum in enumerate(strata):
        members = rng.permutation(np.flatnonzero(labels == stratum))
        homes[members] = _fill(sizes[members], counts[row], parts, rng)
    return homes


def _fill(sizes: Ints, places: Ints, parts: list[str], rng: np.random.Generator) -> Strings:
    """Seat the members of one stratum: those of several rows first, drawn in proportion to the free places, then the single ones."""
    free = places.astype(np.int64).copy()
    homes = np.full(len(sizes), "pool", dtype=object)
    for member in np.flatnonzero(sizes > 1):
        room = np.where(free >= sizes[member], free, 0)
        if not room.any():
            room = np.maximum(free, 0)
        chance = room / room.sum() if room.any() else np.full(len(free), 1 / len(free))
        part = int(rng.choice(len(parts), p=chance))
        homes[member] = parts[part]
        free[part] -= sizes[member]
    single = np.flatnonzero(sizes == 1)
    # a large unit may have overdrawn a part: the others then have fewer singles to share
    order = np.repeat(np.arange(len(parts)), np.maximum(free, 0))
    order = np.concatenate([order, np.full(max(0, len(single) - len(order)), parts.index("pool"))])
    homes[single] = np.array(parts, dtype=object)[order[: len(single)]]
    return homes
