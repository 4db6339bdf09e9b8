from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jose_keys import (
    MAX_CERTIFICATES,
    MAX_UNNAMED_KEYS,
    keys_named_by,
    read_x5c,
    write_x5c,
)
from epassport_credentials.jwk import jwk_of, jwk_thumbprint, read_jwk
from epassport_credentials.jws import decode_base64url, encode_base64url
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.trust import TrustedKey, TrustList

PURPOSE = Purpose.MOBILE_ATTESTATION


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


@pytest.fixture(scope="session")
def own(trust: TrustList) -> TrustedKey:
    (key,) = (key for key in trust.keys if key.purpose is PURPOSE)
    return key


@pytest.fixture(scope="session")
def certified(own: TrustedKey, document_signer_key: LocalSigner) -> TrustedKey:
    """A foreign issuer: known by its key, its id a text."""
    return replace(own, key_id=b"doc-signer", public_key=document_signer_key.public_key)


def test_a_header_names_a_key_by_hex_by_text_or_by_certificate(
    own: TrustedKey, certified: TrustedKey, document_signer: x509.Certificate, now: datetime
) -> None:
    keys = [own, certified]
    for header, key in (
        ({"kid": own.key_id.hex()}, own),
        ({"kid": "doc-signer"}, certified),
        ({"x5c": write_x5c([document_signer])}, certified),
        ({"x5c": write_x5c([document_signer]), "kid": own.key_id.hex()}, certified),
    ):
        assert keys_named_by(header, keys, PURPOSE, at=now) == [key]
    assert keys_named_by({}, keys, PURPOSE, at=now) == keys


def test_a_certificate_whose_key_nobody_trusts_helps_nothing(
    own: TrustedKey, document_signer: x509.Certificate, csca: x509.Certificate, now: datetime
) -> None:
    header = {"x5c": write_x5c([document_signer, csca]), "kid": own.key_id.hex()}
    assert reason_of(keys_named_by, header, [own], PURPOSE, at=now) is Reason.UNKNOWN_SIGNER


def test_a_key_in_the_header_itself_is_not_looked_at(
    own: TrustedKey, stranger: LocalSigner, now: datetime
) -> None:
    header = {"jwk": jwk_of(stranger.public_key)}
    assert keys_named_by(header, [own], PURPOSE, at=now) == [own]


def test_a_key_of_another_purpose_or_time_is_refused(
    trust: TrustList, own: TrustedKey, now: datetime
) -> None:
    (card,) = (key for key in trust.keys if key.purpose is Purpose.CARD_QR)
    header = {"kid": card.key_id.hex()}
    assert reason_of(keys_named_by, header, trust.keys, PURPOSE, at=now) is Reason.WRONG_PURPOSE
    ended = replace(own, not_after=now)
    for header in ({"kid": own.key_id.hex()}, {}):
        refused = reason_of(keys_named_by, header, [ended], PURPOSE, at=now)
        assert refused is Reason.SIGNER_NOT_IN_FORCE
    assert reason_of(keys_named_by, {}, [card], PURPOSE, at=now) is Reason.UNKNOWN_SIGNER


def test_a_header_that_names_no_key_cannot_cost_many_checks(own: TrustedKey, now: datetime) -> None:
    assert keys_named_by({}, [own] * MAX_UNNAMED_KEYS, PURPOSE, at=now)
    many = [own] * (MAX_UNNAMED_KEYS + 1)
    assert reason_of(keys_named_by, {}, many, PURPOSE, at=now) is Reason.UNKNOWN_SIGNER


@pytest.mark.parametrize(
    "header",
    [
        {"kid": 12},
        {"kid": None},
        {"x5c": "MII"},
        {"x5c": []},
        {"x5c": [7]},
        {"x5c": ["MII"]},
        {"x5c": ["é"]},
    ],
)
def test_a_malformed_name_of_a_key_is_refused(
    header: Mapping[str, object], own: TrustedKey, now: datetime
) -> None:
    assert reason_of(keys_named_by, header, [own], PURPOSE, at=now) is Reason.MALFORMED


def test_certificates_come_back_in_their_order(
    document_signer: x509.Certificate, csca: x509.Certificate
) -> None:
    assert read_x5c({"x5c": write_x5c([document_signer, csca])}) == [document_signer, csca]


def test_a_chain_of_certificates_has_an_end(csca: x509.Certificate) -> None:
    assert len(read_x5c({"x5c": write_x5c([csca] * MAX_CERTIFICATES)})) == MAX_CERTIFICATES
    longer = {"x5c": write_x5c([csca] * (MAX_CERTIFICATES + 1))}
    assert reason_of(read_x5c, longer) is Reason.MALFORMED


@given(st.integers(1, 2**128))
def test_a_public_key_survives_its_jwk(number: int) -> None:
    public_key = ec.derive_private_key(number, ec.SECP256R1()).public_key()
    assert read_jwk(jwk_of(public_key)) == public_key


def test_the_thumbprint_is_the_one_that_jwcrypto_computes() -> None:
    """The example key of RFC 9901 (RFC 7638 §3)."""
    key = {
        "kty": "EC",
        "crv": "P-256",
        "x": "TCAER19Zvu3OHF4j4W4vfSVoHIP1ILilDls7vCeGemc",
        "y": "ZxjiWWbZMQGHVWKVQ4hbSIirsVfuecCE6t4jT9F2HZQ",
    }
    assert (
        encode_base64url(jwk_thumbprint(read_jwk(key)))
        == "aISfTcr9M_Zd09AXGAAeFxnLbFY6lBa87UN515wm5d4"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "OKP"},
        {"crv": "P-384"},
        {"x": 5},
        {"x": "AA"},
        {"y": encode_base64url(bytes(32))},
        {"d": encode_base64url(bytes(32))},
    ],
)
def test_what_is_no_public_key_on_p_256_is_refused(
    changes: Mapping[str, object], phone: LocalSigner
) -> None:
    assert reason_of(read_jwk, {**jwk_of(phone.public_key), **changes}) is Reason.MALFORMED
    assert reason_of(read_jwk, "key") is Reason.MALFORMED


def test_coordinates_keep_their_leading_zeros() -> None:
    for number in range(1, 600):
        jwk = jwk_of(ec.derive_private_key(number, ec.SECP256R1()).public_key())
        assert {len(decode_base64url(jwk[name])) for name in "xy"} == {32}
