"""What may be known of a holder: documents with their standing, and how far erasure is."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from asyncpg import Record

from enrollment.holder_events import (
    ApplicationNoted,
    DocumentNoted,
    ErasureCompleted,
    ErasureOrdered,
    ErasureOverdue,
    HolderRegistered,
    KeysDestroyedEverywhere,
    KeysDestroyedNoted,
    RetentionBegan,
    RetentionEnded,
    StandingNoted,
)
from epassport import Recorded
from epassport.readmodel import ReadModel, Tables

holders = ReadModel("holders", version=1, tables=("holder", "holder_document"))


@holders.projects(HolderRegistered)
async def registered(wave: Sequence[Recorded[HolderRegistered]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {holder} (holder_id, registered_at, erasure, keys_destroyed, version)
        SELECT id, at, 'none', '{}', version
          FROM unnest($1::uuid[], $2::timestamptz[], $3::int[]) AS new (id, at, version)
            ON CONFLICT (holder_id) DO NOTHING
        """,
        [event.stream_key for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


_ERASURE: Mapping[type, str] = {
    ErasureOrdered: "ordered",
    ErasureOverdue: "overdue",
    KeysDestroyedEverywhere: "keys-destroyed",
    ErasureCompleted: "completed",
}


@holders.projects(*_ERASURE)
async def erasure_moved(
    wave: Sequence[
        Recorded[ErasureOrdered | ErasureOverdue | KeysDestroyedEverywhere | ErasureCompleted]
    ],
    tables: Tables,
) -> int:
    return await tables.upsert(
        """
        UPDATE {holder} AS known
           SET erasure = new.erasure, version = new.version,
               erasure_ordered_at = coalesce(erasure_ordered_at, new.at),
               erasure_completed_at = CASE new.erasure WHEN 'completed' THEN new.at END
          FROM unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::text[])
               AS new (id, at, version, erasure)
         WHERE known.holder_id = new.id AND known.version < new.version
        """,
        [event.stream_key for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
        [_ERASURE[type(event.fact)] for event in wave],
    )


@holders.projects(KeysDestroyedNoted)
async def keys_destroyed(wave: Sequence[Recorded[KeysDestroyedNoted]], tables: Tables) -> int:
    return await tables.upsert(
        """
        UPDATE {holder} AS known
           SET keys_destroyed = array_append(keys_destroyed, service), version = new.version
          FROM unnest($1::uuid[], $2::text[], $3::int[]) AS new (id, service, version)
         WHERE known.holder_id = new.id AND known.version < new.version
        """,
        [event.stream_key for event in wave],
        [event.fact.service for event in wave],
        [event.version for event in wave],
    )


@holders.projects(DocumentNoted)
async def document_noted(wave: Sequence[Recorded[DocumentNoted]], tables: Tables) -> int:
    """A standing that was heard first stays."""
    return await tables.upsert(
        """
        INSERT INTO {holder_document} AS known
               (document_ref, holder_id, application_id, standing, since, version)
        SELECT ref, holder, application, 'handed-over', at, version
          FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::int[])
               AS new (ref, holder, application, at, version)
            ON CONFLICT (document_ref) DO UPDATE
           SET application_id = excluded.application_id, version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.fact.document_ref for event in wave],
        [event.stream_key for event in wave],
        [event.fact.application_id for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@holders.projects(StandingNoted)
async def standing_noted(wave: Sequence[Recorded[StandingNoted]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {holder_document} AS known
               (document_ref, holder_id, standing, since, version)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::int[])
            ON CONFLICT (document_ref) DO UPDATE
           SET standing = excluded.standing, since = excluded.since, version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.fact.document_ref for event in wave],
        [event.stream_key for event in wave],
        [event.fact.standing for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@holders.projects(RetentionBegan, RetentionEnded)
async def retention_moved(
    wave: Sequence[Recorded[RetentionBegan | RetentionEnded]], tables: Tables
) -> int:
    """A retention that begins anew has not ended."""
    return await tables.upsert(
        """
        UPDATE {holder} AS known
           SET retention_ended_at = CASE WHEN new.ended THEN new.at END, version = new.version
          FROM unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::boolean[])
               AS new (id, at, version, ended)
         WHERE known.holder_id = new.id AND known.version < new.version
        """,
        [event.stream_key for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
        [isinstance(event.fact, RetentionEnded) for event in wave],
    )


@holders.projects(ApplicationNoted)
async def needed_again(wave: Sequence[Recorded[ApplicationNoted]], tables: Tables) -> int:
    return await tables.upsert(
        """
        UPDATE {holder} AS known
           SET retention_ended_at = NULL, version = new.version
          FROM unnest($1::uuid[], $2::int[]) AS new (id, version)
         WHERE known.holder_id = new.id AND known.version < new.version
        """,
        [event.stream_key for event in wave],
        [event.version for event in wave],
    )


async def holder(tables: Tables, holder_id: UUID) -> Record | None:
    return await tables.fetchrow("SELECT * FROM {holder} WHERE holder_id = $1", holder_id)


async def documents(tables: Tables, holder_id: UUID) -> list[Record]:
    return await tables.fetch(
        "SELECT document_ref, application_id, standing, since FROM {holder_document}"
        " WHERE holder_id = $1 ORDER BY version",
        holder_id,
    )


async def erasure_queue(tables: Tables) -> list[Record]:
    """At most a hundred, the longest due first."""
    return await tables.fetch(
        """
        SELECT holder_id, erasure, retention_ended_at, erasure_ordered_at, keys_destroyed
          FROM {holder}
         WHERE erasure = 'overdue' OR (erasure = 'none' AND retention_ended_at IS NOT NULL)
         ORDER BY coalesce(erasure_ordered_at, retention_ended_at), holder_id
         LIMIT 100
        """
    )
