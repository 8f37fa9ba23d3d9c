"""Digests of texts that say nothing once their salt is gone.

A plain SHA-256 of a short text can be guessed. Here a text is named by HMAC-SHA-256 under a random salt of its own: with the salt
anyone can check that the text is the one; once the salt is destroyed the digest is noise, the row is erased in the sense of the
GDPR's Art. 17, and the chain that carries the digest still verifies.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

SALT_BYTES = 32


def new_salt() -> str:
    """A fresh random salt, hex."""
    return secrets.token_hex(SALT_BYTES)


def keyed_digest(text: str, salt: str) -> str:
    """HMAC-SHA-256 (hex) of ``text`` (UTF-8) under ``salt`` (hex)."""
    return hmac.new(bytes.fromhex(salt), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def matches(text: str, salt: str, digest: str) -> bool:
    """True when ``digest`` names ``text`` under ``salt``; compared in constant time."""
    return hmac.compare_digest(keyed_digest(text, salt), digest)
