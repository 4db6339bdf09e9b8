"""Signals between the processes of one service, over PostgreSQL's NOTIFY.

Sent after the commit and in a transaction of their own: a NOTIFY inside the appending one
would make all commits of the cluster wait for each other (PostgreSQL takes one lock for the
order of the queue). So a crash in between loses a hint, which a poll makes good.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from typing import Any

import asyncpg
import structlog

from epassport.backoff import Backoff
from epassport.faults import is_transient
from epassport.rests import Rests
from epassport.signals import Signals

CHANNEL = "epassport_signals"
GATHER_SECONDS = 0.002
IDLE_SECONDS = 30.0  # after which a connection that has died silently is found out
STATEMENT_SECONDS = 10.0
_BETWEEN = " "

log = structlog.get_logger(__name__)


class Hints:
    """Forwards this process's signals and hears those of the others, until cancelled."""

    def __init__(self, dsn: str, signals: Signals, *, linger: float = 0.0) -> None:
        """linger: see `Rests`."""
        self._dsn = dsn
        self._signals = signals
        self._waiting: set[str] = set()
        self._arrived = asyncio.Event()
        self._rests = Rests(linger)

    async def run(self) -> None:
        """While the connection is gone, polling does alone."""
        backoff = Backoff(timedelta(milliseconds=100), timedelta(seconds=10))
        self._signals.forward = self._forward
        try:
            while True:
                try:
                    async with self._listening() as connection:
                        backoff.reset()
                        await self._send_all(connection)
                except Exception as fault:
                    if not is_transient(fault):
                        raise
                    log.warning("hints-wait", fault=type(fault).__name__)
                    await asyncio.sleep(backoff.seconds())
        finally:
            self._signals.forward = None

    def _forward(self, names: Collection[str]) -> None:
        self._waiting.update(names)
        self._arrived.set()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A session of its own; a pooler in transaction mode must not stand between."""
        connection = await asyncpg.connect(
            self._dsn,
            timeout=STATEMENT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            server_settings={"application_name": "epassport-hints", "timezone": "UTC"},
        )
        try:
            await connection.add_listener(CHANNEL, self._heard)
            yield connection
        finally:
            connection.terminate()

    def _heard(self, connection: Any, sender: int, _channel: str, payload: object) -> None:
        if sender != connection.get_server_pid():
            self._signals.heard(str(payload).split(_BETWEEN))

    async def _send_all(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._arrived.wait()
            except TimeoutError:
                await connection.execute("SELECT 1")
                continue
            await asyncio.sleep(GATHER_SECONDS)
            await self._rests.over()
            names, self._waiting = self._waiting, set()
            self._arrived.clear()
            started = monotonic()
            await connection.execute(
                "SELECT pg_notify($1, $2)", CHANNEL, _BETWEEN.join(sorted(names))
            )
            self._rests.worked(started)
