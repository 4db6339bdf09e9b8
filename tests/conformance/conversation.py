"""A foreign reader as a process that answers one JSON line with one JSON line.

Its script turns every question {"do": …} into {"answer": …}, or {"refused": why} when the
library raised: a refusal is an answer here, a script that ends is a fault.
"""

import json
import subprocess
from types import TracebackType
from typing import Any, Self


class Refused(Exception):
    """The foreign library would not have it."""


class Conversation:
    def __init__(self, *command: str) -> None:
        self._command = command

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def ask(self, question: str, **members: object) -> Any:
        """Bytes are given as hex. Raises Refused."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        given = {k: v.hex() if isinstance(v, bytes) else v for k, v in members.items()}
        self._process.stdin.write(json.dumps({"do": question, **given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._command[-1]} ended")
        said = json.loads(line)
        if "refused" in said:
            raise Refused(said["refused"])
        return said["answer"]
