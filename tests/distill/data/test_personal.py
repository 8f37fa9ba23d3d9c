"""Personal data: check digits against published examples, masks that are idempotent, and no false alarms on plain numbers."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.personal import (
    KINDS,
    Span,
    bsn,
    count,
    dni,
    find,
    find_by,
    iban_length,
    luhn,
    mask,
    mask_all,
    masked,
    steuer_id,
)
from distill.data.summary import profile

# published test numbers: Luhn cards of the card schemes, IBANs of the ECBS examples, the tax office's example
FOUND = {
    "email": ["mail jane.doe+news@mail.example.co.uk today", "A@B.de"],
    "phone": [
        "call +49 (0)171 1234567",
        "+1-202-555-0143",
        "(800) 428-4322",
        "ring 0171 1234567",
        "06-12345678",
        "0044 20 7946 0958",
    ],
    "card": ["paid with 4111 1111 1111 1111.", "5555555555554444", "3782-822463-10005"],
    "iban": ["to DE89 3704 0044 0532 0130 00 please", "GB82WEST12345698765432", "NL91ABNA0417164300"],
    "es_dni": ["DNI 12345678Z", "X1234567L,"],
    "nl_bsn": ["bsn 111222333,"],
    "de_tax_id": ["Steuer-ID 86 095 742 719.", "86095742719"],
    "us_ssn": ["SSN 078-05-1120"],
    "ipv4": ["from 192.168.10.1."],
    "ipv6": ["from 2001:db8::8a2e:370:7334 in", "::ffff:10.0.0.1"],
    "url_user": ["see https://bob:secret@example.com/x"],
    "handle": ["thanks @VirginAmerica!", "@a_b"],
}
PLAIN = [
    "flight 1234 leaves at 12:30:45 on 2016-01-02 for $24.99",
    "version 3.11.7 and 1.2.3.4.5, ratio 0.123456789",
    "order 4111 1111 1111 1112",
    "DE89370400440532013001",
    "12345678A",
    "000-12-3456 and 666-12-3456",
    "999.999.999.999",
    "a @ b, e@mail",
    "std::vector",
    "https://example.com/a@b",
    "1234567890",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in FOUND.items() for text in texts])
def test_each_kind_is_found(kind: str, text: str) -> None:
    assert [span.kind for span in find([text])[0]] == [kind]


def test_every_kind_has_an_example() -> None:
    assert set(FOUND) == set(KINDS)


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_raises_no_alarm(text: str) -> None:
    assert find([text]) == [[]]


def test_check_digits() -> None:
    assert luhn("79927398713") and not luhn("79927398710")
    assert iban_length("GB82WEST12345698765432 and more") == 22 and iban_length("GB82WEST12345698765431") is None
    assert dni("12345678Z") and not dni("12345678A")
    assert bsn("111222333") and not bsn("111222334") and not bsn("000000000")
    assert steuer_id("86095742719") and not steuer_id("86095742718") and not steuer_id("01234567890")


@given(st.text(alphabet="0123456789", min_size=5, max_size=18))
def test_luhn_accepts_exactly_one_check_digit(body: str) -> None:
    assert sum(luhn(body + digit) for digit in "0123456789") == 1


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("Ref AB12 DE89 3704 0044 0532 0130 00", "iban", ["DE89 3704 0044 0532 0130 00"]),
        ("DE89370400440532013000 GB82WEST12345698765432", "iban", ["DE89370400440532013000", "GB82WEST12345698765432"]),
        ("order 2345 4111 1111 1111 1111", "card", ["4111 1111 1111 1111"]),
    ],
)
def test_what_looks_alike_before_it_hides_nothing(text: str, kind: str, found: list[str]) -> None:
    assert [(span.kind, text[span.start : span.end]) for span in find([text])[0]] == [(kind, one) for one in found]


def test_masks_say_what_was_there_and_leave_the_rest() -> None:
    text = "I, jane@example.com, live at 10.0.0.1"
    assert mask(text, find([text])[0]) == "I, [email], live at [ipv4]"
    assert mask_all([text, "nothing"]) == ["I, [email], live at [ipv4]", "nothing"]
    assert count(find([text, "mail bob@example.com"])) == {"email": 2, "ipv4": 1}


_PIECES = st.one_of(
    st.sampled_from([text for texts in FOUND.values() for text in texts]),
    st.text(alphabet="@.:-+/ 0123456789abcXYZ[]()\n\x1e", max_size=25),
    st.text(max_size=12),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(_PIECES, max_size=5).map("".join), max_size=4))
def test_masks_are_idempotent_and_spans_lie_inside_and_apart(texts: list[str]) -> None:
    for text, spans in zip(texts, find(texts), strict=True):
        ends = [0]
        for span in spans:
            assert ends[-1] <= span.start < span.end <= len(text)
            ends.append(span.end)
    masked = mask_all(texts)
    assert mask_all(masked) == masked
    assert find(masked) == [[] for _ in texts]


@settings(max_examples=100, deadline=None)
@given(st.lists(_PIECES, max_size=6))
def test_texts_do_not_influence_each_other(texts: list[str]) -> None:
    assert find(texts) == [find([text])[0] for text in texts]


def test_the_profile_shows_what_was_found_masked_and_the_private_first() -> None:
    frame = pd.DataFrame(
        {"text": ["thanks @VirginAmerica", "nothing", "write to ada@example.org or call +49 171 1234567"]}
    )
    found = profile(frame)["personal"]
    assert (found["rows"], found["private"]) == (2, 1)
    assert found["examples"][0] == {"kind": "email, phone", "text, masked": "write to [email] or call [phone]"}
    assert found["examples"][1]["text, masked"] == "thanks [handle]"


def test_presidio_adds_to_the_rules_and_never_overlaps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Ada Lovelace, ada@example.org"
    more = [[Span(0, 12, "person"), Span(14, 29, "url")]]
    monkeypatch.setattr("distill.data.presidio.find_presidio", lambda texts, language: more)
    spans = find_by("presidio", [text], "en")
    assert spans == [[Span(0, 12, "person"), Span(14, 29, "email")]]
    assert masked([text], spans) == ["[person], [email]"]
    assert find_by("rules", [text], None) == [[Span(14, 29, "email")]]
