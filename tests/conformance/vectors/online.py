"""Vectors of what a phone shows online (SD-JWT VC, OpenID4VP), and of a list of the past."""

import itertools
import json
from datetime import datetime, timedelta

from epassport_credentials.dcql import ClaimQuery, CredentialQuery, DcqlQuery
from epassport_credentials.jwk import jwk_of
from epassport_credentials.jws import sign_jws_with
from epassport_credentials.key_binding import KEY_BINDING_AGE, Challenge, bind
from epassport_credentials.openid4vp import PresentationRequest, write_direct_post, write_request
from epassport_credentials.sd_jwt import Disclosure, join_sd_jwt, write_disclosure
from epassport_credentials.sd_jwt_vc import issue_sd_jwt_vc, present_sd_jwt_vc, with_chosen
from epassport_credentials.signer import LocalSigner
from epassport_credentials.status_list import issue_status_list, pack_statuses
from tests.conformance.vectors.case import Case, Inputs, Stages, passed, until
from tests.conformance.vectors.judging_online import SD_JWT_STAGES
from tests.conformance.vectors.world import (
    ATTESTER,
    CARD,
    DAY,
    LISTER,
    NOT_IN_FORCE,
    NOW,
    OTHER_PHONE,
    PHONE,
    REVOKED,
    STATUSES,
    STRANGER,
    SUSPENDED,
    URI,
    VALID,
)

VCT = "https://credentials.epassport.test/pass/1"
ISSUER = "https://issuer.epassport.test"
ASKED = Challenge("x509_san_dns:shop.epassport.test", "n-0S6_WzA2Mj.a~b1234567")
CLAIMS = {"family_name": "Подъёмная", "age_over_18": True, "nationalities": ["RU"]}
SECOND = timedelta(seconds=1)
SALT = bytes(16)


def credentials() -> list[Case]:
    return [*_good(), *_statuses(), *_unsigned(), *_disclosures(), *_unbound(), *_untimely()]


def _issued(signer: LocalSigner = ATTESTER, **changes: object) -> str:
    numbers = itertools.count()
    given: dict[str, object] = {
        "vct": VCT,
        "issued_at": NOW,
        "expires_at": NOW + DAY,
        "status": VALID,
        **changes,
    }
    return issue_sd_jwt_vc(
        CLAIMS,
        issuer=ISSUER,
        holder_key=PHONE.public_key,
        random_bytes=lambda size: next(numbers).to_bytes(size, "big"),
        signer=signer,
        **given,  # type: ignore[arg-type]
    )


def _shown(
    issued: str | None = None,
    challenge: Challenge = ASKED,
    phone: LocalSigner = PHONE,
    at: datetime = NOW,
) -> str:
    return present_sd_jwt_vc(
        issued or _issued(), [("age_over_18",)], phone=phone, challenge=challenge, now=at
    )


def _asked(text: str) -> Inputs:
    return {"text": text, "audience": ASKED.audience, "nonce": ASKED.nonce, "vct": [VCT]}


def _fails(stage: str, reason: str) -> Stages:
    return until(SD_JWT_STAGES, stage, reason)


def _own(payload: dict[str, object], *disclosures: Disclosure, typ: str = "dc+sd-jwt") -> str:
    """Signed by the issuer's key, whatever it says; bound to the phone."""
    about = {
        "vct": VCT,
        "iss": ISSUER,
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + DAY).timestamp()),
        "cnf": {"jwk": jwk_of(PHONE.public_key)},
        "_sd_alg": "sha-256",
    }
    header: dict[str, object] = {"typ": typ, "kid": ATTESTER.key_id.hex()}
    token = sign_jws_with({**about, **payload}, header, ATTESTER)
    return bind(join_sd_jwt(token, disclosures), PHONE, ASKED, now=NOW)


def _good() -> list[Case]:
    everything = bind(_issued(), PHONE, ASKED, now=NOW)
    nothing = bind(with_chosen(_issued(), []), PHONE, ASKED, now=NOW)
    return [
        Case("one claim shown", _asked(_shown()), passed(*SD_JWT_STAGES)),
        Case("every claim shown", _asked(everything), passed(*SD_JWT_STAGES)),
        Case("no claim shown", _asked(nothing), passed(*SD_JWT_STAGES)),
        Case(
            "a credential without status",
            _asked(_shown(_issued(status=None))),
            passed(*SD_JWT_STAGES),
        ),
    ]


