"""The chain, the Merkle tree, the signature and the keyed digest each notice the smallest change."""

from __future__ import annotations

import hashlib
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence.chain import GENESIS, Entry, dump_chain, load_chain, next_entry, verify_chain
from auditor.evidence.keyed import keyed_digest, matches, new_salt
from auditor.evidence.merkle import inclusion_proof, merkle_root, verify_inclusion
from auditor.evidence.signing import Signature, fingerprint, load_key, public_key_of, sign, verify
from distill.errors import StoreError


def chain_of(n: int) -> list[Entry]:
    entries: list[Entry] = []
    for i in range(n):
        last = entries[-1] if entries else None
        entries.append(next_entry("run-1", last, "Ada", "decision", {"item": f"i{i}", "label": i % 3}))
    return entries


@given(st.integers(1, 12), st.data())
def test_a_changed_moved_or_missing_entry_is_named(n: int, data: st.DataObject) -> None:
    entries = chain_of(n)
    assert verify_chain(entries, "run-1").ok
    at = data.draw(st.integers(0, n - 1))
    changed = [*entries]
    changed[at] = changed[at].model_copy(update={"payload": {"item": "other"}})
    assert any(p.startswith(f"entry {at}:") for p in verify_chain(changed).problems)
    if at < n - 1:
        assert not verify_chain(entries[:at] + entries[at + 1 :]).ok


def test_an_empty_chain_ends_at_genesis() -> None:
    assert verify_chain([]).head == GENESIS


def test_a_chain_survives_its_file_and_no_byte_of_it_can_change() -> None:
    entries = chain_of(3)
    text = dump_chain(entries)
    assert load_chain(text) == entries
    raw = text.encode()
    for position in range(len(raw)):
        torn = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        try:
            found = load_chain(torn.decode("utf-8", "replace"))
        except ValueError:
            continue
        assert not verify_chain(found, "run-1").ok, position


def rfc6962(leaves: list[bytes]) -> bytes:
    """The recursive definition of RFC 6962, section 2.1, as the oracle."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + rfc6962(leaves[:k]) + rfc6962(leaves[k:])).digest()


@given(st.lists(st.binary(max_size=8), max_size=40))
def test_root_follows_the_standard(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == rfc6962(leaves).hex()


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=40, unique=True), st.data())
def test_every_leaf_has_a_proof_and_no_other_leaf_fits_it(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof, root = inclusion_proof(leaves, index), merkle_root(leaves)
    assert verify_inclusion(leaves[index], index, len(leaves), proof, root)
    assert not verify_inclusion(leaves[index] + b"x", index, len(leaves), proof, root)


@given(st.text(), st.text())
def test_keyed_digest_names_one_text_and_needs_its_salt(text: str, other: str) -> None:
    salt = new_salt()
    digest = keyed_digest(text, salt)
    assert matches(text, salt, digest)
    assert matches(other, salt, digest) == (other == text)
    assert not matches(text, new_salt(), digest)


def test_signature_holds_for_its_statement_only(tmp_path: Path) -> None:
    key = load_key(tmp_path)
    assert public_key_of(load_key(tmp_path)) == public_key_of(key)
    assert stat.S_IMODE((tmp_path / "signing-key.pem").stat().st_mode) == 0o600
    signed = sign({"head": "abc", "entries": 3}, key)
    assert verify({"entries": 3, "head": "abc"}, signed)
    assert not verify({"entries": 4, "head": "abc"}, signed)
    assert not verify({"head": "abc", "entries": 3}, Signature(public_key="00" * 32, signature="00"))
    with pytest.raises(ValueError, match="public_key"):
        Signature(public_key="zz", signature="00")
    assert len(fingerprint(signed.public_key)) == 39


def test_a_damaged_key_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "signing-key.pem").write_text("nonsense")
    with pytest.raises(StoreError, match="damaged"):
        load_key(tmp_path)
    assert (tmp_path / "signing-key.pem").read_text() == "nonsense"


def _public(folder: str) -> str:
    return public_key_of(load_key(Path(folder)))


def test_two_processes_end_up_with_one_key(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        assert len(set(pool.map(_public, [str(tmp_path)] * 6))) == 1
