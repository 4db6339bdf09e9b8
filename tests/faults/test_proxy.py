"""The proxy does what it is told to connections that are open, and stops when it is healed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio

from epassport_sandbox.ports import HOST, free_port
from tests.faults.proxy import Proxy, Trouble, reset

SOON = 5.0
A_WHILE = 0.2


@dataclass
class Line:
    """One connection through the proxy to somebody who sends back what he gets."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, octets: bytes) -> bytes:
        self.writer.write(octets)
        await self.writer.drain()
        async with asyncio.timeout(SOON):
            return await self.reader.readexactly(len(octets))


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[Proxy]:
    port = free_port()
    server = await asyncio.start_server(_send_back, HOST, port)
    async with server, Proxy(free_port(but_not=port), port) as opened:
        yield opened


async def _send_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while octets := await reader.read(1000):
            writer.write(octets)
    except ConnectionError:
        return
    finally:
        writer.close()


@asynccontextmanager
async def line(proxy: Proxy) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


async def test_everything_passes_while_nothing_is_wrong(proxy: Proxy) -> None:
    async with line(proxy) as one:
        assert await one.ask(b"a" * 100_000) == b"a" * 100_000


async def test_a_lost_connection_is_reset_and_new_ones_are_refused_until_it_heals(
    proxy: Proxy,
) -> None:
    async with line(proxy) as one:
        assert await one.ask(b"before") == b"before"
        proxy.set(Trouble(refuses=True))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await one.ask(b"after")
        async with line(proxy) as new:
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await new.ask(b"new")
    proxy.heal()
    async with line(proxy) as one:
        assert await one.ask(b"healed") == b"healed"


async def test_who_is_killed_with_something_unread_is_gone_for_the_other_side_too() -> None:
    accepted: asyncio.Queue[asyncio.StreamReader] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait(reader)

    port = free_port()
    server = await asyncio.start_server(accept, HOST, port)
    async with server, Proxy(free_port(but_not=port), port) as proxy, line(proxy) as one:
        async with asyncio.timeout(SOON):
            other = await accepted.get()
            reset(one.writer)
            with pytest.raises(ConnectionResetError):
                await other.read()


async def test_a_half_open_connection_swallows_all_and_stays_dead(proxy: Proxy) -> None:
    async with line(proxy) as one:
        assert await one.ask(b"before") == b"before"
        proxy.set(Trouble(half_open=True))
        assert await said_nothing(one)
        proxy.heal()
        assert await said_nothing(one)
        async with line(proxy) as new:
            assert await new.ask(b"new") == b"new"


async def said_nothing(one: Line) -> bool:
    one.writer.write(b"x")
    try:
        async with asyncio.timeout(A_WHILE):
            await one.reader.readexactly(1)
    except TimeoutError:
        return True
    return False


async def test_a_message_is_cut_in_the_middle(proxy: Proxy) -> None:
    proxy.set(Trouble(cut_after=1_000))
    async with line(proxy) as one:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await one.ask(b"a" * 100_000)


async def test_latency_is_added_to_what_passes(proxy: Proxy) -> None:
    clock = asyncio.get_running_loop()
    proxy.set(Trouble(latency_seconds=0.1))
    async with line(proxy) as one:
        began = clock.time()
        assert await one.ask(b"late") == b"late"
        assert clock.time() - began >= 0.2


async def test_a_slow_line_passes_so_many_octets_a_second_until_it_heals(proxy: Proxy) -> None:
    clock = asyncio.get_running_loop()
    message = b"a" * 50_000
    proxy.set(Trouble(bytes_per_second=100_000))
    async with line(proxy) as one:
        began = clock.time()
        assert await one.ask(message) == message
        slow = clock.time() - began
        proxy.heal()
        began = clock.time()
        assert await one.ask(message) == message
        assert slow >= 0.5 > clock.time() - began
