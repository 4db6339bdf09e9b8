import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from epassport_credentials.base45 import decode_base45, encode_base45
from epassport_credentials.card_qr import (
    IdentityCard,
    SmallCard,
    issue_identity_card_qr,
    issue_small_card_qr,
    open_card_qr,
    open_compressed_card,
    with_portrait,
)
from epassport_credentials.cbor import encode_cbor
from epassport_credentials.compression import deflate, inflate
from epassport_credentials.cose import read_sign1, sign_sign1
from epassport_credentials.cwt import Format, StatusReference, sign_cwt
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.portrait import portrait_thumbnail
from epassport_credentials.qr_symbol import qr_modules, qr_version
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.trust import TrustList

Signers = Mapping[Purpose, LocalSigner]

MAP_AND_FORMAT = bytes.fromhex("a63a00010000")
LONG_MAP_AND_FORMAT = bytes.fromhex("a63b0000000000010000")
LONGEST_NAME = "Константинопольская-Преображенская Александра Владиславовна"


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


@pytest.fixture(scope="session")
def small_text(small_card: SmallCard, signers: Signers) -> str:
    return issue_small_card_qr(small_card, signers[Purpose.CARD_QR])


@pytest.fixture(scope="session")
def identity_text(identity_card: IdentityCard, photo: bytes, signers: Signers) -> str:
    card = with_portrait(identity_card, photo)
    return issue_identity_card_qr(card, signers[Purpose.CARD_QR])


def test_the_small_qr_states_what_was_issued_within_version_10(
    small_text: str, small_card: SmallCard, trust: TrustList, now: datetime
) -> None:
    assert open_card_qr(small_text, trust, now=now) == small_card
    assert qr_version(small_text) <= 10


def test_the_identity_qr_states_what_was_issued_within_version_22(
    identity_text: str, identity_card: IdentityCard, photo: bytes, trust: TrustList, now: datetime
) -> None:
    opened = open_card_qr(identity_text, trust, now=now)
    assert opened == with_portrait(identity_card, photo)
    assert qr_version(identity_text) <= 22
    assert len(qr_modules(identity_text)) == 17 + 4 * qr_version(identity_text)


def test_a_long_name_takes_room_from_the_portrait(
    identity_card: IdentityCard, photo: bytes, signers: Signers
) -> None:
    identity = replace(identity_card.identity, full_name=LONGEST_NAME)
    short, long = (
        with_portrait(card, photo)
        for card in (identity_card, replace(identity_card, identity=identity))
    )
    assert 0 < len(long.portrait) <= len(short.portrait) <= 450
    assert qr_version(issue_identity_card_qr(long, signers[Purpose.CARD_QR])) <= 22


def test_a_name_that_leaves_no_room_for_a_portrait_is_an_error(
    identity_card: IdentityCard, photo: bytes
) -> None:
    endless = replace(identity_card.identity, full_name="Я" * 400)
    with pytest.raises(ValueError, match="no portrait fits"):
        with_portrait(replace(identity_card, identity=endless), photo)


def test_nothing_personal_stands_in_the_small_qr(small_text: str) -> None:
    payload = read_sign1(inflate(decode_base45(small_text, at_most=400), at_most=400)).payload
    labels = {-65537, 4, 5, -65541, 169, 65535}
    claims = cbor2.loads(payload)
    assert set(claims) == labels
    assert next(iter(claims)) == Format.SMALL_CARD
    assert claims[169] == {77: True}


def test_a_card_is_refused_before_and_after_its_period(
    small_text: str, small_card: SmallCard, trust: TrustList
) -> None:
    second = timedelta(seconds=1)
    assert (
        reason_of(open_card_qr, small_text, trust, now=small_card.not_before - second)
        is Reason.NOT_YET_VALID
    )
    assert open_card_qr(small_text, trust, now=small_card.expires_at - second)
    assert reason_of(open_card_qr, small_text, trust, now=small_card.expires_at) is Reason.EXPIRED


@pytest.mark.parametrize("purpose", [p for p in Purpose if p is not Purpose.CARD_QR])
def test_a_key_of_any_other_purpose_cannot_make_a_card(
    purpose: Purpose, small_card: SmallCard, trust: TrustList, signers: Signers, now: datetime
) -> None:
    text = issue_small_card_qr(small_card, signers[purpose])
    assert reason_of(open_card_qr, text, trust, now=now) is Reason.WRONG_PURPOSE


