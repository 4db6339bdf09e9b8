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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jpype

from biometrics.engine.filter import GalleryFilter, vector_of
from biometrics.engine.minutiae import minutiae_of
from biometrics.engine.port import TemplateRefused
from biometrics.engine.warmup import warm_up
from biometrics.engine.wire import LENGTHS, Message, WarmUp, decode, encode

PR_SET_PDEATHSIG = 1

_DONE = object()


@dataclass(frozen=True)
class Options:
    """The command line; `socket` is an inherited descriptor."""

    socket: int
    parent: int
    libs: Path
    classes: Path
    heap: str
    threads: int
    warm: WarmUp


def main() -> None:
    options = _read_options()
    _die_with(options.parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _start_jvm(options)
    with socket.socket(fileno=options.socket) as connection:
        Worker(connection, options.threads).run(options.warm)
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
        self._filter = GalleryFilter()

    def run(self, warm: WarmUp) -> None:
        steps = iter(()) if warm is WarmUp.NONE else warm_up(self._extractor)
        next(steps, _DONE)
        if warm is WarmUp.BEFORE:
            for _ in steps:
                pass
        self._send(Message(0, "ready", {"engine": self._engine}))
        self._go_on(steps)
        while (request := self._receive()) is not None:
            self._answer(request)

    def _answer(self, request: Message) -> None:
        match request.verb:
            case "extract":
                self._later(request, lambda: self._extract(request))
            case "compare":
                self._later(request, lambda: self._compare(request))
            case "search":
                self._search_here(request)
            case "insert":
                self._reply(request, lambda: self._insert(request))
            case "remove":
                self._reply(request, lambda: self._remove(request))
            case "size":
                self._reply(request, lambda: _done(request, size=self._gallery.snapshot().size()))
            case unknown:
                raise ValueError(f"unknown verb {unknown}")

    def _search_here(self, request: Message) -> None:
        """Snapshot and shortlist are of this place in the order; the rest may take its time."""
        snapshot = self._gallery.snapshot()
        try:
            rows = self._shortlist(request)
        except TemplateRefused as refused:
            self._send(Message(request.call, "refused", {"detail": refused.detail}))
            return
        self._later(request, lambda: self._search(request, snapshot, rows))

    def _go_on(self, steps: Iterator[None]) -> None:
        """Warm up by one step more, then stand in line again: who comes meanwhile waits for one."""

        def step() -> None:
            if next(steps, _DONE) is not _DONE:
                self._go_on(steps)

        self._pool.submit(step).add_done_callback(_end_if_broken)

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

    def _shortlist(self, request: Message) -> Any:
        """Rows of the snapshot that was taken just now; None for all."""
        if request.values["exhaustive"]:
            return None
        rows = self._filter.shortlist(request.values["positions"], request.parts)
        return jpype.JArray(jpype.JInt)(rows)

    def _search(self, request: Message, snapshot: Any, rows: Any) -> Message:
        values = request.values
        found = self._gallery.search(
            snapshot,
            jpype.JArray(jpype.JInt)(values["positions"]),
            _javas(request.parts),
            float(values["threshold"]),
            float(values["fused"]),
            values["at_most"],
            rows,
        )
        candidates = [
            (str(each.id()), float(each.score()), float(each.fused()), bool(each.mirrored()))
            for each in found
        ]
        searched = int(snapshot.size())
        compared = searched if rows is None else len(rows)
        return _done(
            request,
            candidates=candidates,
            searched=searched,
            compared=compared,
            engine=self._engine,
        )

    def _insert(self, request: Message) -> Message:
        """The filter's row after the engine's: what the engine refuses has none."""
        parts = iter(request.parts)
        for reference_id, positions in zip(
            request.values["ids"], request.values["positions"], strict=True
        ):
            templates = [next(parts) for _ in positions]
            row = self._gallery.insert(
                reference_id, jpype.JArray(jpype.JInt)(positions), _javas(templates)
            )
            vectors = [vector_of(minutiae_of(template)) for template in templates]
            self._filter.put(int(row), positions, vectors)
        return _done(request)

    def _remove(self, request: Message) -> Message:
        row = int(self._gallery.remove(request.values["id"]))
        if row >= 0:
            self._filter.take(row)
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


def _javas(parts: Sequence[bytes]) -> Any:
    return jpype.JArray(jpype.JByte, 2)([_java(part) for part in parts])


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
        "-XX:-TieredCompilation",  # an extraction takes 40 ms of CPU instead of 55, once warm
        "-XX:+UseSerialGC",  # ParallelGC was 15 % slower; the pool is ours, not the collector's
        # A large gallery is read all over: with small pages a sixth of a search is looking them up.
        "-XX:+UseTransparentHugePages",
        "-XX:+ExitOnOutOfMemoryError",  # the parent then starts a new worker and refills it
        "-XX:+SuppressFatalErrorMessage",
        "-XX:-UsePerfData",
        classpath=[*map(str, sorted(options.libs.glob("*.jar"))), str(options.classes)],
        convertStrings=False,
    )


if __name__ == "__main__":
    main()
