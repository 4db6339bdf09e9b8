"""One consumer's records of one topic, applied to the database.

Each transaction moves the partition's stored offset from the value this worker last read or
wrote: where another worker has moved it, nothing is written (`FenceLost`). So a record takes
effect once, however often and by however many workers it is delivered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from epassport import dead_letters, metrics, parking
from epassport.breaker import CircuitBreaker, CircuitOpen, bad_ones, is_allowed
from epassport.database import Connection, Database
from epassport.draining import ATTEMPTS, ParkedStreams, as_poison, log_fault, where
from epassport.errors import Poison, TransactionTooLong
from epassport.faults import is_transient
from epassport.records import WAITING, Cause, KafkaRecord, RawRecord
from epassport.slices import Plan, SliceHandler, Slot, cut, plan, read_slot
from epassport_contracts import ServiceName
from epassport_contracts.registry import Topic

log = structlog.get_logger(__name__)


class FenceLost(Exception):
    """Another worker has applied these records."""


@dataclass(frozen=True)
class StoredPlace:
    """How far a partition is applied. latest_ms: the latest timestamp of what was applied."""

    next_offset: int
    latest_ms: int | None


class Applier:
    def __init__(
        self,
        database: Database,
        service: ServiceName,
        handler: SliceHandler,
        topic: Topic,
        *,
        again: bool = False,
    ) -> None:
        """again: another reader was here before (a rebuild), and what is bad has been told."""
        self.topic = topic
        self.consumer = handler.name
        self._database = database
        self._service = service
        self._handler = handler
        self._again = again
        self._breaker = CircuitBreaker()
        self._known = {spec.model.type_name() for spec in topic.events}
        self.parked = ParkedStreams(database, service, handler, topic, again=again)

    def can_wait(self, record: KafkaRecord) -> bool:
        """Where all there is to do is to note that it was seen: its type is one that this consumer
        passes over. What is odd about it cannot wait."""
        types = [value for name, value in record.headers if name == "ce_type"]
        if len(types) != 1 or types[0] is None or record.key is None:
            return False
        name = types[0].decode("ascii", errors="replace")
        passed_over = name in self._known and name not in self._handler.types
        return passed_over or self._handler.can_wait(record.key)

    async def next_offset(self, partition: int) -> int:
        """Where this consumer goes on; 0 at its first time."""
        return (await self.stored_place(partition)).next_offset

    async def stored_place(self, partition: int) -> StoredPlace:
        where = (self.consumer, self.topic.name, partition)
        async with self._database.connection() as connection:
            await connection.execute(
                "INSERT INTO consumer_offsets (consumer, topic, partition, next_offset)"
                " VALUES ($1, $2, $3, 0) ON CONFLICT DO NOTHING",
                *where,
            )
            (stored,) = await connection.fetch(
                "SELECT next_offset, latest_ms FROM consumer_offsets"
                " WHERE consumer = $1 AND topic = $2 AND partition = $3",
                *where,
            )
        return StoredPlace(stored["next_offset"], stored["latest_ms"])

    async def stand_still(self, partition: int, expected: int) -> None:
        """Note for whoever asks what is held that records wait here; until the offset moves.

        Where another worker has moved it meanwhile, nothing is noted.
        """
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE consumer_offsets SET stands_since = COALESCE(stands_since,"
                " clock_timestamp())"
                " WHERE consumer = $1 AND topic = $2 AND partition = $3 AND next_offset = $4",
                self.consumer,
                self.topic.name,
                partition,
                expected,
            )

    async def apply(self, partition: int, expected: int, raws: Sequence[RawRecord]) -> int:
        """raws: of one partition, in order, none before `expected`. Returns the offset stored now.

        Raises FenceLost, CircuitOpen, and passing faults as they come; what was applied until
        then stays.
        """
        slots = [read_slot(raw, self.topic, self._handler.types) for raw in raws]
        for piece in self._pieces(slots):
            expected = await self._piece(partition, expected, piece)
        return expected

    def _pieces(self, slots: Sequence[Slot]) -> Sequence[Sequence[Slot]]:
        try:
            return cut(slots, self._handler)
        except Exception as error:  # noqa: BLE001 - alone, the record that raises it is found
            log.error("slice-not-cut", consumer=self.consumer, detail=where(error))
            return [[slot] for slot in slots]

    async def _piece(self, partition: int, expected: int, slots: Sequence[Slot]) -> int:
        try:
            return await self._in_one(partition, expected, slots)
        except Exception as error:
            # Smaller pieces may fit within the bound that this one did not.
            passing = is_transient(error) and not isinstance(error, TransactionTooLong)
            if passing or isinstance(error, FenceLost):
                raise
            log.warning(
                "slice-goes-one-by-one",
                consumer=self.consumer,
                topic=self.topic.name,
                partition=partition,
                offset=expected,
                fault=type(error).__name__,
            )
        for slot in slots:
            expected = await self._alone(partition, expected, slot)
        return expected

    async def _alone(self, partition: int, expected: int, slot: Slot) -> int:
        """What fails alone, time after time, is parked: the fault is in it or in our code."""
        fault = Poison(Cause.BUG)
        for _ in range(ATTEMPTS):
            try:
                return await self._in_one(partition, expected, [slot])
            except Exception as error:
                if isinstance(error, FenceLost) or is_transient(error):
                    raise
                fault = as_poison(error)
                if isinstance(error, Poison):
                    break
        return await self._in_one(partition, expected, [replace(slot, wanted=None, fault=fault)])

    async def _in_one(self, partition: int, expected: int, slots: Sequence[Slot]) -> int:
        try:
            todo, bad = await self._write(partition, expected, slots)
        except CircuitOpen:
            await self.stand_still(partition, expected)
            raise
        self._breaker.count(bad)
        self._report(todo)
        for key in todo.drain:
            await self.parked.drain(partition, key)
        return slots[-1].raw.offset + 1

    async def _write(
        self, partition: int, expected: int, slots: Sequence[Slot]
    ) -> tuple[Plan, Sequence[bool]]:
        async with self._database.transaction() as connection:
            await self._move_offset(connection, partition, expected, slots)
            todo = await self._plan(connection, slots)
            bad = bad_ones([slot.raw.offset for slot in slots], todo.faulty_offsets)
            if not self._again:
                await self._refuse_too_much_bad(connection, bad)
            if todo.apply:
                await self._handler.apply(connection, todo.apply)
            if todo.sequences:
                await parking.keep_sequences(
                    connection, self.consumer, self.topic.name, todo.sequences
                )
            if todo.park:
                await parking.park(connection, self.consumer, todo.park)
                if not self._again:
                    await dead_letters.write(connection, self._service, self.consumer, todo.park)
        return todo, bad

    async def _refuse_too_much_bad(self, connection: Connection, bad: Sequence[bool]) -> None:
        if self._breaker.trips(bad) and not await is_allowed(
            connection, self.consumer, self.topic.name, sum(bad)
        ):
            raise CircuitOpen

    async def _move_offset(
        self, connection: Connection, partition: int, expected: int, slots: Sequence[Slot]
    ) -> None:
        """Also takes the lock under which streams are parked and drained."""
        status = await connection.execute(
            "UPDATE consumer_offsets SET next_offset = $5, stands_since = NULL,"
            " latest_ms = greatest(latest_ms, $6)"
            " WHERE consumer = $1 AND topic = $2 AND partition = $3 AND next_offset = $4",
            self.consumer,
            self.topic.name,
            partition,
            expected,
            slots[-1].raw.offset + 1,
            max((slot.raw.timestamp_ms for slot in slots if slot.raw.timestamp_ms), default=None),
        )
        if status != "UPDATE 1":
            raise FenceLost

    async def _plan(self, connection: Connection, slots: Sequence[Slot]) -> Plan:
        keys = {slot.raw.stream_key for slot in slots}
        states = await parking.stream_states(connection, self.consumer, self.topic.name, keys)
        return plan(slots, states, sequenced=self.topic.sequenced)

    def _report(self, todo: Plan) -> None:
        outcomes = {
            "applied": len(todo.apply),
            "passed": todo.passed,
            "duplicate": todo.duplicates,
            "parked": len(todo.park),
        }
        for outcome, count in outcomes.items():
            if count:
                labels = (self.consumer, self.topic.name, outcome)
                metrics.CONSUMER_RECORDS.labels(*labels).inc(count)
        for raw, cause, detail in todo.park:
            if cause not in WAITING:
                log_fault(self.consumer, raw, cause, detail)
