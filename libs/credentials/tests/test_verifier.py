import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from epassport_credentials.base45 import decode_base45, encode_base45
from epassport_credentials.card_qr import (
    IdentityCard,
    SmallCard,
    issue_identity_card_qr,
    issue_small_card_qr,
    with_portrait,
)
from epassport_credentials.compression import inflate
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.identity import AgeOver18, Identity
from epassport_credentials.jws import sign_jws
from epassport_credentials.mobile_qr import issue_attestation, present
from epassport_credentials.offline_pack import (
    OFFLINE_PACK_TYP,
    OfflinePack,
    PackPolicy,
    issue_offline_pack,
    open_offline_pack,
)
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.status_list import (
    ENTRIES_PER_LIST,
    Status,
    issue_status_list,
    pack_statuses,
)
from epassport_credentials.trust import TrustList, trust_to_json
from epassport_credentials.verifier import (
    Outcome,
    Verdict,
    has_form_of_a_code,
    verify_offline,
)

Signers = Mapping[Purpose, LocalSigner]

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
INDEX = {Status.VALID: 1, Status.INVALID: 2, Status.SUSPENDED: 3, Status.NOT_IN_FORCE: 4}
URI = "https://status.epassport.test/1"


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


@pytest.fixture(scope="session")
def list_token(signers: Signers, now: datetime) -> str:
    values = bytearray(b"\x03" * ENTRIES_PER_LIST)
    for status, index in INDEX.items():
        values[index] = status
    values[70_001] = Status.VALID
    return issue_status_list(
        pack_statuses(values),
        signers[Purpose.STATUS_LIST],
        uri=URI,
        issued_at=now,
        expires_at=now + HOUR,
    )


@pytest.fixture(scope="session")
def pack_token(trust: TrustList, list_token: str, signers: Signers) -> str:
    return issue_offline_pack(trust, {URI: list_token}, signers[Purpose.OFFLINE_PACK])


@pytest.fixture(scope="session")
def pack(pack_token: str, trust: TrustList, now: datetime) -> OfflinePack:
    return open_offline_pack(pack_token, trust.keys, now=now)


@pytest.fixture(scope="session")
def code(small_card: SmallCard, signers: Signers) -> Callable[[Status], str]:
    def issue(status: Status) -> str:
        reference = replace(small_card.status, index=INDEX[status])
        return issue_small_card_qr(replace(small_card, status=reference), signers[Purpose.CARD_QR])

    return issue


@pytest.fixture(scope="session")
def phone_code(
    phone: LocalSigner, signers: Signers, now: datetime
) -> Callable[[AgeOver18 | Identity, datetime], str]:
    def show(claims: AgeOver18 | Identity, at: datetime) -> str:
        attestation = issue_attestation(
            claims,
            holder_key=phone.public_key,
            issuer="RU",
            issued_at=now,
            signer=signers[Purpose.MOBILE_ATTESTATION],
        )
        return present(attestation, phone=phone, now=at, cti=bytes(16))

    return show


Code = Callable[[Status], str]
PhoneCode = Callable[[AgeOver18 | Identity, datetime], str]


def test_a_pack_holds_only_the_keys_that_a_verifier_needs(pack: OfflinePack) -> None:
    assert {key.purpose for key in pack.trust.keys} == {
        Purpose.CARD_QR,
        Purpose.MOBILE_ATTESTATION,
        Purpose.STATUS_LIST,
    }


def test_a_valid_card_is_good_and_shows_its_age_flag(
    code: Code, pack: OfflinePack, small_card: SmallCard, now: datetime
) -> None:
    assert verify_offline(code(Status.VALID), pack, now=now) == Verdict(
        Outcome.GOOD, as_of=now, shown={"over_18": True}, document_ref=small_card.document_ref
    )


def test_the_card_of_who_was_a_minor_is_good_and_shows_no_age(
    small_card: SmallCard, signers: Signers, pack: OfflinePack, now: datetime
) -> None:
    reference = replace(small_card.status, index=INDEX[Status.VALID])
    minors = replace(small_card, over_18=False, status=reference)
    verdict = verify_offline(issue_small_card_qr(minors, signers[Purpose.CARD_QR]), pack, now=now)
    assert (verdict.outcome, verdict.shown) == (Outcome.GOOD, {})


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (Status.INVALID, Reason.REVOKED),
        (Status.SUSPENDED, Reason.SUSPENDED),
        (Status.NOT_IN_FORCE, Reason.NOT_IN_FORCE),
    ],
)
def test_a_card_not_in_force_is_refused_and_shows_nothing(
    standing: Status,
    reason: Reason,
    code: Code,
    pack: OfflinePack,
    small_card: SmallCard,
    now: datetime,
) -> None:
    assert verify_offline(code(standing), pack, now=now) == Verdict(
        Outcome.REFUSED, reason, as_of=now, document_ref=small_card.document_ref
    )


