"""The same service with another engine in its place: one setting, nothing else."""

import hashlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from abis_server import AbisServer
from PIL import Image

from biometrics.engine.port import SearchLimits
from biometrics.engine.sourceafis import SourceAfis
from conftest import Bureau, Person, at_work, ready
from epassport.actor import Role
from epassport.database import migrate
from epassport_sandbox.fingerprints import SANDBOX_THRESHOLD
from epassport_sandbox.ports import free_port
from epassport_sandbox.stack import Stack

pytestmark = pytest.mark.stack

LIMITS = SearchLimits(SANDBOX_THRESHOLD, 2 * SANDBOX_THRESHOLD)


@asynccontextmanager
async def bureau_with(
    bureau: Bureau, stack: Stack, folder: Path, **settings: Any
) -> AsyncIterator[Bureau]:
    """A bureau with a database of its own: templates of one engine mean nothing to another."""
    name = f"bureau_{uuid4().hex}"
    dsn = await stack.postgres.create_database(name)
    await migrate(dsn, "biometrics")
    (folder / "dsn").write_text(dsn)
    own = {"postgres_dsn_file": folder / "dsn", "http_port": free_port(), **settings}
    changed = bureau.settings.model_copy(update=own)
    async with at_work(changed) as opened:
        other = replace(bureau, opened=opened, url=f"http://127.0.0.1:{changed.http_port}")
        await ready(bureau.http, other.url)
        yield other
    await stack.postgres.drop_database(name)


async def test_the_double_finds_the_duplicates_that_it_was_told_to_find(
    bureau: Bureau, stack: Stack, tmp_path: Path
) -> None:
    known, alias, stranger = (bureau.person() for _ in range(3))
    expectations = tmp_path / "expectations.json"
    first, second = (picture_of(bureau, each.finger) for each in (known, alias))
    expectations.write_text(json.dumps({second: {"same_as": first}}))
    double = {"engine": "expectations", "engine_expectations": expectations}
    async with bureau_with(bureau, stack, tmp_path, **double) as desk:
        assert await outcomes(desk, known, stranger, alias) == ["accepted", "accepted", "suspected"]
        assert (await desk.get("/gallery", Role.SUPERVISOR))["engine"] == "expectations-1"


async def test_a_vendors_abis_finds_whoever_comes_twice(
    bureau: Bureau, stack: Stack, tmp_path: Path
) -> None:
    """It is asked over HTTP as MOSIP says and extracts nothing; its comparer here is our own."""
    known, stranger = bureau.person(), bureau.person()
    certificate = tmp_path / "abis.pem"
    async with AsyncExitStack() as closing:
        comparer = await closing.enter_async_context(SourceAfis(bureau.settings.worker()))
        vendor = await closing.enter_async_context(AbisServer(comparer, LIMITS).listening())
        certificate.write_bytes(vendor.certificate)
        abis = {"engine": "mosip-abis", "abis_url": vendor.url, "abis_certificate": certificate}
        desk = await closing.enter_async_context(bureau_with(bureau, stack, tmp_path, **abis))
        alias = Person(known.finger)
        assert await outcomes(desk, known, stranger, alias) == ["accepted", "accepted", "suspected"]
        asked = {message["id"] for message in vendor.messages}
        assert asked >= {"mosip.abis.insert", "mosip.abis.identify"}


async def outcomes(desk: Bureau, *persons: Person) -> list[str]:
    """Who comes a second time puts another impression down."""
    seen: set[int] = set()
    found = []
    for person in persons:
        await desk.bring(person, n=int(person.finger in seen))
        seen.add(person.finger)
        found.append(await desk.status(person, "accepted", "suspected"))
    return found


def picture_of(bureau: Bureau, finger: int) -> str:
    """The name by which expectations speak of a picture."""
    with Image.open(io.BytesIO(bureau.fingers.png(finger, 0))) as picture:
        return hashlib.sha256(picture.tobytes()).hexdigest()
