"""COSE_Sign1 (RFC 9052 §4.2): one signer, one payload.

Emitted: tag 18, ES256, `alg` protected, `kid` unprotected. Accepted: tag 18, 18 inside
61 (a CWT so marked) and none; ES256, ESP256, ES384, EdDSA on Ed25519. `alg` must stand
in the protected header (RFC 9052 §3.1: it "MUST be authenticated where the ability to
do so exists"), no label may stand in both headers, and whatever `crit` names must be
understood here.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from epassport_credentials.cbor import (
    as_map,
    byte_string,
    decode_cbor,
    decode_cbor_map,
    encode_cbor,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.signer import (
    SIGNATURE_BYTES,
    Signer,
    der_signature,
    verify_es256,
)

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

TAG_SIGN1 = 18
TAG_CWT = 61

ALG, CRIT, CONTENT_TYPE, KID, TYP = 1, 2, 3, 4, 16
ES256, EDDSA, ESP256, ES384 = -7, -8, -9, -35

_SIGNATURE1 = b"\x84\x6aSignature1"
_UNDERSTOOD = frozenset({ALG, CRIT, CONTENT_TYPE, KID, TYP})
_PROTECTED_ES256 = encode_cbor({ALG: ES256})
_SIGNED_ES256 = _SIGNATURE1 + byte_string(_PROTECTED_ES256) + byte_string(b"")
_ES384_BYTES = 96

# Tag 18, an array of four, alg protected, kid of 8 bytes unprotected or nothing, then the
# payload's shortest length; after the payload a signature of 64 bytes.
_EMITTED_HEAD = re.compile(
    rb"\xd2\x84\x43\xa1\x01\x26(?:\xa0|\xa1\x04\x48(.{8}))"
    rb"(?:\x58([\x18-\xff])|\x59([\x01-\xff].))",
    re.DOTALL,
)
_EMITTED_SIGNATURE = b"\x58\x40"


class Sign1(NamedTuple):
    """A message whose signature has not been checked yet."""

    protected: bytes
    payload: bytes
    signature: bytes
    algorithm: int
    key_id: bytes | None


def sign_sign1(payload: bytes, signer: Signer, *, name_key: bool = True) -> bytes:
    """name_key: False where the payload itself tells the verifier which key signed."""
    signature = signer.sign(_signed_bytes(_PROTECTED_ES256, b"", payload))
    unprotected = {KID: signer.key_id} if name_key else {}
    return encode_cbor(
        cbor2.CBORTag(TAG_SIGN1, [_PROTECTED_ES256, unprotected, payload, signature])
    )


def read_sign1(message: bytes) -> Sign1:
    """Take a message apart; its length is limited by the caller.

    Raises InvalidCredential: MALFORMED, UNSUPPORTED_ALGORITHM, UNSUPPORTED_CRITICAL_HEADER.
    """
    return _read_emitted_form(message) or _read_any_form(message)


def _read_emitted_form(message: bytes) -> Sign1 | None:
    """A message as `sign_sign1` writes it, taken apart in a tenth of the time."""
    head = _EMITTED_HEAD.match(message)
    if head is None:
        return None
    key_id, size, long_size = head.groups()
    begin = head.end()
    end = begin + int.from_bytes(size or long_size, "big")
    signature = message[end + 2 :]
    if message[end : end + 2] != _EMITTED_SIGNATURE or len(signature) != SIGNATURE_BYTES:
        return None
    return Sign1(_PROTECTED_ES256, message[begin:end], signature, ES256, key_id)


def _read_any_form(message: bytes) -> Sign1:
    match _without_tags(decode_cbor(message)):
        case [bytes(protected), unprotected, bytes(payload), bytes(signature)]:
            pass
        case _:
            raise InvalidCredential(Reason.MALFORMED, "not a COSE_Sign1 with its payload inside")
    inside = decode_cbor_map(protected) if protected else {}
    outside = as_map(unprotected)
    if inside.keys() & outside.keys() or CRIT in outside:
        raise InvalidCredential(Reason.MALFORMED, "a label in the wrong header or in both")
    _check_critical(inside)
    return Sign1(
        protected=protected,
        payload=payload,
        signature=signature,
        algorithm=_algorithm(inside.get(ALG)),
        key_id=_key_id({**outside, **inside}.get(KID)),
    )


def verify_sign1(message: Sign1, public_key: PublicKey, *, external: bytes = b"") -> None:
    """Raises InvalidCredential: WRONG_SIGNATURE, also when the key is not of the algorithm."""
    signed = _signed_bytes(message.protected, external, message.payload)
    match message.algorithm, public_key:
        case ((-7 | -9), ec.EllipticCurvePublicKey()):
            verify_es256(public_key, message.signature, signed)
        case -35, ec.EllipticCurvePublicKey(curve=ec.SECP384R1()):
            _verify_es384(public_key, message.signature, signed)
        case -8, ed25519.Ed25519PublicKey():
            _verify_eddsa(public_key, message.signature, signed)
        case _:
            raise InvalidCredential(Reason.WRONG_SIGNATURE, "the key is not of this algorithm")


def _without_tags(value: object) -> object:
    if isinstance(value, cbor2.CBORTag) and value.tag == TAG_CWT:
        value = value.value
        if not isinstance(value, cbor2.CBORTag):  # RFC 8392 §6: 61 stands before a COSE tag
            raise InvalidCredential(Reason.MALFORMED, "tag 61 without a COSE tag")
    if isinstance(value, cbor2.CBORTag):
        if value.tag != TAG_SIGN1:
            raise InvalidCredential(Reason.MALFORMED, "another CBOR tag than 18")
        return value.value
    return value


def _check_critical(protected: Mapping[int | str, object]) -> None:
    if CRIT not in protected:
        return
    named = protected[CRIT]
    if not isinstance(named, list) or not named:
        raise InvalidCredential(Reason.MALFORMED, "crit is not a list of labels")
    for label in named:
        if type(label) not in (int, str) or label not in protected:
            raise InvalidCredential(Reason.MALFORMED, "crit names a header that is not there")
        if label not in _UNDERSTOOD:
            raise InvalidCredential(Reason.UNSUPPORTED_CRITICAL_HEADER, "crit")


def _algorithm(value: object) -> int:
    if type(value) is not int or value not in (ES256, ESP256, ES384, EDDSA):
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "no known protected alg")
    return value


def _key_id(value: object) -> bytes | None:
    if value is not None and not isinstance(value, bytes):
        raise InvalidCredential(Reason.MALFORMED, "kid is not a byte string")
    return value


def _signed_bytes(protected: bytes, external: bytes, payload: bytes) -> bytes:
    """Sig_structure (RFC 9052 §4.4): context, protected header, external data, payload."""
    if protected == _PROTECTED_ES256 and not external:
        return _SIGNED_ES256 + byte_string(payload)
    return _SIGNATURE1 + byte_string(protected) + byte_string(external) + byte_string(payload)


def _verify_es384(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> None:
    if len(signature) != _ES384_BYTES:
        raise InvalidCredential(Reason.WRONG_SIGNATURE, "an ES384 signature has 96 bytes")
    try:
        key.verify(der_signature(signature), signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature as error:
        raise InvalidCredential(Reason.WRONG_SIGNATURE, "ES384") from error


def _verify_eddsa(key: ed25519.Ed25519PublicKey, signature: bytes, signed: bytes) -> None:
    try:
        key.verify(signature, signed)
    except InvalidSignature as error:
        raise InvalidCredential(Reason.WRONG_SIGNATURE, "EdDSA") from error
