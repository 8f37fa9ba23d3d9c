"""Merkle tree hash after RFC 6962, section 2.1: one digest for a shard of labels, and a short proof that a label is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def _leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """The tree from leaves to root; an odd last node moves up unchanged, which equals RFC 6962's split."""
    levels = [[_leaf(leaf) for leaf in leaves]]
    while len(levels[-1]) > 1:
        row = levels[-1]
        above = [_node(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        levels.append(above + ([row[-1]] if len(row) % 2 else []))
    return levels


def merkle_root(leaves: Sequence[bytes]) -> str:
    """Root digest (hex) over ``leaves`` in order; SHA-256 of nothing for an empty shard."""
    if not leaves:
        return hashlib.sha256(b"").hexdigest()
    return _levels(leaves)[-1][0].hex()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[str, ...]:
    """Digests (hex), leaf to root, that lead from leaf ``index`` to the root; raises IndexError."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    proof = []
    for row in _levels(leaves)[:-1]:
        sibling = index ^ 1
        if sibling < len(row):
            proof.append(row[sibling].hex())
        index //= 2
    return tuple(proof)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[str], root: str) -> bool:
    """True when ``proof`` leads from ``leaf`` at ``index`` of ``size`` leaves to ``root`` (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    fn, sn, digest = index, size - 1, _leaf(leaf)
    for step in proof:
        if sn == 0:
            return False
        sibling = bytes.fromhex(step)
        if fn % 2 or fn == sn:
            digest = _node(sibling, digest)
            while fn % 2 == 0 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            digest = _node(digest, sibling)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and digest.hex() == root
