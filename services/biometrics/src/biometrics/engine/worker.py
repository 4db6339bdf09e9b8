"""The engine's own process: a Python that holds the JVM. `python -m biometrics.engine.worker`.

Requests are read by one thread. It changes the gallery itself and takes a search's snapshot itself,
so that the order of arrival is the order of effect; extraction, comparison and the search over the
snapshot then run on a pool, and answers leave as they are ready.

The process keeps nothing: it ends at once when its parent does, or when the socket closes. It holds
templates in the clear, so it leaves no core dump, no crash report and no shared performance file.
"""

import argparse
import ctypes
import os
import resource
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jpype

from biometrics.engine.wire import LENGTHS, Message, decode, encode

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Options:
    """The command line; `socket` is an inherited descriptor."""

    socket: int
    parent: int
    libs: Path
    classes: Path
    heap: str
    threads: int


def main() -> None:
    options = _read_options()
    _die_with(options.parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _start_jvm(options)
    with socket.socket(fileno=options.socket) as connection:
        Worker(connection, options.threads).run()
    os._exit(0)  # a search may still be running, for nobody


class Worker:
    def __init__(self, connection: socket.socket, threads: int) -> None:
        self._incoming = connection.makefile("rb")
        self._connection = connection
        self._writing = threading.Lock()
        self._pool = ThreadPoolExecutor(threads)
        self._extractor = jpype.JClass("epassport.engine.Extractor")
        self._gallery = jpype.JClass("epassport.engine.Gallery")(threads)
        self._engine = f"sourceafis-{self._extractor.version()}"

    def run(self) -> None:
        self._send(Message(0, "ready", {"engine": self._engine}))
        while (request := self._receive()) is not None:
            self._answer(request)

    def _answer(self, request: Message) -> None:
        match request.verb:
            case "extract":
                self._later(request, lambda: self._extract(request))
            case "compare":
                self._later(request, lambda: self._compare(request))
            case "search":
                snapshot = self._gallery.snapshot()
                self._later(request, lambda: self._search(request, snapshot))
            case "insert":
                self._reply(request, lambda: self._insert(request))
            case "remove":
                self._reply(request, lambda: self._remove(request))
            case "size":
                self._reply(request, lambda: _done(request, size=self._gallery.snapshot().size()))
            case unknown:
                raise ValueError(f"unknown verb {unknown}")

    def _later(self, request: Message, work: Callable[[], Message]) -> None:
        self._pool.submit(self._reply, request, work).add_done_callback(_end_if_broken)

    def _reply(self, request: Message, work: Callable[[], Message]) -> None:
        try:
            answer = work()
        except jpype.JException as failed:
            refused = isinstance(failed, jpype.JClass("java.lang.IllegalArgumentException"))
            verb = "refused" if refused else "failed"
            answer = Message(request.call, verb, {"detail": str(failed)})
        self._send(answer)

    def _extract(self, request: Message) -> Message:
        width, height, dpi = (request.values[name] for name in ("width", "height", "dpi"))
        template = self._extractor.extract(_java(request.parts[0]), width, height, float(dpi))
        minutiae = int(self._extractor.minutiae(template))
        data = bytes(memoryview(template).cast("B"))
        return _done(request, data, minutiae=minutiae, engine=self._engine)

    def _compare(self, request: Message) -> Message:
        probe, reference = request.parts
        return _done(request, score=float(self._extractor.compare(_java(probe), _java(reference))))

    def _search(self, request: Message, snapshot: Any) -> Message:
        threshold, at_most = float(request.values["threshold"]), request.values["at_most"]
        found = self._gallery.search(snapshot, _java(request.parts[0]), threshold, at_most)
        candidates = [(str(each.id()), float(each.score())) for each in found]
        searched = int(snapshot.size())
        return _done(request, candidates=candidates, searched=searched, engine=self._engine)

    def _insert(self, request: Message) -> Message:
        for reference_id, template in zip(request.values["ids"], request.parts, strict=True):
            self._gallery.insert(reference_id, _java(template))
        return _done(request)

    def _remove(self, request: Message) -> Message:
        self._gallery.remove(request.values["id"])
        return _done(request)

    def _send(self, message: Message) -> None:
        with self._writing:
            self._connection.sendall(encode(message))

    def _receive(self) -> Message | None:
        lengths = self._incoming.read(LENGTHS.size)
        if len(lengths) < LENGTHS.size:
            return None
        header, body = LENGTHS.unpack(lengths)
        return decode(self._incoming.read(header), self._incoming.read(body))


def _done(request: Message, *parts: bytes, **values: Any) -> Message:
    return Message(request.call, "done", values, parts)


def _end_if_broken(work: Future[None]) -> None:
    """Our own fault in a thread: end loudly, or the caller would wait for its time limit."""
    if (broken := work.exception()) is not None:
        traceback.print_exception(broken)
        os._exit(1)


def _java(data: bytes) -> Any:
    return jpype.JArray(jpype.JByte)(data)


def _read_options() -> Options:
    parser = argparse.ArgumentParser(prog="biometrics.engine.worker", description=__doc__)
    for name, kind in Options.__annotations__.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    return Options(**vars(parser.parse_args()))


def _die_with(parent: int) -> None:
    """The kernel kills this process when its parent dies, however it dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        sys.exit("the parent process is gone")


def _start_jvm(options: Options) -> None:
    jpype.startJVM(
        f"-Xmx{options.heap}",
        "-XX:+UseSerialGC",  # ParallelGC was 15 % slower; the pool is ours, not the collector's
        "-XX:+ExitOnOutOfMemoryError",  # the parent then starts a new worker and refills it
        "-XX:+SuppressFatalErrorMessage",
        "-XX:-UsePerfData",
        classpath=[*map(str, sorted(options.libs.glob("*.jar"))), str(options.classes)],
        convertStrings=False,
    )


if __name__ == "__main__":
    main()
