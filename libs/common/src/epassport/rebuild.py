"""`rebuild NAME`: fill a read model anew beside the one that is read, and put it in its place.

The second set of tables is filled from the own store and the foreign topics while services, reads
and the live readers go on. When it has come close, the live readers' rows are locked for a moment
in which the rest is applied: both sets then hold the same events, and can be compared in one
snapshot, key by key, or change places in one transaction. What was read before is kept: it stands
still, and catches up again where somebody wants to return to it.

Killed at any moment, the next call goes on where this one stood (docs/runbooks/read-model.md,
docs/decisions/0034-a-read-model-is-rebuilt-beside-the-live-one.md).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

import asyncpg

from epassport import beside, store
from epassport.beside import Comparison
from epassport.database import Connection, Database
from epassport.errors import EndsProcess, NotThere, TransactionTooLong
from epassport.events import EventCodec
from epassport.kafka import KafkaClients
from epassport.operations import Order, record_action
from epassport.progress import Progress
from epassport.projector import START
from epassport.readmodel import ReadModel
from epassport.refill import ForeignTopics, Place, Refill, foreign_topics, place_of
from epassport_contracts import ServiceName
from epassport_contracts.registry import BY_NAME, Topic

LOCK_TIMEOUT = "300ms"
STILL_SECONDS = 0.6  # of the second that a transaction may last
CLOSE_SECONDS = 0.2  # a round that took no longer leaves little to do while all stands still
TRIES = 100
PAUSE_SECONDS = 0.1
COMPARING_MEMORY = "64MB"  # a set that does not fit is written to disk and read again
REBUILD_LOCK = 7_303_017

_SETTINGS = {
    "application_name": "epassport-rebuild",
    "idle_in_transaction_session_timeout": "2000",
    "timezone": "UTC",
}
# Plans that were right for an empty table would read all of it for each page later on.
_FILLING = {"application_name": "epassport-rebuild", "plan_cache_mode": "force_custom_plan"}

Answer = TypeVar("Answer")
_IN_THE_WAY = (
    TimeoutError,
    TransactionTooLong,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
)


class Phase(StrEnum):
    """Of the second set; or of the only one, while nobody reads it yet."""

    FIRST = "first"
    FILLING = "filling"
    KEPT = "kept"  # was read until the last switch
    DROPPING = "dropping"


class Different(EndsProcess):
    """The sets differ, and nobody has said that the new one is right."""

    def __init__(self, found: list[Comparison]) -> None:
        super().__init__("the sets differ: look, then switch with --accept-differences")
        self.found = found


@dataclass(frozen=True)
class Source:
    """Where a service's read models come from. clients: for models that hear other services."""

    dsn: str
    codec: EventCodec
    service: ServiceName
    clients: KafkaClients | None = None
    topics: Mapping[str, Topic] = field(default_factory=lambda: BY_NAME)


async def rebuild(
    model: ReadModel, source: Source, progress: Progress, *, accept: Order | None = None
) -> list[Comparison]:
    """Fill, compare, switch; returns what was compared. Raises Different, EndsProcess.

    Where nothing reads this version of the model yet, its own tables are filled, and nothing is
    compared: the version before is what is read meanwhile.

    accept: whose order it is to switch although the sets differ
    """
    async with _opened(model, source, progress) as work:
        if work.is_first:
            await work.fill_first()
            return []
        await work.begin()
        await work.fill()
        found = await work.compare()
        if accept is None and not all(one.is_equal for one in found):
            raise Different(found)
        await work.switch(accept)
        return found


async def return_to_kept(
    model: ReadModel, source: Source, progress: Progress, order: Order
) -> list[Comparison]:
    """What was read before the last switch catches up and is read again. Raises NotThere."""
    async with _opened(model, source, progress) as work:
        if await work.phase() is not Phase.KEPT:
            raise NotThere(f"nothing is kept of {model.reader}")
        if not await work.fits():
            raise NotThere("a migration has changed the tables since; what is kept does not fit")
        await work.fill()
        found = await work.compare()
        await work.switch(order)
        return found


async def drop_kept(model: ReadModel, source: Source) -> None:
    """The second set goes, whatever it is. Raises NotThere."""
    async with _opened(model, source, Progress()) as work:
        if await work.phase() is None:
            raise NotThere(f"nothing stands beside {model.reader}")
        await work.drop()


