"""card-personalization over HTTP: stock, inspection, batches, and the card at its office."""

import base64
from typing import Annotated, Literal
from uuid import UUID

from asyncpg import Record
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from card_personalization import archive, batch, blank_lot, card, readmodel
from card_personalization.archive import CHIP_FILE, PRINT
from card_personalization.batch import CloseBatch, DispatchBatch, OpenBatch
from card_personalization.bench import CLOSED_FILES
from card_personalization.blank_lot import MAX_BLANKS, ReceiveBlanks
from card_personalization.card_commands import (
    AcceptQuality,
    OfficerId,
    PackCard,
    ReceiveCard,
    RejectQuality,
    ReportLostInTransit,
    ReturnCard,
)
from card_personalization.card_events import Status
from card_personalization.chip_data import IDENTITY_CODE, PNG, SMALL_CODE
from card_personalization.context import App
from epassport import Outcome, Role
from epassport.access import AccessTable
from epassport.http import Call, Routes, View, json_response
from epassport.problems import NotFound, Problem
from epassport.problems import Reason as ProblemReason
from epassport_credentials.lds import FILE_IDS

QUEUE_LIMIT = 500

_BUREAU = {Role.CARD_OPERATOR, Role.CARD_INSPECTOR}

ACCESS = AccessTable(
    {
        "receive-blanks": {Role.CARD_OPERATOR},
        "read-lot": _BUREAU,
        "accept-quality": {Role.CARD_INSPECTOR},
        "reject-quality": {Role.CARD_INSPECTOR},
        "open-batch": {Role.CARD_OPERATOR},
        "pack-card": {Role.CARD_OPERATOR},
        "close-batch": {Role.CARD_OPERATOR},
        "dispatch-batch": {Role.CARD_OPERATOR, Role.COURIER},
        "read-batch": _BUREAU | {Role.COURIER},
        "receive-card": {Role.HAND_OVER_OFFICER},
        "report-card-lost": {Role.COURIER, Role.CARD_OPERATOR},
        "return-card": {Role.HAND_OVER_OFFICER},
        "read-card": _BUREAU | {Role.HAND_OVER_OFFICER, Role.COURIER, Role.SUPERVISOR},
        "read-card-files": {Role.CARD_INSPECTOR},
        "read-card-face": {Role.CARD_INSPECTOR},
        "read-card-codes": {Role.CARD_INSPECTOR},
        "list-queue": _BUREAU,
    }
)
routes = Routes(ACCESS)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,60}$")]
ReasonCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,60}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BlanksBody(_Body):
    lot_id: Name
    count: Annotated[int, Field(ge=1, le=MAX_BLANKS)]


class RejectBody(_Body):
    reason: ReasonCode


class BatchBody(_Body):
    office: Name


class PackBody(_Body):
    batch_id: UUID


class CourierBody(_Body):
    courier: Name


@routes.command("receive-blanks", "/v1/blank-lots")
async def receive_blanks(body: BlanksBody, call: Call[App]) -> Outcome:
    command = ReceiveBlanks(call.now, body.lot_id, body.count)
    return await call.send(blank_lot.stream(body.lot_id), command)


@routes.command("accept-quality", "/v1/cards/{document_ref}/accept-quality")
async def accept_quality(document_ref: UUID, call: Call[App]) -> Outcome:
    await _known_card(call, document_ref)
    command = AcceptQuality(call.now, OfficerId.of(call.actor))
    return await call.send(card.stream(document_ref), command)


@routes.command("reject-quality", "/v1/cards/{document_ref}/reject-quality")
async def reject_quality(document_ref: UUID, body: RejectBody, call: Call[App]) -> Outcome:
    await _known_card(call, document_ref)
    command = RejectQuality(call.now, OfficerId.of(call.actor), body.reason)
    return await call.send(card.stream(document_ref), command)


@routes.command("open-batch", "/v1/batches")
async def open_batch(body: BatchBody, call: Call[App]) -> Outcome:
    batch_id = call.new_id("batch")
    command = OpenBatch(call.now, body.office)
    return await call.send(batch.stream(batch_id), command, answer={"batch_id": str(batch_id)})


@routes.command("pack-card", "/v1/cards/{document_ref}/pack")
async def pack_card(document_ref: UUID, body: PackBody, call: Call[App]) -> Outcome:
    await _known_card(call, document_ref)
    command = PackCard(call.now, OfficerId.of(call.actor), body.batch_id)
    reads = [batch.stream(body.batch_id)]
    return await call.send(card.stream(document_ref), command, reads=reads)


@routes.command("close-batch", "/v1/batches/{batch_id}/close")
async def close_batch(batch_id: UUID, call: Call[App]) -> Outcome:
    await _known_batch(call, batch_id)
    return await call.send(batch.stream(batch_id), CloseBatch(call.now))


@routes.command("dispatch-batch", "/v1/batches/{batch_id}/dispatch")
async def dispatch_batch(batch_id: UUID, body: CourierBody, call: Call[App]) -> Outcome:
    await _known_batch(call, batch_id)
    return await call.send(batch.stream(batch_id), DispatchBatch(call.now, body.courier))


@routes.command("receive-card", "/v1/cards/{document_ref}/receive")
async def receive_card(document_ref: UUID, call: Call[App]) -> Outcome:
    await _known_card(call, document_ref)
    command = ReceiveCard(call.now, OfficerId.of(call.actor), call.actor.office)
    return await call.send(card.stream(document_ref), command)


