"""An answer's log-probabilities as a TokenSignal in the tokens of a given tokenizer, or the reason why they are none.

A server says which texts its tokens were, not which ids. The ids are those that the tokenizer gives the same text; they serve only where
every token of the server is exactly one token of the tokenizer. Merged tokens, tokens cut elsewhere and texts that are read back
differently are refused: a distribution that stands at another token would teach nonsense. No torch here; the tokenizer is any with
transformers' interface.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from distill.endpoint.wire import Answer, Choice, Token
from distill.token_signals import FLOOR, TokenSignal

TOO_MUCH: Final = (
    1.02  # probabilities of the top tokens may add up to a little more than 1 through rounding, not to more than this
)
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class MisalignedError(ValueError):
    """The log-probabilities of an answer cannot be laid beside a tokenizer's tokens; the message is half a sentence."""


class Pieces:
    """The bytes of every token of a tokenizer, both ways. Tokens of like bytes have no id here, since nothing tells them apart.

    Args:
        tokenizer: with ``get_vocab``, ``all_special_ids``, ``eos_token_id`` and a call that gives ``input_ids``.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        vocabulary: dict[str, int] = tokenizer.get_vocab()
        special = set(tokenizer.all_special_ids)
        byte_level = not any(token.startswith("▁") for token in vocabulary) and any(
            "Ġ" in token for token in vocabulary
        )
        letters = _byte_letters() if byte_level else {}
        self.by_id = {index: _bytes_of(token, letters) for token, index in vocabulary.items() if index not in special}
        ids: dict[bytes, int] = {}
        twice: set[bytes] = set()
        for index, raw in self.by_id.items():
            if raw in ids:
                twice.add(raw)
            ids[raw] = index
        self.by_bytes = {raw: index for raw, index in ids.items() if raw not in twice}
        self.specials = {str(tokenizer.convert_ids_to_tokens(index)) for index in special}
        self.end: int | None = tokenizer.eos_token_id

    def encode(self, text: str) -> list[int]:
        """Token ids of a text that stands alone."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def token_signal(name: str, prompt: Sequence[int], answer: Answer, pieces: Pieces, k: int) -> TokenSignal:
    """The signal of one answer, ``k`` + 1 wide: the top ``k`` and the token that was taken.

    An answer that ended by itself gets the end token behind it. Servers give no distribution there, so all its probability is on that token.

    Args:
        name: becomes ``row_id``.
        prompt: token ids of the rendered prompt.
        answer: with log-probabilities.
        pieces: of the tokenizer.
        k: log-probabilities that were asked for at each token.

    Raises:
        MisalignedError: why there is none.
    """
    tokens = _spoken(answer, pieces)
    ids = _aligned(tokens, answer, pieces)
    rows = [
        _row(token, index, pieces, k + 1, place) for place, (token, index) in enumerate(zip(tokens, ids, strict=True))
    ]
    if answer.finish == "stop" and pieces.end is not None:
        ids.append(pieces.end)
        rows.append(_filled({pieces.end: 0.0}, k + 1))
    logprobs = np.array([row[1] for row in rows], dtype=np.float32)
    mass = np.exp(logprobs.astype(np.float64)).sum(axis=1)
    return TokenSignal(
        name,
        np.asarray(prompt, dtype=np.int32),
        np.array(ids, dtype=np.int32),
        np.array([row[0] for row in rows], dtype=np.int32),
        logprobs,
        np.clip(1.0 - mass, 0.0, 1.0).astype(np.float32),
    )


def mean_logprob(answer: Answer) -> float | None:
    """Mean log-probability of an answer's tokens in nats; None where the server does not say all of them."""
    values = [token.chosen.logprob for token in answer.tokens]
    return sum(values) / len(values) if values and all(map(math.isfinite, values)) else None


def mean_entropy(answer: Answer) -> float | None:
    """Mean entropy of a token in nats, the rest counted as one outcome (a lower bound); None without log-probabilities."""
    found = []
    for token in answer.tokens:
        p = np.exp([choice.logprob for choice in token.top]) if token.top else np.zeros(0)
        if not len(p) or p.sum() > TOO_MUCH:
            return None
        whole = np.append(p, max(0.0, 1.0 - float(p.sum())))
        found.append(float(-(whole * np.log(np.maximum(whole, 1e-12))).sum()))
    return sum(found) / len(found) if found else None


