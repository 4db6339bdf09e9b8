"""JMRTD 0.8.3, set up once: jars by Maven, our shim compiled against them, one process a task."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from epassport_sandbox.errors import StackUnavailable
from epassport_sandbox.jars import STAMP, cache_folder, fetch_jars
from tests.conformance.conversation import Refused

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
SOURCES = sorted((HERE / "java").glob("*.java"))
SECONDS = 120


@dataclass(frozen=True)
class Jmrtd:
    command: tuple[str, ...]

    def ask(self, *words: str, chip: Callable[[bytes], bytes] | None = None) -> Any:
        """What the shim answers. chip: gets every command that JMRTD sends. Raises Refused."""
        process = subprocess.Popen(
            [*self.command, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            return self._converse(process, chip)
        finally:
            process.communicate(timeout=SECONDS)

    def _converse(
        self, process: subprocess.Popen[str], chip: Callable[[bytes], bytes] | None
    ) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            if "apdu" not in said:
                if "refused" in said:
                    raise Refused(said["refused"])
                return said["answer"]
            assert chip is not None
            process.stdin.write(chip(bytes.fromhex(said["apdu"])).hex() + "\n")
            process.stdin.flush()
        raise RuntimeError("the shim ended without an answer")


def set_up() -> Jmrtd:
    """Skips, with the reason, where Java or Maven is missing."""
    java, javac = shutil.which("java"), shutil.which("javac")
    if java is None or javac is None:
        pytest.skip("no Java development kit on this machine")
    try:
        jars = fetch_jars(POM, "jmrtd-libs")
    except StackUnavailable as error:
        pytest.skip(str(error))
    classes = _compiled(javac, jars)
    path = f"{classes}:{jars}/*"
    return Jmrtd((java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", path, "Shim"))


def _compiled(javac: str, jars: Path) -> Path:
    classes = cache_folder() / "jmrtd-classes"
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in (POM, *SOURCES))).hexdigest()
    stamp = classes / STAMP
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(classes, ignore_errors=True)
        options = ["--release", "17", "-nowarn", "-d", str(classes), "-cp", f"{jars}/*"]
        subprocess.run(
            [javac, *options, *map(str, SOURCES)], check=True, timeout=SECONDS, capture_output=True
        )
        stamp.write_text(digest)
    return classes
