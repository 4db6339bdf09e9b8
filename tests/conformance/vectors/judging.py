"""How a vector is judged: the public functions of the package, stage by stage."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_der_public_key

from epassport_credentials.base45 import decode_base45
from epassport_credentials.card_qr import (
    MAX_IDENTITY_CHARACTERS,
    MAX_MESSAGE_BYTES,
    open_compressed_card,
)
from epassport_credentials.compression import inflate
from epassport_credentials.cose import read_sign1, verify_sign1
from epassport_credentials.cwt import ATTESTATION, Format, expect_format, open_cwt, read_claims
from epassport_credentials.mobile_qr import open_attestation, open_mobile_message
from epassport_credentials.mrz import parse_td1, parse_td3
from epassport_credentials.offline_pack import open_offline_pack
from epassport_credentials.paper_passport import parse_paper_passport
from epassport_credentials.signer import Purpose
from epassport_credentials.status_list import open_status_list
from epassport_credentials.status_list_cwt import open_status_list_cwt
from epassport_credentials.trust import open_trust_list
from epassport_credentials.verifier import Outcome, verify_offline
from tests.conformance.vectors import judging_chip, judging_online
from tests.conformance.vectors.case import OK, Inputs, Stages, through
from tests.conformance.vectors.world import World

CARD_STAGES = ("base45", "zlib", "cose", "signature", "claims")
PHONE_STAGES = ("base45", "cose", "attestation", "presentation", "replay")


def judge(form: str, inputs: Inputs, now: datetime, world: World) -> Stages:
    return JUDGES[form](inputs, now, world)


def _card(inputs: Inputs, now: datetime, world: World) -> Stages:
    text, trust = str(inputs["text"]), world.pack.trust

    def signed(message: bytes) -> object:
        found, _ = open_cwt(message, trust, Purpose.CARD_QR, now=now)
        expect_format(found, Format.SMALL_CARD, Format.IDENTITY_CARD)
        return decode_base45(text, at_most=MAX_IDENTITY_CHARACTERS)

    def read(message: bytes) -> bytes:
        read_sign1(message)
        return message

    stages = through(
        text,
        [
            ("base45", lambda text: decode_base45(text, at_most=MAX_IDENTITY_CHARACTERS)),
            ("zlib", lambda data: inflate(data, at_most=MAX_MESSAGE_BYTES)),
            ("cose", read),
            ("signature", signed),
            ("claims", lambda data: open_compressed_card(data, trust, now=now)),
        ],
    )
    return [*stages, ["verdict", _verdict(inputs, now, world)]]


def _phone(inputs: Inputs, now: datetime, world: World) -> Stages:
    """seen: the replay key of an earlier presentation, as thumbprint and cti in hex."""
    trust, challenge = world.pack.trust, _challenge(inputs)

    def read(data: bytes) -> bytes:
        read_sign1(data)
        return data

    def attested(data: bytes) -> bytes:
        found, claims = read_claims(read_sign1(data))
        expect_format(found, Format.MOBILE_PRESENTATION)
        inner = claims.get(ATTESTATION)
        assert isinstance(inner, bytes)
        open_attestation(inner, trust, now=now)
        return data

    def presented(data: bytes) -> list[str]:
        shown = open_mobile_message(data, trust, now=now, **challenge)
        return [shown.key_thumbprint.hex(), shown.cti.hex()]

    stages = through(
        inputs["text"],
        [
            ("base45", lambda text: decode_base45(text, at_most=MAX_IDENTITY_CHARACTERS)),
            ("cose", read),
            ("attestation", attested),
            ("presentation", presented),
        ],
    )
    if stages[-1] == ["presentation", OK]:
        data = decode_base45(str(inputs["text"]), at_most=MAX_IDENTITY_CHARACTERS)
        again = presented(data) == inputs.get("seen")
        stages.append(["replay", "replayed" if again else OK])
    return [*stages, ["verdict", _verdict(inputs, now, world)]]


def _verdict(inputs: Inputs, now: datetime, world: World) -> str:
    age = timedelta(seconds=int(str(inputs.get("freshness", 86_400))))
    verdict = verify_offline(
        str(inputs["text"]), world.pack, now=now, freshness=age, **_challenge(inputs)
    )
    if verdict.outcome is Outcome.GOOD:
        return "good"
    return f"{verdict.outcome}: {verdict.reason}"


def _challenge(inputs: Inputs) -> dict[str, Any]:
    nonce = inputs.get("nonce")
    return {
        "audience": inputs.get("audience"),
        "nonce": bytes.fromhex(nonce) if isinstance(nonce, str) else None,
    }


def _message(inputs: Inputs, _now: datetime, _world: World) -> Stages:
    """public_key: of the curve, SubjectPublicKeyInfo in hex"""
    key = load_der_public_key(bytes.fromhex(str(inputs["public_key"])))
    assert isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey)
    external = bytes.fromhex(str(inputs.get("external", "")))
    return through(
        bytes.fromhex(str(inputs["message"])),
        [
            ("cose", read_sign1),
            ("signature", lambda message: verify_sign1(message, key, external=external)),
        ],
    )


def _status_list(inputs: Inputs, now: datetime, world: World) -> Stages:
    """token: a JWT as text, or message: a CWT in hex; index: looked up in it"""
    keys, uri = world.at(Purpose.STATUS_LIST) + world.at(Purpose.CARD_QR), str(inputs["uri"])

    def opened(_nothing: object) -> object:
        if "token" in inputs:
            return open_status_list(str(inputs["token"]), keys, uri=uri, now=now)
        message = bytes.fromhex(str(inputs["message"]))
        return open_status_list_cwt(message, keys, uri=uri, now=now)

    index = int(str(inputs["index"]))
    return through(
        None, [("token", opened), ("status", lambda token: token.statuses.status_at(index))]
    )


def _offline_pack(inputs: Inputs, now: datetime, world: World) -> Stages:
    keys = world.at(Purpose.OFFLINE_PACK) + world.at(Purpose.TRUST_LIST)
    return through(inputs["token"], [("pack", lambda t: open_offline_pack(t, keys, now=now))])


def _trust_list(inputs: Inputs, now: datetime, world: World) -> Stages:
    roots = world.at(Purpose.TRUST_LIST) + world.at(Purpose.OFFLINE_PACK)
    return through(inputs["token"], [("list", lambda t: open_trust_list(t, roots, now=now))])


def _lines(inputs: Inputs, _now: datetime, _world: World) -> Stages:
    parse = {"TD1": parse_td1, "TD3": parse_td3, "PN": parse_paper_passport}
    return through(inputs["lines"], [("lines", parse[str(inputs["kind"])])])


JUDGES: dict[str, Callable[[Inputs, datetime, World], Stages]] = {
    "card-qr": _card,
    "mobile-qr": _phone,
    "cose-sign1": _message,
    "status-list": _status_list,
    "offline-pack": _offline_pack,
    "trust-list": _trust_list,
    "mrz": _lines,
    "status-history": judging_online.history,
    "sd-jwt-vc": judging_online.sd_jwt,
    "openid4vp-request": judging_online.request,
    "openid4vp-response": judging_online.response,
    "lds": judging_chip.file,
    "chip-files": judging_chip.files,
    "chip": judging_chip.conversation,
}
