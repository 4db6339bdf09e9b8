"""Logs: one JSON object a line; an event name, ids and reason codes, never personal data.

What may stand in a line is a closed list of field names and of plain values. Everything
else is withheld by the last step before writing, whoever logs it: texts of exceptions
(a database's error quotes the row it refused), arguments of libraries' messages, objects.
"""

import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from traceback import walk_tb
from typing import Any, BinaryIO
from uuid import UUID

import orjson
import structlog

from epassport import outage_log
from epassport.outage_log import OutageLog

# fmt: off
FIELDS = frozenset(
    {
        "event", "level", "at", "service", "process", "logger", "template", "correlation_id",
        "causation_id", "stream", "kind", "version", "position", "transaction_id", "event_id",
        "type", "schema_version", "topic", "partition", "offset", "next_offset", "key",
        "sequence", "expected", "consumer", "group", "shard", "consumers", "records", "events",
        "rows", "commands", "cause", "task_id", "task", "step", "region", "lease", "attempts",
        "attempt", "due_at", "overdue", "operation", "method", "status", "reason", "code",
        "command", "declared", "model", "table_version", "live", "since", "lag", "elapsed_ms",
        "seconds", "count", "bytes", "limit", "error", "errors", "frames", "fault", "sqlstate",
        "errno", "refusal", "stuck", "reader", "signal", "pid", "port", "host", "processes",
        "name", "purpose", "subject", "generation", "recipient", "owner",
        "applied", "detail", "verb", "references", "dropped", "rate",
    }
)
# fmt: on

MAX_TEXT_CHARACTERS = 300
MAX_FRAMES = 15
# Their messages are constants or %-templates; every other library may format values into them.
TRUSTED_TEMPLATES = ("aiokafka", "uvicorn")

_correlation: ContextVar[UUID | None] = ContextVar("correlation_id", default=None)


def correlation_id() -> UUID | None:
    return _correlation.get()


@contextmanager
def correlated(identifier: UUID) -> Iterator[None]:
    """Every line logged inside carries this correlation id."""
    token = _correlation.set(identifier)
    try:
        yield
    finally:
        _correlation.reset(token)


def configure(service: str, process: str, *, level: str, stream: BinaryIO | None = None) -> None:
    """Once per process, before anything is logged."""

    def stamp(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
        line["at"] = datetime.now(UTC)
        line["service"], line["process"] = service, process
        if (identifier := _correlation.get()) is not None:
            line.setdefault("correlation_id", identifier)
        return line

    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, _explain, _withhold, _render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(stream or sys.stderr.buffer),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Library(logging.WARNING)]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


class _Library(logging.Handler):
    """Messages of libraries, as templates: their arguments may hold anything."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._outages = OutageLog()

    def emit(self, record: logging.LogRecord) -> None:
        trusted = record.args or record.name.split(".")[0] in TRUSTED_TEMPLATES
        template = str(record.msg) if trusted and isinstance(record.msg, str) else "withheld"
        if record.name.startswith(outage_log.LOGGERS):
            explained = bool(record.exc_info)
            if self._outages.take(record.name, template, explained=explained):
                return
        structlog.get_logger().log(
            record.levelno,
            "library-message",
            logger=record.name,
            template=template,
            exc_info=record.exc_info,
        )


def describe(error: BaseException) -> dict[str, Any]:
    """Where and what, without its text: class, frames, causes, SQLSTATE, errno."""
    described: dict[str, Any] = {"error": _name(error), "frames": _frames(error)}
    if causes := _causes(error):
        described["errors"] = causes
    for attribute in ("sqlstate", "errno"):
        if isinstance(value := getattr(error, attribute, None), str | int):
            described[attribute] = value
    return described


def _explain(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    error = line.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        line.update(describe(error))
    return line


def _withhold(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    kept = {name: _plain(value) for name, value in line.items() if name in FIELDS}
    if dropped := sorted(name for name in line if name not in FIELDS):
        kept["dropped"] = dropped
    return kept


def _plain(value: object) -> object:
    match value:
        case None | bool() | float():
            return value
        case int():
            return int(value) if abs(value) < 2**63 else str(int(value))
        case str():
            return str(value)[:MAX_TEXT_CHARACTERS].encode(errors="backslashreplace").decode()
        case UUID() | datetime():
            return value
        case timedelta():
            return value.total_seconds()
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _:
            return f"withheld:{type(value).__name__}"


def _render(_logger: Any, _method: str, line: Mapping[str, Any]) -> bytes:
    return orjson.dumps(line)


def _name(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"


def _frames(error: BaseException) -> list[str]:
    frames = [
        f"{_short(frame.f_code.co_filename)}:{line} {frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ]
    return frames[-MAX_FRAMES:]


def _short(file: str) -> str:
    return "/".join(file.split("/")[-2:])


def _causes(error: BaseException) -> list[str]:
    """Classes of what led here: causes, contexts, members of a group."""
    found: list[str] = []
    seen: set[int] = {id(error)}
    waiting = [error]
    while waiting and len(found) < MAX_FRAMES:
        here = waiting.pop()
        context = None if here.__suppress_context__ else here.__context__
        members = here.exceptions if isinstance(here, BaseExceptionGroup) else ()
        for other in (here.__cause__ or context, *members):
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                found.append(_name(other))
                waiting.append(other)
    return found
