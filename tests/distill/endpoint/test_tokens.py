"""Log-probabilities laid beside a tokenizer's tokens: exact where each is one token, refused with the reason where not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from distill.endpoint.tokens import MisalignedError, Pieces, mean_entropy, mean_logprob, token_signal
from distill.endpoint.wire import Answer, Choice, Token, from_json, parse_answer, to_json
from distill.token_signals import FLOOR
from tests.distill.tiny_lm import _tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return _tokenizer(320)


@pytest.fixture(scope="module")
def pieces(tokenizer: Any) -> Pieces:
    return Pieces(tokenizer)


def _answer(tokenizer: Any, text: str, finish: Any = "length", others: tuple[tuple[str, float], ...] = ()) -> Answer:
    """An answer of which a well-behaved server gives each token by its bytes."""
    tokens = []
    for index in tokenizer(text, add_special_tokens=False)["input_ids"]:
        raw = Pieces(tokenizer).by_id[index]
        said = Choice(raw.decode("utf-8", "replace"), math.log(0.7), raw)
        tokens.append(Token(said, (said, *(Choice(word, math.log(p)) for word, p in others))))
    return Answer(text, finish, tuple(tokens), 3, len(tokens), "m")


@pytest.mark.parametrize(
    "text", ["red green blue", "the café is größer", "日本語 and 🙂", " a leading space", "line\nbreak"]
)
def test_every_token_finds_its_id(text: str, tokenizer: Any, pieces: Pieces) -> None:
    signal = token_signal("a/0", [5, 6], _answer(tokenizer, text), pieces, 3)
    assert signal.answer_ids.tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(signal.answer_ids) == text
    assert signal.topk_ids.shape == (len(signal.answer_ids), 4)
    np.testing.assert_allclose(signal.emitted, math.log(0.7), atol=1e-6)
    np.testing.assert_allclose(signal.tail, 0.3, atol=1e-6)


def test_bytes_of_the_whole_vocabulary(tokenizer: Any, pieces: Pieces) -> None:
    # the oracle: what transformers decodes, for every token that is whole characters
    for index, raw in pieces.by_id.items():
        text = tokenizer.decode([index])
        if "�" not in text:
            assert raw.decode() == text


def test_alternatives_and_what_the_tokenizer_does_not_know(tokenizer: Any, pieces: Pieces) -> None:
    signal = token_signal("a/0", [], _answer(tokenizer, "red", others=(("b", 0.1), ("qqzz", 0.1))), pieces, 3)
    first = dict(zip(signal.topk_ids[0].tolist(), signal.topk_logprobs[0].tolist(), strict=True))
    assert first[pieces.by_bytes[b"b"]] == pytest.approx(math.log(0.1), abs=1e-6)
    assert sorted(first.values())[:2] == [-FLOOR, -FLOOR], "two places stay empty"
    assert signal.tail[0] == pytest.approx(0.2, abs=1e-6), "the unknown one is in the tail"
    assert len(set(signal.topk_ids[0].tolist())) == 4


def test_an_answer_that_ends_by_itself_gets_the_end_token(tokenizer: Any, pieces: Pieces) -> None:
    signal = token_signal("a/0", [], _answer(tokenizer, "red", "stop"), pieces, 3)
    assert signal.answer_ids[-1] == tokenizer.eos_token_id
    assert signal.emitted[-1] == 0.0
    assert signal.tail[-1] == 0.0


def test_a_special_token_that_the_server_shows_is_not_part_of_the_text(tokenizer: Any, pieces: Pieces) -> None:
    plain = _answer(tokenizer, "red", "stop")
    ended = Answer("red", "stop", (*plain.tokens, Token(Choice("<|end|>", -0.1), ())), 3, 2, "m")
    assert token_signal("a/0", [], ended, pieces, 3).answer_ids.tolist() == (
        token_signal("a/0", [], plain, pieces, 3).answer_ids.tolist()
    )


def _spelt(*words: str, text: str | None = None) -> Answer:
    tokens = tuple(Token(Choice(word, -0.1), (Choice(word, -0.1),)) for word in words)
    return Answer("".join(words) if text is None else text, "length", tokens, 1, len(words), "m")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (_spelt("red green", " blue"), "for the server and .* for the tokenizer"),
        (_spelt("r", "ed", " green"), "token 1 is 'r' for the server and 'red' for the tokenizer"),
        (_spelt("red", text="red green"), "belong to another text"),
        (_spelt("caf", "�", "�"), "come without their bytes"),
        (Answer("red", "stop", (), 1, 1, "m"), "gives no log-probabilities"),
        (Answer("red", "length", (Token(Choice("red", -math.inf), ()),), 1, 1, "m"), "has no log-probability"),
        (
            Answer("red", "length", (Token(Choice("red", -0.1), (Choice("red", -0.1), Choice("b", -0.5))),), 1, 1, "m"),
            "add up to more than 1",
        ),
    ],
)
def test_what_cannot_be_aligned_is_refused_with_the_reason(answer: Answer, reason: str, pieces: Pieces) -> None:
    with pytest.raises(MisalignedError, match=reason):
        token_signal("a/0", [], answer, pieces, 3)


def test_means(tokenizer: Any) -> None:
    answer = _answer(tokenizer, "red green", others=(("b", 0.2),))
    assert mean_logprob(answer) == pytest.approx(math.log(0.7))
    assert mean_entropy(answer) == pytest.approx(-(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1)))
    assert mean_logprob(_spelt()) is None
    assert mean_entropy(_spelt()) is None


def test_both_dialects_say_the_same_and_survive_the_store() -> None:
    chat = {
        "model": "m",
        "choices": [
            {
                "message": {"content": "é!"},
                "finish_reason": "stop",
                "logprobs": {
                    "content": [
                        {
                            "token": "\\xc3",
                            "bytes": [195],
                            "logprob": -0.5,
                            "top_logprobs": [{"token": "\\xc3", "bytes": [195], "logprob": -0.5}],
                        },
                        {"token": "!", "logprob": None, "top_logprobs": []},
                    ]
                },
            }
        ],
        "usage": {"prompt_tokens": 4, "completion_tokens": 2},
    }
    answer = parse_answer(chat)
    assert answer.tokens[0].chosen == Choice("\\xc3", -0.5, b"\xc3")
    assert answer.tokens[1].chosen.logprob == -math.inf
    assert from_json(to_json(answer)) == answer
    text = {
        "model": "m",
        "choices": [
            {
                "text": " a b",
                "finish_reason": "length",
                "logprobs": {
                    "tokens": [" a", " b"],
                    "token_logprobs": [-0.1, -0.2],
                    "top_logprobs": [{" c": -3.0, " a": -0.1}, None],
                },
            }
        ],
    }
    older = parse_answer(text)
    assert [token.chosen.text for token in older.tokens] == [" a", " b"]
    assert [choice.text for choice in older.tokens[0].top] == [" a", " c"]
    assert (older.prompt_tokens, older.finish) == (None, "length")
    assert from_json(to_json(older)) == older


@pytest.mark.slow
def test_the_tokenizer_of_the_pack() -> None:
    """SmolLM2's 49,152 tokens against what transformers decodes; needs the pack's tokenizer, read from its GGUF."""
    from transformers import AutoTokenizer

    from distill.data.packs import file

    path = file("smollm2")
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    pieces = Pieces(tokenizer)
    wrong = [
        index
        for index, raw in pieces.by_id.items()
        if "�" not in tokenizer.decode([index]) and raw.decode() != tokenizer.decode([index])
    ]
    assert not wrong
    for text in ("Hello, world!", "naïve café", "def f(x):\n    return x"):
        signal = token_signal("a/0", [], _answer(tokenizer, text), pieces, 1)
        assert tokenizer.decode(signal.answer_ids) == text
