"""Who may do what on Kafka: derived from who produces and who consumes, nothing beside it.

Kafka grants DESCRIBE with READ and WRITE, and idempotent writing with WRITE, so neither is
listed. Nobody may create, alter or delete; that is the platform team's.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from epassport_contracts.access import ServiceName
from epassport_contracts.registry import TOPICS, Cleanup, history_topic

AUDITOR = "auditor"
"""Reads the heads of all services' hash chains, and nothing else."""


class Resource(StrEnum):
    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


class Pattern(StrEnum):
    LITERAL = "literal"
    PREFIXED = "prefixed"


class Operation(StrEnum):
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True)
class Rule:
    """principal: name of the service, as its certificate or login has it."""

    principal: str
    operation: Operation
    resource: Resource
    pattern: Pattern
    name: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def rules() -> Iterator[Rule]:
    for service in ServiceName:
        yield from _of_service(service)
    for service in ServiceName:
        yield _on_topic(AUDITOR, Operation.READ, history_topic(service))


def _of_service(service: ServiceName) -> Iterator[Rule]:
    for topic in TOPICS:
        if service in topic.producers:
            yield _on_topic(service, Operation.WRITE, topic.name)
        if any(service in spec.consumers for spec in topic.events):
            yield _on_topic(service, Operation.READ, topic.name)
    # Consumer groups are <service>.<consumer>.<topic>; the dot ends the name.
    yield Rule(service, Operation.READ, Resource.GROUP, Pattern.PREFIXED, f"{service}.")
    if _writes_compacted(service):
        prefix = f"{service}-relay-"
        rule = (Resource.TRANSACTIONAL_ID, Pattern.PREFIXED, prefix)
        yield Rule(service, Operation.WRITE, *rule)


def _on_topic(principal: str, operation: Operation, topic: str) -> Rule:
    return Rule(str(principal), operation, Resource.TOPIC, Pattern.LITERAL, topic)


def _writes_compacted(service: ServiceName) -> bool:
    """Relays of compacted topics send in transactions."""
    return any(
        topic.cleanup is Cleanup.COMPACTED and service in topic.producers for topic in TOPICS
    )


_SCRIPT = """\
#!/bin/sh
# Topics and access rules of epassport. Generated: python -m epassport_contracts.generate
#
#   BOOTSTRAP=host:port sh apply-to-kafka.sh
#
# KAFKA_BIN       folder of kafka-topics.sh and kafka-acls.sh; otherwise they are on the PATH
# COMMAND_CONFIG  properties of an administrator's client
# PRINCIPAL       how a service's name becomes a principal: User:%s (a login), User:CN=%s (TLS)
# REPLICATION     copies of each partition, 3; all but one must have a record before it counts
#
# Can be run again: what exists is left as it is. Rules that are no longer here are not removed;
# compare with kafka-acls.sh --list.
set -eu
: "${BOOTSTRAP:?host:port of a broker}"
REPLICATION=${REPLICATION:-3}
PRINCIPAL=${PRINCIPAL:-User:%s}
BIN=${KAFKA_BIN:+$KAFKA_BIN/}
IN_SYNC=$((REPLICATION > 1 ? REPLICATION - 1 : 1))

topic() { # name partitions config...
    name=$1 partitions=$2
    shift 2
    "${BIN}kafka-topics.sh" --bootstrap-server "$BOOTSTRAP" \\
        ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} \\
        --create --if-not-exists --topic "$name" --partitions "$partitions" \\
        --replication-factor "$REPLICATION" --config "min.insync.replicas=$IN_SYNC" "$@"
}

may() { # service operation resource pattern name
    # shellcheck disable=SC2059
    who=$(printf "$PRINCIPAL" "$1")
    "${BIN}kafka-acls.sh" --bootstrap-server "$BOOTSTRAP" \\
        ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} \\
        --add --force --allow-principal "$who" --operation "$2" \\
        --resource-pattern-type "$4" "--$3" "$5"
}

"""


def script() -> str:
    """A shell script that makes every topic and every rule."""
    lines = []
    for topic in TOPICS:
        config = " ".join(f"--config {name}={value}" for name, value in topic.config.items())
        lines.append(f"topic {topic.name} {topic.partitions} {config}")
    lines += [
        f"may {rule.principal} {rule.operation} {rule.resource} {rule.pattern} {rule.name}"
        for rule in rules()
    ]
    return _SCRIPT + "\n".join(lines) + "\n"
