"""What verification's API asks: documents, phone keys, relying parties, public events."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from epassport import Publication, Recorded, Token
from epassport.database import Connection
from epassport.outbox import OutboxRow, structured
from epassport.readmodel import ReadModel, Tables
from epassport.wire import record_of
from epassport_contracts import ServiceName
from epassport_contracts.events.cloud_profile import AttestationsIssued, DeviceUnbound
from epassport_contracts.events.public import PassportStatusChanged
from epassport_contracts.registry import PUBLIC_STATUS
from verification.document_status_events import (
    DocumentActivated,
    DocumentExpected,
    DocumentExpired,
    DocumentRegistered,
    DocumentRestored,
    DocumentRevoked,
    DocumentSuspended,
    Standing,
)
from verification.publications import StandingChange, public_status
from verification.relying_party import PurposeRegistered, RelyingPartyRegistered

documents = ReadModel("document_status", version=1, tables=("document",))
status_lists = ReadModel("status_lists", version=1, tables=("status_list",))
device_keys = ReadModel("device_keys", version=1, tables=("device_key",))
relying_parties = ReadModel("relying_parties", version=1, tables=("relying_party", "purpose"))
public_events = ReadModel("public_events", version=1, tables=("public_event",))

DEVICE_KEY_KEPT = timedelta(days=7)
"""After its attestation's end, at which its codes are refused for their age. Meanwhile nobody else
can have the same key attested."""

# Consumers whose waiting records can hide a loss, a revocation or an unbound phone.
_CONSUMERS = ("reactions", device_keys.reader)


@documents.projects(DocumentExpected)
async def expected(wave: Sequence[Recorded[DocumentExpected]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {document} AS known
               (document_ref, status, since, holder_id, application_id, predecessor, valid_until,
                version)
        SELECT r, 'expected', a, h, p, d, u, v
          FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::uuid[],
                      $6::date[], $7::int[]) AS new (r, a, h, p, d, u, v)
            ON CONFLICT (document_ref) DO UPDATE
           SET status = excluded.status, since = excluded.since, holder_id = excluded.holder_id,
               application_id = excluded.application_id, predecessor = excluded.predecessor,
               valid_until = excluded.valid_until, version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.stream_key for event in wave],
        [event.fact.at for event in wave],
        [event.fact.holder_id for event in wave],
        [event.fact.application_id for event in wave],
        [event.fact.predecessor for event in wave],
        [event.fact.valid_until for event in wave],
        [event.version for event in wave],
    )


@documents.projects(DocumentRegistered)
async def registered(wave: Sequence[Recorded[DocumentRegistered]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {document} AS known
               (document_ref, status, since, holder_id, application_id, status_list_uri,
                status_index, version)
        SELECT r, 'registered', a, h, p, l, i, v
          FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::text[],
                      $6::int[], $7::int[]) AS new (r, a, h, p, l, i, v)
            ON CONFLICT (document_ref) DO UPDATE
           SET status = excluded.status, since = excluded.since,
               status_list_uri = excluded.status_list_uri,
               status_index = excluded.status_index, version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.stream_key for event in wave],
        [event.fact.at for event in wave],
        [event.fact.holder_id for event in wave],
        [event.fact.application_id for event in wave],
        [event.fact.status_list_uri for event in wave],
        [event.fact.status_index for event in wave],
        [event.version for event in wave],
    )


@status_lists.projects(DocumentRegistered, changes="any")
async def list_begun(wave: Sequence[Recorded[DocumentRegistered]], tables: Tables) -> int:
    """By the first document that has an entry there; all others change nothing."""
    return await tables.upsert(
        """
        INSERT INTO {status_list} (uri, first_entry_at)
        SELECT u, min(a) FROM unnest($1::text[], $2::timestamptz[]) AS new (u, a) GROUP BY u
            ON CONFLICT (uri) DO NOTHING
        """,
        [event.fact.status_list_uri for event in wave],
        [event.fact.at for event in wave],
    )


@documents.projects(
    DocumentActivated, DocumentSuspended, DocumentRestored, DocumentRevoked, DocumentExpired
)
async def standing_changed(wave: Sequence[Recorded[StandingChange]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {document} AS known
               (document_ref, status, since, reason, holder_id, version)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::uuid[],
                             $6::int[])
            ON CONFLICT (document_ref) DO UPDATE
           SET status = excluded.status, since = excluded.since, reason = excluded.reason,
               version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.stream_key for event in wave],
        [_STANDING[type(event.fact)] for event in wave],
        [event.fact.at for event in wave],
        [getattr(event.fact, "reason", None) for event in wave],
        [event.fact.holder_id for event in wave],
        [event.version for event in wave],
    )


_STANDING: dict[type, Standing] = {
    DocumentActivated: Standing.VALID,
    DocumentSuspended: Standing.SUSPENDED,
    DocumentRestored: Standing.VALID,
    DocumentRevoked: Standing.REVOKED,
    DocumentExpired: Standing.EXPIRED,
}


@device_keys.projects(AttestationsIssued, changes="any")
async def attested(wave: Sequence[Recorded[AttestationsIssued]], tables: Tables) -> int:
    """The first holder of a key keeps it: whoever attests it again gets no second name. Only a
    phone that is bound is attested, so a key that comes again is bound again."""
    rows = [(thumbprint, event) for event in wave for thumbprint in event.fact.thumbprints]
    return await tables.upsert(
        """
        INSERT INTO {device_key} AS known
               (thumbprint, document_ref, holder_id, device_id, expires_at, version)
        SELECT DISTINCT ON (t) t, r, h, d, e, v
          FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[],
                      $6::int[]) AS new (t, r, h, d, e, v)
         ORDER BY t, h
            ON CONFLICT (thumbprint) DO UPDATE
           SET document_ref = excluded.document_ref, device_id = excluded.device_id,
               expires_at = excluded.expires_at, unbound_at = NULL, version = excluded.version
         WHERE known.holder_id = excluded.holder_id AND known.version < excluded.version
        """,
        [thumbprint for thumbprint, _ in rows],
        [event.fact.document_ref for _, event in rows],
        [event.fact.holder_id for _, event in rows],
        [event.fact.device_id for _, event in rows],
        [event.fact.expires_at for _, event in rows],
        [event.version for _, event in rows],
    )


@device_keys.projects(AttestationsIssued, changes="any")
async def forgotten(wave: Sequence[Recorded[AttestationsIssued]], tables: Tables) -> int:
    """A holder's keys that ended long before the new ones began. By the event's own time and
    within its stream, so that a replay forgets the same."""
    return await tables.upsert(
        """
        DELETE FROM {device_key} AS known
         USING unnest($1::uuid[], $2::timestamptz[]) AS new (holder_id, at)
         WHERE known.holder_id = new.holder_id AND known.expires_at < new.at - $3::interval
        """,
        [event.fact.holder_id for event in wave],
        [event.fact.at for event in wave],
        DEVICE_KEY_KEPT,
    )


@device_keys.projects(DeviceUnbound, changes="any")
async def unbound(wave: Sequence[Recorded[DeviceUnbound]], tables: Tables) -> int:
    """Every key of the phone; one that had none changes nothing."""
    return await tables.upsert(
        """
        UPDATE {device_key} AS known SET unbound_at = new.at, version = new.version
          FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::int[])
               AS new (device_id, holder_id, at, version)
         WHERE known.device_id = new.device_id AND known.holder_id = new.holder_id
           AND known.version < new.version
        """,
        [event.fact.device_id for event in wave],
        [event.fact.holder_id for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@relying_parties.projects(RelyingPartyRegistered)
async def party_registered(wave: Sequence[Recorded[RelyingPartyRegistered]], tables: Tables) -> int:
    """Once in a stream's life, so there is nothing to guard."""
    return await tables.upsert(
        """
        INSERT INTO {relying_party} (relying_party_id, name, registered_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
        """,
        [event.stream_key for event in wave],
        [event.fact.name for event in wave],
        [event.fact.at for event in wave],
    )