class _Work:
    def __init__(
        self,
        model: ReadModel,
        source: Source,
        control: "asyncpg.Connection[asyncpg.Record]",
        refill: Refill,
        foreign: ForeignTopics,
        progress: Progress,
        *,
        is_first: bool,
    ) -> None:
        """control: without bounds of time, but for where it locks. refill, foreign: of the set
        that is filled. is_first: nobody reads this version of the model yet."""
        self.is_first = is_first
        self._model = model
        self._dsn = source.dsn
        self._control = control
        self._refill = refill
        self._foreign = foreign
        self._progress = progress

    async def fill_first(self) -> None:
        """Remembered, as a part of it looks like a live set that is read."""
        await self._control.execute(
            "INSERT INTO rebuilds (reader, phase) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            self._model.reader,
            Phase.FIRST,
        )
        end = Place(await store.last_place(self._control), await self._foreign.ends())
        self._progress.begin(await self._refill.left(self._control, end))
        await self._refill.to(end)
        self._progress.end()
        await self._control.execute(
            "DELETE FROM rebuilds WHERE reader = $1 AND phase = $2", self._model.reader, Phase.FIRST
        )

    async def phase(self) -> Phase | None:
        return await _phase(self._control, self._model)

    async def fits(self) -> bool:
        return await beside.have_one_shape(self._control, self._model)

    async def begin(self) -> None:
        """A second set to be filled: the unfinished one, where there is one that fits."""
        phase = await self.phase()
        if phase is Phase.FILLING and await self.fits():
            return
        if phase is not None:
            await self.drop()
        async with self._control.transaction():
            await beside.make_tables(self._control, self._model)
            await self._control.execute(
                "INSERT INTO rebuilds (reader, phase) VALUES ($1, $2)",
                self._model.reader,
                Phase.FILLING,
            )

    async def fill(self) -> None:
        """Up to where the live one is by then."""
        place = await self._live()
        self._progress.begin(await self._refill.left(self._control, place))
        await self._come_close()
        self._progress.end()
        await beside.gather_statistics(self._control, self._model)

    async def compare(self) -> list[Comparison]:
        """Every row of both sets, in one snapshot in which they hold the same events."""
        snapshot = await asyncpg.connect(self._dsn, server_settings=_SETTINGS)
        try:
            async with snapshot.transaction(isolation="repeatable_read", readonly=True):
                # The first statement takes the snapshot.
                await self._while_level(lambda: snapshot.fetchval("SELECT 1"))
                await snapshot.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                await snapshot.execute(f"SET LOCAL work_mem = '{COMPARING_MEMORY}'")
                return await beside.compare(snapshot, self._model)
        finally:
            await snapshot.close()

    async def switch(self, order: Order | None) -> None:
        async def exchange() -> None:
            await beside.change_places(self._control, self._model)
            await self._control.execute(
                "UPDATE rebuilds SET phase = $2, switched_at = clock_timestamp() WHERE reader = $1",
                self._model.reader,
                Phase.KEPT,
            )
            if order is not None:
                target = {"reader": self._model.reader}
                await record_action(self._control, order, "switch-read-model", target, {})

        await self._while_level(exchange)

    async def drop(self) -> None:
        await self._control.execute(
            "UPDATE rebuilds SET phase = $2 WHERE reader = $1", self._model.reader, Phase.DROPPING
        )
        await beside.drop(self._control, self._model)
        await self._control.execute("DELETE FROM rebuilds WHERE reader = $1", self._model.reader)

    async def _live(self) -> Place:
        return await place_of(self._control, self._model.reader)

    async def _come_close(self) -> None:
        seconds = asyncio.get_running_loop().time
        while True:
            started = seconds()
            await self._refill.to(await self._live())
            await self._foreign.settle(self._model.reader)
            if seconds() - started < CLOSE_SECONDS:
                return

    async def _while_level(self, act: Callable[[], Awaitable[Answer]]) -> Answer:
        """Act in a transaction in which the live set stands still and the other has caught up.

        Live readers wait for that moment; reads do not. What is in the way is tried again.
        """
        for _ in range(TRIES):
            await self._come_close()
            try:
                async with self._control.transaction():
                    await self._control.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                    await self._level()
                    return await act()
            except _IN_THE_WAY:
                await asyncio.sleep(PAUSE_SECONDS)
        raise EndsProcess(f"{self._model.reader} is too busy to change places; try again later")

    async def _level(self) -> None:
        place = await place_of(self._control, self._model.reader, locked=True)
        async with asyncio.timeout(STILL_SECONDS):
            await self._refill.to(place)
            await self._foreign.settle(self._model.reader)
        reached = await place_of(self._control, self._model.beside().reader)
        if reached.own != place.own or any(
            reached.foreign.get(one, 0) != offset for one, offset in place.foreign.items()
        ):
            raise EndsProcess(f"a topic does not hold any more what {self._model.reader} has read")


async def _phase(connection: Connection, model: ReadModel) -> Phase | None:
    phase = await connection.fetchval("SELECT phase FROM rebuilds WHERE reader = $1", model.reader)
    return None if phase is None else Phase(phase)


@asynccontextmanager
async def _opened(model: ReadModel, source: Source, progress: Progress) -> AsyncIterator[_Work]:
    """One at a time for each model. Raises EndsProcess where another is at it."""
    async with AsyncExitStack() as closing:
        control = await asyncpg.connect(source.dsn, server_settings=_SETTINGS)
        closing.push_async_callback(control.close)
        if not await control.fetchval(
            "SELECT pg_try_advisory_lock($1, hashtext($2))", REBUILD_LOCK, model.reader
        ):
            raise EndsProcess(f"{model.reader} is being rebuilt already")
        database = await Database.connect(source.dsn, connections=3, settings=_FILLING)
        closing.push_async_callback(database.close)
        live = await place_of(control, model.reader)
        is_first = await _phase(control, model) is Phase.FIRST or (
            live.own == START and not any(live.foreign.values())
        )
        filled = model if is_first else model.beside()
        foreign = await closing.enter_async_context(
            foreign_topics(filled, database, source.service, source.clients, source.topics)
        )
        refill = Refill(filled, database, source.codec, foreign, progress.add)
        yield _Work(model, source, control, refill, foreign, progress, is_first=is_first)
