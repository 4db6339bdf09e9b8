"""Work of the card bureau: preparing the data, finding a blank, writing the chip.

A task may be done twice; each answers by commands that have an effect once. What a first
attempt sealed stays behind as blobs that nothing names, and goes with the holder's keys.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from card_personalization import archive, card, chip_data
from card_personalization.archive import CHIP_FILE, IMAGE, OCTETS, PRINT
from card_personalization.bench import DG15
from card_personalization.blank_lot import CAPACITY
from card_personalization.card_commands import (
    AllocateBlank,
    BlockCard,
    BlockCause,
    Files,
    NoteBlanksMissing,
    Reason,
    RecordChip,
    RecordChipData,
)
from card_personalization.card_events import (
    BlankAllocated,
    BlanksSoughtAgain,
    Card,
    CardOrdered,
    CardSpoiled,
    ChipDataPrepared,
    ImageStored,
    IndexAssigned,
    Order,
    Status,
)
from card_personalization.chip_data import Particulars, Prepared
from card_personalization.context import App
from epassport import Recorded, TaskStart
from epassport.actor import service_actor
from epassport.errors import Erased
from epassport.opening import InRecord, open_in_task
from epassport.reactions import Send
from epassport.sealing import ERASED
from epassport.tasks import Job, Task, Work
from epassport_contracts import ServiceName
from epassport_contracts.events.enrollment import PausedStep
from epassport_contracts.fields import Identity, Wishes
from epassport_credentials.cwt import StatusReference
from epassport_credentials.lds import EF_SOD, FILE_IDS
from epassport_credentials.pace import ACCESS_NUMBER_DIGITS

PREPARE = Task("prepare-chip-data", at_once=2)
ALLOCATE = Task("allocate-blank")
WRITE = Task("write-chip", at_once=2)

_MADE_AT_THE_BENCH = frozenset({DG15, EF_SOD})
_MEDIA_TYPES = {
    chip_data.FRONT: chip_data.PNG,
    chip_data.BACK: chip_data.PNG,
    chip_data.SMALL_CODE: chip_data.TEXT,
    chip_data.IDENTITY_CODE: chip_data.TEXT,
    chip_data.ACCESS_NUMBER: chip_data.TEXT,
}
_BLOCKED = frozenset({Reason.BLOCKED})


@PREPARE.starts_on(CardOrdered, IndexAssigned, ImageStored)
def begin_preparing(
    event: Recorded[CardOrdered | IndexAssigned | ImageStored], state: Card
) -> TaskStart | None:
    """Once: the last of the three parts makes the card complete."""
    if state.parts is None:
        return None
    order, _, _ = state.parts
    about = {"document_ref": event.stream_key}
    return PREPARE.start(about, step=PausedStep.PREPARE, region=order.region)


@ALLOCATE.starts_on(ChipDataPrepared, CardSpoiled, BlanksSoughtAgain)
def begin_allocating(
    event: Recorded[ChipDataPrepared | CardSpoiled | BlanksSoughtAgain], state: Card
) -> TaskStart | None:
    if state.order is None:
        return None
    about = {"document_ref": event.stream_key}
    return ALLOCATE.start(about, step=PausedStep.MAKE, region=state.order.region)


@WRITE.starts_on(BlankAllocated)
def begin_writing(event: Recorded[BlankAllocated], state: Card) -> TaskStart | None:
    if state.order is None:
        return None
    about = {"document_ref": event.stream_key}
    return WRITE.start(about, step=PausedStep.MAKE, region=state.order.region)


def prepare(app: App) -> Work:
    """Data groups, codes and printed faces, from what only this task opens."""

    async def work(job: Job) -> Sequence[Send]:
        document_ref = UUID(job.input["document_ref"])
        state = await app.card(document_ref)
        if state.status is not Status.PREPARING or state.parts is None:
            return []
        now = app.clock.now()
        about = await _particulars(app, job, document_ref, state, now)
        if about is None:
            return [_stop(document_ref, now)]
        made = await asyncio.to_thread(
            chip_data.prepare,
            about,
            app.code_signer,
            dpi=app.print_resolution,
            specimen=app.sandbox,
        )
        try:
            files = await _store_prepared(app, state.parts[0].holder_id, made)
        except Erased:
            return [_stop(document_ref, now)]
        return [Send(card.stream(document_ref), RecordChipData(now, files), expects=_BLOCKED)]

    return work


def allocate(app: App) -> Work:
    """A lot may be emptied between the look and the allocation; the second command then says
    that blanks are missing, which starts a new search later."""

    async def work(job: Job) -> Sequence[Send]:
        stream = card.stream(job.input["document_ref"])
        lot_id = await _lot_with_stock(app)
        now = app.clock.now()
        found = [AllocateBlank(now, lot_id)] if lot_id is not None else []
        expects = _BLOCKED | {Reason.LOT_EMPTY}
        return [
            Send(stream, command, expects=expects) for command in (*found, NoteBlanksMissing(now))
        ]

    return work


def write(app: App) -> Work:
    """One chip from blank to locked, read back in the same breath."""

    async def work(job: Job) -> Sequence[Send]:
        document_ref = UUID(job.input["document_ref"])
        state = await app.card(document_ref)
        if state.status is not Status.BLANK_ALLOCATED or state.order is None:
            return []
        now = app.clock.now()
        prepared = {
            name: parts
            for name, parts in state.files.items()
            if name in FILE_IDS and name not in _MADE_AT_THE_BENCH
        }
        number = {chip_data.ACCESS_NUMBER: state.files[chip_data.ACCESS_NUMBER]}
        data_groups = await _opened(app, job, state.order, CHIP_FILE, prepared)
        printed = await _opened(app, job, state.order, PRINT, number)
        if data_groups is None or printed is None:
            return [_stop(document_ref, now)]
        access_number = printed[chip_data.ACCESS_NUMBER].decode("ascii")
        made = await asyncio.to_thread(app.bench.make, data_groups, access_number, now)
        own = {name: (made.files[name], OCTETS) for name in sorted(_MADE_AT_THE_BENCH)}
        try:
            async with app.database.transaction() as connection:
                stored = await archive.store(
                    connection, app.keyring, state.order.holder_id, CHIP_FILE, own
                )
        except Erased:
            return [_stop(document_ref, now)]
        command = RecordChip(now, {**prepared, **stored}, made.fault)
        return [Send(card.stream(document_ref), command, expects=_BLOCKED)]

    return work


async def _opened(
    app: App, job: Job, order: Order, field: str, files: Files
) -> dict[str, bytes] | None:
    """None once the holder was erased. Raises KeyPending."""
    return await archive.fetch(
        app.database,
        app.keyring,
        order.holder_id,
        field,
        files,
        actor=service_actor(ServiceName.CARD_PERSONALIZATION),
        reason="write-chip",
        correlation_id=job.origin.correlation_id,
    )


def _stop(document_ref: UUID, at: datetime) -> Send:
    return Send(card.stream(document_ref), BlockCard(at, BlockCause.HOLDER_ERASED))


async def _particulars(
    app: App,
    job: Job,
    document_ref: UUID,
    state: Card,
    now: datetime,
) -> Particulars | None:
    """None once the holder was erased. Raises KeyPending."""
    if state.parts is None:
        raise AssertionError("a card is prepared once its parts are there")
    order, index, image = state.parts
    named = {"face": (image,)} | ({"finger": (state.finger,)} if state.finger else {})
    images = await archive.fetch(
        app.database,
        app.keyring,
        order.holder_id,
        IMAGE,
        named,
        actor=service_actor(ServiceName.CARD_PERSONALIZATION),
        reason="prepare-card",
        correlation_id=job.origin.correlation_id,
    )
    opened = await _open_order(app, job, order)
    if images is None or opened is None:
        return None
    identity, number, wishes = opened
    return Particulars(
        document_ref=document_ref,
        document_number=number,
        access_number=f"{secrets.randbelow(10**ACCESS_NUMBER_DIGITS):0{ACCESS_NUMBER_DIGITS}}",
        identity=identity,
        face=images["face"],
        finger=images.get("finger"),
        wishes=wishes,
        region=order.region,
        made_at=now,
        valid_until=order.valid_until,
        status=StatusReference(*index),
    )


async def _open_order(
    app: App, job: Job, order: Order
) -> tuple[Identity, str, Wishes | None] | None:
    sealed: list[InRecord] = [
        InRecord(order.holder_id, "identity", order.identity),
        InRecord(order.holder_id, "document-number", order.document_number),
    ]
    if order.wishes is not None:
        sealed.append(InRecord(order.holder_id, "wishes", order.wishes))
    opened = await open_in_task(
        app.database,
        app.keyring,
        sealed,
        service=ServiceName.CARD_PERSONALIZATION,
        reason="prepare-card",
        correlation_id=job.origin.correlation_id,
    )
    if any(value is ERASED for value in opened):
        return None
    identity, number, *wishes = opened
    return identity, number, wishes[0] if wishes else None


async def _store_prepared(app: App, holder_id: UUID, made: Prepared) -> Files:
    chip: Mapping[str, tuple[bytes, str]] = {n: (o, OCTETS) for n, o in made.chip.items()}
    prints = {name: (octets, _MEDIA_TYPES[name]) for name, octets in made.prints.items()}
    async with app.database.transaction() as connection:
        files = await archive.store(connection, app.keyring, holder_id, CHIP_FILE, chip)
        return {
            **files,
            **await archive.store(connection, app.keyring, holder_id, PRINT, prints),
        }


async def _lot_with_stock(app: App) -> str | None:
    """The first by name, so that lots are emptied one after the other."""
    async with app.database.connection() as connection:
        kind: str | None = await connection.fetchval(
            "SELECT kind FROM capacities WHERE starts_with(kind, $1) AND remaining > 0"
            " ORDER BY kind LIMIT 1",
            CAPACITY,
        )
    return None if kind is None else kind.removeprefix(CAPACITY)
