"""The next token of each text: the most probable one, or one that is drawn. What is drawn depends on the text's own numbers alone."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from distill.types import Floats, Ints

FIRST = 256  # most probable tokens among which top-p is looked for first; a full sort where they do not suffice


def uniforms(seed: int, name: str, sample: int, count: int) -> Floats:
    """``count`` numbers in [0, 1) for one answer: they depend on seed, content and sample alone, never on the batch."""
    raw = hashlib.sha256(f"{seed}:{sample}:{name}".encode()).digest()
    words = np.frombuffer(raw, dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence(words)).random(count)


def pick(logits: Tensor, temperature: float, top_p: float, draws: npt.NDArray[np.float64] | None) -> Ints:
    """A token for each row.

    Nucleus sampling (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"): of the tokens by falling probability those
    are kept whose mass first reaches ``top_p``; one of them is drawn by inverting their cumulative distribution at the row's draw.

    Args:
        logits: [m, vocabulary] float32.
        temperature: 0 takes the most probable token.
        top_p: in (0, 1].
        draws: [m] numbers in [0, 1); not read at temperature 0.
    """
    if temperature == 0 or draws is None:
        return np.asarray(logits.argmax(dim=-1).cpu().numpy(), dtype=np.int64)
    scaled = logits / temperature
    whole = torch.logsumexp(scaled, dim=-1, keepdim=True)
    count = min(FIRST, scaled.shape[-1])
    values, ids = torch.topk(scaled, count, dim=-1)
    mass = torch.exp((values - whole).double()).cumsum(dim=-1)
    chosen = np.empty(len(logits), dtype=np.int64)
    enough = (mass[:, -1] >= top_p) | (count == scaled.shape[-1])
    draw = torch.from_numpy(np.ascontiguousarray(draws)).to(logits.device)
    for rows, some_ids, some_mass in _parts(scaled, whole, ids, mass, enough):
        kept = (some_mass < top_p).sum(dim=-1).clamp(max=some_mass.shape[-1] - 1)
        reach = some_mass.gather(-1, kept[:, None])[:, 0]
        place = (some_mass <= (draw[rows] * reach)[:, None]).sum(dim=-1)
        place = torch.minimum(place, kept)
        chosen[rows.cpu().numpy()] = some_ids.gather(-1, place[:, None])[:, 0].cpu().numpy()
    return chosen


def _parts(
    scaled: Tensor, whole: Tensor, ids: Tensor, mass: Tensor, enough: Tensor
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Rows whose first tokens suffice, and the others fully sorted."""
    parts = []
    first = enough.nonzero()[:, 0]
    if len(first):
        parts.append((first, ids[first], mass[first]))
    rest = (~enough).nonzero()[:, 0]
    if len(rest):
        values, order = torch.sort(scaled[rest], dim=-1, descending=True, stable=True)
        parts.append((rest, order, torch.exp((values - whole[rest]).double()).cumsum(dim=-1)))
    return parts
