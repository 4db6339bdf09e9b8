"""The examples of RFC 9901 and of the SD-JWT VC draft, and broken versions of them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jose_keys import first_key, read_x5c
from epassport_credentials.jwk import read_jwk
from epassport_credentials.jws import decode_base64url, read_json_object
from epassport_credentials.key_binding import Challenge
from epassport_credentials.sd_jwt import read_disclosure
from epassport_credentials.sd_jwt_vc import SD_JWT_VC_TYP, verify_sd_jwt_vc
from epassport_credentials.sd_jwt_verification import check_sd_jwt
from epassport_credentials.signer import Purpose
from epassport_credentials.trust import TrustedKey

ROWS = {
    "sd-jwt": ("SD-JWT with key binding", "RFC 9901 examples", "theirs to ours"),
    "sd-jwt-vc": ("SD-JWT VC with key binding", "draft examples", "theirs to ours"),
}
FOLDERS = {"sd-jwt": (8, 19), "sd-jwt-vc": (3, 23)}
DAY = timedelta(days=1)
FAULTS = {
    "issuer-signature-altered": Reason.WRONG_SIGNATURE,
    "payload-altered": Reason.WRONG_SIGNATURE,
    "alg-none": Reason.UNSUPPORTED_ALGORITHM,
    "wrong-issuer-key": Reason.WRONG_SIGNATURE,
    "disclosure-altered": Reason.DISCLOSURE_NOT_SIGNED,
    "disclosure-unreferenced": Reason.DISCLOSURE_NOT_SIGNED,
    "disclosure-removed-after-binding": Reason.WRONG_KEY_BINDING,
    "key-binding-missing": Reason.NOT_KEY_BOUND,
    "nonce-wrong": Reason.WRONG_NONCE,
    "aud-wrong": Reason.WRONG_AUDIENCE,
    "key-binding-wrong-key": Reason.WRONG_SIGNATURE,
    "key-binding-wrong-typ": Reason.UNKNOWN_FORMAT,
    "key-binding-old": Reason.EXPIRED,
    "expired": Reason.EXPIRED,
    "digest-twice": Reason.DUPLICATE_DIGEST,
    "claim-name-exists": Reason.DUPLICATE_CLAIM,
    "claim-name-reserved": Reason.FORBIDDEN_CLAIM,
    "disclosure-shape": Reason.MALFORMED,
    "sd-alg-unknown": Reason.UNSUPPORTED_ALGORITHM,
    "typ-wrong": Reason.UNKNOWN_FORMAT,
    "vct-missing": Reason.MALFORMED,
    "vct-disclosed": Reason.FORBIDDEN_CLAIM,
    "status-disclosed": Reason.FORBIDDEN_CLAIM,
}
EUDI = "EUDI reference issuer"
EUDI_CLOCK = datetime.fromtimestamp(1_783_000_000, UTC)

Read = Callable[[str], dict[str, Any]]
Note = Callable[[str, object], None]


@pytest.fixture(scope="session")
def read(vectors: Path) -> Read:
    return lambda path: dict(json.loads((vectors / path).read_text()))


def issuer_of(case: dict[str, Any], now: datetime) -> list[TrustedKey]:
    """The published key, known by the id that the example's header names, if any."""
    kid = case.get("header", {}).get("kid", "doc-signer-05-25-2022").encode()
    public_key = read_jwk(case["issuer_jwk"])
    return [TrustedKey(Purpose.MOBILE_ATTESTATION, kid, public_key, now - DAY, now + DAY)]


def challenge_of(case: dict[str, Any]) -> Challenge | None:
    binding = case["key_binding"]
    return Challenge(binding["aud"], binding["nonce"]) if binding["required"] else None


def checked_claims(folder: str, text: str, case: dict[str, Any], typ: str) -> object:
    now = datetime.fromtimestamp(case["check_time"], UTC)
    issuers, challenge = issuer_of(case, now), challenge_of(case)
    if folder == "sd-jwt-vc":
        return verify_sd_jwt_vc(text, issuers, now=now, challenge=challenge).claims
    purpose = Purpose.MOBILE_ATTESTATION
    return check_sd_jwt(text, issuers, purpose, typ=typ, now=now, challenge=challenge).claims


def examples(vectors: Path, folder: str) -> list[dict[str, Any]]:
    return [
        json.loads(path.read_text())
        for path in sorted((vectors / folder).glob("*.json"))
        if path.stem not in ("keys", "negatives")
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_example_reveals_the_published_claims(
    folder: str, vectors: Path, record_property: Note
) -> None:
    cases = examples(vectors, folder)
    assert len(cases) == FOLDERS[folder][0]
    for case in cases:
        record_property("conformance", (*ROWS[folder], "read"))
        typ = case["header"]["typ"]
        claims = checked_claims(folder, case["presentation"], case, typ)
        assert claims == case["processed_payload"], case["name"]
        unbound = {**case, "key_binding": {"required": False}}
        whole = checked_claims(folder, case["issued"], unbound, typ)
        assert whole == case["processed_payload_all_disclosed"], case["name"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_published_disclosure_has_the_published_digest(folder: str, vectors: Path) -> None:
    for case in examples(vectors, folder):
        assert case["disclosures"]
        for published in case["disclosures"]:
            disclosure = read_disclosure(published["encoded"])
            assert disclosure.digest == published["digest"]
            assert disclosure.value == published["content"][-1]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_broken_example_is_refused_for_its_fault(
    folder: str, read: Read, record_property: Note
) -> None:
    negatives = read(f"{folder}/negatives.json")
    assert len(negatives["cases"]) == FOLDERS[folder][1]
    typ = SD_JWT_VC_TYP if folder == "sd-jwt-vc" else "example+sd-jwt"
    for case in negatives["cases"]:
        record_property("conformance", (*ROWS[folder], "broken refused"))
        broken = {**case, "issuer_jwk": negatives["issuer_jwk"]}
        with pytest.raises(InvalidCredential) as refusal:
            checked_claims(folder, case["presentation"], broken, typ)
        assert refusal.value.reason is FAULTS[case["name"]], case["name"]


def test_the_credential_of_a_foreign_issuer_verifies(vectors: Path, record_property: Note) -> None:
    """As issued, so without key binding; trusted is the key of the certificate it names."""
    record_property("conformance", ("SD-JWT VC as issued", EUDI, "theirs to ours", "read"))
    text = (vectors / "openid4vp/eudi/sd-jwt-vc-pid.txt").read_text().strip()
    header = read_json_object(decode_base64url(text.split(".")[0]))
    leaf = first_key(read_x5c(header))
    issuer = TrustedKey(Purpose.MOBILE_ATTESTATION, b"", leaf, EUDI_CLOCK - DAY, EUDI_CLOCK + DAY)
    credential = verify_sd_jwt_vc(text, [issuer], now=EUDI_CLOCK, challenge=None)
    assert credential.vct == "urn:eudi:pid:1"
    assert {"given_name", "nationalities", "picture"} <= credential.claims.keys()
    assert credential.holder_key is not None
    assert credential.status is not None
    assert credential.status.index == 4216
