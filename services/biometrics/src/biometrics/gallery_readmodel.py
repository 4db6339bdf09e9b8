"""The gallery as the engine follows it.

Its order is the event store's own: an entry's place is that of the event that entered it, and
no event is projected before another that precedes it. So "every entry before this one" means
the same whoever asks, and whenever.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from asyncpg import Record

from biometrics.record_events import OwnRecordMissing, RecordRetired, SamplesReceived
from epassport import Recorded, Token
from epassport.keyring_stream import KeysDestroyed
from epassport.readmodel import ReadModel, Tables

gallery = ReadModel("gallery", version=2, tables=("gallery_entry",))


@gallery.projects(SamplesReceived)
async def entered(wave: Sequence[Recorded[SamplesReceived]], tables: Tables) -> int:
    """Before any search of it, so that of two captures of one person the later sees the other."""
    return await tables.upsert(
        """
        INSERT INTO {gallery_entry}
               (capture_id, application_id, holder_id, positions, templates, engine,
                entered_transaction, entered_position, changed_transaction, changed_position)
        SELECT c, a, h, string_to_array(f, ' '), string_to_array(t, ' '), e, x, p, x, p
          FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                      $7::bigint[], $8::bigint[]) AS new (c, a, h, f, t, e, x, p)
        """,
        [event.fact.capture_id for event in wave],
        [event.fact.application_id for event in wave],
        [event.stream_key for event in wave],
        [" ".join(each.position for each in event.fact.samples.fingers) for event in wave],
        [" ".join(each.template for each in event.fact.samples.fingers) for event in wave],
        [event.fact.samples.engine for event in wave],
        [event.transaction_id for event in wave],
        [event.position for event in wave],
    )


@gallery.projects(OwnRecordMissing, RecordRetired, KeysDestroyed, changes="any")
async def left(
    wave: Sequence[Recorded[OwnRecordMissing | RecordRetired | KeysDestroyed]], tables: Tables
) -> int:
    """One capture, what one application brought, or everything of a holder."""
    return await tables.upsert(
        """
        UPDATE {gallery_entry} AS known
           SET present = false, changed_transaction = new.transaction_id,
               changed_position = new.position
          FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[])
               AS new (capture_id, application_id, holder_id, transaction_id, position)
         WHERE known.present
           AND (known.capture_id = new.capture_id OR known.application_id = new.application_id
                OR known.holder_id = new.holder_id)
        """,
        *_leaving(wave),
        [event.transaction_id for event in wave],
        [event.position for event in wave],
    )


def _leaving(
    wave: Sequence[Recorded[OwnRecordMissing | RecordRetired | KeysDestroyed]],
) -> tuple[list[UUID | None], list[UUID | None], list[UUID | None]]:
    """Three columns, of which each event fills one."""
    columns: tuple[list[UUID | None], list[UUID | None], list[UUID | None]] = ([], [], [])
    for event in wave:
        match event.fact:
            case OwnRecordMissing(capture_id=capture_id):
                filled, named = 0, capture_id
            case RecordRetired(application_id=application_id, wholly=False):
                filled, named = 1, application_id
            case RecordRetired():
                filled, named = 2, UUID(event.stream_key)
            case KeysDestroyed(holder_id=holder_id):
                filled, named = 2, holder_id
        for index, column in enumerate(columns):
            column.append(named if index == filled else None)
    return columns


async def gallery_figures(tables: Tables) -> Record | None:
    return await tables.fetchrow(
        """
        SELECT count(*) FILTER (WHERE present) AS size, max(engine) FILTER (WHERE present) AS engine
          FROM {gallery_entry}
        """
    )


async def size(tables: Tables) -> int:
    return int(await tables.fetchval("SELECT count(*) FROM {gallery_entry} WHERE present"))


async def last_change(tables: Tables) -> Token:
    row = await tables.fetchrow(
        """
        SELECT changed_transaction, changed_position FROM {gallery_entry}
         ORDER BY changed_transaction DESC, changed_position DESC LIMIT 1
        """
    )
    return Token(0, 0) if row is None else Token(*row)


async def changes_after(tables: Tables, place: Token, limit: int) -> list[Record]:
    """Entries that came or left since, in order; those of one event are never torn apart."""
    return await tables.fetch(
        """
        SELECT capture_id, holder_id, positions, templates, present, changed_transaction,
               changed_position
          FROM {gallery_entry}
         WHERE (changed_transaction, changed_position) > ($1, $2)
         ORDER BY changed_transaction, changed_position
         FETCH FIRST $3 ROWS WITH TIES
        """,
        place.transaction_id,
        place.position,
        limit,
    )


async def present_after(tables: Tables, capture_id: UUID, limit: int) -> list[Record]:
    """The gallery page by page, in no meaningful order."""
    return await tables.fetch(
        """
        SELECT capture_id, holder_id, positions, templates FROM {gallery_entry}
         WHERE present AND capture_id > $1 ORDER BY capture_id LIMIT $2
        """,
        capture_id,
        limit,
    )


async def left_after(tables: Tables, capture_id: UUID, limit: int) -> list[UUID]:
    """What was in the gallery once, page by page, in no meaningful order."""
    rows = await tables.fetch(
        """
        SELECT capture_id FROM {gallery_entry}
         WHERE NOT present AND capture_id > $1 ORDER BY capture_id LIMIT $2
        """,
        capture_id,
        limit,
    )
    return [row["capture_id"] for row in rows]


async def holders_before(
    tables: Tables, captures: Collection[UUID], place: Token
) -> Mapping[UUID, UUID]:
    """Of these captures, those that were entered before `place` and have not left."""
    rows = await tables.fetch(
        """
        SELECT capture_id, holder_id FROM {gallery_entry}
         WHERE capture_id = ANY($1::uuid[]) AND present
           AND (entered_transaction, entered_position) < ($2, $3)
        """,
        list(captures),
        place.transaction_id,
        place.position,
    )
    return {row["capture_id"]: row["holder_id"] for row in rows}
