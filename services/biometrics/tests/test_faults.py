"""What is broken at the wrong moment costs time and nothing else: disk, worker, key, bad files."""

import asyncio
import base64
import io
import json
import os
import signal
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from structlog.testing import capture_logs

from biometrics.engine.choice import engine_of
from biometrics.engine.port import EngineUnavailable, TemplateRefused
from biometrics.gallery import Gallery
from conftest import SETTLED_WITHIN_SECONDS, Bureau, Person, at_work, now
from epassport import keyring_stream
from epassport.actor import Role, service_actor
from epassport.commands import Accepted, Envelope
from epassport.events import Origin
from epassport_sandbox.ports import free_port

ENROLLED = ["SamplesReceived", "DuplicateSearchCompleted", "BiometricsAccepted"]
SUSPECTED = ["SamplesReceived", "DuplicateSearchCompleted", "AdjudicationRequested"]


@asynccontextmanager
async def full_disk(bureau: Bureau, table: str, when: str = "true") -> AsyncIterator[None]:
    """Every row of a table ends as PostgreSQL ends it when a file cannot grow: SQLSTATE 53100."""
    await bureau.rows(
        """
        CREATE OR REPLACE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$
        """
    )
    await bureau.rows(
        f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} FOR EACH ROW WHEN ({when})"
        " EXECUTE FUNCTION disk_is_full()"
    )
    try:
        yield
    finally:
        await bureau.rows(f"DROP TRIGGER full_disk ON {table}")


async def tried(bureau: Bureau, person: Person) -> None:
    """Returns once the search of this person's samples has failed at least twice."""
    sql = "SELECT attempts FROM tasks WHERE stream_id = $1 AND kind = 'search-duplicates'"
    async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
        while True:
            found = await bureau.rows(sql, f"biometric-record/{person.holder}")
            if found and found[0]["attempts"] >= 2:
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("table", ["blobs", "events"])
async def test_samples_that_meet_a_full_disk_are_sent_again_and_received_once(
    bureau: Bureau, table: str
) -> None:
    person, key = bureau.person(), str(uuid4())
    body = bureau.samples(person)
    async with full_disk(bureau, table):
        answer = await bureau.post("/samples", body, Role.OPERATOR, key=key)
        assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
        assert await bureau.events(person) == []
    answer = await bureau.post("/samples", body, Role.OPERATOR, key=key)
    assert answer.status_code == 200, answer.text
    await bureau.status(person, "accepted")
    assert await bureau.events(person) == ENROLLED


async def test_a_search_that_meets_a_full_disk_waits_and_is_concluded_once(bureau: Bureau) -> None:
    person, before = bureau.person(), await bureau.get("/gallery", Role.SUPERVISOR)
    async with full_disk(bureau, "events", "new.type = 'DuplicateSearchCompleted'"):
        await bureau.bring(person)
        await tried(bureau, person)
        assert await bureau.events(person) == ["SamplesReceived"]
    await bureau.status(person, "accepted")
    assert await bureau.events(person) == ENROLLED
    assert await bureau.opened.app.gallery.size() == before["size"] + 1


async def test_a_worker_killed_over_a_search_costs_no_answer_and_enters_nobody_twice(
    bureau: Bureau,
) -> None:
    """Stopped first, so that it surely has the search when it dies."""
    known = await bureau.enrol(bureau.person())
    before = await bureau.opened.app.gallery.size()
    engine = bureau.opened.app.gallery.engine_pid
    assert engine is not None
    os.kill(engine, signal.SIGSTOP)
    second = Person(known.finger)
    await bureau.bring(second, n=1)
    await bureau.gallery_size(before + 1)  # projected: the search is next
    os.kill(engine, signal.SIGKILL)
    await bureau.status(second, "suspected")
    assert await bureau.events(second) == SUSPECTED
    assert await bureau.opened.app.gallery.size() == before + 1


