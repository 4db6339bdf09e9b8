"""The sandbox issuer's tokens verify by its published keys, and the bad ones do not."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.errors import BadSignatureError, ExpiredTokenError, InvalidClaimError
from joserfc.jwk import KeySet

from epassport.actor import Role
from epassport_sandbox.oidc import AUDIENCE, Issuer
from epassport_sandbox.people import DEMO_PEOPLE, DemoPerson

OPERATOR = DEMO_PEOPLE[0]


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as issuer:
        yield issuer


async def verified(issuer: Issuer, token: str, now: datetime | None = None) -> dict[str, Any]:
    """As a service does it: discovery, keys, signature, claims."""
    async with httpx.AsyncClient(trust_env=False) as client:
        discovered = await client.get(f"{issuer.url}/.well-known/openid-configuration")
        keys = await client.get(discovered.json()["jwks_uri"])
    opened = jwt.decode(token, KeySet.import_key_set(keys.json()), algorithms=["ES256"])
    jwt.JWTClaimsRegistry(
        now=int((now or datetime.now(UTC)).timestamp()),
        iss={"essential": True, "value": discovered.json()["issuer"]},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
    ).validate(opened.claims)
    return opened.claims


async def test_a_token_verifies_by_the_published_keys(issuer: Issuer) -> None:
    claims = await verified(issuer, issuer.issue(OPERATOR, lifetime=timedelta(minutes=5)))
    assert claims.pop("exp") - claims.pop("iat") == 300
    assert claims == {
        "iss": issuer.url,
        "aud": "epassport",
        "sub": "operator-1",
        "name": "operator 1",
        "roles": ["operator"],
        "region": "RU-MOW",
        "office": "office-1",
    }


async def test_an_expired_token_is_refused(issuer: Issuer) -> None:
    with pytest.raises(ExpiredTokenError):
        await verified(issuer, issuer.issue(OPERATOR, lifetime=timedelta(minutes=-5)))


async def test_a_token_for_somebody_else_is_refused(issuer: Issuer) -> None:
    with pytest.raises(InvalidClaimError):
        await verified(issuer, issuer.issue(OPERATOR, audience="another-system"))


async def test_a_forged_token_is_refused(issuer: Issuer) -> None:
    with pytest.raises(BadSignatureError):
        await verified(issuer, issuer.forge(OPERATOR))


async def test_tokens_age_with_the_given_clock() -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    async with Issuer(now=lambda: tomorrow) as issuer:
        token = issuer.issue(OPERATOR, lifetime=timedelta(hours=1))
        claims = await verified(issuer, token, tomorrow)
        with pytest.raises(ExpiredTokenError):
            await verified(issuer, token, tomorrow + timedelta(hours=2))
    assert claims["iat"] == int(tomorrow.timestamp())


async def test_one_signs_in_with_the_name_of_a_person_alone(issuer: Issuer) -> None:
    issuer.add(DemoPerson("citizen-9", "Новый Житель", (Role.CITIZEN,)))
    form = {"grant_type": "client_credentials", "client_id": "citizen-9"}
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{issuer.url}/token", data=form)
    assert (await verified(issuer, answer.json()["access_token"]))["roles"] == ["citizen"]


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"grant_type=client_credentials&client_id=stranger", 401, "invalid_client"),
        (b"grant_type=client_credentials", 401, "invalid_client"),
        (b"grant_type=password&client_id=operator-1", 400, "unsupported_grant_type"),
        (b"\xff\xfe", 400, "invalid_request"),
        (b"grant_type=" + b"a" * 5_000, 400, "invalid_request"),
    ],
)
async def test_a_bad_request_for_a_token_gets_its_error(
    issuer: Issuer, body: bytes, status: int, error: str
) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{issuer.url}/token", content=body)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_every_role_that_a_person_may_have_has_a_demo_person() -> None:
    """A citizen is somebody only once a profile is there."""
    played = {role for person in DEMO_PEOPLE for role in person.roles}
    assert played == set(Role) - {Role.SERVICE, Role.CITIZEN}
    assert len({person.subject for person in DEMO_PEOPLE}) == len(DEMO_PEOPLE)
