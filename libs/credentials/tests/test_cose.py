import contextlib
from collections.abc import Mapping

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.cbor import encode_cbor
from epassport_credentials.cose import PublicKey, read_sign1, sign_sign1, verify_sign1
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.signer import LocalSigner, raw_signature


def message(protected: Mapping[int, object], unprotected: Mapping[int, object]) -> bytes:
    return encode_cbor(cbor2.CBORTag(18, [encode_cbor(protected), unprotected, b"content", b"s"]))


def reason_of(data: bytes) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        read_sign1(data)
    return refusal.value.reason


def test_a_signed_message_verifies_and_names_its_key(phone: LocalSigner) -> None:
    read = read_sign1(sign_sign1(b"content", phone))
    verify_sign1(read, phone.public_key)
    assert (read.payload, read.key_id) == (b"content", phone.key_id)


@pytest.mark.parametrize("tags", [(), (18,), (61, 18)])
def test_the_tag_may_be_18_or_61_around_it_or_absent(tags: list[int], phone: LocalSigner) -> None:
    value = cbor2.loads(sign_sign1(b"content", phone)).value
    for tag in reversed(tags):
        value = cbor2.CBORTag(tag, value)
    verify_sign1(read_sign1(encode_cbor(value)), phone.public_key)


@pytest.mark.parametrize("tags", [(17,), (98,), (61,), (18, 61), (18, 18), (61, 98)])
def test_other_tags_are_refused(tags: list[int], phone: LocalSigner) -> None:
    value = cbor2.loads(sign_sign1(b"content", phone)).value
    for tag in reversed(tags):
        value = cbor2.CBORTag(tag, value)
    assert reason_of(encode_cbor(value)) is Reason.MALFORMED


def test_an_altered_payload_does_not_verify(phone: LocalSigner) -> None:
    altered = sign_sign1(b"content", phone).replace(b"content", b"kontent")
    with pytest.raises(InvalidCredential) as refusal:
        verify_sign1(read_sign1(altered), phone.public_key)
    assert refusal.value.reason is Reason.WRONG_SIGNATURE


def test_external_data_belongs_to_the_signature(phone: LocalSigner) -> None:
    with pytest.raises(InvalidCredential):
        verify_sign1(read_sign1(sign_sign1(b"c", phone)), phone.public_key, external=b"x")


@pytest.mark.parametrize(
    ("protected", "unprotected", "reason"),
    [
        ({}, {1: -7}, Reason.UNSUPPORTED_ALGORITHM),
        ({1: -37}, {}, Reason.UNSUPPORTED_ALGORITHM),
        ({1: True}, {}, Reason.UNSUPPORTED_ALGORITHM),
        ({1: -7, 4: b"k"}, {4: b"k"}, Reason.MALFORMED),
        ({1: -7}, {2: [1]}, Reason.MALFORMED),
        ({1: -7, 2: []}, {}, Reason.MALFORMED),
        ({1: -7, 2: [99]}, {}, Reason.MALFORMED),
        ({1: -7, 2: [99], 99: 1}, {}, Reason.UNSUPPORTED_CRITICAL_HEADER),
        ({1: -7}, {4: "text"}, Reason.MALFORMED),
    ],
)
def test_headers_are_checked(
    protected: Mapping[int, object], unprotected: Mapping[int, object], reason: Reason
) -> None:
    assert reason_of(message(protected, unprotected)) is reason


def test_a_critical_header_that_is_understood_is_no_obstacle() -> None:
    assert read_sign1(message({1: -7, 2: [4], 4: b"k"}, {})).key_id == b"k"


def sign_with(algorithm: int, private_key: object) -> bytes:
    protected = encode_cbor({1: algorithm})
    signed = encode_cbor(["Signature1", protected, b"", b"content"])
    match private_key:
        case ed25519.Ed25519PrivateKey():
            signature = private_key.sign(signed)
        case ec.EllipticCurvePrivateKey(curve=ec.SECP384R1()):
            signature = raw_signature(private_key.sign(signed, ec.ECDSA(hashes.SHA384())), 96)
        case ec.EllipticCurvePrivateKey():
            signature = raw_signature(private_key.sign(signed, ec.ECDSA(hashes.SHA256())))
        case _:
            raise AssertionError
    return encode_cbor(cbor2.CBORTag(18, [protected, {}, b"content", signature]))


P256 = ec.derive_private_key(5, ec.SECP256R1())
P384 = ec.derive_private_key(5, ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.mark.parametrize(
    ("algorithm", "private_key"), [(-7, P256), (-9, P256), (-35, P384), (-8, ED25519)]
)
def test_each_accepted_algorithm_verifies_only_with_its_own_kind_of_key(
    algorithm: int, private_key: ec.EllipticCurvePrivateKey
) -> None:
    read = read_sign1(sign_with(algorithm, private_key))
    verify_sign1(read, private_key.public_key())
    others: list[PublicKey] = [
        ec.derive_private_key(6, ec.SECP256R1()).public_key(),
        ec.derive_private_key(6, ec.SECP384R1()).public_key(),
        ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key(),
    ]
    for other in others:
        with pytest.raises(InvalidCredential) as refusal:
            verify_sign1(read, other)
        assert refusal.value.reason is Reason.WRONG_SIGNATURE


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_message_or_our_own_error(data: bytes) -> None:
    with contextlib.suppress(InvalidCredential):
        read_sign1(data)