def _spoken(answer: Answer, pieces: Pieces) -> list[Token]:
    """The tokens of the answer without a special token at its end."""
    tokens = list(answer.tokens)
    if not tokens:
        raise MisalignedError("the server gives no log-probabilities")
    while tokens and (tokens[-1].chosen.text in pieces.specials or _raw(tokens[-1].chosen) == b""):
        tokens.pop()
    if not tokens:
        raise MisalignedError("the answer has no tokens")
    return tokens


def _aligned(tokens: Sequence[Token], answer: Answer, pieces: Pieces) -> list[int]:
    """The ids of the tokens; raises MisalignedError at the first that is not one token of the tokenizer."""
    raws = [_raw(token.chosen) for token in tokens]
    try:
        text = b"".join(raw for raw in raws if raw is not None).decode()
    except UnicodeDecodeError:
        raise MisalignedError("its tokens are not whole characters and come without their bytes") from None
    if None in raws:
        raise MisalignedError("its tokens are not whole characters and come without their bytes")
    if text.strip() != answer.text.strip():
        raise MisalignedError("the log-probabilities belong to another text than the answer")
    ids = pieces.encode(text)
    for place, (raw, index) in enumerate(zip(raws, ids, strict=False)):
        mine = pieces.by_id.get(index, b"")
        # SentencePiece puts a space before the first word that the server may leave out
        if mine != raw and not (place == 0 and mine.removeprefix(b" ") == raw):
            raise MisalignedError(
                f"token {place + 1} is {_shown(raw)} for the server and {_shown(mine)} for the tokenizer"
            )
    if len(ids) != len(raws):
        raise MisalignedError(f"the server counts {len(raws)} tokens, the tokenizer {len(ids)}")
    return ids


def _row(token: Token, index: int, pieces: Pieces, width: int, place: int) -> tuple[list[int], list[float]]:
    """Ids and log-probabilities at one place; what the tokenizer does not know goes into the tail."""
    if not math.isfinite(token.chosen.logprob):
        raise MisalignedError(f"token {place + 1} has no log-probability")
    known = {index: token.chosen.logprob}
    for choice in token.top:
        raw = _raw(choice)
        other = pieces.by_bytes.get(raw) if raw is not None else None
        if choice.text in pieces.specials and pieces.end is not None and choice.text == _end_text(pieces):
            other = pieces.end
        if other is not None and math.isfinite(choice.logprob):
            known.setdefault(other, choice.logprob)
    if sum(math.exp(value) for value in known.values()) > TOO_MUCH:
        raise MisalignedError(f"the probabilities at token {place + 1} add up to more than 1")
    return _filled(known, width)


def _end_text(pieces: Pieces) -> str:
    return str(pieces._tokenizer.convert_ids_to_tokens(pieces.end))


def _filled(known: dict[int, float], width: int) -> tuple[list[int], list[float]]:
    """The ``width`` most probable; filled up with ids of no probability where the server gave fewer."""
    best = sorted(known.items(), key=lambda pair: -pair[1])[:width]
    free = (index for index in range(width + len(known)) if index not in known)
    best += [(next(free), -FLOOR) for _ in range(width - len(best))]
    return [index for index, _ in best], [max(value, -FLOOR) for _, value in best]


def _raw(choice: Choice) -> bytes | None:
    """The bytes of a token; None when its text stands for bytes that are not known."""
    if choice.raw is not None:
        return choice.raw
    return None if "�" in choice.text else choice.text.encode("utf-8", "surrogatepass")


def _shown(raw: bytes | None) -> str:
    return repr((raw or b"").decode("utf-8", "replace"))[:40]


def _bytes_of(token: str, letters: dict[str, int]) -> bytes:
    """What a vocabulary's entry stands for: byte-level letters, SentencePiece's marks, or itself."""
    if letters:
        return bytes(letters[c] for c in token) if all(c in letters for c in token) else token.encode()
    match = _BYTE_PIECE.fullmatch(token)
    return bytes([int(match[1], 16)]) if match else token.replace("▁", " ").encode("utf-8", "surrogatepass")


def _byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in byte-level vocabularies (Radford et al. 2019, GPT-2's encoder)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}