@relying_parties.projects(PurposeRegistered)
async def purpose_registered(wave: Sequence[Recorded[PurposeRegistered]], tables: Tables) -> int:
    """Once for each purpose; claims travel as one text, because arrays do not nest."""
    return await tables.upsert(
        """
        INSERT INTO {purpose} (relying_party_id, purpose, claims, basis, registered_at)
        SELECT i, p, string_to_array(c, ' '), b, a
          FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
               AS new (i, p, c, b, a)
        """,
        [event.stream_key for event in wave],
        [event.fact.purpose for event in wave],
        [" ".join(event.fact.claims) for event in wave],
        [event.fact.basis for event in wave],
        [event.fact.at for event in wave],
    )


@public_events.projects(
    DocumentActivated,
    DocumentSuspended,
    DocumentRestored,
    DocumentRevoked,
    DocumentExpired,
    changes="any",
    apart=True,
)
async def made_public(wave: Sequence[Recorded[StandingChange]], tables: Tables) -> int:
    """The revocation of a document that was never in force is nobody's business."""
    changes = [(event, change) for event in wave if (change := public_status(event)) is not None]
    return await tables.upsert(
        """
        INSERT INTO {public_event} (transaction_id, position, event)
        SELECT t::xid8, p, e::jsonb
          FROM unnest($1::text[], $2::bigint[], $3::text[]) AS new (t, p, e)
        """,
        [str(event.transaction_id) for event, _ in changes],
        [event.position for event, _ in changes],
        [_cloud_event(event, change) for event, change in changes],
    )


