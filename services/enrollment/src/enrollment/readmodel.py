"""What the desks ask: applications with their timeline and queues, holders, the rollout.

Every statement changes one row per event and only where it has not seen that version yet;
times come from events, so that a rebuild gives the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import get_args
from uuid import UUID

from asyncpg import Record

from enrollment.application_events import (
    ApplicationApproved,
    ApplicationRejected,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    BiometricsNoted,
    BiometricsOverdue,
    CardAtOffice,
    CardGone,
    CardLost,
    CardOverdue,
    CardUncollected,
    DecisionOverdue,
    DocumentReassigned,
    DuplicateNoted,
    Event,
    HandoverCompleted,
    HolderCheckNoted,
    InformationOverdue,
    InformationRequested,
    InformationSupplied,
    TicketIssued,
)
from enrollment.rollout import RolloutOpened, RolloutPaused, RolloutResumed
from epassport import Recorded, sealed
from epassport.readmodel import ReadModel, Tables

applications = ReadModel("applications", version=1, tables=("application", "application_event"))
rollouts = ReadModel("rollouts", version=1, tables=("rollout", "rollout_pause"))

QUEUE_LIMIT = 200


@applications.projects(ApplicationSubmitted)
async def submitted(wave: Sequence[Recorded[ApplicationSubmitted]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {application} AS known
               (application_id, holder_id, kind, region, office, identity, submitted_at, status,
                biometrics, information_missing, changed_at, version)
        SELECT id, holder, kind, region, office, identity::jsonb, at, 'submitted', 'awaited',
               false, at, version
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                      $7::timestamptz[], $8::int[])
               AS new (id, holder, kind, region, office, identity, at, version)
            ON CONFLICT (application_id) DO NOTHING
        """,
        [event.stream_key for event in wave],
        [event.fact.holder_id for event in wave],
        [event.fact.kind for event in wave],
        [event.fact.region for event in wave],
        [event.fact.office for event in wave],
        [sealed(event.fact.identity).model_dump_json() for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@applications.projects(ApplicationApproved, DocumentReassigned)
async def issued(
    wave: Sequence[Recorded[ApplicationApproved] | Recorded[DocumentReassigned]], tables: Tables
) -> int:
    return await tables.upsert(
        """
        UPDATE {application} AS known
           SET status = 'approved', card = 'under-way', document_ref = new.ref,
               valid_until = new.until, information_missing = false, overdue = NULL,
               changed_at = new.at, version = new.version
          FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::timestamptz[], $5::int[])
               AS new (id, ref, until, at, version)
         WHERE known.application_id = new.id AND known.version < new.version
        """,
        [event.stream_key for event in wave],
        [event.fact.document_ref for event in wave],
        [event.fact.valid_until for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@applications.projects(InformationSupplied)
async def supplied(wave: Sequence[Recorded[InformationSupplied]], tables: Tables) -> int:
    return await tables.upsert(
        """
        UPDATE {application} AS known
           SET information_missing = NOT new.complete, overdue = NULL, changed_at = new.at,
               version = new.version
          FROM unnest($1::uuid[], $2::boolean[], $3::timestamptz[], $4::int[])
               AS new (id, complete, at, version)
         WHERE known.application_id = new.id AND known.version < new.version
        """,
        [event.stream_key for event in wave],
        [event.fact.complete for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@dataclass(frozen=True)
class _Change:
    """What an event of one type always changes; None leaves a column as it is."""

    status: str | None = None
    biometrics: str | None = None
    information_missing: bool | None = None
    card: str | None = None
    overdue: str | None = None


_CHANGES: Mapping[type, _Change] = {
    BiometricsNoted: _Change(biometrics="accepted"),
    DuplicateNoted: _Change(biometrics="duplicate"),
    InformationRequested: _Change(information_missing=True),
    ApplicationRejected: _Change(status="rejected"),
    ApplicationWithdrawn: _Change(status="withdrawn"),
    CardAtOffice: _Change(card="at-office"),
    CardGone: _Change(card="gone"),
    CardLost: _Change(card="lost"),
    HandoverCompleted: _Change(status="handed-over"),
    TicketIssued: _Change(),
    HolderCheckNoted: _Change(),
    BiometricsOverdue: _Change(overdue="biometrics"),
    InformationOverdue: _Change(overdue="information"),
    DecisionOverdue: _Change(overdue="decision"),
    CardOverdue: _Change(overdue="card"),
    CardUncollected: _Change(overdue="collection"),
}


@applications.projects(*_CHANGES)
async def moved(wave: Sequence[Recorded[Event]], tables: Tables) -> int:
    changes = [_CHANGES[type(event.fact)] for event in wave]
    return await tables.upsert(
        """
        UPDATE {application} AS known
           SET status = coalesce(new.status, known.status),
               biometrics = coalesce(new.biometrics, known.biometrics),
               information_missing = coalesce(new.missing, known.information_missing),
               card = coalesce(new.card, known.card), overdue = new.overdue, changed_at = new.at,
               version = new.version
          FROM unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::text[], $5::text[],
                      $6::boolean[], $7::text[], $8::text[])
               AS new (id, at, version, status, biometrics, missing, card, overdue)
         WHERE known.application_id = new.id AND known.version < new.version
        """,
        [event.stream_key for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
        [change.status for change in changes],
        [change.biometrics for change in changes],
        [change.information_missing for change in changes],
        [change.card for change in changes],
        [change.overdue for change in changes],
    )


@applications.projects(*get_args(Event), apart=True)
async def noted_in_timeline(wave: Sequence[Recorded[Event]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {application_event} (application_id, version, event, at, actor)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[], $5::text[])
            ON CONFLICT DO NOTHING
        """,
        [event.stream_key for event in wave],
        [event.version for event in wave],
        [type(event.fact).__name__ for event in wave],
        [event.fact.at for event in wave],
        [event.actor.name for event in wave],
    )


async def application(tables: Tables, application_id: UUID) -> Record | None:
    return await tables.fetchrow(
        "SELECT * FROM {application} WHERE application_id = $1", application_id
    )


async def timeline(tables: Tables, application_id: UUID) -> list[Record]:
    return await tables.fetch(
        "SELECT event, at, actor FROM {application_event}"
        " WHERE application_id = $1 ORDER BY version",
        application_id,
    )


async def queue(tables: Tables, office: str, state: str | None) -> list[Record]:
    """Longest waiting first, nothing personal."""
    return await tables.fetch(
        """
        SELECT application_id, kind, region, state, changed_at, overdue, document_ref
          FROM {application}
         WHERE office = $1 AND state = coalesce($2::text, state)
         ORDER BY changed_at, application_id LIMIT $3
        """,
        office,
        state,
        QUEUE_LIMIT,
    )


@rollouts.projects(RolloutOpened)
async def rollout_opened(wave: Sequence[Recorded[RolloutOpened]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {rollout} (region, opens_on, quota, version)
        SELECT * FROM unnest($1::text[], $2::date[], $3::int[], $4::int[])
            ON CONFLICT (region) DO NOTHING
        """,
        [event.stream_key for event in wave],
        [event.fact.opens_on for event in wave],
        [event.fact.quota for event in wave],
        [event.version for event in wave],
    )


@rollouts.projects(RolloutPaused)
async def rollout_paused(wave: Sequence[Recorded[RolloutPaused]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {rollout_pause} (region, step, since, reason, version)
        SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::int[])
            ON CONFLICT DO NOTHING
        """,
        [event.stream_key for event in wave],
        [event.fact.step for event in wave],
        [event.fact.at for event in wave],
        [event.fact.reason for event in wave],
        [event.version for event in wave],
    )


@rollouts.projects(RolloutResumed)
async def rollout_resumed(wave: Sequence[Recorded[RolloutResumed]], tables: Tables) -> int:
    return await tables.upsert(
        """
        UPDATE {rollout_pause} AS known SET until = new.at, version = new.version
          FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::int[])
               AS new (region, step, at, version)
         WHERE known.region = new.region AND known.step = new.step AND known.until IS NULL
           AND known.version < new.version
        """,
        [event.stream_key for event in wave],
        [event.fact.step for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


async def rollout(tables: Tables, region: str) -> Record | None:
    return await tables.fetchrow("SELECT opens_on, quota FROM {rollout} WHERE region = $1", region)


async def pauses_on(tables: Tables, region: str, day: date) -> list[Record]:
    """Steps stopped at any moment of that day (UTC)."""
    return await tables.fetch(
        """
        SELECT step, reason, since, until FROM {rollout_pause}
         WHERE region = $1 AND since < $2::date + 1 AND (until IS NULL OR until >= $2::date)
         ORDER BY step, since
        """,
        region,
        day,
    )
