"""In front of a real PostgreSQL: it says of itself that it is an older one, and is it otherwise."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PARAMETER_STATUS = b"S"
VERSION = re.compile(rb"\Aserver_version\0\d+")


@asynccontextmanager
async def older_postgres(host: str, port: int, *, major: int) -> AsyncIterator[int]:
    """Yields the port to connect to, without TLS: the server's messages are read and changed."""

    async def serve(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, forth = await asyncio.open_connection(host, port)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pass_on(client, forth))
            both.create_task(_pass_on_as_older(server, back, major))

    listening = await asyncio.start_server(serve, host, 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while some := await source.read(65_536):
        target.write(some)
        await target.drain()
    target.close()


async def _pass_on_as_older(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, major: int
) -> None:
    """A message: one byte of kind, four of length that count themselves, the rest."""
    while kind := await source.read(1):
        length = int.from_bytes(await source.readexactly(4))
        body = await source.readexactly(length - 4)
        if kind == PARAMETER_STATUS:
            body = VERSION.sub(b"server_version\0%d" % major, body)
        target.write(kind + (len(body) + 4).to_bytes(4) + body)
        await target.drain()
    target.close()
