"""Texts that begin alike are read once: packed as trees, in which a token looks at its ancestors alone.

Multiple choice repeats a question for every option, and pairs of a bias set differ in one word: over the checks' items that leaves a third of the
tokens. A tree is read in one pass with a mask of ancestors and with depths as positions, so every state is what the text alone gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from distill.engine.encode import rounded
from distill.types import Ints

Int32s = npt.NDArray[np.int32]
NODES = 192  # of a tree, or twice its first text where that is more: beyond it the mask costs more than sharing saves
ALIKE = 4  # tokens that two texts must share to be put into one tree


@dataclass(frozen=True)
class Tree:
    """Some texts. ``ids`` and ``depths`` [nodes]; ``parents`` [nodes], −1 at the beginning; ``paths`` the nodes of each text; ``rows`` which."""

    ids: Int32s
    depths: Ints
    parents: Ints
    paths: list[Ints]
    rows: list[int]

    def __len__(self) -> int:
        return len(self.ids)


def plant(texts: Sequence[Int32s], nodes: int = NODES) -> list[Tree]:
    """Trees that together hold every text (none of them empty) once; equal texts share their path."""
    order = sorted(range(len(texts)), key=lambda row: texts[row].tolist())
    trees: list[Tree] = []
    growing = _Growing()
    for row in order:
        text = texts[row]
        shared = growing.shared(text)
        most = max(nodes, 2 * growing.first) if nodes else growing.first
        fits = shared >= min(ALIKE, len(text)) and len(growing.ids) + len(text) - shared <= most
        if growing.ids and not fits:
            trees.append(growing.tree())
            growing, shared = _Growing(), 0
        growing.add(row, text, shared)
    return [*trees, growing.tree()] if growing.ids else trees


class _Growing:
    """A tree under construction; texts come in lexicographic order, so a text branches off the path of the one before."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.depths: list[int] = []
        self.parents: list[int] = []
        self.paths: list[Ints] = []
        self.rows: list[int] = []
        self.last: Int32s = np.zeros(0, dtype=np.int32)
        self.first = 0

    def shared(self, text: Int32s) -> int:
        """Tokens at its beginning that the last text has too."""
        n = min(len(text), len(self.last))
        differs = np.flatnonzero(text[:n] != self.last[:n])
        return int(differs[0]) if len(differs) else n

    def add(self, row: int, text: Int32s, shared: int) -> None:
        kept = self.paths[-1][:shared] if shared else np.zeros(0, dtype=np.int64)
        new = np.arange(len(self.ids), len(self.ids) + len(text) - shared, dtype=np.int64)
        path = np.concatenate([kept, new])
        self.ids += text[shared:].tolist()
        self.depths += range(shared, len(text))
        self.parents += [int(path[depth - 1]) if depth else -1 for depth in range(shared, len(text))]
        self.paths.append(path)
        self.rows.append(row)
        self.last = text
        self.first = self.first or len(text)

    def tree(self) -> Tree:
        return Tree(
            np.asarray(self.ids, dtype=np.int32),
            np.asarray(self.depths, dtype=np.int64),
            np.asarray(self.parents, dtype=np.int64),
            self.paths,
            self.rows,
        )


def ancestors(tree: Tree, width: int) -> npt.NDArray[np.bool_]:
    """[width, width], True where a row's node is below or at a column's node; padding sees itself."""
    seen = np.eye(width, dtype=np.bool_)
    for node, parent in enumerate(tree.parents.tolist()):
        if parent >= 0:
            seen[node] |= seen[parent]
    return seen


def batch_of(trees: Sequence[Tree], device: torch.device) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Token ids, mask and positions of some trees, padded to the largest; the latter two are None where all are single lines."""
    width = rounded(max(len(tree) for tree in trees))
    ids = np.zeros((len(trees), width), dtype=np.int64)
    positions = np.zeros((len(trees), width), dtype=np.int64)
    for row, tree in enumerate(trees):
        ids[row, : len(tree)] = tree.ids
        positions[row, : len(tree)] = tree.depths
    lines = all(len(tree.paths[-1]) == len(tree) for tree in trees)
    tokens = torch.from_numpy(ids).to(device)
    if lines:
        return tokens, None, None
    mask = torch.from_numpy(np.stack([ancestors(tree, width) for tree in trees]))
    return tokens, mask.to(device), torch.from_numpy(positions).to(device)
