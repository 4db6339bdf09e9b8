"""The two bare counterparts of a search: a Java program, and the engine in this very process.

CPU time of whole processes is read from the kernel's clock of the process, in nanoseconds: its
collector and its compiler count too, waiting for a busy neighbour does not.
"""

import os
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jpype

CACHE = Path(os.environ.get("EPASSPORT_CACHE") or Path(__file__).parents[2] / ".cache")
LIBS, CLASSES = CACHE / "sourceafis-libs", CACHE / "sourceafis-classes"
# As the worker's, so that both loops are compiled and collected alike.
FLAGS = ("-XX:-TieredCompilation", "-XX:+UseSerialGC", "-XX:+UseTransparentHugePages")

_CPU_OF_PROCESS = 2  # CPUCLOCK_SCHED of clock_gettime(2), for a process


def cpu_seconds(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | _CPU_OF_PROCESS)


@dataclass
class BareLoop:
    """octets: heap for one template."""

    process: "subprocess.Popen[str]"
    octets: int

    def search(self, row: int) -> float:
        """Seconds of CPU of one search."""
        before = cpu_seconds(self.process.pid)
        assert self.process.stdin is not None
        self.process.stdin.write(f"{row}\n")
        self.process.stdin.flush()
        assert self._line() == "done"
        return cpu_seconds(self.process.pid) - before

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def bare_loop(templates: Sequence[bytes], copies: int) -> Iterator[BareLoop]:
    source = Path(__file__).parent / "identify_java" / "BareLoop.java"
    jars = ":".join(str(jar) for jar in sorted(LIBS.glob("*.jar")))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["javac", "-d", folder, "-cp", jars, source], check=True)
        packed = Path(folder) / "templates"
        packed.write_bytes(
            struct.pack(">i", len(templates))
            + b"".join(struct.pack(">i", len(each)) + each for each in templates)
        )
        command = ["java", "-Xmx2g", *FLAGS, "-cp", f"{jars}:{folder}", "BareLoop"]
        with subprocess.Popen(
            [*command, str(packed), str(copies)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            try:
                yield BareLoop(process, int(process.stdout.readline()))
            finally:
                process.kill()


def start_in_process(heap: str) -> None:
    """A JVM in this process, which no service ever has."""
    jpype.startJVM(
        f"-Xmx{heap}",
        *FLAGS,
        classpath=[*map(str, sorted(LIBS.glob("*.jar"))), str(CLASSES)],
        convertStrings=False,
    )


def java_gallery(rows: int, fingers: Callable[[int], dict[int, bytes]], *, threads: int = 1) -> Any:
    """The service's own Java gallery. fingers: templates by position code, of a row."""
    gallery = jpype.JClass("epassport.engine.Gallery")(threads)
    for row in range(rows):
        positions, templates = zip(*fingers(row).items(), strict=True)
        gallery.insert(str(row), jpype.JArray(jpype.JInt)(positions), javas(templates))
    return gallery


def javas(parts: Sequence[bytes]) -> Any:
    return jpype.JArray(jpype.JByte, 2)([jpype.JArray(jpype.JByte)(part) for part in parts])