def test_a_valid_identity_card_shows_the_identity_and_the_portrait(
    identity_card: IdentityCard, photo: bytes, signers: Signers, pack: OfflinePack, now: datetime
) -> None:
    card = with_portrait(identity_card, photo)
    text = issue_identity_card_qr(card, signers[Purpose.CARD_QR])
    verdict = verify_offline(text, pack, now=now)
    assert verdict.outcome is Outcome.GOOD
    assert verdict.portrait == card.portrait
    assert verdict.shown == {
        "full_name": "Подъёмная Юлия Эдуардовна",
        "birth_date": "1990-05-17",
        "sex": "F",
        "document_number": "700123456",
        "nationality": "RUS",
    }


def test_a_phone_shows_the_age_or_the_identity(
    phone_code: PhoneCode, identity: Identity, pack: OfflinePack, now: datetime
) -> None:
    age = verify_offline(phone_code(AgeOver18(), now), pack, now=now)
    assert (age.outcome, age.shown, age.as_of) == (Outcome.GOOD, {"over_18": True}, now)
    assert age.presentation is not None
    assert age.presentation.cti == bytes(16)
    whole = verify_offline(phone_code(identity, now), pack, now=now)
    assert whole.shown["full_name"] == identity.full_name


def test_the_policy_of_the_pack_bounds_the_age_of_a_status_unless_the_caller_does(
    code: Code, pack: OfflinePack, now: datetime
) -> None:
    strict = replace(pack, policy=PackPolicy(status_age=HOUR))
    text, later = code(Status.VALID), now + HOUR + SECOND
    assert verify_offline(text, strict, now=now + HOUR).outcome is Outcome.GOOD
    assert verify_offline(text, strict, now=later).reason is Reason.PACK_TOO_OLD
    assert verify_offline(text, strict, now=later, freshness=2 * HOUR).outcome is Outcome.GOOD


def test_an_identity_check_has_a_limit_of_its_own(
    code: Code, identity_card: IdentityCard, signers: Signers, pack: OfflinePack, now: datetime
) -> None:
    two = replace(pack, policy=PackPolicy(status_age=2 * HOUR, identity_age=HOUR))
    text = issue_identity_card_qr(identity_card, signers[Purpose.CARD_QR])
    later = now + HOUR + SECOND
    assert verify_offline(text, two, now=now + HOUR).outcome is Outcome.GOOD
    assert verify_offline(text, two, now=later).reason is Reason.PACK_TOO_OLD
    assert verify_offline(text, two, now=later, freshness=2 * HOUR).outcome is Outcome.GOOD
    assert verify_offline(code(Status.VALID), two, now=later).outcome is Outcome.GOOD
    one = replace(pack, policy=PackPolicy(status_age=HOUR))
    assert verify_offline(text, one, now=later).reason is Reason.PACK_TOO_OLD


def test_a_pack_older_than_the_freshness_makes_a_card_unknown(
    code: Code, pack: OfflinePack, now: datetime
) -> None:
    edge = now + timedelta(hours=24)
    assert verify_offline(code(Status.VALID), pack, now=edge).outcome is Outcome.GOOD
    for status in (Status.VALID, Status.SUSPENDED, Status.NOT_IN_FORCE):
        verdict = verify_offline(code(status), pack, now=edge + SECOND)
        assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, Reason.PACK_TOO_OLD)
        assert (verdict.since, verdict.shown) == (now, {})
    shorter = verify_offline(code(Status.VALID), pack, now=now + 2 * HOUR, freshness=HOUR)
    assert shorter.outcome is Outcome.UNKNOWN


def test_a_revoked_card_stays_refused_under_an_old_pack(
    code: Code, pack: OfflinePack, now: datetime
) -> None:
    verdict = verify_offline(code(Status.INVALID), pack, now=now + timedelta(days=60))
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUSED, Reason.REVOKED)


