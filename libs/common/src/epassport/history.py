"""A hash chain over all events of a service: what it says happened cannot be changed unseen.

Events are linked after they are stored, page by page, in the order in which readers get them
(transaction id, position); linking inside the append would put all commands in one line. Each
link's head covers the head before it and every event of its page, sealed values as stored: an
erased person's keys go, the envelopes stay, so erasure changes nothing here. The head is
published on the service's history topic, which is kept for ever outside its database; from
then on not even the database's owner can rewrite the chain (`epassport.audit`).

A restored database may have lost links that are on the topic. Their numbers are used up: the chain
goes on after them with a link over no event, whose head covers who accepted the loss and why.

An event is linked within LINK_SECONDS after readers may see it.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from asyncpg import Record

from epassport import signals
from epassport.actor import service_actor
from epassport.backoff import Backoff
from epassport.catalog import Publication
from epassport.commands import Token
from epassport.database import Connection, Database
from epassport.decider import StreamId
from epassport.events import Origin, Recorded
from epassport.faults import is_transient
from epassport.outbox import shard_of, write_record
from epassport.signals import Signals
from epassport.wire import record_of
from epassport_contracts import ServiceName
from epassport_contracts.events.history import HistoryLinked
from epassport_contracts.registry import history_topic

log = structlog.get_logger(__name__)

LINK_SECONDS = 10.0
PAGE = 1000
MARK_BYTES = 8

# Every column, as text: PostgreSQL text holds no NUL, so joined by NUL they are unambiguous.
EVENT_AS_TEXT = """
    transaction_id::text AS read_as, position::text AS at, stream_id, version::text AS nth,
    event_id::text AS id, type, schema_version::text AS shape, data::text AS fact,
    metadata::text AS origin, ((extract(epoch FROM recorded_at) * 1000000)::bigint)::text AS noted
"""

ACTION_AS_TEXT = """
    action_id::text AS id, action, target::text AS target, found::text AS found,
    actor::text AS actor, reason, ((extract(epoch FROM done_at) * 1000000)::bigint)::text AS done
"""


@dataclass(frozen=True)
class Link:
    """One page of events.

    number: counts from 1; events: how many this and all links before cover
    last: the last event covered
    positions, marks: of each event its position and the first octets of its digest, which
    say where a page was changed; that it was not, says the head alone
    accepted_by: of a link over no event, the operator's action after which the links between
    this one and the one before, lost in a restore, are missed no more
    """

    number: int
    events: int
    last: Token
    positions: Sequence[int]
    marks: Sequence[bytes]
    head: bytes
    accepted_by: UUID | None = None


def digest_of(row: Record) -> bytes:
    """SHA-256 over every column, as EVENT_AS_TEXT or ACTION_AS_TEXT gives them."""
    return hashlib.sha256("\0".join(row).encode()).digest()


def origin_of(service: ServiceName) -> bytes:
    """What stands in the place of a head before the first link; of this service only."""
    return hashlib.sha256(f"epassport history v1\n{service}".encode()).digest()


def head_after(head: bytes, digests: Sequence[bytes]) -> bytes:
    return hashlib.sha256(head + b"".join(digests)).digest()


def next_link(before: Link | None, service: ServiceName, events: Sequence[Record]) -> Link:
    """events: the next ones in reading order, at least one."""
    digests = [digest_of(event) for event in events]
    return Link(
        number=before.number + 1 if before else 1,
        events=(before.events if before else 0) + len(events),
        last=Token(int(events[-1]["read_as"]), int(events[-1]["at"])),
        positions=[int(event["at"]) for event in events],
        marks=[digest[:MARK_BYTES] for digest in digests],
        head=head_after(before.head if before else origin_of(service), digests),
    )


def link_over_gap(before: Link | None, service: ServiceName, number: int, accepted: Record) -> Link:
    """It covers the events that the link before covers. accepted: an operator's action."""
    return Link(
        number=number,
        events=before.events if before else 0,
        last=before.last if before else Token(0, 0),
        positions=(),
        marks=(),
        head=head_after(before.head if before else origin_of(service), [digest_of(accepted)]),
        accepted_by=UUID(accepted["id"]),
    )


async def read_action(connection: Connection, action_id: UUID) -> Record | None:
    return await connection.fetchrow(
        f"SELECT {ACTION_AS_TEXT} FROM operator_actions"  # noqa: S608 - a constant
        " WHERE action_id = $1",
        action_id,
    )


async def read_links(connection: Connection, *, after: int, at_most: int) -> list[Link]:
    rows = await connection.fetch(
        "SELECT link, events, transaction_id::text, position, positions, marks, head,"
        " accepted_by FROM history_links WHERE link > $1 ORDER BY link LIMIT $2",
        after,
        at_most,
    )
    return [link_of(row) for row in rows]


