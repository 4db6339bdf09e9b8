"""What the bureau asks: each card with its history and files, the stock, the batches."""

import json
from collections.abc import Sequence
from typing import get_args
from uuid import UUID

from asyncpg import Record

from card_personalization.batch import (
    BatchClosed,
    BatchDispatched,
    BatchOpened,
    CardNoted,
)
from card_personalization.batch import Status as BatchStatus
from card_personalization.blank_lot import BlankSpoiled, BlanksReceived, BlankUsed
from card_personalization.card_commands import Files
from card_personalization.card_events import (
    STATUS_AFTER,
    BlankAllocated,
    CardBlocked,
    CardDispatched,
    CardOrdered,
    CardPacked,
    CardSpoiled,
    ChipDataPrepared,
    ChipReadBack,
    ChipWritten,
    Event,
    QualityRejected,
    Status,
)
from epassport import Recorded
from epassport.readmodel import ReadModel, Tables

cards = ReadModel("cards", version=1, tables=("card", "card_event", "card_file"))
lots = ReadModel("lots", version=1, tables=("blank_lot",))
batches = ReadModel("batches", version=1, tables=("batch", "batch_card"))


@cards.projects(*get_args(Event), apart=True)
async def noted_in_history(wave: Sequence[Recorded[Event]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {card_event} (document_ref, version, event, detail, at, actor)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::timestamptz[],
                             $6::text[])
        """,
        [event.stream_key for event in wave],
        [event.version for event in wave],
        [type(event.fact).__name__ for event in wave],
        [_detail(event.fact) for event in wave],
        [event.fact.at for event in wave],
        [event.actor.name for event in wave],
    )


def _detail(fact: Event) -> str | None:
    match fact:
        case BlankAllocated(lot_id=lot_id) | CardSpoiled(lot_id=lot_id):
            return lot_id
        case ChipReadBack(fault=fault):
            return fault
        case QualityRejected(reason=reason):
            return reason
        case CardPacked(batch_id=batch_id):
            return str(batch_id)
        case CardDispatched(courier=courier):
            return courier
        case CardBlocked(cause=cause):
            return cause
    return None


@cards.projects(CardOrdered)
async def ordered(wave: Sequence[Recorded[CardOrdered]], tables: Tables) -> int:
    """A card is ordered once in its life, and never after it was blocked."""
    return await tables.upsert(
        """
        INSERT INTO {card} (document_ref, status, since, application_id, holder_id, office,
                            region, version)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[], $5::uuid[],
                             $6::text[], $7::text[], $8::int[])
        """,
        [event.stream_key for event in wave],
        [Status.PREPARING] * len(wave),
        [event.fact.at for event in wave],
        [event.fact.application_id for event in wave],
        [event.fact.holder_id for event in wave],
        [event.fact.office for event in wave],
        [event.fact.region for event in wave],
        [event.version for event in wave],
    )


@cards.projects(*STATUS_AFTER)
async def moved(wave: Sequence[Recorded[Event]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {card} AS known (document_ref, status, since, version)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::int[])
            ON CONFLICT (document_ref) DO UPDATE
           SET status = excluded.status, since = excluded.since, version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.stream_key for event in wave],
        [STATUS_AFTER[type(event.fact)] for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@cards.projects(ChipDataPrepared, ChipWritten, changes="any")
async def files_made(
    wave: Sequence[Recorded[ChipDataPrepared | ChipWritten]], tables: Tables
) -> int:
    rows = [(event, *item) for event in wave for item in event.fact.files.items()]
    return await tables.upsert(
        """
        INSERT INTO {card_file} AS known (document_ref, name, digests, version)
        SELECT r, n, ARRAY(SELECT jsonb_array_elements_text(d::jsonb)), v
          FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[]) AS new (r, n, d, v)
            ON CONFLICT (document_ref, name) DO UPDATE
           SET digests = excluded.digests, version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.stream_key for event, _, _ in rows],
        [name for _, name, _ in rows],
        [json.dumps(digests) for _, _, digests in rows],
        [event.version for event, _, _ in rows],
    )