def test_a_phone_does_not_age_with_the_pack_until_the_pack_ends(
    phone_code: PhoneCode, pack: OfflinePack, signers: Signers, phone: LocalSigner, now: datetime
) -> None:
    for days, outcome in ((29, Outcome.GOOD), (30, Outcome.UNKNOWN)):
        later = now + timedelta(days=days)
        attestation = issue_attestation(
            AgeOver18(),
            holder_key=phone.public_key,
            issuer="RU",
            issued_at=later,
            signer=signers[Purpose.MOBILE_ATTESTATION],
        )
        text = present(attestation, phone=phone, now=later, cti=bytes(16))
        verdict = verify_offline(text, pack, now=later)
        assert verdict.outcome is outcome
        assert bool(verdict.shown) is (outcome is Outcome.GOOD)


def test_a_pack_that_has_ended_makes_a_card_unknown(
    code: Code, pack: OfflinePack, now: datetime
) -> None:
    later = now + timedelta(days=30)
    verdict = verify_offline(code(Status.VALID), pack, now=later, freshness=timedelta(days=400))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, Reason.PACK_EXPIRED)


def test_a_clock_set_back_makes_a_card_unknown(
    small_card: SmallCard, signers: Signers, pack: OfflinePack, now: datetime
) -> None:
    card = replace(small_card, not_before=now - HOUR)
    text = issue_small_card_qr(card, signers[Purpose.CARD_QR])
    verdict = verify_offline(text, pack, now=now - SECOND)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, Reason.NOT_YET_VALID)


def test_a_status_list_that_is_not_in_the_pack_makes_a_card_unknown(
    small_card: SmallCard, signers: Signers, pack: OfflinePack, now: datetime
) -> None:
    other = replace(small_card, status=replace(small_card.status, uri="https://other.test/2"))
    verdict = verify_offline(issue_small_card_qr(other, signers[Purpose.CARD_QR]), pack, now=now)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, Reason.STATUS_NOT_IN_PACK)
    assert verdict.since == now


def test_an_index_outside_the_list_is_refused(
    small_card: SmallCard, signers: Signers, pack: OfflinePack, now: datetime
) -> None:
    beyond = replace(small_card, status=replace(small_card.status, index=ENTRIES_PER_LIST))
    verdict = verify_offline(issue_small_card_qr(beyond, signers[Purpose.CARD_QR]), pack, now=now)
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUSED, Reason.INDEX_OUT_OF_RANGE)


def test_a_challenge_reaches_the_phone_check(
    phone_code: PhoneCode, pack: OfflinePack, now: datetime
) -> None:
    text = phone_code(AgeOver18(), now)
    verdict = verify_offline(text, pack, now=now, audience="gate-7", nonce=bytes(16))
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUSED, Reason.WRONG_AUDIENCE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Reason.MALFORMED),
        ("https://example.test", Reason.MALFORMED),
        ("A" * 1135, Reason.TOO_LONG),
        (encode_base45(b"\x78\xda"), Reason.MALFORMED),
        (encode_base45(b"\xd2\x84"), Reason.MALFORMED),
    ],
)
def test_what_is_no_code_of_ours_is_refused_with_a_reason(
    text: str, reason: Reason, pack: OfflinePack, now: datetime
) -> None:
    assert verify_offline(text, pack, now=now) == Verdict(Outcome.REFUSED, reason)


@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.parametrize("tags", ["", "d2", "d83dd2"])
def test_whatever_may_be_good_has_the_form_of_a_code(
    level: int, tags: str, code: Code, phone_code: PhoneCode, pack: OfflinePack, now: datetime
) -> None:
    card = inflate(decode_base45(code(Status.VALID), at_most=400), at_most=400)
    phone = decode_base45(phone_code(AgeOver18(), now), at_most=600)
    for data, compressed in ((card, True), (phone, False)):
        message = bytes.fromhex(tags) + data.removeprefix(b"\xd2")
        text = encode_base45(zlib.compress(message, level=level) if compressed else message)
        assert verify_offline(text, pack, now=now).outcome is Outcome.GOOD
        assert has_form_of_a_code(text)
        assert has_form_of_a_code(text.encode())


@pytest.mark.parametrize(
    "scanned",
    [
        *("", "78", "hello", "HELLO", "https://example.test", "HC1:6BFOXN", "Паспорт"),
        *(b"\xff\xfe\0\0", encode_base45(b"\x78\x02\0\0"), encode_base45(b"\xd2\x80\0\0")),
    ],
)
def test_what_is_something_else_has_not_the_form_of_a_code(scanned: str | bytes) -> None:
    assert not has_form_of_a_code(scanned)


