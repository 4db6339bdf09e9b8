"""Records of a topic as a consumer reads them: CloudEvents 1.0, binary mode, JSON.

Reading goes in three steps, so that a bad record is known as exactly as it can be: its stream
and sequence from key and header alone, then every header, then the event. What cannot be read
is `Poison` with one of the causes below; a detail never holds a value from the record.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol
from uuid import UUID

from pydantic import ValidationError

from epassport.actor import service_actor
from epassport.decider import StreamId
from epassport.errors import Poison
from epassport.events import Origin, Recorded
from epassport.wire import MAX_RECORD_BYTES
from epassport_contracts import ContractEvent, ServiceName
from epassport_contracts.registry import Topic

NO_KEY = ""
MAX_KEY_BYTES = 500  # ours have less than a hundred
_SOURCE = "/epassport/"
_SEQUENCE = re.compile(r"[1-9][0-9]{0,9}")
_MAX_SEQUENCE = 2**31 - 1


class Cause(StrEnum):
    """Why a record is parked."""

    NULL_KEY = "null-key"
    UNREADABLE_KEY = "unreadable-key"
    NO_VALUE = "no-value"
    BAD_HEADER = "bad-header"
    WRONG_SOURCE = "wrong-source"
    UNKNOWN_TYPE = "unknown-type"
    UNKNOWN_VERSION = "unknown-version"
    RECORD_TOO_LARGE = "record-too-large"
    MALFORMED_EVENT = "malformed-event"
    BUG = "bug"  # it can be read, but applying it alone fails
    GAP = "gap"  # the record before it has not come yet
    BEHIND = "behind"  # waits behind an earlier one of its stream


WAITING = frozenset({Cause.GAP, Cause.BEHIND})
"""Nothing is wrong with these records themselves."""

UNKNOWN = frozenset({Cause.UNKNOWN_TYPE, Cause.UNKNOWN_VERSION})
"""Nor with these: they are of a newer build."""

Header = tuple[str, bytes | None]


class KafkaRecord(Protocol):
    """What we use of aiokafka's ConsumerRecord."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Iterable[Header]


@dataclass(frozen=True)
class RawRecord:
    """Bytes as they came. timestamp_ms: the record's own, of one that comes from Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[Header, ...]
    value: bytes | None
    timestamp_ms: int | None = field(default=None, compare=False)

    @classmethod
    def of(cls, record: KafkaRecord) -> "RawRecord":
        return cls(
            record.topic,
            record.partition,
            record.offset,
            record.key,
            tuple(record.headers),
            record.value,
            record.timestamp,
        )

    @cached_property
    def stream_key(self) -> str:
        """What it is parked under; of an unreadable key, as much as text can show.

        No index takes a key of several thousand octets, so of a long one the digest stands there.
        """
        if self.key is None:
            return NO_KEY
        if len(self.key) > MAX_KEY_BYTES:
            return f"sha256:{hashlib.sha256(self.key).hexdigest()}"
        return self.key.decode(errors="replace").replace("\0", "\ufffd")

    @cached_property
    def sequence(self) -> int | None:
        """None where the header is missing or no positive number."""
        text = (dict(self.headers).get("ce_sequence") or b"").decode("ascii", errors="replace")
        if not _SEQUENCE.fullmatch(text) or int(text) > _MAX_SEQUENCE:
            return None
        return int(text)


def headers_apart(
    headers: Iterable[Header], reserved: tuple[str, ...]
) -> tuple[list[Header], list[Header]]:
    """As an object of JSON can hold them: the last of each name, which is the one that counts; and
    the others in order, which are earlier ones of a name, and those whose name begins as reserved.
    """
    headers = [(name.replace("\0", "\ufffd"), octets) for name, octets in headers]
    last = {name: place for place, (name, _) in enumerate(headers)}
    counting: list[Header] = []
    others: list[Header] = []
    for place, header in enumerate(headers):
        counts = last[header[0]] == place and not header[0].startswith(reserved)
        (counting if counts else others).append(header)
    return counting, others


@dataclass(frozen=True)
class Head:
    """What the headers say; the event itself is not read yet."""

    key: str
    event_id: UUID
    type_name: str
    source: ServiceName
    stream: StreamId
    time: datetime
    sequence: int | None
    correlation_id: UUID
    causation_id: UUID | None
    model: type[ContractEvent]


@dataclass(frozen=True)
class Incoming:
    """One record of a topic, decoded. stream: the producer's, as it names it."""

    topic: str
    partition: int
    offset: int
    key: str
    sequence: int | None
    event_id: UUID
    type: str
    source: ServiceName
    correlation_id: UUID
    causation_id: UUID | None
    stream: StreamId
    time: datetime
    event: ContractEvent

    def as_recorded(self) -> Recorded[ContractEvent]:
        """In the shape of an own event, for what takes both; `version` is the sequence."""
        return Recorded(
            fact=self.event,
            stream=self.stream,
            version=self.sequence or 0,
            position=self.offset,
            transaction_id=0,
            event_id=self.event_id,
            origin=Origin(service_actor(self.source), self.correlation_id, self.causation_id),
            recorded_at=self.time,
        )


