"""A TCP proxy that does to connections what networks do: slow, late, lost, half-open, cut.

`Trouble` says what is wrong at the moment; it holds for connections that are open already and
for new ones. Connections that were half-open stay dead when the trouble is over, as those are whose
other end has forgotten them: whoever holds one must find out by himself.
"""

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from epassport_sandbox.ports import HOST

CHUNK = 64 * 1024


@dataclass(frozen=True)
class Trouble:
    """latency_seconds: of every chunk, with as much again at random. bytes_per_second: 0: no limit.

    refuses: new connections are reset, open ones at once. half_open: whatever is sent vanishes.
    cut_after: each connection is reset when it has passed about so many octets more.
    """

    latency_seconds: float = 0.0
    bytes_per_second: int = 0
    refuses: bool = False
    half_open: bool = False
    cut_after: int = 0


NONE = Trouble()


@dataclass(eq=False)
class _Connection:
    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    left: int = 0
    is_dead: bool = False
    pumps: list["asyncio.Task[None]"] = field(default_factory=list)

    def reset(self) -> None:
        """RST rather than FIN: the other side gets an error in the middle of whatever it does."""
        for writer in (self.near, self.far):
            reset(writer)


def reset(writer: asyncio.StreamWriter) -> None:
    end = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxy:
    """Listens on `port` while its block is open and passes everything on to `target_port`."""

    def __init__(self, port: int, target_port: int, seed: int = 0) -> None:
        self.port = port
        self.passed_bytes = 0
        self._target_port = target_port
        self._trouble = NONE
        self._random = random.Random(seed)
        self._open: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._open):
            connection.reset()

    def set(self, trouble: Trouble) -> None:
        self._trouble = trouble
        for connection in list(self._open):
            connection.left = self._draw_cut()
            connection.is_dead |= trouble.half_open
            if trouble.refuses:
                connection.reset()

    def heal(self) -> None:
        self.set(NONE)

    def _draw_cut(self) -> int:
        after = self._trouble.cut_after
        return self._random.randint(1, 2 * after) if after else 0

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._trouble.refuses:
            writer.transport.abort()
            return
        try:
            far_reader, far = await asyncio.open_connection(HOST, self._target_port)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(writer, far, self._draw_cut(), self._trouble.half_open)
        self._open.add(connection)
        connection.pumps = [
            asyncio.create_task(self._pump(connection, reader, far)),
            asyncio.create_task(self._pump(connection, far_reader, writer)),
        ]
        await asyncio.wait(connection.pumps)
        self._open.discard(connection)

    async def _pump(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while chunk := await reader.read(CHUNK):
                await self._delay(len(chunk))
                if connection.is_dead:
                    continue
                if connection.left and len(chunk) >= connection.left:
                    writer.write(chunk[: connection.left])
                    await writer.drain()
                    connection.reset()
                    return
                connection.left -= len(chunk) if connection.left else 0
                writer.write(chunk)
                self.passed_bytes += len(chunk)
                await writer.drain()
            if not connection.is_dead:
                writer.close()
        except OSError:
            if not connection.is_dead:  # a process that is killed with octets unread sends a reset
                connection.reset()

    async def _delay(self, octets: int) -> None:
        trouble = self._trouble
        seconds = trouble.latency_seconds * (1 + self._random.random())
        if trouble.bytes_per_second:
            seconds += octets / trouble.bytes_per_second
        if seconds:
            await asyncio.sleep(seconds)