def link_of(row: Record) -> Link:
    marks: bytes = row["marks"]
    return Link(
        row["link"],
        row["events"],
        Token(int(row["transaction_id"]), row["position"]),
        row["positions"],
        [marks[at : at + MARK_BYTES] for at in range(0, len(marks), MARK_BYTES)],
        row["head"],
        row["accepted_by"],
    )


class History:
    """Links what is new every LINK_SECONDS. Two replicas may run: one of them writes a link."""

    def __init__(
        self,
        service: ServiceName,
        database: Database,
        hints: Signals,
        now: Callable[[], datetime],
    ) -> None:
        self._service = service
        self._database = database
        self._signals = hints
        self._now = now
        self._backoff = Backoff(timedelta(seconds=1), timedelta(seconds=LINK_SECONDS))

    async def run(self) -> None:
        """Until cancelled. A fault of the outside is waited out."""
        while True:
            try:
                while await self.step() == PAGE:
                    pass
                self._backoff.reset()
                await asyncio.sleep(LINK_SECONDS)
            except Exception as fault:
                if not is_transient(fault):
                    raise
                log.warning("history-waits", fault=type(fault).__name__)
                await asyncio.sleep(self._backoff.seconds())

    async def step(self) -> int:
        """Link one page; returns how many events were found to link."""
        async with self._database.connection() as connection:
            before = await last_link(connection)
            events = await _unlinked(connection, before.last if before else Token(0, 0))
        if not events:
            return 0
        link = next_link(before, self._service, events)
        async with self._database.transaction() as connection:
            if await _write(connection, link):
                await self._publish(connection, link, UUID(events[-1]["id"]))
        shard = shard_of(history_topic(self._service), self._service)
        self._signals.committed({signals.outbox(shard)})
        return len(events)

    async def go_on_after_loss(self, connection: Connection, lost: int, accepted_by: UUID) -> None:
        """In a restored database, in the transaction that has recorded the operator's action.

        lost: how many links after the last stored one are on the topic.
        """
        before = await last_link(connection)
        action = await read_action(connection, accepted_by)
        if action is None:
            raise LookupError(f"no action {accepted_by}")
        follows = before.number if before else 0
        link = link_over_gap(before, self._service, follows + lost + 1, action)
        await _write(connection, link)
        await self._publish(connection, link, accepted_by, follows=follows)

    async def _publish(
        self, connection: Connection, link: Link, cause_id: UUID, *, follows: int | None = None
    ) -> None:
        fact = HistoryLinked(
            at=self._now(),
            service=self._service,
            link=link.number,
            events=link.events,
            transaction_id=link.last.transaction_id,
            position=link.last.position,
            head=link.head.hex(),
            follows=follows,
        )
        stream = StreamId(f"history/{self._service}")
        origin = Origin(service_actor(self._service), cause_id)
        cause: Recorded[Any] = Recorded(fact, stream, link.number, 0, 0, cause_id, origin, fact.at)
        publication = Publication(fact, history_topic(self._service), str(self._service))
        record = record_of(self._service, publication, cause, 0)
        await write_record(connection, publication, record)


async def last_link(connection: Connection) -> Link | None:
    row = await connection.fetchrow(
        "SELECT link, events, transaction_id::text, position, '{}'::bigint[] AS positions,"
        " ''::bytea AS marks, head, accepted_by FROM history_links ORDER BY link DESC LIMIT 1"
    )
    return None if row is None else link_of(row)


async def _unlinked(connection: Connection, after: Token) -> list[Record]:
    """The same events that any reader may see, and no other: none can come before them later."""
    return await connection.fetch(
        f"SELECT {EVENT_AS_TEXT} FROM events"  # noqa: S608 - a constant
        " WHERE (transaction_id, position) > ($1::text::xid8, $2)"
        " AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())"
        " ORDER BY transaction_id, position LIMIT $3",
        str(after.transaction_id),
        after.position,
        PAGE,
    )


async def _write(connection: Connection, link: Link) -> bool:
    """False where another replica has written this link."""
    status = await connection.execute(
        """
        INSERT INTO history_links (link, events, transaction_id, position, positions, marks, head,
                                   accepted_by)
        VALUES ($1, $2, $3::text::xid8, $4, $5, $6, $7, $8) ON CONFLICT (link) DO NOTHING
        """,
        link.number,
        link.events,
        str(link.last.transaction_id),
        link.last.position,
        link.positions,
        b"".join(link.marks),
        link.head,
        link.accepted_by,
    )
    return status == "INSERT 0 1"
