"""How a vector of the online forms is judged: SD-JWT VC, OpenID4VP, a list of the past."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.key_binding import Challenge
from epassport_credentials.openid4vp import check_response, read_direct_post, read_request
from epassport_credentials.sd_jwt import SplitSdJwt, split_sd_jwt
from epassport_credentials.sd_jwt_vc import SD_JWT_VC_TYP, SdJwtVc, verify_sd_jwt_vc
from epassport_credentials.sd_jwt_verification import check_sd_jwt
from epassport_credentials.signer import Purpose
from epassport_credentials.status_history import status_said_at
from epassport_credentials.status_list import Status, StatusListToken, open_status_list
from tests.conformance.vectors.case import Inputs, Stages, through
from tests.conformance.vectors.world import World

SD_JWT_STAGES = ("split", "issuer", "binding", "status")
_REFUSED = {
    Status.INVALID: Reason.REVOKED,
    Status.SUSPENDED: Reason.SUSPENDED,
    Status.NOT_IN_FORCE: Reason.NOT_IN_FORCE,
}


def sd_jwt(inputs: Inputs, now: datetime, world: World) -> Stages:
    """audience, nonce: what the verifier asked; vct: the types it takes"""
    challenge = Challenge(str(inputs["audience"]), str(inputs["nonce"]))
    types = inputs["vct"]
    assert isinstance(types, list)

    def issued(split: SplitSdJwt) -> str:
        check_sd_jwt(
            split.presented,
            world.keys,
            Purpose.MOBILE_ATTESTATION,
            typ=SD_JWT_VC_TYP,
            now=now,
            challenge=None,
        )
        return str(inputs["text"])

    def bound(text: str) -> SdJwtVc:
        return verify_sd_jwt_vc(text, world.keys, now=now, challenge=challenge, vct=types)

    return through(
        inputs["text"],
        [
            ("split", split_sd_jwt),
            ("issuer", issued),
            ("binding", bound),
            ("status", lambda found: _look_up(found, world)),
        ],
    )


def _look_up(found: SdJwtVc, world: World) -> None:
    if found.status is None:
        return
    listed = world.pack.status_lists[found.status.uri]
    status = listed.statuses.status_at(found.status.index)
    if status in _REFUSED:
        raise InvalidCredential(_REFUSED[status], "by the list of the pack")


def request(inputs: Inputs, _now: datetime, _world: World) -> Stages:
    """parameters: of the authorization request, as JSON"""
    return through(json.loads(str(inputs["parameters"])), [("request", read_request)])


def response(inputs: Inputs, now: datetime, world: World) -> Stages:
    """body: as posted; parameters: of the request it answers"""
    asked = read_request(json.loads(str(inputs["parameters"])))

    def answered(parameters: Mapping[str, object]) -> object:
        return check_response(parameters, asked, world.keys, now=now)

    body = str(inputs["body"]).encode()
    return through(body, [("form", read_direct_post), ("answer", answered)])


def history(inputs: Inputs, now: datetime, world: World) -> Stages:
    """tokens: of one address; opened_at: when each was asked for; now: the moment asked about"""
    texts, moments = inputs["tokens"], inputs["opened_at"]
    assert isinstance(texts, list)
    assert isinstance(moments, list)
    keys, uri = world.at(Purpose.STATUS_LIST), str(inputs["uri"])

    def opened(texts: list[str]) -> list[StatusListToken]:
        asked = (datetime.fromtimestamp(int(moment), UTC) for moment in moments)
        return [
            open_status_list(text, keys, uri=uri, now=at)
            for text, at in zip(texts, asked, strict=True)
        ]

    def then(tokens: list[StatusListToken]) -> object:
        return status_said_at(tokens, int(str(inputs["index"])), at=now)

    return through(texts, [("tokens", opened), ("then", then)])
