"""Vectors of the card QRs, good and bad."""

from dataclasses import replace
from datetime import date, timedelta

import cbor2

from epassport_credentials.base45 import encode_base45
from epassport_credentials.card_qr import (
    IdentityCard,
    SmallCard,
    issue_identity_card_qr,
    issue_small_card_qr,
)
from epassport_credentials.cbor import encode_cbor
from epassport_credentials.compression import deflate
from epassport_credentials.cose import sign_sign1
from epassport_credentials.cwt import Format, StatusReference, sign_cwt, status_claim
from epassport_credentials.identity import Identity, Sex
from epassport_credentials.signer import LocalSigner
from tests.conformance.vectors.case import OK, Case, passed, until
from tests.conformance.vectors.judging import CARD_STAGES
from tests.conformance.vectors.world import (
    ATTESTER,
    CARD,
    DAY,
    NOT_IN_FORCE,
    NOW,
    OTHER_URI,
    RETIRED,
    REVOKED,
    STRANGER,
    SUSPENDED,
    URI,
    VALID,
)

SMALL = SmallCard(bytes(range(16)), True, NOW, NOW + 3652 * DAY, VALID)
HOLDER = Identity("Подъёмная Юлия Эдуардовна", date(1990, 5, 17), Sex.FEMALE, "700123456", "RUS")
IDENTITY = IdentityCard(
    bytes(range(16)), HOLDER, NOW, NOW + 3652 * DAY, VALID, portrait=b"RIFF\x0e\0\0\0WEBPVP8 \x02\0"
)
CLAIMS: dict[int, object] = {
    4: int((NOW + DAY).timestamp()),
    5: int(NOW.timestamp()),
    -65541: bytes(range(16)),
    169: {77: True},
    65535: status_claim(VALID),
}
SECOND = timedelta(seconds=1)


def cases() -> list[Case]:
    return [*_good(), *_by_status(), *_unreadable(), *_unsigned(), *_untimely()]


def _small(card: SmallCard = SMALL, signer: LocalSigner = CARD) -> dict[str, str]:
    return {"text": issue_small_card_qr(card, signer)}


def _text(message: bytes) -> dict[str, str]:
    return {"text": encode_base45(deflate(message))}


def _signed(payload: bytes) -> dict[str, str]:
    return _text(sign_sign1(payload, CARD))


def _version(number: int) -> dict[str, str]:
    return _signed(encode_cbor({Format.SMALL_CARD.value: number, **CLAIMS}))


def _fails(stage: str, reason: str) -> list[list[str]]:
    return [*until(CARD_STAGES, stage, reason), ["verdict", f"refused: {reason}"]]


def _judged(verdict: str) -> list[list[str]]:
    return [*passed(*CARD_STAGES), ["verdict", verdict]]


def _good() -> list[Case]:
    untagged = cbor2.loads(sign_cwt(Format.SMALL_CARD, CLAIMS, CARD)).value
    both = cbor2.CBORTag(61, cbor2.CBORTag(18, untagged))
    identity = {"text": issue_identity_card_qr(IDENTITY, CARD)}
    return [
        Case("small", _small(), _judged("good")),
        Case("small, holder was a minor", _small(replace(SMALL, over_18=False)), _judged("good")),
        Case("identity", identity, _judged("good")),
        Case(
            "in its last second",
            _small(),
            _judged("unknown: pack-expired"),
            SMALL.expires_at - SECOND,
        ),
        Case("tag 61 around 18", _text(encode_cbor(both)), _judged("good")),
        Case("without a tag", _text(encode_cbor(untagged)), _judged("good")),
    ]


def _by_status() -> list[Case]:
    def with_status(status: StatusReference) -> dict[str, str]:
        return _small(replace(SMALL, status=status))

    elsewhere = StatusReference(OTHER_URI, 0)
    beyond = StatusReference(URI, 4)
    return [
        Case("revoked", with_status(REVOKED), _judged("refused: revoked")),
        Case("suspended", with_status(SUSPENDED), _judged("refused: suspended")),
        Case("not in force", with_status(NOT_IN_FORCE), _judged("refused: not-in-force")),
        Case("index out of range", with_status(beyond), _judged("refused: index-out-of-range")),
        Case(
            "list not in the pack", with_status(elsewhere), _judged("unknown: status-not-in-pack")
        ),
        Case(
            "pack a second too old", _small(), _judged("unknown: pack-too-old"), NOW + DAY + SECOND
        ),
        Case("pack just fresh enough", _small(), _judged("good"), NOW + DAY),
        Case(
            "revoked, and the pack old",
            with_status(REVOKED),
            _judged("refused: revoked"),
            NOW + 9 * DAY,
        ),
        Case(
            "pack ended",
            {**_small(), "freshness": 9_000_000},
            _judged("unknown: pack-expired"),
            NOW + 30 * DAY,
        ),
        Case(
            "clock behind the pack",
            _small(replace(SMALL, not_before=NOW - DAY)),
            _judged("unknown: not-yet-valid"),
            NOW - SECOND,
        ),
    ]