@given(st.text(max_size=60) | st.binary(max_size=60).map(encode_base45) | st.binary(max_size=60))
@example(b"\xff" * 1135)
@settings(max_examples=150)
def test_any_text_and_any_bytes_end_in_a_verdict(
    pack: OfflinePack, now: datetime, scanned: str | bytes
) -> None:
    assert verify_offline(scanned, pack, now=now).outcome is Outcome.REFUSED


def test_a_code_is_judged_from_its_bytes_as_from_its_text(
    code: Code, pack: OfflinePack, now: datetime
) -> None:
    text = code(Status.VALID)
    verdict = verify_offline(text.encode(), pack, now=now)
    assert verdict.outcome is Outcome.GOOD
    assert verdict == verify_offline(text, pack, now=now)


def test_the_status_of_ten_million_documents_fits_into_400_kb(
    trust: TrustList, signers: Signers, now: datetime
) -> None:
    random = np.random.default_rng(1)
    lists = {}
    for number in range(10):
        values = (random.random(ENTRIES_PER_LIST) < 0.01).astype(np.uint8).tobytes()
        uri = f"https://status.epassport.test/{number}"
        lists[uri] = issue_status_list(
            pack_statuses(values),
            signers[Purpose.STATUS_LIST],
            uri=uri,
            issued_at=now,
            expires_at=now + HOUR,
        )
    token = issue_offline_pack(trust, lists, signers[Purpose.OFFLINE_PACK])
    assert len(token) < 400_000
    assert len(open_offline_pack(token, trust.keys, now=now).status_lists) == 10


def test_a_pack_by_a_key_of_another_purpose_is_refused(
    trust: TrustList, list_token: str, signers: Signers, now: datetime
) -> None:
    forged = issue_offline_pack(trust, {URI: list_token}, signers[Purpose.STATUS_LIST])
    assert reason_of(open_offline_pack, forged, trust.keys, now=now) is (Reason.WRONG_PURPOSE)


def test_a_pack_of_the_sandbox_is_refused_in_production(
    trust: TrustList, list_token: str, signers: Signers, now: datetime
) -> None:
    token = issue_offline_pack(
        replace(trust, sandbox=True), {URI: list_token}, signers[Purpose.OFFLINE_PACK]
    )
    assert reason_of(open_offline_pack, token, trust.keys, now=now) is (Reason.SANDBOX_SIGNER)
    assert open_offline_pack(token, trust.keys, now=now, accept_sandbox=True).trust.sandbox


def test_a_pack_from_the_future_is_refused(
    pack_token: str, trust: TrustList, now: datetime
) -> None:
    assert (
        reason_of(open_offline_pack, pack_token, trust.keys, now=now - SECOND)
        is Reason.NOT_YET_VALID
    )


def test_a_pack_with_a_list_of_another_address_is_refused(
    trust: TrustList, list_token: str, signers: Signers, now: datetime
) -> None:
    token = issue_offline_pack(
        trust, {"https://other.test/1": list_token}, signers[Purpose.OFFLINE_PACK]
    )
    assert reason_of(open_offline_pack, token, trust.keys, now=now) is (Reason.WRONG_STATUS_LIST)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 3}, Reason.UNKNOWN_VERSION),
        ({"status_lists": {}}, Reason.MALFORMED),
        ({"status_lists": ["x"]}, Reason.MALFORMED),
        ({"status_lists": [{"uri": URI}]}, Reason.MALFORMED),
        ({"keys": {}}, Reason.MALFORMED),
    ],
)
def test_a_signed_pack_of_another_shape_is_refused(
    changes: Mapping[str, object],
    reason: Reason,
    trust: TrustList,
    signers: Signers,
    now: datetime,
) -> None:
    good = {
        "version": 1,
        "issuer": "x",
        "sandbox": False,
        "iat": 1,
        "exp": 2,
        "keys": [],
        "status_lists": [],
    }

    def sign(payload: Mapping[str, object]) -> str:
        return sign_jws(payload, typ=OFFLINE_PACK_TYP, signer=signers[Purpose.OFFLINE_PACK])

    assert open_offline_pack(sign(good), trust.keys, now=now)
    token = sign({**good, **changes})
    assert reason_of(open_offline_pack, token, trust.keys, now=now) is reason


def test_a_pack_carries_no_key_for_other_work(
    trust: TrustList, signers: Signers, now: datetime
) -> None:
    token = sign_jws(
        {"version": 1, **trust_to_json(trust), "status_lists": []},
        typ=OFFLINE_PACK_TYP,
        signer=signers[Purpose.OFFLINE_PACK],
    )
    assert reason_of(open_offline_pack, token, trust.keys, now=now) is (Reason.WRONG_PURPOSE)
