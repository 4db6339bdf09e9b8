"""Vectors of COSE_Sign1: algorithms, tags, headers."""

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from epassport_credentials.cbor import encode_cbor
from epassport_credentials.signer import raw_signature
from tests.conformance.vectors.case import Case, passed, until

STAGES = ("cose", "signature")
PAYLOAD = b"what was signed"
ES256, EDDSA, ESP256, ES384, PS256 = -7, -8, -9, -35, -37
P256 = ec.derive_private_key(2001, ec.SECP256R1())
P384 = ec.derive_private_key(2002, ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def cases() -> list[Case]:
    good = passed(*STAGES)
    altered = bytearray(_message())
    altered[altered.index(PAYLOAD)] ^= 1
    external = {**_inputs(_message(external=b"context")), "external": b"context".hex()}
    return [
        Case("ES256", _inputs(_message()), good),
        Case("ESP256", _inputs(_message({1: ESP256})), good),
        Case("ES384", _inputs(_message({1: ES384}, key=P384), P384), good),
        Case("EdDSA", _inputs(_message({1: EDDSA}, key=ED25519), ED25519), good),
        Case("tag 61 around 18", _inputs(_message(tags=(61, 18))), good),
        Case("without a tag", _inputs(_message(tags=())), good),
        Case("external data", external, good),
        Case("understood critical header", _inputs(_message({1: ES256, 2: [4], 4: b"k"})), good),
        Case(
            "external data missing",
            _inputs(_message(external=b"context")),
            _fails("signature", "wrong-signature"),
        ),
        Case("altered byte", _inputs(bytes(altered)), _fails("signature", "wrong-signature")),
        Case(
            "wrong key",
            _inputs(_message(), ec.derive_private_key(7, ec.SECP256R1())),
            _fails("signature", "wrong-signature"),
        ),
        Case(
            "key of another curve",
            _inputs(_message(), P384),
            _fails("signature", "wrong-signature"),
        ),
        Case(
            "unknown critical header",
            _inputs(_message({1: ES256, 2: [99], 99: 1})),
            _fails("cose", "unsupported-critical-header"),
        ),
        Case(
            "critical header absent",
            _inputs(_message({1: ES256, 2: [99]})),
            _fails("cose", "malformed"),
        ),
        Case(
            "unsupported algorithm",
            _inputs(_message({1: PS256})),
            _fails("cose", "unsupported-algorithm"),
        ),
        Case(
            "algorithm not protected",
            _inputs(_message({}, {1: ES256})),
            _fails("cose", "unsupported-algorithm"),
        ),
        Case(
            "label in both headers",
            _inputs(_message({1: ES256, 4: b"k"}, {4: b"k"})),
            _fails("cose", "malformed"),
        ),
        Case(
            "key id as text", _inputs(_message({1: ES256}, {4: "k"})), _fails("cose", "malformed")
        ),
        Case("wrong tag", _inputs(_message(tags=(98,))), _fails("cose", "malformed")),
        Case("tag 61 alone", _inputs(_message(tags=(61,))), _fails("cose", "malformed")),
        Case(
            "length not the shortest",
            _inputs(b"\xd2\x98\x04" + _message()[2:]),
            _fails("cose", "malformed"),
        ),
        Case(
            "duplicate map key",
            _inputs(b"\xd2\x84\x45\xa2\x01\x26\x01\x26" + _message()[6:]),
            _fails("cose", "malformed"),
        ),
        Case("nested too deeply", _inputs(b"\x81" * 40 + b"\x01"), _fails("cose", "malformed")),
    ]


def _fails(stage: str, reason: str) -> list[list[str]]:
    return until(STAGES, stage, reason)


def _inputs(message: bytes, key: Key = P256) -> dict[str, str]:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {"message": message.hex(), "public_key": public.hex()}


def _message(
    protected: dict[int, object] | None = None,
    unprotected: dict[int, object] | None = None,
    *,
    key: Key = P256,
    tags: tuple[int, ...] = (18,),
    external: bytes = b"",
) -> bytes:
    header = encode_cbor({1: ES256} if protected is None else protected)
    signature = _sign(key, encode_cbor(["Signature1", header, external, PAYLOAD]))
    value: object = [header, unprotected or {}, PAYLOAD, signature]
    for tag in reversed(tags):
        value = cbor2.CBORTag(tag, value)
    return encode_cbor(value)


def _sign(key: Key, message: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    digest = hashes.SHA384() if key.key_size == 384 else hashes.SHA256()
    algorithm = ec.ECDSA(digest, deterministic_signing=True)
    return raw_signature(key.sign(message, algorithm), key.key_size // 4)
