"""What the desks ask: applications with their timeline and queues, holders, the rollout.

Every statement changes one row, for an event or for those of an application that follow each
other, and only where it has not seen that version yet: what is inserted meets the primary key,
which costs half of looking for a conflict first. Times come from events, so that a rebuild gives
the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, get_args
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


@dataclass(frozen=True)
class _Change:
    """What an event always changes; None leaves a column as it is."""

    status: str | None = None
    biometrics: str | None = None
    information_missing: bool | None = None
    card: str | None = None
    overdue: str | None = None


_ISSUED = _Change(status="approved", card="under-way", information_missing=False)
_CHANGES: Mapping[type, _Change] = {
    ApplicationSubmitted: _Change("submitted", "awaited", information_missing=False),
    ApplicationApproved: _ISSUED,
    DocumentReassigned: _ISSUED,
    InformationSupplied: _Change(),
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


@dataclass(slots=True)
class _Standing:
    """What some events in a row make of one application; None leaves a column as it is."""

    last: Recorded[Event]
    submitted: ApplicationSubmitted | None = None
    status: str | None = None
    biometrics: str | None = None
    information_missing: bool | None = None
    card: str | None = None
    overdue: str | None = None
    document_ref: UUID | None = None
    valid_until: date | None = None

    def follow(self, event: Recorded[Event]) -> None:
        change = _CHANGES[type(event.fact)]
        self.last = event
        self.overdue = change.overdue
        if change.status is not None:
            self.status = change.status
        if change.biometrics is not None:
            self.biometrics = change.biometrics
        if change.information_missing is not None:
            self.information_missing = change.information_missing
        if change.card is not None:
            self.card = change.card
        match event.fact:
            case ApplicationSubmitted():
                self.submitted = event.fact
            case ApplicationApproved() | DocumentReassigned():
                self.document_ref = event.fact.document_ref
                self.valid_until = event.fact.valid_until
            case InformationSupplied():
                self.information_missing = not event.fact.complete


@applications.projects(*_CHANGES, folds=True)
async def stands(wave: Sequence[Recorded[Event]], tables: Tables) -> int:
    found: dict[str, _Standing] = {}
    for event in wave:
        standing = found.get(event.stream)
        if standing is None:
            standing = found[event.stream] = _Standing(event)
        standing.follow(event)
    new = [one for one in found.values() if one.submitted is not None]
    known = [one for one in found.values() if one.submitted is None]
    rows = await _submitted(new, tables) if new else 0
    return rows + (await _moved(known, tables) if known else 0)


async def _submitted(new: Sequence[_Standing], tables: Tables) -> int:
    firsts = [one.submitted for one in new if one.submitted is not None]
    return await tables.upsert(
        """
        INSERT INTO {application}
               (application_id, holder_id, kind, region, office, identity, submitted_at, status,
                biometrics, information_missing, card, overdue, document_ref, valid_until,
                changed_at, version)
        SELECT id, holder, kind, region, office, identity::jsonb, submitted, status, biometrics,
               missing, card, overdue, ref, until, at, version
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                      $7::timestamptz[], $8::text[], $9::text[], $10::boolean[], $11::text[],
                      $12::text[], $13::uuid[], $14::date[], $15::timestamptz[], $16::int[])
               AS new (id, holder, kind, region, office, identity, submitted, status, biometrics,
                       missing, card, overdue, ref, until, at, version)
        """,
        [one.last.stream_key for one in new],
        [first.holder_id for first in firsts],
        [first.kind for first in firsts],
        [first.region for first in firsts],
        [first.office for first in firsts],
        [sealed(first.identity).model_dump_json() for first in firsts],
        [first.at for first in firsts],
        *_columns(new),
    )


async def _moved(known: Sequence[_Standing], tables: Tables) -> int:
    return await tables.upsert(
        """
        UPDATE {application} AS known
           SET status = coalesce(new.status, known.status),
               biometrics = coalesce(new.biometrics, known.biometrics),
               information_missing = coalesce(new.missing, known.information_missing),
               card = coalesce(new.card, known.card), overdue = new.overdue,
               document_ref = coalesce(new.ref, known.document_ref),
               valid_until = coalesce(new.until, known.valid_until), changed_at = new.at,
               version = new.version
          FROM unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::text[],
                      $7::uuid[], $8::date[], $9::timestamptz[], $10::int[])
               AS new (id, status, biometrics, missing, card, overdue, ref, until, at, version)
         WHERE known.application_id = new.id AND known.version < new.version
        """,
        [one.last.stream_key for one in known],
        *_columns(known),
    )


def _columns(standings: Sequence[_Standing]) -> list[list[Any]]:
    """From the status on, as both statements want them."""
    return [
        [one.status for one in standings],
        [one.biometrics for one in standings],
        [one.information_missing for one in standings],
        [one.card for one in standings],
        [one.overdue for one in standings],
        [one.document_ref for one in standings],
        [one.valid_until for one in standings],
        [one.last.fact.at for one in standings],
        [one.last.version for one in standings],
    ]


@applications.projects(*get_args(Event), apart=True)
async def noted_in_timeline(wave: Sequence[Recorded[Event]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {application_event} (application_id, version, event, at, actor)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[], $5::text[])
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
