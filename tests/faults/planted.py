"""Bugs that the checker must find: each takes one rule out of the runtime, in this process only.

The environment of a test's own process names the bug; nothing of this is in the product.
"""

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import asyncpg

from epassport import Recorded, group, readmodel, relay, store
from epassport.applying import Applier
from epassport.commands import Envelope, Outcome
from epassport.database import Connection
from epassport.decider import StreamId
from epassport.group import Group
from epassport.outbox import OutboxRow, forget
from epassport.sending import Sender
from epassport.slices import Slot
from epassport.timers import Timer

VARIABLE = "EPASSPORT_FAULTS_PLANTED"
WIDE_SECONDS = 0.05
"""So long what is in the wrong order stays half done: a blow need not hit a millisecond."""


class Bug(StrEnum):
    ANSWER_BEFORE_COMMIT = "answer-before-commit"
    COMMIT_BEFORE_APPLY = "commit-before-apply"
    DELETE_BEFORE_SEND = "delete-before-send"
    NO_FENCE = "no-fence"
    NO_TRANSACTION_ID_RULE = "no-transaction-id-rule"
    NO_WAVES = "no-waves"
    WAITS_NOT_LOOKED_AT = "waits-not-looked-at"


def plant() -> None:
    """Raises ValueError for a bug that nobody knows."""
    if (name := os.environ.get(VARIABLE)) is not None:
        _PLANT[Bug(name)]()


def _answer_before_commit() -> None:
    """Whoever asked is answered when all is written, and the commit follows."""
    following: set[asyncio.Task[list[Outcome]]] = set()

    async def attempt(self: Group, envelopes: Sequence[Envelope]) -> list[Outcome]:
        written: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()

        async def commit() -> list[Outcome]:
            async with self._database.transaction() as connection:
                written.set_result(await self.run(connection, envelopes))
                await asyncio.sleep(WIDE_SECONDS)
            return written.result()

        committing = asyncio.create_task(commit())
        following.add(committing)
        committing.add_done_callback(following.discard)
        await asyncio.wait({committing, written}, return_when=asyncio.FIRST_COMPLETED)
        return written.result() if written.done() else committing.result()

    Group._attempt = attempt  # type: ignore[method-assign]


def _commit_before_apply() -> None:
    """The offset is stored by itself, before what it stands for."""
    move, in_one = Applier._move_offset, Applier._in_one

    async def moved_before(
        self: Applier, connection: Connection, partition: int, expected: int, slots: Sequence[Slot]
    ) -> None:
        pass

    async def in_two(self: Applier, partition: int, expected: int, slots: Sequence[Slot]) -> int:
        async with self._database.transaction() as connection:
            await move(self, connection, partition, expected, slots)
        return await in_one(self, partition, expected, slots)

    Applier._move_offset = moved_before  # type: ignore[method-assign]
    Applier._in_one = in_two  # type: ignore[method-assign]


def _delete_before_send() -> None:
    async def send(
        self: relay._ShardRelay,
        session: "asyncpg.Connection[asyncpg.Record]",
        sender: Sender,
        rows: Sequence[OutboxRow],
    ) -> None:
        await forget(session, [row.position for row in rows])
        await asyncio.sleep(WIDE_SECONDS)
        sending = sender.send([self._wire.record(row) for row in rows])
        sent = await relay._touching(session, sending, within=relay.SEND_SECONDS)
        if sent.fault is not None:
            raise relay.SendFailed from sent.fault

    relay._ShardRelay._send = send  # type: ignore[method-assign]


def _no_fence() -> None:
    """The stored offset is set to what this worker has done, whatever others did meanwhile."""

    async def move(
        self: Applier, connection: Connection, partition: int, expected: int, slots: Sequence[Slot]
    ) -> None:
        await connection.execute(
            "UPDATE consumer_offsets SET next_offset = $4"
            " WHERE consumer = $1 AND topic = $2 AND partition = $3",
            *(self.consumer, self.topic.name, partition, slots[-1].raw.offset + 1),
        )

    Applier._move_offset = move  # type: ignore[method-assign]


def _no_transaction_id_rule() -> None:
    """An event carries its own transaction's id, also where the stream's last one is higher."""
    lock_streams = store.lock_streams

    async def lock(
        connection: Connection, written: Collection[StreamId], read: Collection[StreamId] = ()
    ) -> dict[StreamId, store.Head]:
        heads = await lock_streams(connection, written, read)
        own = int(await connection.fetchval("SELECT pg_current_xact_id()::text"))
        return {
            stream: store.Head(head.version, head.sequence, own) for stream, head in heads.items()
        }

    store.lock_streams = lock


def _no_waves() -> None:
    def one_wave(
        events: readmodel.Wave, folding: Mapping[type, object] = MappingProxyType({})
    ) -> list[list[Recorded[Any]]]:
        return [list(events)]

    readmodel.waves = one_wave


def _waits_not_looked_at() -> None:
    """A deadline is heard although its wait has ended, or was begun anew, since it was read."""
    send = Timer._send

    async def sent_late(self: Timer, envelopes: Sequence[Envelope]) -> int:
        await asyncio.sleep(10 * WIDE_SECONDS)
        return await send(self, envelopes)

    async def all_are_open(connection: Connection, cases: Sequence[Any]) -> None:
        pass

    Timer._send = sent_late  # type: ignore[method-assign]
    group._find_passed_waits = all_are_open


_PLANT = {
    Bug.ANSWER_BEFORE_COMMIT: _answer_before_commit,
    Bug.COMMIT_BEFORE_APPLY: _commit_before_apply,
    Bug.DELETE_BEFORE_SEND: _delete_before_send,
    Bug.NO_FENCE: _no_fence,
    Bug.NO_TRANSACTION_ID_RULE: _no_transaction_id_rule,
    Bug.NO_WAVES: _no_waves,
    Bug.WAITS_NOT_LOOKED_AT: _waits_not_looked_at,
}
