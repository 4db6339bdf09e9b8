"""Readers of the own store: read models and reactions to own events; and foreign read models.

A reader reads outside any transaction, then moves its checkpoint and applies what it read in
one: two replicas may read the same events, one of them moves the checkpoint.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from epassport import store
from epassport.commands import GROUP_LIMIT, Envelope, Rejected, Token
from epassport.database import Connection, Database
from epassport.decider import StreamId
from epassport.errors import NotVisibleYet, TransactionTooLong
from epassport.events import EventCodec, Origin, Recorded
from epassport.faults import is_transient
from epassport.group import Group
from epassport.reactions import Keep, Reaction, Send, record_refusal
from epassport.readmodel import ReadModel, fill
from epassport.records import Incoming
from epassport.signals import EVENTS, Signals
from epassport_contracts import ContractEvent
from epassport_contracts.registry import TOPICS

log = structlog.get_logger(__name__)

PAGE = 500
START = Token(0, 0)

Apply = Callable[[Connection, Sequence[Recorded[Any]]], Awaitable[None]]


async def checkpoint(connection: Connection, reader: str) -> Token:
    row = await connection.fetchrow(
        "SELECT transaction_id::text, position FROM checkpoints WHERE reader = $1", reader
    )
    return START if row is None else Token(int(row["transaction_id"]), row["position"])


async def wait_for(database: Database, reader: str, token: Token, *, within: float) -> None:
    """Return once `reader` has applied `token`. Raises NotVisibleYet after `within` seconds."""
    deadline = asyncio.get_running_loop().time() + within
    pause = 0.002
    while True:
        async with database.connection() as connection:
            seen = await checkpoint(connection, reader)
        if (seen.transaction_id, seen.position) >= (token.transaction_id, token.position):
            return
        if asyncio.get_running_loop().time() > deadline:
            raise NotVisibleYet(reader)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.05)


class StoreReader:
    """Reads the own store in order and applies page after page under a checkpoint."""

    def __init__(
        self,
        reader: str,
        database: Database,
        codec: EventCodec,
        signals: Signals,
        apply: Apply,
        *,
        cut: Callable[[Sequence[Recorded[Any]]], int] = len,
    ) -> None:
        self._reader = reader
        self._database = database
        self._codec = codec
        self._signals = signals
        self._apply = apply
        self._cut = cut
        self._page = PAGE
        self._seen: Token | None = None

    async def run(self) -> None:
        """Until cancelled. A fault of the outside is waited out, never skipped."""
        pause = 0.05
        lull = self._signals.lull(EVENTS)
        while True:
            lull.look()
            try:
                moved = await self.step()
                pause = 0.05
            except Exception as fault:
                if not is_transient(fault):
                    raise
                log.warning("reader-waits", reader=self._reader, fault=type(fault).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5)
                continue
            if moved:
                lull.found()
            else:
                await lull.pause()

    async def step(self) -> int:
        """Apply one page; returns how many events it held, 0 when there is nothing new."""
        async with self._database.connection() as connection:
            seen = self._seen or await checkpoint(connection, self._reader)
            events = await store.read_in_order(connection, self._codec, seen, self._page)
        self._seen = seen
        if not events:
            return 0
        events = events[: self._cut(events)]
        last = Token(events[-1].transaction_id, events[-1].position)
        self._seen = None  # unless this replica is the one that moves the checkpoint
        try:
            async with self._database.transaction() as connection:
                if not await _advance(connection, self._reader, seen, last):
                    return 0
                await self._apply(connection, events)
        except TransactionTooLong:
            self._page = max(1, len(events) // 2)
            raise
        self._page = min(PAGE, self._page * 2)
        self._seen = last
        return len(events)


async def _advance(connection: Connection, reader: str, seen: Token, last: Token) -> bool:
    """Move the checkpoint from `seen`; False where another replica has moved it already."""
    status = await connection.execute(
        """
        INSERT INTO checkpoints AS c (reader, transaction_id, position)
        VALUES ($1, $2::text::xid8, $3)
            ON CONFLICT (reader) DO UPDATE
           SET transaction_id = excluded.transaction_id, position = excluded.position
         WHERE c.transaction_id = $4::text::xid8 AND c.position = $5
        """,
        reader,
        str(last.transaction_id),
        last.position,
        str(seen.transaction_id),
        seen.position,
    )
    return status == "INSERT 0 1"


def projector(
    model: ReadModel, database: Database, codec: EventCodec, signals: Signals
) -> StoreReader:
    async def apply(connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        await fill(model, connection, [e for e in events if type(e.fact) in model.projections])

    return StoreReader(model.reader, database, codec, signals, apply)


class ForeignProjection:
    """Fills a read model from other services' events (a `SliceHandler`)."""

    one_per_stream = False

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self.name = model.reader
        foreign = {t for t in model.projections if issubclass(t, ContractEvent)}
        self.types = frozenset(t.type_name() for t in foreign)
        self.topics = tuple(
            topic.name for topic in TOPICS if any(spec.model in foreign for spec in topic.events)
        )

    def streams_of(self, _record: Incoming) -> frozenset[str]:
        return frozenset()

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
        await fill(self._model, connection, [record.as_recorded() for record in records])


class OwnReactions:
    """Commands that follow from own events; one group per page, cut where a stream recurs and
    where the group would be too large."""

    def __init__(
        self,
        database: Database,
        codec: EventCodec,
        signals: Signals,
        reactions: dict[type, list[Reaction]],
        group: Group,
    ) -> None:
        self._group = group
        self._reactions = {
            event_type: functions
            for event_type, functions in reactions.items()
            if not issubclass(event_type, ContractEvent)
        }
        self._reader = StoreReader(
            "own-reactions", database, codec, signals, self._apply, cut=self._one_group
        )

    async def run(self) -> None:
        await self._reader.run()

    def _sends(self, event: Recorded[Any]) -> list[Send]:
        return [
            item
            for function in self._reactions.get(type(event.fact), ())
            for item in function(event)
            if not isinstance(item, Keep)
        ]

    def _one_group(self, events: Sequence[Recorded[Any]]) -> int:
        taken: set[StreamId] = set()
        for index, event in enumerate(events):
            streams = {send.stream for send in self._sends(event)}
            if taken & streams or 0 < len(taken) > GROUP_LIMIT - len(streams):
                return index
            taken |= streams
        return len(events)

    async def _apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        sends = [(event, send) for event in events for send in self._sends(event)]
        if not sends:
            return
        envelopes = [
            Envelope(
                send.stream,
                send.command,
                Origin(event.actor, event.origin.correlation_id, event.event_id),
                send.reads,
            )
            for event, send in sends
        ]
        outcomes = await self._group.run(connection, envelopes)
        for (event, send), outcome in zip(sends, outcomes, strict=True):
            if isinstance(outcome, Rejected):
                await record_refusal(connection, event.event_id, send, outcome.reason)
