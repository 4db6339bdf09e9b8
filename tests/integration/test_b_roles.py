"""Every role against every operation of every service, and tokens that must not be believed."""

import asyncio
import importlib
import re
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from uuid import uuid4

import httpx
import pytest

from epassport import operations_http
from epassport.access import AccessRow, Anyone
from epassport.actor import Role
from epassport.service import Service
from epassport.settings import Settings
from epassport_contracts import ServiceName
from epassport_sandbox.client import until
from epassport_sandbox.oidc import Issuer
from epassport_sandbox.people import DemoPerson
from epassport_sandbox.running import Session
from epassport_sandbox.system import package_of

AT_ONCE = 16


def _rows(service: ServiceName) -> list[AccessRow]:
    """Of all that the composed service answers, the runtime's own operations too."""
    composed = importlib.import_module(f"{package_of(service)}.service")
    built: Service = composed.build(Settings.model_construct())
    return [row for part in (*built.routes, operations_http.routes) for row in part.rows()]


ROWS = [(service, row) for service in ServiceName for row in _rows(service)]
GUARDED = [
    (service, row, row.allowed) for service, row in ROWS if not isinstance(row.allowed, Anyone)
]


def _person(role: Role) -> DemoPerson:
    return DemoPerson(f"only-{role}", role, (role,), "RU-MOW", "office-1", uuid4())


async def _ask(
    session: Session,
    http: httpx.AsyncClient,
    service: ServiceName,
    row: AccessRow,
    token: str | None,
) -> tuple[int, str]:
    """Status and reason; commands carry no idempotency key, so that none can take effect.

    Who is told that a service is busy asks again, as every client has to.
    """
    path = re.sub(r"\{[^}]+\}", lambda _: str(uuid4()), row.path)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = session.system.urls[service] + path
    response = await until(
        lambda: http.request(row.method, url, headers=headers),
        lambda answer: answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE,
        what=f"{row.method} {url} to be answered",
    )
    is_problem = response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["reason"] if is_problem else ""


async def _table(
    session: Session, http: httpx.AsyncClient, *, allowed: bool
) -> dict[str, tuple[int, str]]:
    """What every role that may, or may not, gets from every guarded operation."""
    limit = asyncio.Semaphore(AT_ONCE)
    found: dict[str, tuple[int, str]] = {}
    tokens = {role: session.system.issuer.issue(_person(role)) for role in Role}

    async def one(service: ServiceName, row: AccessRow, role: Role) -> None:
        async with limit:
            name = f"{role} {service} {row.operation}"
            found[name] = await _ask(session, http, service, row, tokens[role])

    async with asyncio.TaskGroup() as asking:
        for service, row, may in GUARDED:
            for role in Role:
                if (role in may) is allowed:
                    asking.create_task(one(service, row, role))
    return found


async def test_a_role_that_no_row_names_is_refused_by_every_operation(
    epassport: Session, http: httpx.AsyncClient
) -> None:
    answers = await _table(epassport, http, allowed=False)
    assert len(answers) > 500
    assert {name: a for name, a in answers.items() if a != (403, "role-not-allowed")} == {}


async def test_a_role_that_a_row_names_gets_past_the_table(
    epassport: Session, http: httpx.AsyncClient
) -> None:
    answers = await _table(epassport, http, allowed=True)
    assert {name: a for name, a in answers.items() if a[0] in (401, 403) or a[0] >= 500} == {}


async def test_without_a_token_every_guarded_operation_is_refused(
    epassport: Session, http: httpx.AsyncClient
) -> None:
    answers = {
        f"{service} {row.operation}": await _ask(epassport, http, service, row, None)
        for service, row, _ in GUARDED
    }
    assert {name: a for name, a in answers.items() if a != (401, "token-missing")} == {}


async def test_what_is_published_anyway_needs_no_token(
    epassport: Session, http: httpx.AsyncClient
) -> None:
    published = [(service, row) for service, row in ROWS if isinstance(row.allowed, Anyone)]
    assert {row.operation for _, row in published} >= {"read-trust-list", "read-offline-pack"}
    for service, row in published:
        status, reason = await _ask(epassport, http, service, row, None)
        assert status in (200, 404, 422), f"{row.operation}: {status} {reason}"


MakeToken = Callable[[Issuer, DemoPerson], str]

BAD_TOKENS: dict[str, MakeToken] = {
    "token-expired": lambda issuer, who: issuer.issue(who, lifetime=-timedelta(hours=1)),
    "token-wrong-audience": lambda issuer, who: issuer.issue(who, audience="another-system"),
    "token-malformed": lambda _issuer, _who: "no.such.token",
    "token-bad-signature": lambda issuer, who: issuer.forge(who),
}


@pytest.mark.parametrize("reason", BAD_TOKENS)
async def test_a_token_that_must_not_be_believed_is_refused_by_every_service(
    epassport: Session, http: httpx.AsyncClient, reason: str
) -> None:
    sample = {row[0]: row for row in GUARDED}
    assert set(sample) == set(ServiceName)
    for service, row, may in sample.values():
        token = BAD_TOKENS[reason](epassport.system.issuer, _person(next(iter(may))))
        assert await _ask(epassport, http, service, row, token) == (401, reason), row.operation
