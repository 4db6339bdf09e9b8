"""The registry as one AsyncAPI 3.1 document: a channel per topic, a message per event on it,
and per service what it sends and receives."""

from collections.abc import Iterator
from typing import Any

from epassport_contracts.access import ServiceName
from epassport_contracts.examples import AT, example_id, example_of
from epassport_contracts.model import ContractEvent
from epassport_contracts.registry import TOPICS, Classification, EventSpec, Topic
from epassport_contracts.shapes import Shape, shape_of

BINDING_VERSION = "0.5.0"
_DESCRIPTION = """\
Every event that crosses a border of epassport, the issuing and checking system of a national
electronic passport. Records are CloudEvents 1.0: on internal topics in binary mode, on public
ones as structured CloudEvents JSON inside a compact JWS. Readers ignore what they do not know."""
_JOSE = "application/jose"
_TOPIC_BINDING = frozenset(
    {"cleanup.policy", "retention.ms", "retention.bytes", "delete.retention.ms",
     "max.message.bytes"}
)  # fmt: skip


def document() -> dict[str, Any]:
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "epassport events",
            "version": "1.0.0",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": _server()},
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": dict(_operations()),
        "components": {
            "securitySchemes": {
                "certificate": {
                    "type": "X509",
                    "description": "One client certificate per service or agency.",
                }
            },
            "schemas": {
                spec.model.type_name(): shape_of(spec.model, words=True)
                for topic in TOPICS
                for spec in topic.events
            },
        },
    }


def _server() -> dict[str, Any]:
    return {
        "host": "{bootstrap}",
        "protocol": "kafka-secure",
        "description": "Apache Kafka 3.9 or newer; every service has its own principal.",
        "variables": {"bootstrap": {"description": "host:port of a broker"}},
        "security": [{"$ref": "#/components/securitySchemes/certificate"}],
    }


def _channel(topic: Topic) -> dict[str, Any]:
    binding: dict[str, Any] = {
        name: value for name, value in topic.config.items() if name in _TOPIC_BINDING
    }
    binding["cleanup.policy"] = [topic.config["cleanup.policy"]]
    for number in binding.keys() - {"cleanup.policy"}:
        binding[number] = int(binding[number])
    return {
        "address": topic.name,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {spec.model.type_name(): _message(topic, spec) for spec in topic.events},
        "tags": [{"name": topic.classification.value}],
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": binding,
                "bindingVersion": BINDING_VERSION,
            }
        },
        "x-topic-configuration": dict(topic.config),
        "x-sequenced": topic.sequenced,
    }


def _message(topic: Topic, spec: EventSpec) -> dict[str, Any]:
    name = spec.model.type_name()
    message: dict[str, Any] = {
        "name": name,
        "contentType": "application/json",
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": topic.key, "examples": [key_of(topic)]},
                "bindingVersion": BINDING_VERSION,
            }
        },
    }
    if spec.model.__doc__ and spec.model.__doc__ != ContractEvent.__doc__:
        message["summary"] = spec.model.__doc__.splitlines()[0]
    payload = {"$ref": f"#/components/schemas/{name}"}
    if topic.classification is Classification.PUBLIC:
        return message | _signed(payload)
    return message | {
        "headers": headers_of(topic, spec.model),
        "payload": payload,
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "examples": [{"headers": example_headers(topic, spec.model), "payload": example(spec)}],
    }


def _signed(payload: dict[str, str]) -> dict[str, Any]:
    return {
        "contentType": _JOSE,
        "headers": {
            "type": "object",
            "required": ["content-type"],
            "properties": {"content-type": {"type": "string", "const": _JOSE}},
        },
        "payload": {
            "type": "string",
            "contentMediaType": _JOSE,
            "description": "Compact JWS (ES256, typ cloudevent+jwt) over a structured CloudEvent.",
        },
        "x-data": payload,
    }


def headers_of(topic: Topic, model: type[ContractEvent]) -> Shape:
    """Attributes of a record in binary mode, each as text."""
    name = model.type_name()
    members: dict[str, Any] = {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid"},
        "ce_source": {
            "type": "string",
            "enum": [f"/epassport/{service}" for service in sorted(topic.producers)],
        },
        "ce_type": {"type": "string", "const": name},
        "ce_subject": {"type": "string", "description": "the producer's stream"},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_dataschema": {"type": "string", "const": f"{name}/v{model.version}"},
        "ce_correlationid": {"type": "string", "format": "uuid"},
        "ce_causationid": {"type": "string", "format": "uuid"},
        "content-type": {"type": "string", "const": "application/json"},
    }
    if topic.sequenced:
        members["ce_sequence"] = {
            "type": "string",
            "pattern": "^[1-9][0-9]{0,9}$",
            "description": "counts the records of one key from 1 without gaps",
        }
    return {"type": "object", "required": sorted(members), "properties": members}


def example(spec: EventSpec) -> Any:
    return example_of(shape_of(spec.model))


def example_headers(topic: Topic, model: type[ContractEvent]) -> dict[str, str]:
    texts = {
        "ce_subject": key_of(topic),
        "ce_time": AT,
        "ce_sequence": "1",
    }
    return {
        name: texts.get(name) or str(example_of(member, name))
        for name, member in headers_of(topic, model)["properties"].items()
    }


def key_of(topic: Topic) -> str:
    """An example of a record's key."""
    return "/".join(
        example_id(part.strip("<>")) if part.endswith(("id>", "ref>")) else part.strip("<>")
        for part in topic.key.split("/")
    )


def _operations() -> Iterator[tuple[str, Any]]:
    for topic in TOPICS:
        for service in sorted(topic.producers):
            yield _operation(service, "send", topic, topic.events)
        for service in ServiceName:
            heard = tuple(spec for spec in topic.events if service in spec.consumers)
            if heard:
                yield _operation(service, "receive", topic, heard)


def _operation(
    service: ServiceName, action: str, topic: Topic, events: tuple[EventSpec, ...]
) -> tuple[str, Any]:
    channel = f"#/channels/{topic.name}"
    binding: dict[str, Any] = {"bindingVersion": BINDING_VERSION}
    if action == "receive":
        group = rf"^{service}\.[a-z0-9_-]+\.{topic.name.replace('.', '[.]')}$"
        binding["groupId"] = {"type": "string", "pattern": group}
    return f"{service}.{action}.{topic.name}", {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{spec.model.type_name()}"} for spec in events],
        "tags": [{"name": service.value}],
        "bindings": {"kafka": binding},
    }
