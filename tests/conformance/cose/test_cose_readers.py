"""COSE_Sign1 and CWT in both directions: cwt, pycose and cose-js.

Theirs are read in every algorithm both sides have; ours are always ES256. Messages with an
altered byte are refused on either side.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from epassport_credentials.base45 import decode_base45
from epassport_credentials.card_qr import SmallCard, issue_small_card_qr
from epassport_credentials.cbor import decode_cbor_map, encode_cbor
from epassport_credentials.compression import inflate
from epassport_credentials.cose import PublicKey, read_sign1, sign_sign1, verify_sign1
from epassport_credentials.cwt import ATTESTATION, StatusReference
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.identity import AgeOver18
from epassport_credentials.mobile_qr import issue_attestation, open_mobile_message, present
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.trust import TrustList, trusted_key
from tests.conformance.conversation import Conversation, Refused

Note = Callable[[str, object], None]

PAYLOAD = encode_cbor({1: "RU", 4: 4_000_000_000, 5: 0, -70_000: b"own"})
KID = b"key-id-8"
# Other people's clocks cannot be set, so these stay valid for longer than any test will live.
EARLY, LATE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
STATUS = StatusReference("https://status.epassport.test/1", 70_001)


@dataclass(frozen=True)
class Key:
    """A key as both sides know it. alg: the COSE label; curve: its name."""

    alg: int
    curve: str
    public: PublicKey
    secret: Mapping[str, object]


def curve_key(alg: int, name: str, curve: ec.EllipticCurve, size: int) -> Key:
    private = ec.derive_private_key(4711, curve)
    point = private.public_key().public_numbers()
    coordinates = {"x": point.x.to_bytes(size, "big"), "y": point.y.to_bytes(size, "big")}
    secret = {"alg": alg, "curve": name, "kid": KID, **coordinates}
    return Key(alg, name, private.public_key(), {**secret, "d": (4711).to_bytes(size, "big")})


def edwards_key() -> Key:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    x = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    d = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    secret = {"alg": -8, "curve": "Ed25519", "kid": KID, "x": x, "d": d}
    return Key(-8, "Ed25519", private.public_key(), secret)


ES256 = curve_key(-7, "P-256", ec.SECP256R1(), 32)
ESP256 = curve_key(-9, "P-256", ec.SECP256R1(), 32)
ES384 = curve_key(-35, "P-384", ec.SECP384R1(), 48)
EDDSA = edwards_key()
NAMES = {-7: "ES256", -9: "ESP256", -35: "ES384", -8: "EdDSA"}
SIGNER = LocalSigner(ec.derive_private_key(4711, ec.SECP256R1()))
PHONE = LocalSigner(ec.derive_private_key(7, ec.SECP256R1()))


def open_part_of(signer: LocalSigner) -> Mapping[str, object]:
    point = signer.public_key.public_numbers()
    coordinates = {"x": point.x.to_bytes(32, "big"), "y": point.y.to_bytes(32, "big")}
    return {"alg": -7, "curve": "P-256", "kid": signer.key_id, **coordinates}


def secret_part_of(signer: LocalSigner) -> Mapping[str, object]:
    secret = {SIGNER.key_id: 4711, PHONE.key_id: 7}[signer.key_id]
    return {**open_part_of(signer), "d": secret.to_bytes(32, "big"), "tagged": True}


OUR_KEY = open_part_of(SIGNER)

READERS = ("cwt", "pycose", "cose-js")
VERSIONS = {"cwt": "cwt 3.3.0", "pycose": "pycose 1.1.0", "cose-js": "cose-js 0.9.0"}
WRITERS = [
    *(("cwt", key) for key in (ES256, ESP256, ES384, EDDSA)),
    *(("pycose", key) for key in (ES256, ES384, EDDSA)),
    *(("cose-js", key) for key in (ES256, ES384)),
]


@pytest.fixture
def ask(request: pytest.FixtureRequest) -> Callable[..., bytes]:
    def asked(reader: str, question: str, **members: object) -> bytes:
        language = "javascript" if reader == "cose-js" else "python"
        readers: Conversation = request.getfixturevalue(f"{language}_readers")
        return bytes.fromhex(readers.ask(f"{reader} {question}", **members))

    return asked


def altered(message: bytes, part: bytes) -> bytes:
    place = message.index(part) + len(part) // 2
    return message[:place] + bytes((message[place] ^ 1,)) + message[place + 1 :]


def card_message() -> bytes:
    card = SmallCard(bytes(range(16)), True, EARLY, LATE, STATUS)
    return inflate(decode_base45(issue_small_card_qr(card, SIGNER), at_most=400), at_most=400)


def presentation_message() -> bytes:
    attestation = issue_attestation(
        AgeOver18(), holder_key=PHONE.public_key, issuer="RU", issued_at=EARLY, signer=SIGNER
    )
    text = present(attestation, phone=PHONE, now=EARLY, cti=bytes(16))
    return decode_base45(text, at_most=500)


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_verifies_our_message_and_not_an_altered_one(
    reader: str, ask: Callable[..., bytes], record_property: Note
) -> None:
    row = ("COSE_Sign1 ES256", VERSIONS[reader], "ours to theirs")
    record_property("conformance", (*row, "read"))
    message = sign_sign1(PAYLOAD, SIGNER)
    assert ask(reader, "read sign1", message=message, **OUR_KEY) == PAYLOAD
    for part in (PAYLOAD, message[-64:]):
        record_property("conformance", (*row, "altered refused"))
        with pytest.raises(Refused):
            ask(reader, "read sign1", message=altered(message, part), **OUR_KEY)


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_verifies_the_message_of_our_card(
    reader: str, ask: Callable[..., bytes], record_property: Note
) -> None:
    record_property("conformance", ("CWT of a card QR", VERSIONS[reader], "ours to theirs", "read"))
    message = card_message()
    payload = ask(reader, "read sign1", message=message, **OUR_KEY)
    assert payload == read_sign1(message).payload


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_verifies_both_layers_of_our_mobile_code(
    reader: str, ask: Callable[..., bytes], record_property: Note
) -> None:
    row = ("CWT of a mobile QR", VERSIONS[reader], "ours to theirs")
    record_property("conformance", (*row, "both layers read"))
    outer = presentation_message()
    phone = open_part_of(PHONE)
    claims = decode_cbor_map(ask(reader, "read sign1", message=outer, **phone))
    inner = claims[ATTESTATION]
    assert isinstance(inner, bytes)
    attested = decode_cbor_map(ask(reader, "read sign1", message=inner, **OUR_KEY))
    assert attested[169] == {77: True}
    record_property("conformance", (*row, "altered refused"))
    with pytest.raises(Refused):
        ask(reader, "read sign1", message=altered(outer, inner), **phone)


@pytest.mark.parametrize("writer", READERS)
def test_a_mobile_code_whose_layers_a_foreign_writer_signed_is_read_here(
    writer: str, ask: Callable[..., bytes], record_property: Note
) -> None:
    row = ("CWT of a mobile QR", VERSIONS[writer], "theirs to ours")
    record_property("conformance", (*row, "both layers read"))
    outer = dict(decode_cbor_map(read_sign1(presentation_message()).payload))
    inner = outer[ATTESTATION]
    assert isinstance(inner, bytes)
    attested = read_sign1(inner).payload
    outer[ATTESTATION] = ask(writer, "write sign1", payload=attested, **secret_part_of(SIGNER))
    shown = encode_cbor(outer)
    message = ask(writer, "write sign1", payload=shown, **secret_part_of(PHONE))
    key = trusted_key(SIGNER, Purpose.MOBILE_ATTESTATION, not_before=EARLY, not_after=LATE)
    trust = TrustList("RU", EARLY, LATE, (key,))
    presented = open_mobile_message(message, trust, now=EARLY)
    assert presented.attestation.claims == AgeOver18()
    for part in (attested, message[-64:]):
        record_property("conformance", (*row, "altered refused"))
        with pytest.raises(InvalidCredential) as refusal:
            open_mobile_message(altered(message, part), trust, now=EARLY)
        assert refusal.value.reason is Reason.WRONG_SIGNATURE


def test_a_cwt_reader_reads_the_claims_of_our_card_and_refuses_it_when_expired(
    ask: Callable[..., bytes], record_property: Note
) -> None:
    row = ("CWT of a card QR", "cwt 3.3.0", "ours to theirs")
    record_property("conformance", (*row, "claims read"))
    claims = decode_cbor_map(ask("cwt", "read token", message=card_message(), **OUR_KEY))
    assert (claims[4], claims[5]) == (int(LATE.timestamp()), int(EARLY.timestamp()))
    assert claims[65535] == {"status_list": {"idx": 70_001, "uri": STATUS.uri}}
    record_property("conformance", (*row, "expired refused"))
    card = SmallCard(bytes(16), True, EARLY, EARLY + timedelta(days=1), STATUS)
    text = issue_small_card_qr(card, SIGNER)
    expired = inflate(decode_base45(text, at_most=400), at_most=400)
    with pytest.raises(Refused, match="expired"):
        ask("cwt", "read token", message=expired, **OUR_KEY)


@pytest.mark.parametrize(
    ("writer", "key"), WRITERS, ids=lambda value: value if isinstance(value, str) else value.curve
)
def test_a_message_of_a_foreign_writer_is_read_here_and_not_when_altered(
    writer: str, key: Key, ask: Callable[..., bytes], record_property: Note
) -> None:
    row = (f"COSE_Sign1 {NAMES[key.alg]}", VERSIONS[writer], "theirs to ours")
    record_property("conformance", (*row, "read"))
    message = ask(writer, "write sign1", payload=PAYLOAD, tagged=True, **key.secret)
    read = read_sign1(message)
    verify_sign1(read, key.public)
    assert (read.payload, read.key_id, read.algorithm) == (PAYLOAD, KID, key.alg)
    for part in (PAYLOAD, message[-64:]):
        record_property("conformance", (*row, "altered refused"))
        with pytest.raises(InvalidCredential) as refusal:
            verify_sign1(read_sign1(altered(message, part)), key.public)
        assert refusal.value.reason is Reason.WRONG_SIGNATURE


@pytest.mark.parametrize("writer", ["pycose", "cose-js"])
def test_a_message_without_a_tag_is_read_here(
    writer: str, ask: Callable[..., bytes], record_property: Note
) -> None:
    record_property(
        "conformance", ("COSE_Sign1 untagged", VERSIONS[writer], "theirs to ours", "read")
    )
    message = ask(writer, "write sign1", payload=PAYLOAD, tagged=False, **ES256.secret)
    assert message[0] == 0x84  # an array of four, no tag before it
    verify_sign1(read_sign1(message), ES256.public)


@pytest.mark.parametrize("tagged", [True, False], ids=["61 around 18", "18 only"])
def test_a_foreign_cwt_is_read_here_with_tag_61_and_without(
    tagged: bool, ask: Callable[..., bytes], record_property: Note
) -> None:
    name = "CWT, tag 61 around 18" if tagged else "CWT, tag 18"
    record_property("conformance", (name, "cwt 3.3.0", "theirs to ours", "read"))
    message = ask("cwt", "write token", payload=PAYLOAD, tagged=tagged, **ES256.secret)
    assert message.startswith(b"\xd8\x3d\xd2" if tagged else b"\xd2")
    read = read_sign1(message)
    verify_sign1(read, ES256.public)
    claims = decode_cbor_map(read.payload)
    assert (claims[1], claims[4], claims[-70_000]) == ("RU", 4_000_000_000, b"own")
