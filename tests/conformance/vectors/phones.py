"""Vectors of the mobile QR: attestation and presentation, challenge and replay."""

from datetime import datetime, timedelta

from epassport_credentials.base45 import encode_base45
from epassport_credentials.cose_key import key_thumbprint
from epassport_credentials.cwt import ATTESTATION, CTI, EXP, IAT, Format, sign_cwt
from epassport_credentials.identity import AgeOver18
from epassport_credentials.mobile_qr import issue_attestation, present
from epassport_credentials.signer import LocalSigner
from tests.conformance.vectors.cards import HOLDER
from tests.conformance.vectors.case import Case, passed, until
from tests.conformance.vectors.judging import PHONE_STAGES
from tests.conformance.vectors.world import (
    ATTESTER,
    CARD,
    DAY,
    NOW,
    OTHER_PHONE,
    PHONE,
    STRANGER,
)

CTI_BYTES = bytes(range(16))
NONCE = b"sixteen bytes..."
SECOND = timedelta(seconds=1)
GATE = {"audience": "gate-7", "nonce": NONCE.hex()}


def cases() -> list[Case]:
    return [*_good(), *_challenged(), *_refused(), *_untimely()]


def _attestation(signer: LocalSigner = ATTESTER, issued_at: datetime = NOW) -> bytes:
    return issue_attestation(
        AgeOver18(),
        holder_key=PHONE.public_key,
        issuer="RU",
        issued_at=issued_at,
        signer=signer,
    )


def _shown(attestation: bytes, at: datetime = NOW, phone: LocalSigner = PHONE) -> dict[str, str]:
    return {"text": present(attestation, phone=phone, now=at, cti=CTI_BYTES)}


def _answer(audience: str | None, nonce: bytes | None) -> dict[str, str]:
    text = present(
        _attestation(), phone=PHONE, now=NOW, cti=CTI_BYTES, audience=audience, nonce=nonce
    )
    return {"text": text}


def _outer(**changes: object) -> dict[str, str]:
    seconds = int(NOW.timestamp())
    claims: dict[int, object] = {EXP: seconds + 60, IAT: seconds, CTI: CTI_BYTES}
    claims |= {{"exp": EXP, "cti": CTI}[name]: value for name, value in changes.items()}
    claims[ATTESTATION] = _attestation()
    message = sign_cwt(Format.MOBILE_PRESENTATION, claims, PHONE, name_key=False)
    return {"text": encode_base45(message)}


def _fails(stage: str, reason: str) -> list[list[str]]:
    return [*until(PHONE_STAGES, stage, reason), ["verdict", f"refused: {reason}"]]


def _judged(verdict: str = "good") -> list[list[str]]:
    return [*passed(*PHONE_STAGES), ["verdict", verdict]]


def _good() -> list[Case]:
    identity = issue_attestation(
        HOLDER, holder_key=PHONE.public_key, issuer="RU", issued_at=NOW, signer=ATTESTER
    )
    seen = {"seen": [key_thumbprint(PHONE.public_key).hex(), CTI_BYTES.hex()]}
    replayed = [*passed(*PHONE_STAGES[:-1]), ["replay", "replayed"], ["verdict", "good"]]
    return [
        Case("age over 18", _shown(_attestation()), _judged()),
        Case("identity", _shown(identity), _judged()),
        Case("phone clock 30 s ahead", _shown(_attestation(), NOW + 30 * SECOND), _judged()),
        Case("read 89 s later", _shown(_attestation()), _judged(), NOW + 89 * SECOND),
        Case("replayed", {**_shown(_attestation()), **seen}, replayed),
        Case(
            "pack ended",
            _shown(_attestation(issued_at=NOW + 30 * DAY), NOW + 30 * DAY),
            _judged("unknown: pack-expired"),
            NOW + 30 * DAY,
        ),
    ]


def _challenged() -> list[Case]:
    answered = _answer("gate-7", NONCE)
    other = {**GATE, "nonce": bytes(16).hex()}
    return [
        Case("challenge answered", {**answered, **GATE}, _judged()),
        Case("replayed nonce", {**answered, **other}, _fails("presentation", "wrong-nonce")),
        Case(
            "wrong audience",
            {**answered, **GATE, "audience": "gate-8"},
            _fails("presentation", "wrong-audience"),
        ),
        Case("made for somebody else", answered, _fails("presentation", "wrong-audience")),
        Case(
            "challenge not answered",
            {**_shown(_attestation()), **GATE},
            _fails("presentation", "wrong-audience"),
        ),
    ]


def _refused() -> list[Case]:
    bare = {"text": encode_base45(_attestation())}
    text = _shown(_attestation())["text"]
    return [
        Case("oversized", {"text": "0" * 1137}, _fails("base45", "too-long")),
        Case(
            "another phone",
            _shown(_attestation(), phone=OTHER_PHONE),
            _fails("presentation", "wrong-signature"),
        ),
        Case("wrong key", _shown(_attestation(STRANGER)), _fails("attestation", "unknown-signer")),
        Case(
            "key of another purpose",
            _shown(_attestation(CARD)),
            _fails("attestation", "wrong-purpose"),
        ),
        Case("attestation alone", bare, _fails("attestation", "unknown-format")),
        Case("cut", {"text": text[:300]}, _fails("cose", "malformed")),
        Case("random number too short", _outer(cti=bytes(15)), _fails("presentation", "malformed")),
        Case(
            "made to last",
            _outer(exp=int(NOW.timestamp()) + 61),
            _fails("presentation", "lifetime-too-long"),
        ),
    ]


def _untimely() -> list[Case]:
    old = _attestation(issued_at=NOW - DAY)
    return [
        Case(
            "expired", _shown(_attestation()), _fails("presentation", "expired"), NOW + 90 * SECOND
        ),
        Case(
            "phone clock 31 s ahead",
            _shown(_attestation(), NOW + 31 * SECOND),
            _fails("presentation", "not-yet-valid"),
        ),
        Case("attestation expired", _shown(old), _fails("attestation", "expired")),
        Case(
            "attestation not yet valid",
            _shown(_attestation(issued_at=NOW + SECOND)),
            _fails("attestation", "not-yet-valid"),
        ),
    ]
