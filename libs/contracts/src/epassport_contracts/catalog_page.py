"""The event catalog: the registry as one page for people."""

import json
from collections.abc import Iterable, Iterator

from epassport_contracts.asyncapi import example, key_of
from epassport_contracts.kafka_access import AUDITOR
from epassport_contracts.model import ContractEvent
from epassport_contracts.registry import (
    TOPICS,
    Classification,
    Cleanup,
    EventSpec,
    Topic,
    history_topic,
)
from epassport_contracts.shapes import Shape, shape_of

_HEAD = """\
# Event catalog

Made from `epassport_contracts.registry` by `python -m epassport_contracts.generate`; `make check`
fails when this page is not what the registry says. The same for machines:
[asyncapi.json](asyncapi.json), and in `libs/contracts`: `schemas/` (every version ever published),
`topics.json`, `acls.json` and `apply-to-kafka.sh`.

Records on internal topics are CloudEvents 1.0 in binary mode; their key is the stream, so that its
events stay in order. Those on public topics are structured CloudEvents JSON inside a compact JWS
(ES256, key purpose `public-event`), written in transactions: read them with
`isolation.level=read_committed`. `sealed` is an envelope that only services with the data key of
its purpose open.

A reader ignores members it does not know; a writer adds optional ones only. Old and new versions
read each other, both ways; what would break that is a new event type. A reader of a public topic
passes over types it does not know: the old one goes on being written beside them.
"""

_KEPT = {
    Cleanup.KEPT: "for ever",
    Cleanup.COMPACTED: "last record of each key (compacted)",
    Cleanup.THIRTY_DAYS: "30 days",
}


def page() -> str:
    return "\n".join(
        [_HEAD, *_overview(), "", *(line for topic in TOPICS for line in _topic(topic))]
    )


def _overview() -> Iterator[str]:
    yield "| topic | owner | class | kept | consumers |"
    yield "| --- | --- | --- | --- | --- |"
    for topic in TOPICS:
        heard = {service for spec in topic.events for service in spec.consumers}
        yield (
            f"| [{topic.name}](#{_anchor(topic.name)}) | {_names(topic.producers)}"
            f" | {topic.classification} | {_KEPT[topic.cleanup]} | {_consumers(topic, heard)} |"
        )


def _topic(topic: Topic) -> Iterator[str]:
    yield f"## {topic.name}"
    yield ""
    yield f"- producers: {_names(topic.producers)}"
    yield f"- classification: {topic.classification}; kept {_KEPT[topic.cleanup]}"
    yield f"- partitions: {topic.partitions}; key `{topic.key}`, for example `{key_of(topic)}`"
    if topic.sequenced:
        yield "- `ce_sequence` counts the records of a key from 1 without gaps"
    yield ""
    for spec in topic.events:
        yield from _event(topic, spec)


def _event(topic: Topic, spec: EventSpec) -> Iterator[str]:
    name = spec.model.type_name()
    schema = f"../../libs/contracts/schemas/{topic.name}/{name}"
    yield f"### {name} v{spec.model.version}"
    yield ""
    if spec.model.__doc__ and spec.model.__doc__ != ContractEvent.__doc__:
        yield from (line.strip() for line in spec.model.__doc__.strip().splitlines())
        yield ""
    yield f"Consumers: {_consumers(topic, spec.consumers)}. [Schemas]({schema})."
    yield ""
    yield "| member | type | |"
    yield "| --- | --- | --- |"
    shape = shape_of(spec.model, words=True)
    for member, inner in shape["properties"].items():
        optional = " " if member in shape.get("required", ()) else " optional "
        yield f"| `{member}` | {_type(inner)} |{optional}|"
    yield ""
    yield "```json"
    yield json.dumps(example(spec), indent=2, ensure_ascii=False)
    yield "```"
    yield ""


def _type(shape: Shape) -> str:
    if "anyOf" in shape:
        return " or ".join(_type(choice) for choice in shape["anyOf"])
    if "const" in shape:
        return f"`{json.dumps(shape['const'])}`"
    if "enum" in shape:
        return ", ".join(f"`{value}`" for value in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {_type(shape.get('items', {}))}"
    if shape.get("title") == "Sealed":
        return "sealed"
    parts = (shape.get("contentEncoding"), shape.get("format"), shape.get("type"))
    return next((part for part in parts if part), "anything")


def _consumers(topic: Topic, services: Iterable[str]) -> str:
    if topic.classification is Classification.PUBLIC:
        return "agencies"
    if topic.name in map(history_topic, topic.producers):
        return AUDITOR
    return _names(services) or "none"


def _names(services: Iterable[str]) -> str:
    return ", ".join(sorted(services))


def _anchor(title: str) -> str:
    """As Markdown readers make it of a heading."""
    return title.replace(".", "")