def _unreadable() -> list[Case]:
    text = _small()["text"]
    message = sign_cwt(Format.SMALL_CARD, CLAIMS, CARD)
    header = b"\xa1\x01\x26"
    twice = b"\xd2\x84\x45\xa2\x01\x26\x01\x26" + message[message.index(header) + 3 :]
    payload = encode_cbor({Format.SMALL_CARD.value: 1, **CLAIMS})
    grown = bytes((payload[0] + 1,)) + payload[1:] + encode_cbor(4) + encode_cbor(4_000_000_000)
    bomb = deflate(bytes(2_000_000))
    return [
        Case("oversized", {"text": "0" * 1137}, _fails("base45", "too-long")),
        Case("lower case", {"text": text.lower()}, _fails("base45", "malformed")),
        Case(
            "nothing",
            {"text": ""},
            [["base45", OK], *_fails("zlib", "malformed")[1:-1], ["verdict", "refused: malformed"]],
        ),
        Case(
            "altered character",
            {"text": text[:150] + ("0" if text[150] != "0" else "1") + text[151:]},
            _fails("zlib", "malformed"),
        ),
        Case("zip bomb", {"text": encode_base45(bomb[:750])}, _fails("zlib", "too-long")),
        Case("bytes after the message", _text(message + b"\0"), _fails("cose", "malformed")),
        Case("wrong tag", _text(b"\xd1" + message[1:]), _fails("cose", "malformed")),
        Case("duplicate header", _text(twice), _fails("cose", "malformed")),
        Case("duplicate claim", _signed(grown), _fails("signature", "malformed")),
        Case(
            "indefinite length",
            _signed(b"\xbf" + payload[1:] + b"\xff"),
            _fails("signature", "malformed"),
        ),
    ]


def _unsigned() -> list[Case]:
    message = sign_cwt(Format.SMALL_CARD, CLAIMS, CARD)
    reference = bytes(range(16))
    altered = message.replace(reference, bytes(15) + b"\x10")
    swapped = message.replace(CARD.key_id, RETIRED.key_id)
    nameless = sign_cwt(Format.SMALL_CARD, CLAIMS, CARD, name_key=False)
    attestation = sign_cwt(Format.MOBILE_ATTESTATION, CLAIMS, CARD)
    return [
        Case("wrong key", _small(signer=STRANGER), _fails("signature", "unknown-signer")),
        Case("no key named", _text(nameless), _fails("signature", "unknown-signer")),
        Case(
            "key of another purpose", _small(signer=ATTESTER), _fails("signature", "wrong-purpose")
        ),
        Case(
            "key no longer in force",
            _small(signer=RETIRED),
            _fails("signature", "signer-not-in-force"),
        ),
        Case(
            "key named that did not sign",
            _text(swapped),
            _fails("signature", "signer-not-in-force"),
        ),
        Case("altered byte", _text(altered), _fails("signature", "wrong-signature")),
        Case(
            "altered signature",
            _text(message[:-1] + bytes((message[-1] ^ 1,))),
            _fails("signature", "wrong-signature"),
        ),
        Case("unknown version", _version(2), _fails("signature", "unknown-version")),
        Case("unknown format", _signed(encode_cbor(CLAIMS)), _fails("signature", "unknown-format")),
        Case("an attestation on a card", _text(attestation), _fails("signature", "unknown-format")),
    ]


def _untimely() -> list[Case]:
    long_ago = replace(SMALL, not_before=NOW - 9 * DAY, expires_at=NOW)
    claims = {**CLAIMS, 4: "tomorrow"}
    text_date = _signed(encode_cbor({Format.SMALL_CARD.value: 1, **claims}))
    return [
        Case("expired", _small(long_ago), _fails("claims", "expired")),
        Case(
            "not yet valid",
            _small(replace(SMALL, not_before=NOW + SECOND)),
            _fails("claims", "not-yet-valid"),
        ),
        Case("a date as text", text_date, _fails("claims", "malformed")),
    ]