def _statuses() -> list[Case]:
    told = ((REVOKED, "revoked"), (SUSPENDED, "suspended"), (NOT_IN_FORCE, "not-in-force"))
    return [
        Case(name, _asked(_shown(_issued(status=status))), _fails("status", name))
        for status, name in told
    ]


def _unsigned() -> list[Case]:
    shown = _shown()
    jwt, rest = shown.split("~", 1)
    header, payload, signature = jwt.split(".")
    altered = ".".join((header, payload, ("B" if signature[0] == "A" else "A") + signature[1:]))
    crit = sign_jws_with({"vct": VCT}, {"typ": "dc+sd-jwt", "crit": ["new"], "new": 1}, ATTESTER)
    return [
        Case("oversized", _asked("a" * 131_073), _fails("split", "too-long")),
        Case("not a credential", _asked("a.b.c"), _fails("split", "malformed")),
        Case("wrong key", _asked(_shown(_issued(STRANGER))), _fails("issuer", "unknown-signer")),
        Case(
            "key of another purpose",
            _asked(_shown(_issued(CARD))),
            _fails("issuer", "wrong-purpose"),
        ),
        Case("altered byte", _asked(f"{altered}~{rest}"), _fails("issuer", "wrong-signature")),
        Case("wrong typ", _asked(_own({}, typ="jwt")), _fails("issuer", "unknown-format")),
        Case(
            "unknown critical header",
            _asked(bind(f"{crit}~", PHONE, ASKED, now=NOW)),
            _fails("issuer", "unsupported-critical-header"),
        ),
    ]


def _disclosures() -> list[Case]:
    name, again = write_disclosure(SALT, "name", "A"), write_disclosure(SALT, "iss", "B")
    stranger = write_disclosure(SALT, "age_over_18", True)
    decides = write_disclosure(SALT, "status", {})
    twice = {"_sd": [name.digest, name.digest]}
    return [
        Case(
            "a disclosure nobody signed",
            _asked(_own({"_sd": []}, stranger)),
            _fails("issuer", "disclosure-not-signed"),
        ),
        Case("a digest twice", _asked(_own(twice, name)), _fails("issuer", "duplicate-digest")),
        Case(
            "a disclosure twice",
            _asked(_own({"_sd": [name.digest]}, name, name)),
            _fails("issuer", "duplicate-digest"),
        ),
        Case(
            "a claim twice",
            _asked(_own({"_sd": [again.digest]}, again)),
            _fails("issuer", "duplicate-claim"),
        ),
        Case(
            "a status that the holder may hide",
            _asked(_own({"_sd": [decides.digest]}, decides)),
            _fails("binding", "forbidden-claim"),
        ),
        Case(
            "another type",
            _asked(_shown(_issued(vct=f"{VCT}0"))),
            _fails("binding", "wrong-credential-type"),
        ),
    ]


def _unbound() -> list[Case]:
    shown, bare = _shown(), with_chosen(_issued(), [("age_over_18",)])
    other = with_chosen(_issued(), [("family_name",)])
    moved = other + shown.rsplit("~", 1)[1]
    return [
        Case("no key binding", _asked(bare), _fails("binding", "not-key-bound")),
        Case(
            "another phone",
            _asked(_shown(phone=OTHER_PHONE)),
            _fails("binding", "wrong-signature"),
        ),
        Case(
            "wrong audience",
            _asked(_shown(challenge=Challenge("x509_san_dns:other.test", ASKED.nonce))),
            _fails("binding", "wrong-audience"),
        ),
        Case(
            "replayed nonce",
            _asked(_shown(challenge=Challenge(ASKED.audience, "of-another-request-0000"))),
            _fails("binding", "wrong-nonce"),
        ),
        Case(
            "key binding over other claims", _asked(moved), _fails("binding", "wrong-key-binding")
        ),
    ]


