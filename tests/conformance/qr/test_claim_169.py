"""Claim 169 both ways: published codes read by our layers, our cards read by a foreign reader."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import claim169
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from epassport_credentials.base45 import decode_base45
from epassport_credentials.card_qr import (
    IdentityCard,
    SmallCard,
    issue_identity_card_qr,
    issue_small_card_qr,
)
from epassport_credentials.cbor import as_map, decode_cbor_map
from epassport_credentials.compression import inflate
from epassport_credentials.cose import PublicKey, Sign1, read_sign1, verify_sign1
from epassport_credentials.cwt import IDENTITY_DATA, StatusReference
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.identity import Identity, Sex
from epassport_credentials.signer import LocalSigner

Note = Callable[[str, object], None]

READER = "claim169 0.3.0"
VECTORS = ("claim 169", "claim-169 vectors", "theirs to ours")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = 4242
SIGNER = LocalSigner(ec.derive_private_key(SECRET, ec.SECP256R1()))
STATUS = StatusReference("https://status.epassport.test/1", 70_001)
IDENTITY = Identity("Подъёмная Юлия", date(1990, 5, 17), Sex.FEMALE, "700123456", "RUS")
ATTRIBUTE = {"id": 1, "fullName": 4, "dateOfBirth": 8, "gender": 9, "nationality": 13}


def example(vectors: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((vectors / "claim-169" / f"{name}.json").read_text()))


def message_of(text: str) -> Sign1:
    return read_sign1(inflate(decode_base45(text, at_most=20_000), at_most=20_000))


def key_of(vector: Mapping[str, Any]) -> PublicKey:
    key = bytes.fromhex(vector["signing_key"]["public_key_hex"])
    if vector["signing_key"]["algorithm"] == "EdDSA":
        return ed25519.Ed25519PublicKey.from_public_bytes(key)
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)


@pytest.mark.parametrize("name", ["valid/ecdsa-p256-signed", "valid/ed25519-signed"])
def test_a_published_signed_code_verifies_and_its_person_is_read(
    name: str, vectors: Path, record_property: Note
) -> None:
    record_property("conformance", (*VECTORS, "read"))
    vector = example(vectors, name)
    message = message_of(vector["qr_data"])
    verify_sign1(message, key_of(vector))
    attributes = as_map(decode_cbor_map(message.payload)[IDENTITY_DATA])
    for member, label in ATTRIBUTE.items():
        assert attributes.get(label) == vector["expected_claim169"].get(member)


@pytest.mark.parametrize(
    "name",
    ["valid/minimal", "valid/demographics-full", "valid/with-face", "edge/unknown-fields"],
)
def test_a_published_unsigned_code_is_read_but_never_verifies(
    name: str, vectors: Path, record_property: Note
) -> None:
    record_property("conformance", (*VECTORS, "unsigned refused"))
    vector = example(vectors, name)
    message = message_of(vector["qr_data"])
    attributes = as_map(decode_cbor_map(message.payload)[IDENTITY_DATA])
    assert attributes[4] == vector["expected_claim169"]["fullName"]
    with pytest.raises(InvalidCredential) as refusal:
        verify_sign1(message, SIGNER.public_key)
    assert refusal.value.reason is Reason.WRONG_SIGNATURE


@pytest.mark.parametrize("name", ["bad-base45", "bad-zlib", "not-cose"])
def test_a_published_bad_code_is_malformed(name: str, vectors: Path, record_property: Note) -> None:
    record_property("conformance", (*VECTORS, "malformed refused"))
    with pytest.raises(InvalidCredential) as refusal:
        message_of(example(vectors, f"invalid/{name}")["qr_data"])
    assert refusal.value.reason is Reason.MALFORMED


def read_abroad(text: str, secret: int = SECRET) -> Any:
    public = ec.derive_private_key(secret, ec.SECP256R1()).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return claim169.decode(text, verify_with_ecdsa_p256=point, validate_timestamps=False)


def test_a_foreign_reader_reads_our_identity_card(record_property: Note) -> None:
    record_property("conformance", ("identity card QR", READER, "ours to theirs", "read"))
    card = IdentityCard(
        bytes(16), IDENTITY, NOW, NOW + timedelta(days=3652), STATUS, portrait=b"RIFFportrait"
    )
    result = read_abroad(issue_identity_card_qr(card, SIGNER))
    assert result.verification_status == "verified"
    person = result.claim169
    assert (person.full_name, person.date_of_birth) == ("Подъёмная Юлия", "19900517")
    assert (person.id, person.gender, person.nationality) == ("700123456", 2, "RUS")
    assert (person.photo, person.photo_format, person.language) == (b"RIFFportrait", 4, "rus")
    assert result.cwt_meta.expires_at == int((NOW + timedelta(days=3652)).timestamp())


def test_a_foreign_reader_reads_our_small_card_and_finds_no_person(record_property: Note) -> None:
    record_property("conformance", ("small card QR", READER, "ours to theirs", "read"))
    card = SmallCard(bytes(16), True, NOW, NOW + timedelta(days=3652), STATUS)
    result = read_abroad(issue_small_card_qr(card, SIGNER))
    assert result.verification_status == "verified"
    assert result.claim169.full_name is None
    assert result.claim169.id is None


def test_a_foreign_reader_refuses_our_card_under_another_key(record_property: Note) -> None:
    record_property("conformance", ("small card QR", READER, "ours to theirs", "other key refused"))
    card = SmallCard(bytes(16), True, NOW, NOW + timedelta(days=3652), STATUS)
    with pytest.raises(claim169.SignatureError):
        read_abroad(issue_small_card_qr(card, SIGNER), secret=SECRET + 1)


def test_what_a_foreign_writer_signed_is_read_here(record_property: Note) -> None:
    record_property("conformance", ("claim 169", READER, "theirs to ours", "read"))
    person = claim169.Claim169Input(id="700123456", full_name="Подъёмная Юлия")
    meta = claim169.CwtMetaInput(issuer="https://issuer.test", expires_at=2_000_000_000)
    text = claim169.encode(person, meta, sign_with_ecdsa_p256=SECRET.to_bytes(32, "big"))
    message = message_of(text)
    verify_sign1(message, SIGNER.public_key)
    attributes = as_map(decode_cbor_map(message.payload)[IDENTITY_DATA])
    assert (attributes[1], attributes[4]) == ("700123456", "Подъёмная Юлия")
