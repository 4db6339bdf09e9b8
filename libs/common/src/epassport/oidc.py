"""Who is asking: OpenID Connect bearer tokens, checked before anything of a request is read.

Order: size and shape, algorithm, key, signature, and only then issuer, audience and time.
"""

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import orjson
import structlog
from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import Key, import_key

from epassport.actor import Actor, Role
from epassport.clock import Clock
from epassport.problems import Problem, Reason
from epassport.telemetry import describe

log = structlog.get_logger(__name__)

# EdDSA is the older name of Ed25519 (RFC 9864 §4.1.2), which issuers still write.
ALGORITHMS = ("ES256", "RS256", "EdDSA", "Ed25519")
KEY_TYPES = ("EC", "RSA", "OKP")
LEEWAY_SECONDS = 5
MAX_TOKEN_CHARACTERS = 8_192
MAX_JWKS_BYTES = 256 * 1024
MAX_KEY_AGE_SECONDS = 600.0
KEPT_TOKENS = 1_024
MIN_REFRESH_SECONDS = 5.0

_REGISTRY = jws.JWSRegistry(algorithms=ALGORITHMS)
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


class PublicKeys:
    """The issuer's keys by key id, fetched when first asked for.

    Fetched again every ten minutes and on an unknown key id, but never twice within five
    seconds: a stream of made-up key ids must not become a stream of requests.
    """

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client
        self._keys: dict[str, Key] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str) -> Key | None:
        """Raises Problem UNAVAILABLE where the issuer has never answered."""
        if key_id not in self._keys or self._is_old():
            await self._refresh()
        return self._keys.get(key_id)

    def _is_old(self) -> bool:
        return self._fetched_at is None or _since(self._fetched_at) > MAX_KEY_AGE_SECONDS

    async def _refresh(self) -> None:
        async with self._fetching:
            if self._tried_at is None or _since(self._tried_at) >= MIN_REFRESH_SECONDS:
                self._tried_at = time.monotonic()
                await self._fetch()
        if self._fetched_at is None:
            raise Problem(Reason.UNAVAILABLE)

    async def _fetch(self) -> None:
        """Known keys stay in use while the issuer is away: signatures do not age."""
        try:
            keys = _parse_keys(await self._download())
        except (httpx.HTTPError, ValueError) as error:
            log.error("issuer-keys-unavailable", **describe(error))
            return
        self._keys, self._fetched_at = keys, time.monotonic()

    async def _download(self) -> bytes:
        async with self._client.stream("GET", self._url) as response:
            response.raise_for_status()
            octets = bytearray()
            async for chunk in response.aiter_bytes():
                octets += chunk
                if len(octets) > MAX_JWKS_BYTES:
                    raise ValueError("key set is too large")
            return bytes(octets)


@dataclass(frozen=True)
class _Proved:
    """A token whose signature this key has verified: it need not be verified again."""

    key_id: str
    key: Key
    payload: Mapping[str, Any]


class TokenVerifier:
    """Turns the Authorization header into an actor, or into a 401 with its reason.

    A signature is verified once per token, as long as the issuer shows the same key; what the
    token says of issuer, audience and time is looked at each time.
    """

    def __init__(self, issuer: str, audience: str, keys: PublicKeys, clock: Clock) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._clock = clock
        self._proved: dict[bytes, _Proved] = {}

    async def actor_of(self, authorization: str | None) -> Actor:
        token = _bearer(authorization)
        claims = await self._verified(token)
        self._check(claims)
        return _actor(claims)

    async def _verified(self, token: str) -> Mapping[str, Any]:
        digest = hashlib.sha256(token.encode()).digest()  # no token is kept
        proved = self._proved.get(digest)
        if proved is None or await self._keys.find(proved.key_id) is not proved.key:
            proved = await self._prove(token)
            self._proved[digest] = proved
            while len(self._proved) > KEPT_TOKENS:
                del self._proved[next(iter(self._proved))]
        return proved.payload

    async def _prove(self, token: str) -> _Proved:
        header, payload = _parts(token)
        key_id = header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str):
            raise Problem(Reason.TOKEN_MALFORMED)
        key = await self._keys.find(key_id)
        if key is None:
            raise Problem(Reason.TOKEN_UNKNOWN_KEY)
        try:
            jws.deserialize_compact(token, key, registry=_REGISTRY)
        except BadSignatureError:
            raise Problem(Reason.TOKEN_BAD_SIGNATURE) from None
        except (JoseError, ValueError, TypeError):
            # Also a key of another type than `alg` asks for.
            raise Problem(Reason.TOKEN_MALFORMED) from None
        return _Proved(key_id, key, payload)

    def _check(self, claims: Mapping[str, Any]) -> None:
        audience = claims.get("aud")
        expires, starts = _time(claims.get("exp")), _time(claims.get("nbf", 0))
        if not isinstance(audience, str | list):
            raise Problem(Reason.TOKEN_MALFORMED)
        if claims.get("iss") != self._issuer:
            raise Problem(Reason.TOKEN_WRONG_ISSUER)
        if self._audience not in ([audience] if isinstance(audience, str) else audience):
            raise Problem(Reason.TOKEN_WRONG_AUDIENCE)
        now = self._clock.now().timestamp()
        if now >= expires + LEEWAY_SECONDS:
            raise Problem(Reason.TOKEN_EXPIRED)
        if now < starts - LEEWAY_SECONDS:
            raise Problem(Reason.TOKEN_NOT_YET_VALID)


