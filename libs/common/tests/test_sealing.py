"""An envelope opens with its key, in its place, unchanged; and in no other way."""

import unicodedata
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from epassport.digests import SearchKey, normalised
from epassport.errors import Poison
from epassport.sealing import new_data_key, open_sealed, seal
from epassport_contracts import DataPurpose, Sealed
from epassport_contracts.fields import FIELDS, Identity, Sex, Wishes

HOLDER = UUID("018f2f6e-0000-4000-8000-000000000001")
ANOTHER = UUID("018f2f6e-0000-4000-8000-000000000002")
KEY, ANOTHER_KEY = new_data_key(), new_data_key()
PORTRAIT = b"\xff\xd8\xff portrait"

lines = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)


@st.composite
def identities(draw: st.DrawFn) -> Identity:
    return Identity(
        surname=draw(lines.filter(lambda text: len(text) <= 120)),
        given_name="Анна",
        patronymic=draw(st.none() | st.just("Петровна")),
        sex=draw(st.sampled_from(Sex)),
        birth_date=draw(st.dates(min_value=date(1900, 1, 1))),
        birth_place="Казань",
    )


def cause_of(
    envelope: Sealed[Any], key: bytes = KEY, subject: UUID = HOLDER, field: str = "portrait"
) -> str:
    with pytest.raises(Poison) as caught:
        open_sealed(key, envelope, subject=subject, field=field)
    return caught.value.cause


@given(identities())
def test_an_identity_round_trips(identity: Identity) -> None:
    envelope = seal(KEY, 1, HOLDER, "identity", identity)
    assert open_sealed(KEY, envelope, subject=HOLDER, field="identity") == identity


@given(st.binary(max_size=2000))
def test_octets_round_trip_also_through_json(octets: bytes) -> None:
    envelope = seal(KEY, 1, HOLDER, "portrait", octets)
    copy: Sealed[bytes] = Sealed.model_validate_json(envelope.model_dump_json())
    assert copy == envelope
    assert open_sealed(KEY, copy, subject=HOLDER, field="portrait") == octets


@given(st.integers(0, len(PORTRAIT) + 15), st.integers(1, 255))
def test_one_changed_octet_of_the_ciphertext_breaks_the_seal(index: int, change: int) -> None:
    envelope = seal(KEY, 1, HOLDER, "portrait", PORTRAIT)
    ct = bytearray(envelope.ct)
    ct[index] ^= change
    assert cause_of(envelope.model_copy(update={"ct": bytes(ct)})) == "broken-seal"


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_nonce_and_ciphertext_end_in_our_own_error(nonce: bytes, ct: bytes) -> None:
    envelope = seal(KEY, 1, HOLDER, "portrait", PORTRAIT)
    forged = envelope.model_copy(update={"nonce": nonce, "ct": ct})
    assert cause_of(forged) == "broken-seal"


@pytest.mark.parametrize(
    ("changes", "subject", "field", "cause"),
    [
        ({}, ANOTHER, "portrait", "wrong-subject"),
        ({"subject": ANOTHER}, ANOTHER, "portrait", "broken-seal"),
        ({}, HOLDER, "chip-image", "wrong-field"),
        ({"field": "chip-image"}, HOLDER, "chip-image", "wrong-purpose"),
        (
            {"field": "chip-image", "purpose": DataPurpose.CHIP},
            HOLDER,
            "chip-image",
            "broken-seal",
        ),
        ({"generation": 2}, HOLDER, "portrait", "broken-seal"),
        ({"field": "unheard-of"}, HOLDER, "unheard-of", "wrong-purpose"),
    ],
)
def test_an_envelope_does_not_open_elsewhere(
    changes: dict[str, object], subject: UUID, field: str, cause: str
) -> None:
    envelope = seal(KEY, 1, HOLDER, "portrait", PORTRAIT).model_copy(update=changes)
    assert cause_of(envelope, subject=subject, field=field) == cause


def test_another_key_does_not_open_it() -> None:
    envelope = seal(KEY, 1, HOLDER, "portrait", PORTRAIT)
    assert cause_of(envelope, key=ANOTHER_KEY) == "broken-seal"


def test_what_was_sealed_wrongly_is_poison_that_does_not_show_it() -> None:
    empty = seal(KEY, 1, HOLDER, "wishes", Wishes())
    ct = AESGCM(KEY).encrypt(empty.nonce, b'{"snils": "Secret"}', empty.associated_data())
    with pytest.raises(Poison) as caught:
        open_sealed(KEY, empty.model_copy(update={"ct": ct}), subject=HOLDER, field="wishes")
    assert caught.value.cause == "unreadable-value"
    assert "Secret" not in repr(caught.value)
    assert caught.value.__suppress_context__


def test_the_same_value_sealed_twice_looks_different() -> None:
    first, second = (seal(KEY, 1, HOLDER, "document-number", "700000001") for _ in range(2))
    assert first.nonce != second.nonce
    assert first.ct != second.ct
    assert len(first.nonce) == 12


@pytest.mark.parametrize(
    ("field", "value"),
    [("portrait", "text"), ("identity", Wishes()), ("document-number", 7)],
)
def test_a_value_that_the_field_does_not_hold_is_not_sealed(field: str, value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        seal(KEY, 1, HOLDER, field, value)


def test_every_field_of_the_dictionary_seals_under_its_purpose() -> None:
    octets = [name for name, spec in FIELDS.items() if spec.model is bytes]
    assert len(octets) >= 6
    for name in octets:
        assert seal(KEY, 1, HOLDER, name, PORTRAIT).purpose is FIELDS[name].purpose


def test_two_spellings_of_a_name_have_one_digest() -> None:
    key = SearchKey(KEY)
    written = "Соловьёв  Йорик"
    otherwise = unicodedata.normalize("NFD", "\tсоловьёв йорик ")
    assert key.digest("person", written) == key.digest("person", otherwise)


def test_digests_tell_kinds_keys_and_the_borders_of_parts_apart() -> None:
    key = SearchKey(KEY)
    digests = [
        key.digest("person", "ab", "c"),
        key.digest("person", "a", "bc"),
        key.digest("person", "abc"),
        key.digest("snils", "ab", "c"),
        SearchKey(ANOTHER_KEY).digest("person", "ab", "c"),
    ]
    assert len(set(digests)) == 5
    assert {len(digest) for digest in digests} == {32}


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)