async def test_a_gallery_from_a_backup_leaves_out_whoever_was_erased_since(
    bureau: Bureau,
) -> None:
    """Blobs and read table as an old backup had them; the keys stay destroyed, as a restore
    destroys them again before anything serves."""
    erased, other = await bureau.enrol(bureau.person()), await bureau.enrol(bureau.person())
    blobs = await bureau.rows("SELECT * FROM blobs WHERE subject = $1", erased.holder)
    before = (await bureau.get("/gallery", Role.SUPERVISOR))["size"]
    await destroy_keys(bureau, erased)
    await bureau.gallery_size(before - 1)
    for blob in blobs:
        await bureau.rows("INSERT INTO blobs SELECT (jsonb_populate_record(NULL::blobs, $1)).*",
                          as_json(blob))  # fmt: skip
    back = "UPDATE gallery_entry_v2 SET present = true WHERE holder_id = $1 RETURNING capture_id"
    (row,) = await bureau.rows(back, erased.holder)
    try:
        settings = bureau.settings.model_copy(update={"http_port": free_port()})
        async with at_work(settings) as restored:
            references = [each async for each, _ in restored.app.gallery.references()]
            assert str(row["capture_id"]) not in references
            assert await restored.app.gallery.size() == before - 1
            own = "SELECT capture_id FROM gallery_entry_v2 WHERE holder_id = $1"
            (kept,) = await bureau.rows(own, other.holder)
            assert str(kept["capture_id"]) in references
    finally:
        await bureau.rows(
            "UPDATE gallery_entry_v2 SET present = false WHERE holder_id = $1 RETURNING 1",
            erased.holder,
        )
        await bureau.rows("DELETE FROM blobs WHERE subject = $1 RETURNING 1", erased.holder)


async def test_a_gallery_of_another_engines_templates_says_why_it_does_not_open(
    bureau: Bureau,
) -> None:
    """Rather than search without those whom it can not compare."""
    await bureau.enrol(bureau.person())
    app, settings = bureau.opened.app, bureau.settings.model_copy(update={"engine": "expectations"})
    made = Gallery(app.database, app.keyring, lambda refill: engine_of(settings, refill))
    async with made as gallery:
        with capture_logs() as lines, pytest.raises(TemplateRefused):
            await gallery.filled()
        (told,) = [line for line in lines if line["event"] == "gallery-not-opened"]
        assert (told["fault"], told["reason"]) == ("TemplateRefused", "not a template")
        with pytest.raises(EngineUnavailable):
            gallery.check_ready()


async def destroy_keys(bureau: Bureau, person: Person) -> None:
    command = keyring_stream.DestroyKeys(person.holder, now())
    origin = Origin(service_actor("biometrics"), uuid4())
    envelope = Envelope(keyring_stream.stream(person.holder), command, origin)
    (outcome,) = await bureau.opened.group.execute([envelope])
    assert isinstance(outcome, Accepted)


def as_json(blob: Any) -> str:
    """A row as PostgreSQL reads it from JSON: bytea in hexadecimal."""
    plain = {**dict(blob), "envelope": json.loads(blob["envelope"])}
    plain["ct"] = "\\x" + blob["ct"].hex()
    return json.dumps(plain, default=str)


def jpeg(mode: str) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (413, 531)).save(file, "JPEG")
    return file.getvalue()


def tiff_of_16_bit() -> bytes:
    file = io.BytesIO()
    Image.new("I;16", (400, 480)).save(file, "TIFF")
    return file.getvalue()


def bomb() -> bytes:
    """A PNG of a few kilobytes that says it holds 900 megabytes, and begins to."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    side = 30_000
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(64 * (side + 1)))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("finger", "reason"),
    [
        (bomb(), "capture-wrong-size"),
        (jpeg("CMYK"), "capture-not-a-png"),
        (jpeg("L"), "capture-not-a-png"),
        (tiff_of_16_bit(), "capture-not-a-png"),
        (b"%PDF-1.7", "capture-not-a-png"),
    ],
    ids=["bomb", "CMYK", "JPEG", "16 bit", "PDF"],
)
async def test_a_file_that_is_no_capture_is_told_and_leaves_nothing_but_the_reason(
    bureau: Bureau, finger: bytes, reason: str
) -> None:
    person, engine = bureau.person(), bureau.opened.app.engine.engine_pid
    body = bureau.samples(person)
    body["fingers"][0]["image"] = base64.b64encode(finger).decode()
    answer = await bureau.post("/samples", body, Role.OPERATOR)
    assert (answer.status_code, answer.json()["reason"]) == (409, reason)
    assert await bureau.events(person) == ["SampleRejected"]
    assert await bureau.blobs(person) == 0
    assert bureau.opened.app.engine.engine_pid == engine  # unharmed