def test_a_stranger_cannot_make_a_card(
    small_card: SmallCard, stranger: LocalSigner, trust: TrustList, now: datetime
) -> None:
    text = issue_small_card_qr(small_card, stranger)
    assert reason_of(open_card_qr, text, trust, now=now) is Reason.UNKNOWN_SIGNER


def test_every_altered_byte_is_noticed(small_text: str, trust: TrustList, now: datetime) -> None:
    message = inflate(decode_base45(small_text, at_most=400), at_most=400)
    for place in range(len(message)):
        altered = bytearray(message)
        altered[place] ^= 1
        text = encode_base45(deflate(bytes(altered)))
        assert reason_of(open_card_qr, text, trust, now=now) in Reason


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("a13a0001000002", Reason.UNKNOWN_VERSION),
        ("a13a00010000f5", Reason.MALFORMED),
        ("a1041a6abcdef0", Reason.UNKNOWN_FORMAT),
        ("a2041a6abcdef03a0001000001", Reason.UNKNOWN_FORMAT),
        ("a0", Reason.UNKNOWN_FORMAT),
        ("a13a0001000001", Reason.MALFORMED),
        ("80", Reason.MALFORMED),
        ("a13a0001000301", Reason.UNKNOWN_FORMAT),
    ],
)
def test_what_a_card_key_signed_is_still_checked(
    payload: str, reason: Reason, signers: Signers, trust: TrustList, now: datetime
) -> None:
    signed = sign_sign1(bytes.fromhex(payload), signers[Purpose.CARD_QR])
    text = encode_base45(deflate(signed))
    assert reason_of(open_card_qr, text, trust, now=now) is reason


@pytest.mark.parametrize(
    ("label", "value", "reason"),
    [
        (-65541, b"short", Reason.MALFORMED),
        (169, {77: 1}, Reason.MALFORMED),
        (169, {}, Reason.MALFORMED),
        (4, "tomorrow", Reason.MALFORMED),
        (4, -1, Reason.MALFORMED),
        (4, 2**63, Reason.MALFORMED),
        (65535, {"status_list": {"idx": -1, "uri": "u"}}, Reason.INDEX_OUT_OF_RANGE),
        (65535, {"status_list": {"idx": 2**32, "uri": "u"}}, Reason.INDEX_OUT_OF_RANGE),
        (65535, {}, Reason.MALFORMED),
    ],
)
def test_a_claim_of_another_shape_is_malformed(
    label: int, value: object, reason: Reason, signers: Signers, trust: TrustList, now: datetime
) -> None:
    claims = {
        4: 2_000_000_000,
        5: 0,
        -65541: bytes(16),
        169: {77: True},
        65535: {"status_list": {"idx": 0, "uri": "u"}},
    }

    def sign(content: Mapping[int, object]) -> str:
        message = sign_cwt(Format.SMALL_CARD, content, signers[Purpose.CARD_QR])
        return encode_base45(deflate(message))

    assert open_card_qr(sign(claims), trust, now=now)
    assert reason_of(open_card_qr, sign({**claims, label: value}), trust, now=now) is reason


@pytest.fixture(scope="session")
def opened(signers: Signers, trust: TrustList, now: datetime) -> Callable[[bytes], object]:
    """What signed claims are read as: a card or the reason against it."""

    def open_claims(payload: bytes) -> object:
        message = sign_sign1(payload, signers[Purpose.CARD_QR])
        try:
            return open_compressed_card(deflate(message), trust, now=now)
        except InvalidCredential as refusal:
            return refusal.reason

    return open_claims


def as_a_foreign_form(payload: bytes) -> bytes:
    """With its first label in eight bytes a payload takes the road of forms not issued here."""
    return LONG_MAP_AND_FORMAT + payload.removeprefix(MAP_AND_FORMAT)


@given(
    expires_at=st.sampled_from([2**16, 2_000_000_000, 2**32, 253402214400]),
    not_before=st.sampled_from([0, 2**16, 1_700_000_000, 1_900_000_000]),
    over_18=st.booleans(),
    index=st.sampled_from([5, 8, 16, 20, 32]).flatmap(lambda bits: st.integers(0, 2**bits)),
    uri=st.text("abc:/.é", max_size=40) | st.text("abc", min_size=240, max_size=260),
)
@settings(max_examples=300)
def test_the_form_issued_here_is_read_as_any_other_form_is(
    opened: Callable[[bytes], object],
    expires_at: int,
    not_before: int,
    over_18: bool,
    index: int,
    uri: str,
) -> None:
    claims = {
        Format.SMALL_CARD.value: 1,
        4: expires_at,
        5: not_before,
        -65541: bytes(range(16)),
        169: {77: over_18},
        65535: {"status_list": {"idx": index, "uri": uri}},
    }
    payload = encode_cbor(claims)
    assert opened(payload) == opened(as_a_foreign_form(payload))


