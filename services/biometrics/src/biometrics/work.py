"""Work of biometrics: the search for duplicates, and images on their way to a document."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

from biometrics import record
from biometrics.capture import JPEG
from biometrics.chip_finger import WSQ, wsq_of
from biometrics.context import App
from biometrics.engine.positions import FingerPosition
from biometrics.record_commands import ConcludeSearch, Image, Reason, ReleaseImages, Search, Shard
from biometrics.record_events import (
    BiometricRecord,
    Enrolment,
    ReleaseOrdered,
    SamplesReceived,
)
from epassport import Recorded, TaskStart, Token
from epassport.blobs import load_all
from epassport.decider import key_of
from epassport.opening import InRecord, open_in_task
from epassport.reactions import Send
from epassport.sealing import ERASED
from epassport.tasks import Job, Task, Work
from epassport_contracts import DataPurpose, ServiceName
from epassport_contracts.events.biometrics import ReleasedImage

SEARCH_DUPLICATES = Task("search-duplicates", at_once=2)
RELEASE_IMAGES = Task("release-images", at_once=2)

_RETIRED = frozenset({Reason.RETIRED})


@SEARCH_DUPLICATES.starts_on(SamplesReceived)
def search(event: Recorded[SamplesReceived], _after: BiometricRecord) -> TaskStart:
    return SEARCH_DUPLICATES.start(_asked(event.fact))


def searches(shards: int) -> list[Task]:
    """By shard. Each part of the gallery is asked by a task of its own kind, which only those
    processes claim that hold the part; a gallery in one part keeps the plain kind."""
    if shards == 1:
        return [SEARCH_DUPLICATES]
    return [_search_of(Shard(index, shards)) for index in range(shards)]


def _search_of(shard: Shard) -> Task:
    task = Task(f"search-shard-{shard.index}", at_once=2)

    @task.starts_on(SamplesReceived)
    def search(event: Recorded[SamplesReceived], _after: BiometricRecord) -> TaskStart:
        return task.start({**_asked(event.fact), "shards": shard.of})

    return task


def _asked(fact: SamplesReceived) -> dict[str, Any]:
    return {
        "application_id": str(fact.application_id),
        "capture_id": str(fact.capture_id),
        "fingers": {each.position: each.template for each in fact.samples.fingers},
        "engine": fact.samples.engine,
    }


def search_duplicates(app: App) -> Work:
    """Whoever searches, and whenever: the place of the capture decides what is searched."""
    app.gallery.begin()

    async def work(job: Job) -> Sequence[Send]:
        if job.input.get("shards", 1) != app.shard.of:
            raise ValueError("the gallery had another number of shards when this was asked")
        holder_id = UUID(key_of(job.stream))
        probe = await _probe(app, job, holder_id)
        if not probe:
            return []
        now, engine = app.clock.now(), job.input["engine"]
        limits = app.search_limits(engine, now)
        found = await app.gallery.search(probe, place=await _place(app, job), limits=limits)
        others = tuple(holder for holder in found.holders if holder != holder_id)
        command = ConcludeSearch(
            now,
            UUID(job.input["application_id"]),
            UUID(job.input["capture_id"]),
            Search(
                others,
                holder_id in found.holders and holder_id not in found.mixed_up,
                found.searched,
                found.engine,
                limits.threshold,
                limits.fused,
                holder_id in found.mixed_up,
                found.compared,
                tuple(found.classes[holder] for holder in others),
            ),
            uuid5(job.task_id, "case"),
            app.shard,
        )
        return [Send(job.stream, command, expects=_RETIRED)]

    return work


async def _probe(app: App, job: Job, holder_id: UUID) -> dict[FingerPosition, bytes]:
    """Empty once the person is erased."""
    digests: dict[str, str] = job.input["fingers"]
    opened = await _opened(app, job, holder_id, "template", list(digests.values()))
    fingers = zip(digests, opened, strict=True)
    return {FingerPosition(at): template for at, template in fingers if template is not None}


async def _place(app: App, job: Job) -> Token:
    """Where the store's reading order has the event that started the task."""
    async with app.database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT transaction_id::text::bigint, position FROM events WHERE event_id = $1",
            job.origin.causation_id,
        )
    if row is None:
        raise LookupError("a task without the event that started it")
    return Token(*row)


@RELEASE_IMAGES.starts_on(ReleaseOrdered)
def release(event: Recorded[ReleaseOrdered], _after: BiometricRecord) -> TaskStart:
    return RELEASE_IMAGES.start(
        {
            "application_id": str(event.fact.application_id),
            "document_ref": str(event.fact.document_ref),
        }
    )


def release_images(app: App) -> Work:
    """The face for chip and cloud, the finger for the chip; templates never leave."""

    async def work(job: Job) -> Sequence[Send]:
        holder_id = UUID(key_of(job.stream))
        known = await app.record(holder_id)
        enrolment = known.enrolment(UUID(job.input["application_id"]))
        images = await _images(app, job, holder_id, enrolment)
        if not images:
            return []
        command = ReleaseImages(app.clock.now(), holder_id, UUID(job.input["document_ref"]), images)
        return [Send(record.stream(holder_id), command, expects=_RETIRED)]

    return work


async def _images(app: App, job: Job, holder_id: UUID, enrolment: Enrolment) -> tuple[Image, ...]:
    """Nothing of an erased person. The face comes last: with it a card is complete."""
    index = enrolment.finger(FingerPosition.RIGHT_INDEX)
    named = (enrolment.face, None if index is None else index.image)
    digests = [digest for digest in named if digest is not None]
    opened = await _opened(app, job, holder_id, "sample", digests)
    face, finger = (*opened, None, None)[:2]
    if finger is not None and index is not None:
        finger = await asyncio.to_thread(wsq_of, finger, dpi=index.dpi)
    return tuple(
        Image(image_kind, purpose, media_type, octets)
        for image_kind, purpose, media_type, octets in (
            (ReleasedImage.RIGHT_INDEX, DataPurpose.CHIP, WSQ, finger),
            (ReleasedImage.FACE, DataPurpose.PORTRAIT, JPEG, face),
            (ReleasedImage.FACE, DataPurpose.CHIP, JPEG, face),
        )
        if octets is not None
    )


async def _opened(
    app: App, job: Job, holder_id: UUID, field: str, digests: Sequence[str]
) -> list[bytes | None]:
    """In the order asked; None once the person is erased."""
    async with app.database.connection() as connection:
        blobs = await load_all(connection, digests)
    if any(blob is None for blob in blobs):
        return [None] * len(digests)
    opened = await open_in_task(
        app.database,
        app.keyring,
        [InRecord(holder_id, field, blob.envelope) for blob in blobs if blob is not None],
        service=ServiceName.BIOMETRICS,
        reason=job.kind,
        correlation_id=job.origin.correlation_id,
    )
    return [None if value is ERASED else value for value in opened]
