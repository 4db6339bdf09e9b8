"""A running container behind the same face as a child process: signals, exit code, log.

What the engine says only to who waits is waited for in a thread of its own, one a container: the
pool that other blocking calls share would soon have none left.
"""

import asyncio
import contextlib
import signal
import threading
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

from docker.errors import APIError, NotFound
from docker.models.containers import Container

PAUSED = {signal.SIGSTOP: "pause", signal.SIGCONT: "unpause"}


class ContainerProcess:
    """Follows one start of a container to its end.

    keep: it is left there when it has ended, so that it can be started again with its files
    """

    def __init__(self, container: Container, log: Path, *, keep: bool = False) -> None:
        container.reload()
        self._container = container
        self._pid = int(container.attrs["State"]["Pid"])
        self._keep = keep
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[int] = self._loop.create_future()
        threading.Thread(target=self._follow, args=(log,), daemon=True).start()

    @property
    def pid(self) -> int:
        """On this machine, not in the container."""
        return self._pid

    @property
    def returncode(self) -> int | None:
        return self._end.result() if self._end.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    def send_signal(self, number: int) -> None:
        """Stopping and going on is the engine's: a container's first process takes no SIGSTOP."""
        try:
            if number in PAUSED:
                getattr(self._container, PAUSED[signal.Signals(number)])()
            else:
                self._container.kill(signal=signal.Signals(number).name)
        except APIError as error:
            # It has ended by itself: then there is nothing left to signal.
            if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise

    def _follow(self, log: Path) -> None:
        code = 255
        try:
            with log.open("ab", buffering=0) as lines:
                for some in self._container.logs(stream=True, follow=True, since=self._since()):
                    lines.write(some)
            code = int(self._container.wait()["StatusCode"])
            if not self._keep:
                self._container.remove(v=True, force=True)
        except NotFound:
            pass  # somebody removed it, which is an end too
        finally:
            with contextlib.suppress(RuntimeError):  # the loop has ended before the container
                self._loop.call_soon_threadsafe(self._note_end, code)

    def _since(self) -> float:
        """Of a container started again, the lines before were written already."""
        return _seconds(self._container.attrs["State"]["StartedAt"])

    def _note_end(self, code: int) -> None:
        if not self._end.done():
            self._end.set_result(code)


def _seconds(moment: str) -> float:
    """The engine writes nanoseconds, of which Python reads six digits."""
    return datetime.fromisoformat(f"{moment[:26].rstrip('Z')}+00:00").timestamp()
