"""The key: from the environment alone, in no representation, and taken out of whatever a server says before anybody reads it."""

from __future__ import annotations

import os
import re

from distill.errors import EndpointError

MASK = "[key]"
# what keys of the well-known providers look like: a server may echo one that is not even ours
_LOOKS_LIKE_A_KEY = re.compile(r"\b(?:sk|pk|gsk|hf|xai|key|api)[-_][A-Za-z0-9*._-]{6,}|\bBearer\s+\S+", re.IGNORECASE)
SHOWN = 200


class Secret:
    """The key of one endpoint; prints as ``[key]``."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def headers(self) -> dict[str, str]:
        """The header that carries it; none without a key."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def scrub(self, text: str) -> str:
        """A server's words in one line, shortened, without the key or anything that looks like one or quotes a part of it."""
        plain = text.replace(self._value, MASK) if self._value else text
        for size in (12, 8):
            if len(self._value) >= 2 * size:
                plain = plain.replace(self._value[:size], MASK).replace(self._value[-size:], MASK)
        return " ".join(_LOOKS_LIKE_A_KEY.sub(MASK, plain).split())[:SHOWN]


def read_secret(variable: str) -> Secret:
    """The key in the environment variable; an empty name means that none is needed.

    Raises:
        EndpointError: the variable is not set, or holds what no header can carry.
    """
    if not variable:
        return Secret("")
    value = os.environ.get(variable, "").strip()
    if not value:
        raise EndpointError(
            f"The environment variable {variable} is not set, so the endpoint has no key.",
            hint=f"export {variable}=… where Heirloom is started, and start it again; or set api_key_env to '' for a "
            "server without keys.",
        )
    if not value.isascii() or not value.isprintable():
        raise EndpointError(
            f"The environment variable {variable} holds characters that no key has.", hint="Copy the key again."
        )
    return Secret(value)
