"""Ed25519 signatures over the head of a chain. The key is made on first use and never leaves the workspace.

A public key inside a report proves only that the report agrees with itself, so a verifier pins the fingerprint from outside.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditor.evidence.chain import canonical
from distill.errors import ReportError, StoreError

_RAW = serialization.Encoding.Raw
_PUBLIC = serialization.PublicFormat.Raw


class Signature(BaseModel):
    """A signed statement: ``signature`` (hex) over the canonical JSON of the statement, by ``public_key`` (hex)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    public_key: str = Field(pattern="^[0-9a-f]{64}$")
    signature: str = Field(pattern="^[0-9a-f]*$")

    @property
    def fingerprint(self) -> str:
        """Short name of the key; see :func:`fingerprint`."""
        return fingerprint(self.public_key)


def read_signature(value: Any, where: str) -> Signature:
    """A signature from plain data; raises ReportError when it is none. ``where`` is the file's name, for the sentence."""
    try:
        return Signature.model_validate(value)
    except ValidationError as error:
        raise ReportError(
            f"{where} holds no signature and key.", hint="Take the file from where it was sealed."
        ) from error


def fingerprint(public_key: str) -> str:
    """First 128 bits of SHA-256 of the raw public key, hex in groups of four: what a person compares."""
    digest = hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:32]
    return "-".join(digest[i : i + 4] for i in range(0, 32, 4))


def load_key(folder: Path) -> Ed25519PrivateKey:
    """The workspace's signing key, made with owner-only rights on first use.

    Raises:
        StoreError: the key file is damaged. It is never replaced silently: old signatures would stop matching.
    """
    path = folder / "signing-key.pem"
    if not path.exists():
        _make_key(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise StoreError(f"The signing key {path} is damaged.", hint="Restore it from a backup.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"The signing key {path} is not an Ed25519 key.", hint="Restore it from a backup.")
    return key


def _make_key(path: Path) -> None:
    """Write a new key; of two processes that do so at once, the first wins and both use its key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(pem)
        handle.flush()
        os.fsync(handle.fileno())
    try:
        path.hardlink_to(part)  # fails when the key is there already, unlike rename
    except FileExistsError:
        return
    finally:
        part.unlink()


def public_key_of(key: Ed25519PrivateKey) -> str:
    """Raw public key, hex."""
    return key.public_key().public_bytes(_RAW, _PUBLIC).hex()


def sign(statement: dict[str, Any], key: Ed25519PrivateKey) -> Signature:
    """Sign the canonical JSON of ``statement``."""
    return Signature(public_key=public_key_of(key), signature=key.sign(canonical(statement)).hex())


def verify(statement: dict[str, Any], signature: Signature) -> bool:
    """True when ``signature`` is its key's signature over ``statement``; False for anything malformed."""
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.public_key))
        public.verify(bytes.fromhex(signature.signature), canonical(statement))
    except (InvalidSignature, ValueError):
        return False
    return True