def read_head(raw: RawRecord, topic: Topic) -> Head:
    """Raises Poison."""
    if raw.key is None:
        raise Poison(Cause.NULL_KEY)
    try:
        key = raw.key.decode()
    except UnicodeDecodeError:
        raise Poison(Cause.UNREADABLE_KEY) from None
    if not key or "\0" in key or len(raw.key) > MAX_KEY_BYTES:
        raise Poison(Cause.UNREADABLE_KEY)
    headers = _Headers(raw.headers)
    headers.expect("ce_specversion", "1.0")
    headers.expect("content-type", "application/json")
    if topic.sequenced and raw.sequence is None:
        raise Poison(Cause.BAD_HEADER, "ce_sequence")
    type_name = headers.text("ce_type")
    causation = headers.optional("ce_causationid")
    return Head(
        key=key,
        event_id=headers.uuid("ce_id"),
        type_name=type_name,
        source=_source(headers.text("ce_source"), topic),
        stream=_stream(headers.text("ce_subject"), key, topic),
        time=headers.time("ce_time"),
        sequence=raw.sequence if topic.sequenced else None,
        correlation_id=headers.uuid("ce_correlationid"),
        causation_id=None if causation is None else headers.uuid("ce_causationid"),
        model=_model(topic, type_name, headers.text("ce_dataschema")),
    )


def read_event(raw: RawRecord, head: Head) -> Incoming:
    """Raises Poison."""
    if raw.value is None:
        raise Poison(Cause.NO_VALUE)
    if len(raw.value) > MAX_RECORD_BYTES:  # before it is parsed: none of ours was ever sent
        raise Poison(Cause.RECORD_TOO_LARGE)
    try:
        event = head.model.model_validate_json(raw.value)
    except ValidationError as error:
        raise Poison(Cause.MALFORMED_EVENT, _without_values(error)) from None
    return Incoming(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        key=head.key,
        sequence=head.sequence,
        event_id=head.event_id,
        type=head.type_name,
        source=head.source,
        correlation_id=head.correlation_id,
        causation_id=head.causation_id,
        stream=head.stream,
        time=head.time,
        event=event,
    )


class _Headers:
    """Typed access; every failure names the header, never its value."""

    def __init__(self, headers: Iterable[Header]) -> None:
        self._octets: Mapping[str, bytes | None] = dict(headers)

    def optional(self, name: str) -> str | None:
        octets = self._octets.get(name)
        if octets is None:
            return None
        try:
            return octets.decode()
        except UnicodeDecodeError:
            raise Poison(Cause.BAD_HEADER, name) from None

    def text(self, name: str) -> str:
        text = self.optional(name)
        if not text or "\0" in text:
            raise Poison(Cause.BAD_HEADER, name)
        return text

    def expect(self, name: str, wanted: str) -> None:
        if self.text(name) != wanted:
            raise Poison(Cause.BAD_HEADER, name)

    def uuid(self, name: str) -> UUID:
        try:
            return UUID(self.text(name))
        except ValueError:
            raise Poison(Cause.BAD_HEADER, name) from None

    def time(self, name: str) -> datetime:
        try:
            time = datetime.fromisoformat(self.text(name))
        except ValueError:
            raise Poison(Cause.BAD_HEADER, name) from None
        if time.tzinfo is None:
            raise Poison(Cause.BAD_HEADER, name)
        return time


def _source(text: str, topic: Topic) -> ServiceName:
    """A topic has its producers; a record of anybody else is not believed."""
    for service in topic.producers:
        if text == _SOURCE + service:
            return service
    raise Poison(Cause.WRONG_SOURCE)


def _stream(subject: str, key: str, topic: Topic) -> StreamId:
    """Counted records are one stream's: of another one's key, one would be applied in a place of
    a sequence that is not its own, and that stream's own record be taken for a repeat."""
    if topic.sequenced and subject != key:
        raise Poison(Cause.BAD_HEADER, "ce_subject")
    return StreamId(subject)


def _model(topic: Topic, type_name: str, schema: str) -> type[ContractEvent]:
    for spec in topic.events:
        if spec.model.type_name() == type_name:
            if schema != f"{type_name}/v{spec.model.version}":
                raise Poison(Cause.UNKNOWN_VERSION)
            return spec.model
    raise Poison(Cause.UNKNOWN_TYPE)


def _without_values(error: ValidationError) -> str:
    """Where and what, as `identity.ct: string_type`; names of members are the schema's."""
    faults: list[Any] = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['type']}" for fault in faults[:5]
    ]
    return "; ".join(shown)