@lots.projects(BlanksReceived)
async def blanks_received(wave: Sequence[Recorded[BlanksReceived]], tables: Tables) -> int:
    """A lot is received once."""
    return await tables.upsert(
        """
        INSERT INTO {blank_lot} (lot_id, received, used, spoiled, received_at, version)
        SELECT l, n, 0, 0, a, v
          FROM unnest($1::text[], $2::int[], $3::timestamptz[], $4::int[]) AS new (l, n, a, v)
        """,
        [event.stream_key for event in wave],
        [event.fact.count for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@lots.projects(BlankUsed, BlankSpoiled)
async def blank_counted(wave: Sequence[Recorded[BlankUsed | BlankSpoiled]], tables: Tables) -> int:
    """A spoiled blank was counted as used before."""
    spoiled = [int(isinstance(event.fact, BlankSpoiled)) for event in wave]
    return await tables.upsert(
        """
        UPDATE {blank_lot} AS known
           SET used = known.used + 1 - 2 * new.spoiled, spoiled = known.spoiled + new.spoiled,
               version = new.version
          FROM unnest($1::text[], $2::int[], $3::int[]) AS new (lot_id, spoiled, version)
         WHERE known.lot_id = new.lot_id AND known.version < new.version
        """,
        [event.stream_key for event in wave],
        spoiled,
        [event.version for event in wave],
    )


@batches.projects(BatchOpened)
async def batch_opened(wave: Sequence[Recorded[BatchOpened]], tables: Tables) -> int:
    """A batch is opened once."""
    return await tables.upsert(
        """
        INSERT INTO {batch} (batch_id, office, status, since, version)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::int[])
        """,
        [event.stream_key for event in wave],
        [event.fact.office for event in wave],
        [BatchStatus.OPEN] * len(wave),
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@batches.projects(BatchClosed, BatchDispatched)
async def batch_moved(
    wave: Sequence[Recorded[BatchClosed | BatchDispatched]], tables: Tables
) -> int:
    facts = [event.fact for event in wave]
    return await tables.upsert(
        """
        UPDATE {batch} AS known
           SET status = new.status, since = new.since, courier = new.courier,
               version = new.version
          FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::int[])
               AS new (batch_id, status, since, courier, version)
         WHERE known.batch_id = new.batch_id AND known.version < new.version
        """,
        [event.stream_key for event in wave],
        [
            BatchStatus.DISPATCHED if isinstance(fact, BatchDispatched) else BatchStatus.CLOSED
            for fact in facts
        ],
        [fact.at for fact in facts],
        [fact.courier if isinstance(fact, BatchDispatched) else None for fact in facts],
        [event.version for event in wave],
    )


@batches.projects(CardNoted)
async def card_noted(wave: Sequence[Recorded[CardNoted]], tables: Tables) -> int:
    """A batch notes a card once."""
    return await tables.upsert(
        """
        INSERT INTO {batch_card} (batch_id, document_ref)
        SELECT * FROM unnest($1::uuid[], $2::uuid[])
        """,
        [event.stream_key for event in wave],
        [event.fact.document_ref for event in wave],
    )


async def card_of(tables: Tables, document_ref: UUID) -> Record | None:
    return await tables.fetchrow("SELECT * FROM {card} WHERE document_ref = $1", document_ref)


async def history_of(tables: Tables, document_ref: UUID) -> list[Record]:
    """Oldest first."""
    return await tables.fetch(
        "SELECT event, detail, at, actor FROM {card_event} WHERE document_ref = $1"
        " ORDER BY version",
        document_ref,
    )


async def files_of(tables: Tables, document_ref: UUID) -> Files:
    """Digests by the names of all files that the card has now."""
    rows = await tables.fetch(
        "SELECT name, digests FROM {card_file} WHERE document_ref = $1 ORDER BY name",
        document_ref,
    )
    return {row["name"]: tuple(row["digests"]) for row in rows}


async def queue(tables: Tables, status: Status | None, limit: int) -> list[Record]:
    """Who has waited longest comes first."""
    return await tables.fetch(
        """
        SELECT document_ref, status, since, office, region FROM {card}
         WHERE status = $1 OR $1 IS NULL ORDER BY since, document_ref LIMIT $2
        """,
        status,
        limit,
    )


async def lot_of(tables: Tables, lot_id: str) -> Record | None:
    return await tables.fetchrow(
        "SELECT *, received - used - spoiled AS in_stock FROM {blank_lot} WHERE lot_id = $1",
        lot_id,
    )


async def batch_of(tables: Tables, batch_id: UUID) -> Record | None:
    return await tables.fetchrow("SELECT * FROM {batch} WHERE batch_id = $1", batch_id)


async def cards_in(tables: Tables, batch_id: UUID) -> list[UUID]:
    rows = await tables.fetch(
        "SELECT document_ref FROM {batch_card} WHERE batch_id = $1 ORDER BY document_ref", batch_id
    )
    return [row["document_ref"] for row in rows]
