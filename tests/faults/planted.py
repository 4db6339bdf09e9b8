"""Bugs that the checker must find: each takes one rule out of the runtime, in this process only.

The environment of a test's own process names the bug; nothing of this is in the product.
"""

import os
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from epassport import readmodel, relay, store
from epassport.applying import Applier
from epassport.database import Connection
from epassport.outbox import OutboxRow, forget

VARIABLE = "EPASSPORT_FAULTS_PLANTED"


class Bug(StrEnum):
    COMMIT_BEFORE_APPLY = "commit-before-apply"
    DELETE_BEFORE_SEND = "delete-before-send"
    NO_FENCE = "no-fence"
    NO_TRANSACTION_ID_RULE = "no-transaction-id-rule"
    NO_WAVES = "no-waves"


def plant() -> None:
    """Raises ValueError for a bug that nobody knows."""
    if (name := os.environ.get(VARIABLE)) is not None:
        _PLANT[Bug(name)]()


def _commit_before_apply() -> None:
    """The offset is stored by itself, before what it stands for."""
    move, in_one = Applier._move_offset, Applier._in_one

    async def moved_before(self: Applier, *_: Any) -> None:
        pass

    async def in_two(self: Applier, partition: int, expected: int, slots: Sequence[Any]) -> int:
        async with self._database.transaction() as connection:
            await move(self, connection, partition, expected, slots[-1].raw.offset + 1)
        return await in_one(self, partition, expected, slots)

    Applier._move_offset = moved_before  # type: ignore[method-assign]
    Applier._in_one = in_two  # type: ignore[method-assign]


def _delete_before_send() -> None:
    async def send(self: Any, session: Any, sender: Any, rows: Sequence[OutboxRow]) -> None:
        await forget(session, [row.position for row in rows])
        sent = await relay._touching(session, sender.send([self._wire.record(r) for r in rows]))
        if sent.fault is not None:
            raise relay.SendFailed from sent.fault

    relay._ShardRelay._send = send  # type: ignore[method-assign]


def _no_fence() -> None:
    """The stored offset is set to what this worker has done, whatever others did meanwhile."""

    async def move(
        self: Applier, connection: Connection, partition: int, _expected: int, next_offset: int
    ) -> None:
        await connection.execute(
            "UPDATE consumer_offsets SET next_offset = $4"
            " WHERE consumer = $1 AND topic = $2 AND partition = $3",
            *(self.consumer, self.topic.name, partition, next_offset),
        )

    Applier._move_offset = move  # type: ignore[method-assign]


def _no_transaction_id_rule() -> None:
    """An event carries its own transaction's id, also where the stream's last one is higher."""
    lock_streams = store.lock_streams

    async def lock(connection: Connection, *streams: Any) -> dict[Any, store.Head]:
        heads = await lock_streams(connection, *streams)
        own = int(await connection.fetchval("SELECT pg_current_xact_id()::text"))
        return {
            stream: store.Head(head.version, head.sequence, own) for stream, head in heads.items()
        }

    store.lock_streams = lock


def _no_waves() -> None:
    readmodel.waves = lambda events, _folding: [list(events)]


_PLANT = {
    Bug.COMMIT_BEFORE_APPLY: _commit_before_apply,
    Bug.DELETE_BEFORE_SEND: _delete_before_send,
    Bug.NO_FENCE: _no_fence,
    Bug.NO_TRANSACTION_ID_RULE: _no_transaction_id_rule,
    Bug.NO_WAVES: _no_waves,
}
