import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from epassport_credentials.base45 import decode_base45, encode_base45
from epassport_credentials.cbor import decode_cbor_map, encode_cbor
from epassport_credentials.cose import read_sign1
from epassport_credentials.cose_key import cose_key, key_thumbprint, read_cose_key
from epassport_credentials.cwt import Format, sign_cwt
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.identity import AgeOver18, Identity
from epassport_credentials.mobile_qr import (
    MobilePurpose,
    issue_attestation,
    open_mobile_qr,
    present,
)
from epassport_credentials.qr_symbol import qr_version
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.trust import TrustList

Signers = Mapping[Purpose, LocalSigner]

CTI = bytes(range(16))
NONCE = b"sixteen bytes..."
SECOND = timedelta(seconds=1)


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


@pytest.fixture(scope="session")
def attestation(phone: LocalSigner, signers: Signers, now: datetime) -> bytes:
    return issue_attestation(
        AgeOver18(),
        holder_key=phone.public_key,
        issuer="RU",
        issued_at=now,
        signer=signers[Purpose.MOBILE_ATTESTATION],
    )


@pytest.fixture(scope="session")
def text(attestation: bytes, phone: LocalSigner, now: datetime) -> str:
    return present(attestation, phone=phone, now=now, cti=CTI)


def test_an_age_code_states_the_age_within_version_13(
    text: str, phone: LocalSigner, trust: TrustList, now: datetime
) -> None:
    shown = open_mobile_qr(text, trust, now=now)
    assert shown.attestation.claims == AgeOver18()
    assert shown.attestation.purpose is MobilePurpose.AGE_OVER_18
    assert shown.attestation.expires_at == now + timedelta(hours=24)
    assert (shown.key_thumbprint, shown.cti) == (key_thumbprint(phone.public_key), CTI)
    assert shown.expires_at == now + timedelta(seconds=60)
    assert not shown.challenged
    assert qr_version(text) <= 13


def test_an_identity_code_states_the_identity(
    identity: Identity, phone: LocalSigner, signers: Signers, trust: TrustList, now: datetime
) -> None:
    attestation = issue_attestation(
        identity,
        holder_key=phone.public_key,
        issuer="RU",
        issued_at=now,
        signer=signers[Purpose.MOBILE_ATTESTATION],
    )
    text = present(attestation, phone=phone, now=now, cti=CTI)
    assert open_mobile_qr(text, trust, now=now).attestation.claims == identity
    assert qr_version(text) <= 17


def test_nothing_but_the_age_stands_in_an_age_attestation(attestation: bytes) -> None:
    claims = cbor2.loads(read_sign1(attestation).payload)
    assert list(claims) == [Format.MOBILE_ATTESTATION, 1, 4, 6, 8, 9, 169]
    assert claims[169] == {77: True}


def test_the_phone_clock_may_differ_by_30_seconds_and_no_more(
    text: str, trust: TrustList, now: datetime, attestation: bytes, phone: LocalSigner
) -> None:
    assert open_mobile_qr(text, trust, now=now + 89 * SECOND)
    assert reason_of(open_mobile_qr, text, trust, now=now + 90 * SECOND) is Reason.EXPIRED
    ahead = present(attestation, phone=phone, now=now + 30 * SECOND, cti=CTI)
    assert open_mobile_qr(ahead, trust, now=now)
    further = present(attestation, phone=phone, now=now + 31 * SECOND, cti=CTI)
    assert reason_of(open_mobile_qr, further, trust, now=now) is Reason.NOT_YET_VALID


def test_an_attestation_ends_after_24_hours_without_allowance(
    attestation: bytes, phone: LocalSigner, trust: TrustList, now: datetime
) -> None:
    end = now + timedelta(hours=24)
    for at, works in ((end - SECOND, True), (end, False), (now - SECOND, False)):
        text = present(attestation, phone=phone, now=at, cti=CTI)
        if works:
            assert open_mobile_qr(text, trust, now=at)
        else:
            assert reason_of(open_mobile_qr, text, trust, now=at) in {
                Reason.EXPIRED,
                Reason.NOT_YET_VALID,
            }


