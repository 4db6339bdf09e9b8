"""One running engine worker, seen from the event loop: start it, call it, notice its death."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from biometrics.engine.port import EngineError, EngineUnavailable, TemplateRefused
from biometrics.engine.wire import LENGTHS, Message, WarmUp, decode, encode


@dataclass(frozen=True)
class WorkerSettings:
    """Where the engine lies, and what one worker may use."""

    libs: Path  # SourceAFIS and its jars
    classes: Path  # our compiled Java
    heap: str = "1g"  # 17 kB for each reference
    threads: int = 2
    start_timeout: timedelta = timedelta(seconds=120)  # with the warm-up, on a busy machine
    call_timeout: timedelta = timedelta(seconds=60)


class WorkerDied(Exception):
    """The process is gone, or was killed because it did not answer in time."""


class WorkerProcess:
    """A dead worker stays dead: every call raises WorkerDied, and a new one must be started."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        call_timeout: timedelta,
    ) -> None:
        self._process = process
        # Not `process.kill()`: it reaps a dying child behind the event loop's back.
        self._handle = os.pidfd_open(process.pid)
        self._reader, self._writer = reader, writer
        self._call_timeout = call_timeout.total_seconds()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._receiving: asyncio.Task[None] | None = None
        self.alive = True

    @classmethod
    async def start(cls, settings: WorkerSettings, warm: WarmUp) -> Self:
        """Raises EngineUnavailable when nothing is installed, WorkerDied when it does not start."""
        if not any(settings.libs.glob("sourceafis-*.jar")) or not any(settings.classes.rglob("*")):
            raise EngineUnavailable("SourceAFIS jars or compiled classes are missing; run make")
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *_command(settings, theirs.fileno(), warm),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the parent's to handle
                # The filter's products are small: BLAS would burn more CPU on its threads.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        worker = cls(process, reader, writer, settings.call_timeout)
        try:
            async with asyncio.timeout(settings.start_timeout.total_seconds()):
                await _receive(reader)
        except (asyncio.IncompleteReadError, OSError, TimeoutError) as failed:
            await worker.close()
            raise WorkerDied("the worker did not start") from failed
        except asyncio.CancelledError:
            await worker.close()
            raise
        worker._receiving = asyncio.create_task(worker._receive_answers())
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    async def call(self, verb: str, parts: Sequence[bytes] = (), **values: Any) -> Message:
        """Raises WorkerDied, TemplateRefused, or EngineError when the engine itself failed."""
        if not self.alive:
            raise WorkerDied("gone before the call")
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(self._call_timeout):
                self._writer.write(encode(Message(number, verb, values, parts)))
                return _checked(await answer)
        except TimeoutError as late:
            self._die("no answer in time")
            raise WorkerDied("no answer in time") from late
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        self._die("closed")
        if self._receiving is not None:
            await asyncio.wait([self._receiving])
        await self._process.wait()
        os.close(self._handle)

    async def _receive_answers(self) -> None:
        try:
            while True:
                message = await _receive(self._reader)
                answer = self._waiting.get(message.call)
                if answer is not None and not answer.done():  # else its caller was cancelled
                    answer.set_result(message)
        except (asyncio.IncompleteReadError, OSError):
            self._die("connection lost")

    def _die(self, why: str) -> None:
        if not self.alive:
            return
        self.alive = False
        with contextlib.suppress(ProcessLookupError):  # already gone
            # It keeps nothing that a gentler end would save.
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        self._writer.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(WorkerDied(why))


def _command(settings: WorkerSettings, descriptor: int, warm: WarmUp) -> list[str]:
    options = {
        "socket": descriptor,
        "parent": os.getpid(),
        "libs": settings.libs,
        "classes": settings.classes,
        "heap": settings.heap,
        "threads": settings.threads,
        "warm": warm,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "biometrics.engine.worker", *arguments]


async def _receive(reader: asyncio.StreamReader) -> Message:
    header, body = LENGTHS.unpack(await reader.readexactly(LENGTHS.size))
    return decode(await reader.readexactly(header), await reader.readexactly(body))


def _checked(answer: Message) -> Message:
    match answer.verb:
        case "refused":
            raise TemplateRefused(answer.values["detail"])
        case "failed":
            raise EngineError(answer.values["detail"])
        case _:
            return answer
