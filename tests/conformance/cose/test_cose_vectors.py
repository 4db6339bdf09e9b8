"""COSE working group examples: every COSE_Sign1 of an accepted algorithm, good and bad."""

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from epassport_credentials.cbor import decode_cbor_map
from epassport_credentials.cose import PublicKey, read_sign1, verify_sign1
from epassport_credentials.errors import InvalidCredential, Reason

Note = Callable[[str, object], None]

ROW = ("COSE_Sign1", "COSE-WG examples", "theirs to ours")
ACCEPTED = [
    "CWT/A_3",
    "RFC8152/Appendix_C_2_1",
    "ecdsa-examples/ecdsa-sig-01",
    "ecdsa-examples/ecdsa-sig-02",
    "eddsa-examples/eddsa-sig-01",
    "sign1-tests/sign-pass-02",
    "sign1-tests/sign-pass-03",
]
ALTERED = [f"sign1-tests/sign-fail-0{number}" for number in (1, 2, 3, 4, 6, 7)]
REFUSED = {
    # ES512 and SHA-512 on P-256 are not accepted, nor is Ed448.
    "ecdsa-examples/ecdsa-sig-03": Reason.UNSUPPORTED_ALGORITHM,
    "ecdsa-examples/ecdsa-sig-04": Reason.UNSUPPORTED_ALGORITHM,
    # alg stands in the unprotected header only: stricter here than the example.
    "sign1-tests/sign-pass-01": Reason.UNSUPPORTED_ALGORITHM,
    # COSE_Sign (tag 98) and COSE_Encrypt0 (tag 16) are other messages.
    "ecdsa-examples/ecdsa-01": Reason.MALFORMED,
    "eddsa-examples/eddsa-01": Reason.MALFORMED,
    "CWT/A_6": Reason.MALFORMED,
}


def example(vectors: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((vectors / "cose" / f"{name}.json").read_text()))


def message_of(vector: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(vector["output"]["cbor"])


def key_of(vector: Mapping[str, Any]) -> PublicKey:
    key = vector["input"]["sign0"]["key"]

    def member(name: str) -> bytes:
        if f"{name}_hex" in key:
            return bytes.fromhex(key[f"{name}_hex"])
        return base64.urlsafe_b64decode(key[name] + "==")

    if key["kty"] == "OKP":
        return ed25519.Ed25519PublicKey.from_public_bytes(member("x"))
    curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}[key["crv"]]
    x, y = (int.from_bytes(member(name), "big") for name in "xy")
    return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()


def external_of(vector: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(vector["input"]["sign0"].get("external", ""))


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_good_example_verifies(name: str, vectors: Path, record_property: Note) -> None:
    record_property("conformance", (*ROW, "read"))
    vector = example(vectors, name)
    message = read_sign1(message_of(vector))
    verify_sign1(message, key_of(vector), external=external_of(vector))
    plain = vector["input"].get("plaintext", "").encode() or bytes.fromhex(
        vector["input"]["plaintext_hex"]
    )
    assert message.payload == plain


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_example_is_refused(name: str, vectors: Path, record_property: Note) -> None:
    record_property("conformance", (*ROW, "altered refused"))
    vector = example(vectors, name)
    assert vector["fail"] is True
    with pytest.raises(InvalidCredential):
        verify_sign1(read_sign1(message_of(vector)), key_of(vector), external=external_of(vector))


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_what_is_not_accepted_here_is_refused_with_its_reason(
    name: str, reason: Reason, vectors: Path, record_property: Note
) -> None:
    record_property("conformance", (*ROW, "not accepted here, refused"))
    with pytest.raises(InvalidCredential) as refusal:
        read_sign1(message_of(example(vectors, name)))
    assert refusal.value.reason is reason


def test_the_claims_of_the_cwt_example_are_read(vectors: Path) -> None:
    claims = decode_cbor_map(read_sign1(message_of(example(vectors, "CWT/A_3"))).payload)
    assert (claims[1], claims[4]) == ("coap://as.example.com", 1444064944)


def test_every_sign1_example_is_accounted_for(vectors: Path) -> None:
    listed = {*ACCEPTED, *ALTERED, *REFUSED, "eddsa-examples/eddsa-sig-02"}
    folder = vectors / "cose"
    found = {
        str(path.relative_to(folder).with_suffix(""))
        for path in folder.rglob("*.json")
        if "sign0" in json.loads(path.read_text())["input"]
    }
    assert found <= listed