def _cloud_event(event: Recorded[StandingChange], change: PassportStatusChanged) -> str:
    """The document that is signed and sent to the topic: same id, same members."""
    key = str(change.document_ref)
    publication = Publication(change, PUBLIC_STATUS, key)
    record = record_of(ServiceName.VERIFICATION, publication, event, 0)
    row = OutboxRow(event.position, PUBLIC_STATUS, key, record.headers, record.payload)
    return structured(row).decode()


async def document_of(tables: Tables, document_ref: UUID) -> Record | None:
    return await tables.fetchrow("SELECT * FROM {document} WHERE document_ref = $1", document_ref)


async def entries_of(tables: Tables, status_list_uri: str, entries: range) -> list[Record]:
    """Those of the list whose index is in `entries`: a million rows last longer than a statement
    may."""
    return await tables.fetch(
        "SELECT status_index, status FROM {document}"
        " WHERE status_list_uri = $1 AND status_index >= $2 AND status_index < $3",
        status_list_uri,
        entries.start,
        entries.stop,
    )


async def status_list_uris(tables: Tables) -> list[str]:
    rows = await tables.fetch("SELECT uri FROM {status_list}")
    return [row["uri"] for row in rows]


async def device_key_of(tables: Tables, thumbprint: bytes) -> Record | None:
    return await tables.fetchrow(
        "SELECT * FROM {device_key} WHERE thumbprint = $1", thumbprint.hex()
    )


async def relying_party_of(tables: Tables, relying_party_id: str) -> Record | None:
    return await tables.fetchrow(
        "SELECT * FROM {relying_party} WHERE relying_party_id = $1", relying_party_id
    )


async def purposes_of(tables: Tables, relying_party_id: str) -> list[Record]:
    return await tables.fetch(
        "SELECT purpose, claims, basis FROM {purpose} WHERE relying_party_id = $1 ORDER BY purpose",
        relying_party_id,
    )


async def public_events_after(
    tables: Tables, cursor: Token, limit: int
) -> list[tuple[Token, dict[str, object]]]:
    """CloudEvents in the order in which they were stored, each with its cursor."""
    rows = await tables.fetch(
        """
        SELECT transaction_id::text AS read_as, position, event FROM {public_event}
         WHERE (transaction_id, position) > ($1::text::xid8, $2)
         ORDER BY transaction_id, position LIMIT $3
        """,
        str(cursor.transaction_id),
        cursor.position,
        limit,
    )
    return [(Token(int(row["read_as"]), row["position"]), json.loads(row["event"])) for row in rows]


async def held_since(connection: Connection, document_ref: UUID) -> datetime | None:
    """Since when an event that may end or suspend this document waits unapplied.

    Streams that concern it: its application, its card, its holder's profile, and the cards of
    the documents that replace it. Where a whole consumer stands still, what waits there may
    concern every document (docs/decisions/0043-who-stands-still-holds-every-document.md).
    """
    since: datetime | None = await documents.on(connection).fetchval(
        """
        WITH concerned AS (
            SELECT 'application/' || application_id AS key FROM {document} WHERE document_ref = $1
             UNION ALL
            SELECT 'profile/' || holder_id FROM {document} WHERE document_ref = $1
             UNION ALL
            SELECT 'card/' || document_ref FROM {document} WHERE predecessor = $1
             UNION ALL
            SELECT 'card/' || $1::uuid)
        SELECT least(
            (SELECT min(p.parked_at) FROM parked AS p JOIN concerned AS c ON c.key = p.key
              WHERE p.consumer = ANY($2::text[])),
            (SELECT min(stands_since) FROM consumer_offsets
              WHERE consumer = ANY($2::text[]) AND stands_since IS NOT NULL))
        """,
        document_ref,
        list(_CONSUMERS),
    )
    return since


async def paused_regions(connection: Connection, step: str) -> dict[str, datetime]:
    rows = await connection.fetch("SELECT region, since FROM pauses WHERE step = $1", step)
    return {row["region"]: row["since"] for row in rows}