@routes.command("report-card-lost", "/v1/cards/{document_ref}/lost-in-transit")
async def report_card_lost(document_ref: UUID, call: Call[App]) -> Outcome:
    await _known_card(call, document_ref)
    command = ReportLostInTransit(call.now, OfficerId.of(call.actor))
    return await call.send(card.stream(document_ref), command)


@routes.command("return-card", "/v1/cards/{document_ref}/return")
async def return_card(document_ref: UUID, call: Call[App]) -> Outcome:
    await _known_card(call, document_ref)
    command = ReturnCard(call.now, OfficerId.of(call.actor), call.actor.office)
    return await call.send(card.stream(document_ref), command)


@routes.query("read-lot", "/v1/blank-lots/{lot_id}", reads=("lots",))
async def read_lot(lot_id: Name, view: View[App]) -> Response:
    async with view.database.connection() as connection:
        row = await readmodel.lot_of(readmodel.lots.on(connection), lot_id)
    if row is None:
        raise NotFound
    return json_response(
        {name: row[name] for name in ("lot_id", "received", "used", "spoiled", "in_stock")}
    )


@routes.query("read-batch", "/v1/batches/{batch_id}", reads=("batches",))
async def read_batch(batch_id: UUID, view: View[App]) -> Response:
    async with view.database.connection() as connection:
        tables = readmodel.batches.on(connection)
        row = await readmodel.batch_of(tables, batch_id)
        packed = await readmodel.cards_in(tables, batch_id)
    if row is None:
        raise NotFound
    names = ("batch_id", "office", "status", "since", "courier")
    return json_response({**{name: row[name] for name in names}, "cards": packed})


@routes.query("read-card", "/v1/cards/{document_ref}", reads=("cards",))
async def read_card(document_ref: UUID, view: View[App]) -> Response:
    """Where the card is and how it came there; nothing personal."""
    async with view.database.connection() as connection:
        tables = readmodel.cards.on(connection)
        row = await readmodel.card_of(tables, document_ref)
        history = await readmodel.history_of(tables, document_ref)
    if row is None:
        raise NotFound
    return json_response(
        {
            "document_ref": document_ref,
            "state": row["status"],
            "since": row["since"],
            "application_id": row["application_id"],
            "office": row["office"],
            "region": row["region"],
            "history": [dict(entry) for entry in history],
        }
    )


@routes.query("list-queue", "/v1/queue", reads=("cards",))
async def list_queue(view: View[App], state: Status | None = None) -> Response:
    """Cards in one state, or in any, oldest first; at most 500."""
    async with view.database.connection() as connection:
        rows = await readmodel.queue(readmodel.cards.on(connection), state, QUEUE_LIMIT)
    return json_response(
        {
            "cards": [
                {
                    "document_ref": row["document_ref"],
                    "state": row["status"],
                    "since": row["since"],
                    "office": row["office"],
                    "region": row["region"],
                }
                for row in rows
            ]
        }
    )


_OPEN_FILES = tuple(name for name in FILE_IDS if name not in CLOSED_FILES)


@routes.query("read-card-files", "/v1/cards/{document_ref}/files", reads=("cards",))
async def read_card_files(document_ref: UUID, view: View[App]) -> Response:
    """The files of the chip by name, base64, as the locked chip gives them: DG3 is closed to
    whoever has no right to it, and so it is here."""
    opened = await _open(view, document_ref, CHIP_FILE, _OPEN_FILES)
    return json_response(
        {name: base64.b64encode(octets).decode() for name, octets in opened.items()}
    )


@routes.query("read-card-face", "/v1/cards/{document_ref}/faces/{side}", reads=("cards",))
async def read_card_face(
    document_ref: UUID, side: Literal["front", "back"], view: View[App]
) -> Response:
    opened = await _open(view, document_ref, PRINT, (side,))
    return Response(opened[side], media_type=PNG)


@routes.query("read-card-codes", "/v1/cards/{document_ref}/codes", reads=("cards",))
async def read_card_codes(document_ref: UUID, view: View[App]) -> Response:
    """The texts of both codes, as a scanner would read them."""
    opened = await _open(view, document_ref, PRINT, (SMALL_CODE, IDENTITY_CODE))
    return json_response(
        {"small": opened[SMALL_CODE].decode(), "identity": opened[IDENTITY_CODE].decode()}
    )


async def _known_card(call: Call[App], document_ref: UUID) -> None:
    """An id that nobody has heard of leaves no trace."""
    if await call.app.card(document_ref) == card.aggregate.initial:
        raise NotFound


async def _known_batch(call: Call[App], batch_id: UUID) -> None:
    if await call.app.batch(batch_id) == batch.aggregate.initial:
        raise NotFound


async def _open(
    view: View[App], document_ref: UUID, field: str, names: tuple[str, ...]
) -> dict[str, bytes]:
    """Those of the named files that the card has, opened for the inspector, audited."""
    async with view.database.connection() as connection:
        tables = readmodel.cards.on(connection)
        row: Record | None = await readmodel.card_of(tables, document_ref)
        known = await readmodel.files_of(tables, document_ref)
    wanted = {name: known[name] for name in names if name in known}
    if row is None or not wanted:
        raise NotFound
    opened = await archive.fetch(
        view.database,
        view.keyring,
        row["holder_id"],
        field,
        wanted,
        actor=view.actor,
        reason="card-inspection",
        correlation_id=view.correlation_id,
    )
    if opened is None:
        raise Problem(ProblemReason.ERASED)
    return opened
