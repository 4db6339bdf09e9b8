"""What a block of a test logs, as the bytes that would be written."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from epassport.telemetry import configure


class Lines(io.BytesIO):
    def read_all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def text(self) -> str:
        return self.getvalue().decode()


@contextmanager
def logged() -> Iterator[Lines]:
    """Configures the logs as a process does, and puts the test run's own back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    lines = Lines()
    configure("enrollment", "serve", level="info", stream=lines)
    try:
        yield lines
    finally:
        structlog.reset_defaults()
        logging.captureWarnings(False)
        root.handlers, root.level = handlers, level