def test_another_phone_cannot_show_the_attestation(
    attestation: bytes, stranger: LocalSigner, trust: TrustList, now: datetime
) -> None:
    stolen = present(attestation, phone=stranger, now=now, cti=CTI)
    assert reason_of(open_mobile_qr, stolen, trust, now=now) is Reason.WRONG_SIGNATURE


@pytest.mark.parametrize("purpose", [Purpose.CARD_QR, Purpose.STATUS_LIST])
def test_a_key_of_another_purpose_cannot_attest(
    purpose: Purpose, phone: LocalSigner, signers: Signers, trust: TrustList, now: datetime
) -> None:
    attestation = issue_attestation(
        AgeOver18(),
        holder_key=phone.public_key,
        issuer="RU",
        issued_at=now,
        signer=signers[purpose],
    )
    text = present(attestation, phone=phone, now=now, cti=CTI)
    assert reason_of(open_mobile_qr, text, trust, now=now) is Reason.WRONG_PURPOSE


def test_a_challenge_is_answered_for_one_verifier_and_one_nonce(
    attestation: bytes, phone: LocalSigner, trust: TrustList, now: datetime
) -> None:
    text = present(attestation, phone=phone, now=now, cti=CTI, audience="gate-7", nonce=NONCE)
    shown = open_mobile_qr(text, trust, now=now, audience="gate-7", nonce=NONCE)
    assert shown.challenged
    assert qr_version(text) <= 13
    assert (
        reason_of(open_mobile_qr, text, trust, now=now, audience="gate-8", nonce=NONCE)
        is Reason.WRONG_AUDIENCE
    )
    assert reason_of(open_mobile_qr, text, trust, now=now) is Reason.WRONG_AUDIENCE
    assert (
        reason_of(open_mobile_qr, text, trust, now=now, audience="gate-7", nonce=bytes(16))
        is Reason.WRONG_NONCE
    )
    assert reason_of(open_mobile_qr, text, trust, now=now, audience="gate-7") is Reason.WRONG_NONCE


def test_a_verifier_that_asked_takes_no_unasked_code(
    text: str, trust: TrustList, now: datetime
) -> None:
    assert (
        reason_of(open_mobile_qr, text, trust, now=now, audience="gate-7", nonce=NONCE)
        is Reason.WRONG_AUDIENCE
    )
    assert open_mobile_qr(text, trust, now=now, audience="gate-7")


