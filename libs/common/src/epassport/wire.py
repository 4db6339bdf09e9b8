"""A contract event as a Kafka record: CloudEvents 1.0, binary mode, JSON.

Headers are the `ce_*` attributes of the Kafka protocol binding (section 3.2); extension
names are lower-case. The value is the event's JSON, in which personal data is sealed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from epassport.catalog import Publication
from epassport.events import Recorded
from epassport.ids import named_id
from epassport_contracts import ServiceName
from epassport_contracts.registry import BY_NAME

MAX_RECORD_BYTES = 900_000


@dataclass(frozen=True)
class Record:
    id: UUID
    headers: Mapping[str, str]
    payload: bytes
    sequenced: bool


def event_id_on(topic: str, event_id: UUID) -> UUID:
    """The id of a domain event's publication on a topic: the same however often it is made."""
    return named_id(event_id, topic)


def record_of(
    service: ServiceName, publication: Publication, event: Recorded[Any], sequence: int
) -> Record:
    """sequence: used only on sequenced topics, where it counts a stream's records from 1."""
    topic = BY_NAME[publication.topic]
    record_id = event_id_on(topic.name, event.event_id)
    contract = publication.event
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(record_id),
        "ce_source": f"/epassport/{service}",
        "ce_type": contract.type_name(),
        "ce_subject": event.stream,
        "ce_time": contract.at.isoformat(),
        "ce_dataschema": f"{contract.type_name()}/v{contract.version}",
        "ce_correlationid": str(event.origin.correlation_id),
        "ce_causationid": str(event.event_id),
        "content-type": "application/json",
    }
    if topic.sequenced:
        headers["ce_sequence"] = str(sequence)
    return Record(record_id, headers, contract.model_dump_json().encode(), topic.sequenced)