def _untimely() -> list[Case]:
    old = _issued(issued_at=NOW - 2 * DAY, expires_at=NOW)
    early = _issued(issued_at=NOW + DAY, expires_at=NOW + 2 * DAY)
    late = _shown(at=NOW - KEY_BINDING_AGE - timedelta(minutes=1))
    return [
        Case(
            "expired",
            _asked(_shown(old)),
            _fails("issuer", "expired"),
            NOW + timedelta(minutes=1),
        ),
        Case("not yet valid", _asked(_shown(early)), _fails("issuer", "not-yet-valid")),
        Case("key binding too old", _asked(late), _fails("binding", "expired")),
    ]


REQUEST = PresentationRequest(
    client_id=ASKED.audience,
    response_uri="https://shop.epassport.test/answers",
    nonce=ASKED.nonce,
    state="9yS0tLr6",
    query=DcqlQuery(
        (
            CredentialQuery(
                "adult",
                "dc+sd-jwt",
                (VCT,),
                claims=(ClaimQuery(("age_over_18",), values=(True,)),),
            ),
        )
    ),
)


def requests() -> list[Case]:
    def changed(**members: object) -> Inputs:
        return {"parameters": json.dumps({**write_request(REQUEST), **members}, sort_keys=True)}

    def refused(name: str, reason: str, **members: object) -> Case:
        return Case(name, changed(**members), [["request", reason]])

    return [
        Case("direct_post", changed(), passed("request")),
        refused("another response mode", "unsupported-option", response_mode="fragment"),
        refused("an answer to another host", "wrong-client-id", response_uri="https://else.test/"),
        refused("not https", "malformed", response_uri="http://shop.epassport.test/answers"),
        refused("no query", "malformed", dcql_query={}),
    ]


def responses() -> list[Case]:
    def posted(
        tokens: dict[str, list[str]] | None = None, state: str | None = REQUEST.state
    ) -> Inputs:
        body = write_direct_post({"adult": [_shown()]} if tokens is None else tokens, state=state)
        return _answer(body.decode())

    hidden = bind(with_chosen(_issued(), []), PHONE, ASKED, now=NOW)
    two = {"adult": [_shown(), _shown()]}
    return [
        Case("the claim that was asked", posted(), passed("form", "answer")),
        _refused("another state", posted(state="other"), "answer", "wrong-state"),
        _refused(
            "declined",
            _answer(f"error=access_denied&state={REQUEST.state}"),
            "answer",
            "wallet-declined",
        ),
        _refused("without the claim", posted({"adult": [hidden]}), "answer", "query-not-met"),
        _refused("two for one", posted(two), "answer", "query-not-met"),
        _refused("an answer nobody asked for", posted({"else": []}), "answer", "query-not-met"),
        _refused(
            "encrypted",
            _answer(f"response=ey&state={REQUEST.state}"),
            "answer",
            "unsupported-option",
        ),
        _refused("a parameter twice", _answer("state=1&state=2"), "form", "malformed"),
    ]


def _answer(body: str) -> Inputs:
    return {"body": body, "parameters": json.dumps(write_request(REQUEST), sort_keys=True)}


def _refused(name: str, inputs: Inputs, stage: str, reason: str) -> Case:
    return Case(name, inputs, until(("form", "answer"), stage, reason))


_THEN = until(("tokens", "then"), "then", "no-status-then")


def histories() -> list[Case]:
    """What a list said earlier; index 1 is revoked in the second list."""

    def listed(at: datetime, statuses: list[int]) -> str:
        return issue_status_list(
            pack_statuses(statuses), LISTER, uri=URI, issued_at=at, expires_at=at + DAY
        )

    moments = [NOW, NOW + 3 * DAY]
    tokens = [listed(at, said) for at, said in zip(moments, ([0, 0, 0, 0], STATUSES), strict=True)]
    opened_at = [str(int(at.timestamp())) for at in moments]

    def asked(index: int) -> Inputs:
        return {"tokens": tokens, "opened_at": opened_at, "uri": URI, "index": index}

    return [
        Case("then valid", asked(1), passed("tokens", "then"), NOW + timedelta(hours=5)),
        Case("between two lists", asked(1), _THEN, NOW + 2 * DAY),
        Case(
            "before the first",
            asked(1),
            _THEN,
            NOW - SECOND,
        ),
        Case(
            "index out of range",
            asked(4),
            until(("tokens", "then"), "then", "index-out-of-range"),
            NOW + SECOND,
        ),
    ]