OUTER = {4: 1_795_348_860, 6: 1_795_348_800, 7: CTI}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({4: 1_795_348_861}, Reason.LIFETIME_TOO_LONG),
        ({4: 1_795_348_800}, Reason.LIFETIME_TOO_LONG),
        ({7: CTI[1:]}, Reason.MALFORMED),
        ({6: None}, Reason.MALFORMED),
        ({4: 253_402_214_400, 6: 253_402_214_380}, Reason.NOT_YET_VALID),
        ({4: 253_402_300_799, 6: 253_402_300_780}, Reason.MALFORMED),
        ({-65542: "text"}, Reason.MALFORMED),
        ({-65542: b"\xd2\x80"}, Reason.MALFORMED),
    ],
)
def test_the_outer_claims_are_checked(
    changes: Mapping[int, object],
    reason: Reason,
    attestation: bytes,
    phone: LocalSigner,
    trust: TrustList,
    now: datetime,
) -> None:
    assert int(now.timestamp()) == OUTER[6]
    claims = {**OUTER, -65542: attestation, **changes}
    text = encode_base45(sign_cwt(Format.MOBILE_PRESENTATION, claims, phone, name_key=False))
    assert reason_of(open_mobile_qr, text, trust, now=now) is reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({4: 1_795_348_800 + 86_401}, Reason.LIFETIME_TOO_LONG),
        ({9: "everything"}, Reason.MALFORMED),
        ({169: {77: True, 4: "name"}}, Reason.MALFORMED),
        ({169: {77: False}}, Reason.MALFORMED),
        ({9: "identity"}, Reason.MALFORMED),
        ({9: "identity", 169: {1: "7", 4: "N", 8: "19900230", 9: 1, 13: "RUS"}}, Reason.MALFORMED),
        ({9: "identity", 169: {1: "7", 4: "N", 8: "1990-5-1", 9: 1, 13: "RUS"}}, Reason.MALFORMED),
        ({9: "identity", 169: {1: "7", 4: "N", 8: "19900511", 9: 3, 13: "RUS"}}, Reason.MALFORMED),
        ({8: {}}, Reason.MALFORMED),
        ({8: {1: {1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}}}, Reason.MALFORMED),
        ({8: {1: {1: 2, -1: 2, -2: bytes(32), -3: True}}}, Reason.MALFORMED),
        ({8: {1: {1: 2, -1: 1, -2: bytes(32), -3: 1}}}, Reason.MALFORMED),
    ],
)
def test_the_claims_of_an_attestation_are_checked(
    changes: Mapping[int, object],
    reason: Reason,
    phone: LocalSigner,
    signers: Signers,
    trust: TrustList,
    now: datetime,
) -> None:
    claims = {
        1: "RU",
        4: 1_795_348_800 + 86_400,
        6: 1_795_348_800,
        8: {1: cose_key(phone.public_key)},
        9: "age-over-18",
        169: {77: True},
    }
    signer = signers[Purpose.MOBILE_ATTESTATION]

    def shown(inner: Mapping[int, object]) -> str:
        attestation = sign_cwt(Format.MOBILE_ATTESTATION, inner, signer)
        return present(attestation, phone=phone, now=now, cti=CTI)

    assert open_mobile_qr(shown(claims), trust, now=now)
    assert reason_of(open_mobile_qr, shown({**claims, **changes}), trust, now=now) is reason


def test_an_attestation_alone_is_no_presentation(
    attestation: bytes, trust: TrustList, now: datetime
) -> None:
    bare = encode_base45(attestation)
    assert reason_of(open_mobile_qr, bare, trust, now=now) is Reason.UNKNOWN_FORMAT


def test_the_second_form_of_the_signature_has_the_same_replay_key(
    text: str, trust: TrustList, now: datetime
) -> None:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    message = decode_base45(text, at_most=600)
    flipped = order - int.from_bytes(message[-32:], "big")
    twin = encode_base45(message[:-32] + flipped.to_bytes(32, "big"))
    first, second = (open_mobile_qr(shown, trust, now=now) for shown in (text, twin))
    assert twin != text
    assert (first.key_thumbprint, first.cti) == (second.key_thumbprint, second.cti)


def test_every_altered_byte_is_noticed(text: str, trust: TrustList, now: datetime) -> None:
    message = decode_base45(text, at_most=600)
    for place in range(len(message)):
        altered = bytearray(message)
        altered[place] ^= 1
        code = encode_base45(bytes(altered))
        assert reason_of(open_mobile_qr, code, trust, now=now) in Reason


@given(st.integers(1, 2**200))
@settings(max_examples=40)
def test_a_key_keeps_its_point_and_thumbprint_in_either_form(secret: int) -> None:
    public = ec.derive_private_key(secret, ec.SECP256R1()).public_key()
    short = decode_cbor_map(encode_cbor(cose_key(public)))
    whole = {**short, -3: public.public_numbers().y.to_bytes(32, "big")}
    assert read_cose_key(short) == read_cose_key(whole) == public
    assert key_thumbprint(read_cose_key(whole)) == key_thumbprint(public)


@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_any_bytes_end_in_our_own_error(trust: TrustList, now: datetime, data: bytes) -> None:
    with contextlib.suppress(InvalidCredential):
        open_mobile_qr(encode_base45(data), trust, now=now)


def test_a_presentation_needs_16_random_bytes(
    attestation: bytes, phone: LocalSigner, now: datetime
) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        present(attestation, phone=phone, now=now, cti=b"few")
