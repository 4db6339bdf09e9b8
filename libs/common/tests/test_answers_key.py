"""The key of kept answers: who does not hold it can neither test a body nor foretell an id."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from shelf_service import Issuer, Shelf, backing, bearer, routes, unreachable_database

from epassport.database import Database
from epassport.shell import build_app

ISSUER = Issuer()
OLGA = ISSUER.token()
FIRST_KEY, SECOND_KEY = b"1" * 32, b"2" * 32


@pytest_asyncio.fixture(loop_scope="session")
async def database() -> AsyncIterator[Database]:
    async with unreachable_database() as database_:
        yield database_


async def put(database: Database, key: bytes, body: bytes = b'{"label": "books"}') -> Shelf:
    """What a service with this key was sent, under the same idempotency key each time."""
    shelf = Shelf()
    service = replace(backing(shelf, ISSUER, database), answers_key=key)
    transport = httpx.ASGITransport(build_app("shelf", [routes], service, checks={}))
    headers = {"Content-Type": "application/json", **bearer(OLGA)}
    async with httpx.AsyncClient(transport=transport, base_url="http://shelf") as client:
        response = await client.post("/v1/boxes", content=body, headers=headers)
    assert response.status_code == 200
    return shelf


def digest_of(shelf: Shelf) -> bytes:
    (envelope,) = shelf.envelopes
    assert envelope.idempotency is not None
    return envelope.idempotency.body_hmac


def id_of(shelf: Shelf) -> UUID:
    (envelope,) = shelf.envelopes
    return UUID(envelope.answer["box_id"])


async def test_a_bodys_digest_cannot_be_made_without_the_key(database: Database) -> None:
    first, again = await put(database, FIRST_KEY), await put(database, FIRST_KEY)
    assert digest_of(first) == digest_of(again)
    assert digest_of(await put(database, SECOND_KEY)) != digest_of(first)


@pytest.mark.parametrize("body", [b'{"label": "shoes"}', b'{"label": "books", "weight_grams": 5}'])
async def test_another_body_has_another_digest(database: Database, body: bytes) -> None:
    assert digest_of(await put(database, FIRST_KEY, body)) != digest_of(
        await put(database, FIRST_KEY)
    )


async def test_the_id_of_what_a_command_makes_cannot_be_told_without_the_key(
    database: Database,
) -> None:
    first, again = await put(database, FIRST_KEY), await put(database, FIRST_KEY)
    assert id_of(first) == id_of(again)
    assert id_of(await put(database, SECOND_KEY)) != id_of(first)