@pytest.mark.parametrize("index", [300, 70_001])
def test_that_form_with_any_bit_changed_is_read_as_any_other_form_is(
    index: int, small_card: SmallCard, signers: Signers, opened: Callable[[bytes], object]
) -> None:
    card = replace(small_card, status=replace(small_card.status, index=index))
    text = issue_small_card_qr(card, signers[Purpose.CARD_QR])
    payload = read_sign1(inflate(decode_base45(text, at_most=400), at_most=400)).payload
    assert opened(payload) == opened(as_a_foreign_form(payload)) == card
    for bit in range(8 * len(MAP_AND_FORMAT), 8 * len(payload)):
        changed = (int.from_bytes(payload, "little") ^ 1 << bit).to_bytes(len(payload), "little")
        assert opened(changed) == opened(as_a_foreign_form(changed))
    assert opened(payload + b"x") == opened(as_a_foreign_form(payload) + b"x")
    assert opened(payload[:-1]) == opened(as_a_foreign_form(payload[:-1]))


def test_a_status_address_that_does_not_fit_is_an_error(
    small_card: SmallCard, signers: Signers
) -> None:
    long = replace(
        small_card,
        status=StatusReference("https://a-rather-long-name-of-a-host.example/lists/1", 1),
    )
    with pytest.raises(ValueError, match="do not fit"):
        issue_small_card_qr(long, signers[Purpose.CARD_QR])


@given(st.binary(min_size=16, max_size=16), st.text("abcXYZ019", min_size=24, max_size=24))
@settings(max_examples=50)
def test_a_status_address_of_32_characters_always_fits(
    small_card: SmallCard, signers: Signers, ref: bytes, place: str
) -> None:
    status = StatusReference("https://" + place, 2**32 - 1)
    card = replace(small_card, document_ref=ref, status=status)
    assert len(issue_small_card_qr(card, signers[Purpose.CARD_QR])) <= 311


def test_a_document_reference_has_16_bytes(small_card: SmallCard, signers: Signers) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        issue_small_card_qr(replace(small_card, document_ref=b"x"), signers[Purpose.CARD_QR])


def test_a_bomb_in_a_qr_is_stopped(trust: TrustList, now: datetime) -> None:
    text = encode_base45(deflate(bytes(500_000)))
    assert reason_of(open_card_qr, text, trust, now=now) is Reason.TOO_LONG


@given(st.binary(max_size=120))
@settings(max_examples=50)
def test_any_bytes_in_a_qr_end_in_our_own_error(
    trust: TrustList, now: datetime, data: bytes
) -> None:
    for text in (encode_base45(data), encode_base45(deflate(data)), data.decode("latin-1")):
        with contextlib.suppress(InvalidCredential):
            open_card_qr(text, trust, now=now)


def test_a_portrait_is_grey_webp_of_64_by_80_within_its_bytes(photo: bytes) -> None:
    thumbnail = portrait_thumbnail(photo)
    image = Image.open(io.BytesIO(thumbnail))
    assert (image.format, image.size) == ("WEBP", (64, 80))
    assert 300 <= len(thumbnail) <= 450
    red, green, blue = image.convert("RGB").split()
    for other in (green, blue):  # one step apart at most: the decoder rounds from YUV
        assert ImageChops.difference(red, other).getextrema() in ((0, 0), (0, 1))


@pytest.mark.parametrize("junk", [b"", b"GIF89a", b"\xff\xd8\xff" + bytes(50), b"<svg/>"])
def test_what_is_no_photo_is_malformed(junk: bytes) -> None:
    assert reason_of(portrait_thumbnail, junk) is Reason.MALFORMED


def test_a_photo_of_too_many_bytes_or_pixels_is_refused() -> None:
    assert reason_of(portrait_thumbnail, bytes(8_000_001)) is Reason.TOO_LONG
    out = io.BytesIO()
    Image.new("1", (8000, 6000)).save(out, "PNG")
    assert reason_of(portrait_thumbnail, out.getvalue()) is Reason.TOO_LONG
