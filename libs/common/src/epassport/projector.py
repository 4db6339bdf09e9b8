"""Readers of the own store: read models and reactions to own events; and foreign read models.

A reader reads outside any transaction, then moves its checkpoint and applies what it read in
one: two replicas may read the same events, one of them moves the checkpoint.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
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
from epassport.passing import Passing
from epassport.reactions import Keep, Reaction, Send, record_refusal
from epassport.readmodel import ReadModel, fill
from epassport.records import Incoming
from epassport.rests import Rests
from epassport.signals import EVENTS, SOONEST_SECONDS, Signals
from epassport_contracts import ContractEvent
from epassport_contracts.registry import TOPICS, Topic

log = structlog.get_logger(__name__)

PAGE = 500
KEPT_PAGES = 4
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


@dataclass(frozen=True)
class Page:
    """What follows a place in the store, up to where nothing can come in between any more.

    hidden: more is there that may not be read yet; signals: how many there had been before this
    was read
    """

    events: Sequence[Recorded[Any]]
    hidden: bool
    signals: int


UNKNOWN = -1  # number of signals; then nobody else's end is believed
_NOTHING = Page([], hidden=False, signals=-2)


class OwnPages:
    """Pages of the own store, read and decoded once for all readers of a process: a page stays
    right for every reader that stands at its place. That there is nothing more holds until the
    next signal, or as long as the shortest pause: readers at the end look at the same moments."""

    def __init__(self, database: Database, codec: EventCodec, rests: Rests | None = None) -> None:
        self.passing = Passing(database)
        self._database = database
        self._codec = codec
        self._kept: dict[Token, Page] = {}
        self._end: tuple[float, Token, Page] = (0.0, START, _NOTHING)
        self._reading = asyncio.Lock()
        self._rests = rests or Rests()

    async def after(self, seen: Token, signals: int) -> Page:
        """signals: how many there were when the caller looked."""
        async with self._reading:
            if seen in self._kept:
                return self._kept[seen]
            found_at, end, page = self._end
            fresh = page.signals == signals != UNKNOWN and monotonic() - found_at < SOONEST_SECONDS
            if end == seen and fresh:
                return page
            await self._rests.over()
            started = monotonic()
            async with self._database.connection() as connection:
                events, hidden = await store.read_page(connection, self._codec, seen, PAGE)
            if len(events) < PAGE:
                self._rests.worked(started)
            page = Page(events, hidden, signals)
            if events:
                self._kept[seen] = page
            else:
                self._end = (monotonic(), seen, page)
            while len(self._kept) > KEPT_PAGES:
                del self._kept[next(iter(self._kept))]
            return page


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
        concerns: Callable[[Recorded[Any]], bool] = lambda _event: True,
        derived: bool = False,
        pages: OwnPages | None = None,
        cut: Callable[[Sequence[Recorded[Any]]], int] = len,
    ) -> None:
        """concerns: which events `apply` wants; the checkpoint moves past all others without it.

        derived: what `apply` writes can be made again from events. Then a commit does not wait
        for the disk: after a crash the checkpoint and what was written stand back together.
        """
        self._reader = reader
        self._database = database
        self._pages = pages or OwnPages(database, codec)
        self._signals = signals
        self._apply = apply
        self._concerns = concerns
        self._derived = derived
        self._cut = cut
        self._at_most = PAGE
        self._seen: Token | None = None
        self._more = False
        self._page = _NOTHING

    async def run(self) -> None:
        """Until cancelled. A fault of the outside is waited out, never skipped."""
        pause = 0.05
        lull = self._signals.lull(EVENTS)
        while True:
            lull.look()
            try:
                moved = await self.step(lull.seen)
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
            if not self._more:
                lull.seen = self._page.signals  # what came after it was read has raised another
                await lull.pause(hidden=self._page.hidden or self._seen is None)

    async def step(self, signals: int = UNKNOWN) -> int:
        """Apply one page; returns how many events it held, 0 when there is nothing new.

        signals: how many there were when the caller looked
        """
        seen = self._seen or await self._checkpoint()
        self._page = await self._pages.after(seen, signals)
        page = self._page.events
        self._seen, self._more = seen, False
        if not page:
            return 0
        events = page[: min(self._cut(page), self._at_most)]
        last = Token(events[-1].transaction_id, events[-1].position)
        self._seen = None  # unless this replica is the one that moves the checkpoint
        concerned = [event for event in events if self._concerns(event)]
        try:
            if not await self._move(seen, last, concerned):
                return 0
        except TransactionTooLong:
            self._at_most = max(1, len(events) // 2)
            raise
        self._at_most = min(PAGE, self._at_most * 2)
        self._seen = last
        self._more = len(page) == PAGE or len(events) < len(page)
        return len(events)

    async def _move(self, seen: Token, last: Token, concerned: Sequence[Recorded[Any]]) -> bool:
        if not concerned and seen != START:
            return await self._pages.passing.move(self._reader, seen, last)
        async with self._database.transaction() as connection:
            moved = await advance(connection, self._reader, seen, last, derived=self._derived)
            if moved and concerned:
                await self._apply(connection, concerned)
            return moved

    async def _checkpoint(self) -> Token:
        async with self._database.connection() as connection:
            return await checkpoint(connection, self._reader)


_FIRST = """
    INSERT INTO checkpoints AS c (reader, transaction_id, position)
    VALUES ($1, $2::text::xid8, $3)
        ON CONFLICT (reader) DO UPDATE
       SET transaction_id = excluded.transaction_id, position = excluded.position
     WHERE c.transaction_id = $4::text::xid8 AND c.position = $5
    RETURNING CASE WHEN $6::bool THEN set_config('synchronous_commit', 'off', true) END
    """
_NEXT = """
    UPDATE checkpoints SET transaction_id = $2::text::xid8, position = $3
     WHERE reader = $1 AND transaction_id = $4::text::xid8 AND position = $5
    RETURNING CASE WHEN $6::bool THEN set_config('synchronous_commit', 'off', true) END
    """


async def advance(
    connection: Connection, reader: str, seen: Token, last: Token, *, derived: bool
) -> bool:
    """Move the checkpoint from `seen`; False where somebody else has moved or removed it.

    Only a reader at the start makes one: where a rebuild has removed it, it starts again.
    """
    moved = await connection.fetch(
        _FIRST if seen == START else _NEXT,
        reader,
        str(last.transaction_id),
        last.position,
        str(seen.transaction_id),
        seen.position,
        derived,
    )
    return len(moved) == 1


def projector(
    model: ReadModel,
    database: Database,
    codec: EventCodec,
    signals: Signals,
    pages: OwnPages | None = None,
) -> StoreReader:
    async def apply(connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        await fill(model, connection, events)

    return StoreReader(
        model.reader,
        database,
        codec,
        signals,
        apply,
        concerns=lambda event: type(event.fact) in model.projections,
        derived=True,
        pages=pages,
    )


class ForeignProjection:
    """Fills a read model from other services' events (a `SliceHandler`)."""

    one_per_stream = False

    def __init__(self, model: ReadModel, topics: Iterable[Topic] = TOPICS) -> None:
        self._model = model
        self.name = model.reader
        foreign = {t for t in model.projections if issubclass(t, ContractEvent)}
        self.types = frozenset(t.type_name() for t in foreign)
        self.topics = tuple(
            topic.name for topic in topics if any(spec.model in foreign for spec in topic.events)
        )

    def streams_of(self, _record: Incoming) -> frozenset[str]:
        return frozenset()

    def can_wait(self, _key: bytes) -> bool:
        return False

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
        pages: OwnPages | None = None,
    ) -> None:
        self._group = group
        self._reactions = {
            event_type: functions
            for event_type, functions in reactions.items()
            if not issubclass(event_type, ContractEvent)
        }
        self._reader = StoreReader(
            "own-reactions",
            database,
            codec,
            signals,
            self._apply,
            concerns=lambda event: bool(self._sends(event)),
            pages=pages,
            cut=self._one_group,
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
