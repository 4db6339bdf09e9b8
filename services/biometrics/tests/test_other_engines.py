"""The same service with another engine in its place: one setting, nothing else."""

import asyncio
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
from structlog.testing import capture_logs

from biometrics.engine.port import SearchLimits
from biometrics.engine.quality import CaptureFault
from biometrics.engine.sourceafis import SourceAfis
from biometrics.record_commands import Reason
from biometrics.service import build
from conftest import Bureau, Person, at_work, ready
from epassport.actor import Role
from epassport.database import migrate
from epassport.service import running
from epassport_contracts.desk import TicketPurpose
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
        url = f"http://127.0.0.1:{changed.http_port}"
        other = replace(bureau, opened=opened, url=url, settings=changed)
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


async def test_the_double_refuses_the_picture_that_it_was_told_to_refuse(
    bureau: Bureau, stack: Stack, tmp_path: Path
) -> None:
    person = bureau.person()
    expectations = tmp_path / "expectations.json"
    expectations.write_text(json.dumps({picture_of(bureau, person.finger): {"error": "refused"}}))
    double = {"engine": "expectations", "engine_expectations": expectations}
    async with bureau_with(bureau, stack, tmp_path, **double) as desk:
        answer = await desk.post("/samples", desk.samples(person), Role.OPERATOR)
        assert (answer.status_code, answer.json()["reason"]) == (409, CaptureFault.POOR_QUALITY)
        assert await desk.events(person) == ["SampleRejected"]


async def test_who_was_enrolled_by_another_engine_is_told_so_at_the_counter(
    bureau: Bureau,
) -> None:
    known = await bureau.enrol(bureau.person())
    changed = {"engine": "expectations", "http_port": free_port()}
    settings = bureau.settings.model_copy(update=changed)
    async with running(build(settings)) as opened:
        serving = asyncio.create_task(opened.serve())
        desk = replace(bureau, opened=opened, url=f"http://127.0.0.1:{settings.http_port}")
        await ready(desk.http, desk.url)
        answer = await desk.check(at_counter(desk, known), known.finger)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    assert (answer.status_code, answer.json()["reason"]) == (409, Reason.REFERENCE_OF_OTHER_ENGINE)
    told = (await bureau.check(at_counter(bureau, known), known.finger)).json()
    assert told["result"] == "verified"


def at_counter(desk: Bureau, person: Person) -> str:
    return desk.ticket(person, Role.HAND_OVER_OFFICER, TicketPurpose.HAND_OVER)


async def test_a_vendors_abis_finds_whoever_comes_twice(
    bureau: Bureau, stack: Stack, tmp_path: Path
) -> None:
    """It is asked over HTTP as MOSIP says and extracts nothing; its comparer here is our own."""
    known, stranger = bureau.person(), bureau.person()
    async with vendor_and_desk(bureau, stack, tmp_path) as (vendor, desk):
        alias = Person(known.finger)
        assert await outcomes(desk, known, stranger, alias) == ["accepted", "accepted", "suspected"]
        asked = {message["id"] for message in vendor.messages}
        assert asked >= {"mosip.abis.insert", "mosip.abis.identify"}


async def test_who_was_erased_while_a_vendor_was_not_asked_is_erased_there_at_the_next_start(
    bureau: Bureau, stack: Stack, tmp_path: Path
) -> None:
    """The vendor's gallery outlives our process, and nobody tells it later."""
    erased, other = bureau.person(), bureau.person()
    async with vendor_and_desk(bureau, stack, tmp_path) as (vendor, desk):
        assert await outcomes(desk, erased, other) == ["accepted", "accepted"]
        captures = await desk.rows("SELECT capture_id, holder_id FROM gallery_entry_v2")
        names = {row["holder_id"]: str(row["capture_id"]) for row in captures}
        await desk.reject(erased)
        await desk.gallery_size(1)
        assert await desk.opened.app.gallery.size() == 1
        vendor.known.add(names[erased.holder])  # as if it had never heard
        settings = desk.settings.model_copy(update={"http_port": free_port()})
        async with at_work(settings) as restarted:
            assert await restarted.app.gallery.size() == 1
        assert vendor.known == {names[other.holder]}


async def test_a_finger_that_a_vendor_refuses_is_named_and_holds_searches_up_until_it_leaves(
    bureau: Bureau, stack: Stack, tmp_path: Path
) -> None:
    """Left out, its owner would have a second passport for the asking."""
    refused, other = bureau.person(), bureau.person()
    async with vendor_and_desk(bureau, stack, tmp_path) as (vendor, desk):
        vendor.refuses_next = True
        with capture_logs() as lines:
            await desk.bring(refused)
            await desk.bring(other)
            again = "SELECT FROM tasks WHERE attempts > 1"
            async with asyncio.timeout(30):
                while len(await desk.rows(again)) < 2:  # noqa: ASYNC110 - tasks tell nobody
                    await asyncio.sleep(0.05)
        (entry,) = await desk.rows(
            "SELECT capture_id FROM gallery_entry_v2 WHERE holder_id = $1", refused.holder
        )
        told = {line["reference"] for line in lines if line["event"] == "abis-refuses"}
        assert told == {str(entry["capture_id"])}
        assert await desk.events(other) == ["SamplesReceived"]
        faults = await desk.rows("SELECT DISTINCT last_error FROM tasks")
        assert {row["last_error"] for row in faults} == {"GalleryNotReady"}  # waited out
        await desk.reject(refused)
        assert await desk.status(other, "accepted", "suspected") == "accepted"


async def test_a_vendors_references_that_are_not_ours_are_nobody(
    bureau: Bureau, stack: Stack, tmp_path: Path
) -> None:
    async with vendor_and_desk(bureau, stack, tmp_path) as (vendor, desk):
        strange = [{"referenceId": "a-customer-of-theirs"}, {"referenceId": str(uuid4())}]
        vendor.adds = {"candidateList": {"candidates": strange}}
        assert await outcomes(desk, bureau.person()) == ["accepted"]


@asynccontextmanager
async def vendor_and_desk(
    bureau: Bureau, stack: Stack, folder: Path
) -> AsyncIterator[tuple[AbisServer, Bureau]]:
    certificate = folder / "abis.pem"
    async with AsyncExitStack() as closing:
        comparer = await closing.enter_async_context(SourceAfis(bureau.settings.worker()))
        vendor = await closing.enter_async_context(AbisServer(comparer, LIMITS).listening())
        certificate.write_bytes(vendor.certificate)
        abis = {"engine": "mosip-abis", "abis_url": vendor.url, "abis_certificate": certificate}
        yield vendor, await closing.enter_async_context(bureau_with(bureau, stack, folder, **abis))


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
