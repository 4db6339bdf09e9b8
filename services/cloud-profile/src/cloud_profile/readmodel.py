"""What the citizen's page asks: the profile with its documents, and who asked for what."""

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record

from cloud_profile.profile_events import (
    DeviceBound,
    DeviceUnbound,
    DocumentAdded,
    PortraitNoted,
    ProfileClosed,
    ProfileOpened,
    StandingNoted,
)
from epassport import Recorded, sealed
from epassport.readmodel import ReadModel, Tables
from epassport_contracts.events.verification import PresentationRefused, PresentationVerified

profiles = ReadModel(
    "profiles",
    version=1,
    tables=(
        "profile",
        "profile_document",
        "profile_standing",
        "profile_portrait",
        "profile_device",
    ),
)
access_log = ReadModel("access_log", version=1, tables=("asked",))


@profiles.projects(ProfileOpened)
async def opened(wave: Sequence[Recorded[ProfileOpened]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {profile} AS known (holder_id, opened_at, version)
        SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::int[])
            ON CONFLICT (holder_id) DO UPDATE
           SET opened_at = excluded.opened_at, version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.stream_key for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@profiles.projects(ProfileClosed)
async def closed(wave: Sequence[Recorded[ProfileClosed]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {profile} AS known (holder_id, closed_at, version)
        SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::int[])
            ON CONFLICT (holder_id) DO UPDATE
           SET closed_at = excluded.closed_at, version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.stream_key for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@profiles.projects(DocumentAdded)
async def document_added(wave: Sequence[Recorded[DocumentAdded]], tables: Tables) -> int:
    """A document is added once in its life, so there is nothing to guard."""
    return await tables.upsert(
        """
        INSERT INTO {profile_document}
               (document_ref, holder_id, document_number, identity, valid_until, added_at)
        SELECT r, h, n::jsonb, i::jsonb, u, a
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::date[],
                      $6::timestamptz[]) AS new (r, h, n, i, u, a)
        """,
        [event.fact.document_ref for event in wave],
        [event.stream_key for event in wave],
        [sealed(event.fact.document_number).model_dump_json() for event in wave],
        [sealed(event.fact.identity).model_dump_json() for event in wave],
        [event.fact.valid_until for event in wave],
        [event.fact.at for event in wave],
    )


@profiles.projects(StandingNoted)
async def standing_noted(wave: Sequence[Recorded[StandingNoted]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {profile_standing} AS known (document_ref, standing, since, version)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::int[])
            ON CONFLICT (document_ref) DO UPDATE
           SET standing = excluded.standing, since = excluded.since, version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.fact.document_ref for event in wave],
        [event.fact.standing for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@profiles.projects(PortraitNoted)
async def portrait_noted(wave: Sequence[Recorded[PortraitNoted]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {profile_portrait} AS known (document_ref, holder_id, digest, version)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[])
            ON CONFLICT (document_ref) DO UPDATE
           SET digest = excluded.digest, version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.fact.document_ref for event in wave],
        [event.stream_key for event in wave],
        [event.fact.digest for event in wave],
        [event.version for event in wave],
    )


@profiles.projects(DeviceBound)
async def device_bound(wave: Sequence[Recorded[DeviceBound]], tables: Tables) -> int:
    """A device id is bound once in its life."""
    return await tables.upsert(
        """
        INSERT INTO {profile_device} (device_id, holder_id, bound_at)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[])
        """,
        [event.fact.device_id for event in wave],
        [event.stream_key for event in wave],
        [event.fact.at for event in wave],
    )


@profiles.projects(DeviceUnbound)
async def device_unbound(wave: Sequence[Recorded[DeviceUnbound]], tables: Tables) -> int:
    return await tables.upsert(
        """
        UPDATE {profile_device} AS known SET unbound_at = new.at
          FROM unnest($1::uuid[], $2::timestamptz[]) AS new (device_id, at)
         WHERE known.device_id = new.device_id AND known.unbound_at IS NULL
        """,
        [event.fact.device_id for event in wave],
        [event.fact.at for event in wave],
    )


@access_log.projects(PresentationVerified, PresentationRefused, changes="any")
async def asked(
    wave: Sequence[Recorded[PresentationVerified | PresentationRefused]], tables: Tables
) -> int:
    """Who asked stays in its envelope, as verification sealed it."""
    facts = [event.fact for event in wave]
    return await tables.upsert(
        """
        INSERT INTO {asked}
               (presentation_id, holder_id, document_ref, form, asked, refused_because, at)
        SELECT p, h, d, f, w::jsonb, b, a
          FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                      $7::timestamptz[]) AS new (p, h, d, f, w, b, a)
            ON CONFLICT (presentation_id) DO NOTHING
        """,
        [fact.presentation_id for fact in facts],
        [fact.holder_id for fact in facts],
        [fact.document_ref for fact in facts],
        [fact.form for fact in facts],
        [fact.asked.model_dump_json() if fact.asked else None for fact in facts],
        [fact.reason if isinstance(fact, PresentationRefused) else None for fact in facts],
        [fact.at for fact in facts],
    )


async def profile_of(tables: Tables, holder_id: UUID) -> Record | None:
    return await tables.fetchrow("SELECT * FROM {profile} WHERE holder_id = $1", holder_id)


async def documents_of(tables: Tables, holder_id: UUID) -> list[Record]:
    """Oldest first, each with its standing and the digest of its portrait."""
    return await tables.fetch(
        """
        SELECT d.*, coalesce(s.standing, 'issued') AS standing, p.digest AS portrait
          FROM {profile_document} AS d
          LEFT JOIN {profile_standing} AS s USING (document_ref)
          LEFT JOIN {profile_portrait} AS p USING (document_ref)
         WHERE d.holder_id = $1 ORDER BY d.added_at
        """,
        holder_id,
    )


async def devices_of(tables: Tables, holder_id: UUID) -> list[Record]:
    return await tables.fetch(
        "SELECT * FROM {profile_device} WHERE holder_id = $1 ORDER BY bound_at", holder_id
    )


async def asked_about(tables: Tables, holder_id: UUID) -> list[Record]:
    """Who asked, latest first."""
    return await tables.fetch(
        "SELECT * FROM {asked} WHERE holder_id = $1 ORDER BY at DESC, presentation_id", holder_id
    )
