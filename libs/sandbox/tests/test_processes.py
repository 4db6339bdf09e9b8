"""Child processes are waited for, watched, counted and ended."""

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from epassport_sandbox.errors import ChildFailed
from epassport_sandbox.ports import free_port
from epassport_sandbox.processes import Child, Supervisor

SERVER = """
import http.server, os, signal, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/end":
            print("ended by a request", flush=True)
            os._exit(3)
        if self.path == "/burn":
            sum(range(3_000_000))
        self.send_response(503 if self.path == "/never" else 200)
        self.end_headers()
        self.wfile.write(os.environ["GREETING"].encode())

if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    (tmp_path / "small_server.py").write_text(SERVER)
    (tmp_path / "broken.py").write_text("raise SystemExit('settings are missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Supervisor(tmp_path / "logs", grace=timedelta(seconds=1))


async def start(
    supervisor: Supervisor, *arguments: str, path: str = "/readyz"
) -> tuple[Child, int]:
    port = free_port()
    child = await supervisor.start(
        "server",
        "small_server",
        str(port),
        *arguments,
        environment={"GREETING": "hello"},
        ready_url=f"http://127.0.0.1:{port}{path}",
        within=timedelta(seconds=3 if path == "/never" else 20),
    )
    return child, port


async def get(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_child_has_its_environment_and_ends_with_the_block(supervisor: Supervisor) -> None:
    async with supervisor:
        child, port = await start(supervisor)
        assert (await get(port, "/")).endswith(b"hello")
        assert os.getsid(child.pid) == child.pid
    assert not psutil.pid_exists(child.pid)


async def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(
    supervisor: Supervisor,
) -> None:
    async with supervisor:
        child, _ = await start(supervisor, "stubborn")
    assert await child.wait() == -signal.SIGKILL


async def test_a_child_that_ends_before_it_is_ready_shows_its_log(supervisor: Supervisor) -> None:
    async with supervisor:
        with pytest.raises(
            ChildFailed, match=r"(?s)broken ended with code 1.*settings are missing"
        ):
            await supervisor.start(
                "broken", "broken", environment={}, ready_url=f"http://127.0.0.1:{free_port()}/"
            )


async def test_a_child_that_never_gets_ready_is_told_with_its_answer(
    supervisor: Supervisor,
) -> None:
    async with supervisor:
        with pytest.raises(ChildFailed, match=r"server is not ready after 3 s: .*: 503 hello"):
            await start(supervisor, path="/never")


async def test_an_unexpected_end_reaches_the_watcher(supervisor: Supervisor) -> None:
    async with supervisor:
        _, port = await start(supervisor)
        await get(port, "/end")
        with pytest.raises(ChildFailed, match=r"(?s)ended with code 3.*ended by a request"):
            async with asyncio.timeout(5):
                await supervisor.watch()


async def test_a_killed_child_is_no_failure_and_its_name_is_free_again(
    supervisor: Supervisor,
) -> None:
    async with supervisor:
        first, _ = await start(supervisor)
        first.kill(signal.SIGKILL)
        await first.wait()
        second, _ = await start(supervisor)
        assert second.running
        assert supervisor.children == {"server": second}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await supervisor.watch()


async def test_a_name_in_use_is_refused(supervisor: Supervisor) -> None:
    async with supervisor:
        await start(supervisor)
        with pytest.raises(ChildFailed, match="server is running already"):
            await start(supervisor)


async def test_cpu_seconds_count_and_stay_known_after_the_end(supervisor: Supervisor) -> None:
    async with supervisor:
        child, port = await start(supervisor)
        before = child.cpu_seconds()
        await get(port, "/burn")
        after = child.cpu_seconds()
        assert 0 < before < after
    assert child.cpu_seconds() >= after
