"""Opening personal data for somebody: the audit row first, then the data.

The row is committed in its own transaction before anything is opened, so that nobody can
look without a trace; the holder can read who looked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from epassport.actor import Actor, service_actor
from epassport.database import Connection, Database
from epassport.keyring import SubjectKeyring
from epassport.sealing import check_place
from epassport_contracts import Sealed, ServiceName

_ACTOR: TypeAdapter[Actor] = TypeAdapter(Actor)


@dataclass(frozen=True)
class InRecord:
    """An envelope where it was found: in the record of `subject`, as its `field`."""

    subject: UUID
    field: str
    envelope: Sealed[Any]


@dataclass(frozen=True)
class Look:
    """Who opened what of a person, why and when."""

    actor: Actor
    fields: tuple[str, ...]
    reason: str
    correlation_id: UUID
    opened_at: datetime


async def open_for(
    database: Database,
    keyring: SubjectKeyring,
    envelopes: Sequence[InRecord],
    *,
    actor: Actor,
    reason: str,
    correlation_id: UUID,
) -> list[Any]:
    """Values in the order asked; ERASED for a person whose keys are destroyed.

    reason: a code that the holder will read. The row stays where opening fails: it says who
    asked. Raises KeyPending, Poison.
    """
    for item in envelopes:
        check_place(item.envelope, subject=item.subject, field=item.field)
    wanted = {(item.subject, item.envelope.purpose) for item in envelopes}
    async with database.connection() as connection:
        await _write_audit(connection, envelopes, actor, reason, correlation_id)
        keys = await keyring.opening_keys(connection, wanted)
    return [keys.open(item.envelope, subject=item.subject, field=item.field) for item in envelopes]


async def open_in_task(
    database: Database,
    keyring: SubjectKeyring,
    envelopes: Sequence[InRecord],
    *,
    service: ServiceName,
    reason: str,
    correlation_id: UUID,
) -> list[Any]:
    """As `open_for`, for work that no person looks at; audited under the service's own name."""
    return await open_for(
        database,
        keyring,
        envelopes,
        actor=service_actor(service),
        reason=reason,
        correlation_id=correlation_id,
    )


async def who_looked(connection: Connection, subject: UUID) -> list[Look]:
    """Latest first."""
    rows = await connection.fetch(
        """
        SELECT actor::text AS actor, fields, reason, correlation_id, opened_at
          FROM openings WHERE subject = $1 ORDER BY opened_at DESC, id DESC
        """,
        subject,
    )
    return [
        Look(
            _ACTOR.validate_json(row["actor"]),
            tuple(row["fields"]),
            row["reason"],
            row["correlation_id"],
            row["opened_at"],
        )
        for row in rows
    ]


async def _write_audit(
    connection: Connection,
    envelopes: Sequence[InRecord],
    actor: Actor,
    reason: str,
    correlation_id: UUID,
) -> None:
    """One row per person, all or none; outside any transaction it is committed on return."""
    fields: dict[UUID, set[str]] = {}
    for item in envelopes:
        fields.setdefault(item.subject, set()).add(item.field)
    who = _ACTOR.dump_json(actor).decode()
    await connection.executemany(
        """
        INSERT INTO openings (subject, fields, actor, reason, correlation_id)
        VALUES ($1, $2, $3::text::jsonb, $4, $5)
        """,
        [
            (subject, sorted(names), who, reason, correlation_id)
            for subject, names in fields.items()
        ],
    )