def _bearer(authorization: str | None) -> str:
    if authorization is None:
        raise Problem(Reason.TOKEN_MISSING)
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
        raise Problem(Reason.TOKEN_MALFORMED)
    return token


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload of a compact JWS (RFC 7515 §7.1), not verified yet."""
    try:
        first, second, _signature = (_decode(part) for part in token.split("."))
        header, payload = orjson.loads(first), orjson.loads(second)
    except ValueError:
        raise Problem(Reason.TOKEN_MALFORMED) from None
    if not isinstance(header, dict) or not isinstance(payload, dict):
        raise Problem(Reason.TOKEN_MALFORMED)
    return header, payload


def _decode(part: str) -> bytes:
    if not re.fullmatch(r"[A-Za-z0-9_-]*", part):
        raise ValueError("not base64url without padding (RFC 7515 §2)")
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _actor(claims: Mapping[str, Any]) -> Actor:
    """Unknown roles are ignored: an issuer serves other systems too."""
    subject, roles = claims.get("sub"), claims.get("roles", [])
    if not isinstance(subject, str) or not _NAME.fullmatch(subject) or not isinstance(roles, list):
        raise Problem(Reason.TOKEN_MALFORMED)
    known = frozenset(role for role in Role if role.value in roles)
    return Actor(
        issuer=claims["iss"],
        subject=subject,
        roles=known,
        region=_optional_name(claims, "region"),
        office=_optional_name(claims, "office"),
        acting_for=_holder(claims) if Role.CITIZEN in known else None,
    )


def _optional_name(claims: Mapping[str, Any], claim: str) -> str | None:
    value = claims.get(claim)
    if value is None:
        return None
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Problem(Reason.TOKEN_MALFORMED)
    return value


def _holder(claims: Mapping[str, Any]) -> UUID | None:
    value = claims.get("holder_id")
    if value is None:
        return None
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise Problem(Reason.TOKEN_MALFORMED) from None


def _parse_keys(octets: bytes) -> dict[str, Key]:
    """Signing keys with an id (RFC 7517). Symmetric keys are never taken. Raises ValueError."""
    document = orjson.loads(octets)
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise ValueError("not a JWK set")
    keys: dict[str, Key] = {}
    for member in members:
        if _is_signing_key(member):
            try:
                keys[member["kid"]] = import_key(member)
            except (JoseError, ValueError) as error:
                log.warning("issuer-key-ignored", **describe(error))
    return keys


def _is_signing_key(member: object) -> bool:
    return (
        isinstance(member, dict)
        and member.get("kty") in KEY_TYPES
        and member.get("use", "sig") == "sig"
        and member.get("crv") not in ("X25519", "X448")  # key agreement, not signatures
        and isinstance(member.get("kid"), str)
    )


def _time(value: object) -> float:
    """NumericDate (RFC 7519 §2)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Problem(Reason.TOKEN_MALFORMED)
    return value


def _since(moment: float) -> float:
    return time.monotonic() - moment
