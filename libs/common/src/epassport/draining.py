"""Parked streams of one consumer and topic: gone on with, tried again, discarded.

The row of the partition in `consumer_offsets` is locked first, so that a slice and a drain
never decide about one stream at the same time.
"""

from collections.abc import Sequence
from traceback import walk_tb

import structlog

from epassport import dead_letters, parking
from epassport.actor import Actor
from epassport.database import Connection, Database
from epassport.errors import NotThere, Poison
from epassport.faults import is_transient
from epassport.parking import NotDiscardable, ParkedRecord
from epassport.records import Cause, RawRecord
from epassport.slices import SliceHandler, read_slot
from epassport_contracts import ServiceName
from epassport_contracts.registry import Topic

ATTEMPTS = 3
"""What fails so often alone is parked: the fault is in it or in our code."""

log = structlog.get_logger(__name__)


class ParkedStreams:
    def __init__(
        self,
        database: Database,
        service: ServiceName,
        handler: SliceHandler,
        topic: Topic,
        *,
        again: bool = False,
    ) -> None:
        """again: foreign tools have been told before what is parked here."""
        self.consumer = handler.name
        self.topic = topic.name
        self._topic = topic
        self._service = service
        self._database = database
        self._handler = handler
        self._again = again

    async def drain(self, partition: int, key: str, *, also_faults: bool = False) -> int:
        """Apply what is parked of a stream, in order, each record in its own transaction.

        Stops before a missing one, and before one at fault unless an operator said to try
        it again. Returns how many were applied. Raises passing faults.
        """
        applied = attempts = 0
        while True:
            try:
                went_on = await self._drain_next(partition, key, also_faults=also_faults)
            except Exception as error:
                if is_transient(error):
                    raise
                attempts += 1
                if attempts < ATTEMPTS and not isinstance(error, Poison):
                    continue
                await self._blame_next(partition, key, as_poison(error))
                return applied
            if not went_on:
                return applied
            applied, attempts = applied + 1, 0

    async def drain_known(self) -> None:
        """Streams that an older build held because it did not know a type or version of this one
        (docs/decisions/0048-a-new-event-type-is-known-before-it-is-written.md)."""
        models = [spec.model for spec in self._topic.events]
        schemas = [(one.type_name(), f"{one.type_name()}/v{one.version}") for one in models]
        async with self._database.connection() as connection:
            found = await parking.known_by_now(connection, self.consumer, self.topic, schemas)
        for partition, key in found:
            await self.drain(partition, key, also_faults=True)

    async def _drain_next(self, partition: int, key: str, *, also_faults: bool) -> bool:
        async with self._database.transaction() as connection:
            stream = await self._locked_stream(connection, partition, key)
            head = stream.next
            if stream.repeats:
                await self._unpark(connection, partition, stream.repeats)
            if head is None or (head.is_fault and not also_faults):
                return False
            if stream.waits_for_missing:
                await parking.set_cause(connection, self.consumer, head.raw, Cause.GAP, "")
                return False
            slot = read_slot(head.raw, self._topic, self._handler.types)
            if slot.fault is not None:
                await self._blame(connection, head, slot.fault)
                return False
            if slot.wanted is not None:
                await self._handler.apply(connection, [slot.wanted])
            await self._unpark(connection, partition, [head.raw.offset])
            if self._topic.sequenced and head.raw.sequence is not None:
                sequences = {key: head.raw.sequence}
                await parking.keep_sequences(connection, self.consumer, self.topic, sequences)
        return True

    async def _blame_next(self, partition: int, key: str, fault: Poison) -> None:
        async with self._database.transaction() as connection:
            stream = await self._locked_stream(connection, partition, key)
            if stream.next is not None:
                await self._blame(connection, stream.next, fault)

    async def _blame(self, connection: Connection, record: ParkedRecord, fault: Poison) -> None:
        """A record that waited behind another turns out to be at fault, too; or is so still."""
        raw = record.raw
        await parking.set_cause(connection, self.consumer, raw, fault.cause, fault.detail)
        if not record.is_fault and not self._again:
            found = [(raw, fault.cause, fault.detail)]
            await dead_letters.write(connection, self._service, self.consumer, found)
        log_fault(self.consumer, raw, fault.cause, fault.detail)

    async def discard(
        self, connection: Connection, partition: int, offset: int, actor: Actor, reason: str
    ) -> ParkedRecord:
        """In the caller's transaction; its place in the sequence counts as filled, unless the
        same record was sent again and waits behind it.

        Raises NotThere, NotDiscardable.
        """
        key = await self.key_at(connection, partition, offset)
        stream = await self._locked_stream(connection, partition, key)
        found = [record for record in stream.records if record.raw.offset == offset]
        if not found:
            raise NotThere("it has been applied meanwhile")
        sequence = found[0].raw.sequence if self._topic.sequenced else None
        if sequence is not None and sequence > stream.last + 1:
            raise NotDiscardable("a record before it in its stream is missing or waits too")
        numbers = [record.raw.sequence for record in stream.records]
        if sequence == stream.last + 1 and numbers.count(sequence) == 1:
            sequences = {key: sequence}
            await parking.keep_sequences(connection, self.consumer, self.topic, sequences)
        await parking.discard(connection, self.consumer, found[0].raw, actor, reason)
        return found[0]

    async def key_at(self, connection: Connection, partition: int, offset: int) -> str:
        """Under which key the record of this offset is parked. Raises NotThere."""
        key: str | None = await connection.fetchval(
            "SELECT key FROM parked WHERE consumer = $1 AND topic = $2 AND partition = $3"
            " AND record_offset = $4",
            self.consumer,
            self.topic,
            partition,
            offset,
        )
        if key is None:
            raise NotThere("nothing is parked there")
        return key

    async def count(self, connection: Connection, key: str) -> int:
        """Records parked of a stream."""
        n: int = await connection.fetchval(
            "SELECT count(*) FROM parked WHERE consumer = $1 AND topic = $2 AND key = $3",
            self.consumer,
            self.topic,
            key,
        )
        return n

    async def _locked_stream(
        self, connection: Connection, partition: int, key: str
    ) -> parking.ParkedStream:
        await connection.execute(
            "SELECT 1 FROM consumer_offsets"
            " WHERE consumer = $1 AND topic = $2 AND partition = $3 FOR UPDATE",
            self.consumer,
            self.topic,
            partition,
        )
        return await parking.parked_stream(
            connection, self.consumer, self.topic, key, sequenced=self._topic.sequenced
        )

    async def _unpark(self, connection: Connection, partition: int, offsets: Sequence[int]) -> None:
        await parking.unpark(connection, self.consumer, self.topic, partition, offsets)


def log_fault(consumer: str, raw: RawRecord, cause: str, detail: str) -> None:
    log.error(
        "record-parked",
        consumer=consumer,
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        sequence=raw.sequence,
        cause=cause,
        detail=detail,
    )


def as_poison(error: Exception) -> Poison:
    return error if isinstance(error, Poison) else Poison(Cause.BUG, where(error))


def where(error: Exception) -> str:
    """Type and line; an exception's own text may quote what the record holds."""
    frames = [
        (frame.f_globals.get("__name__"), line) for frame, line in walk_tb(error.__traceback__)
    ]
    module, line = frames[-1] if frames else ("?", 0)
    return f"{type(error).__name__} at {module}:{line}"
