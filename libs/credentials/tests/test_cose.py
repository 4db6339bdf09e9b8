import contextlib
from collections.abc import Mapping

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.cbor import encode_cbor
from epassport_credentials.cose import PublicKey, read_sign1, sign_sign1, verify_sign1
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.signer import LocalSigner, der_signature, raw_signature

SIGNER = LocalSigner(ec.derive_private_key(77, ec.SECP256R1()))


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


@given(st.binary(max_size=600), st.booleans())
def test_the_form_written_here_is_read_as_any_other_form_is(payload: bytes, named: bool) -> None:
    """Without its tag a message takes the road of foreign messages; both must agree."""
    message = sign_sign1(payload, SIGNER, name_key=named)
    untagged = message.removeprefix(b"\xd2")
    assert read_sign1(message) == read_sign1(untagged)
    verify_sign1(read_sign1(message), SIGNER.public_key)


@pytest.mark.parametrize("size", [0, 23, 24, 255, 256, 300])
def test_a_length_that_is_not_the_shortest_or_not_true_is_malformed(size: int) -> None:
    message = sign_sign1(bytes(size), SIGNER, name_key=False)
    signature = message[-66:]
    head = b"\xd2\x84\x43\xa1\x01\x26\xa0"
    for first, octets, enough in ((b"\x58", 1, 24), (b"\x59", 2, 256), (b"\x5a", 4, 2**16)):
        if size < enough:
            longer = head + first + size.to_bytes(octets, "big") + bytes(size)
            assert reason_of(longer + signature) is Reason.MALFORMED
    assert reason_of(message[:-66] + b"\x00" + signature) is Reason.MALFORMED
    assert reason_of(message + b"\x00") is Reason.MALFORMED


@given(st.integers(1, 2**256 - 1), st.integers(1, 2**256 - 1))
def test_a_raw_signature_becomes_der_and_back(r: int, s: int) -> None:
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert der_signature(raw) == encode_dss_signature(r, s)
    assert raw_signature(der_signature(raw)) == raw


@pytest.mark.parametrize("first", [0, 1, 0x7F, 0x80, 0xFF])
def test_der_integers_have_no_needless_zero_and_no_sign(first: int) -> None:
    raw = bytes((first,)) + b"\x55" * 31 + bytes((first,)) + b"\xaa" * 31
    halves = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    assert der_signature(raw) == encode_dss_signature(*halves)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_message_or_our_own_error(data: bytes) -> None:
    with contextlib.suppress(InvalidCredential):
        read_sign1(data)
