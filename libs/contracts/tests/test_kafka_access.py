"""What a service may do on Kafka is what it does, and nothing more."""

import shutil
import subprocess
from pathlib import Path

import pytest

from epassport_contracts import ServiceName
from epassport_contracts.kafka_access import (
    AUDITOR,
    Operation,
    Pattern,
    Resource,
    Rule,
    rules,
    script,
)
from epassport_contracts.registry import TOPICS, Cleanup, consumed_by, history_topic

RULES = list(rules())
NAMES = {topic.name for topic in TOPICS}


def may(principal: str, operation: Operation, resource: Resource, name: str) -> bool:
    """As Kafka decides: some rule of this principal names the resource, or begins its name."""
    return any(
        rule.name == name
        or (rule.pattern is Pattern.PREFIXED and name.startswith(rule.name))
        for rule in RULES
        if (rule.principal, rule.operation, rule.resource) == (principal, operation, resource)
    )  # fmt: skip


@pytest.mark.parametrize("service", ServiceName)
def test_no_service_may_read_a_topic_it_does_not_consume(service: ServiceName) -> None:
    readable = {name for name in NAMES if may(service, Operation.READ, Resource.TOPIC, name)}
    assert readable == {topic.name for topic, _ in consumed_by(service)}


@pytest.mark.parametrize("service", ServiceName)
def test_no_service_may_write_a_topic_it_does_not_produce(service: ServiceName) -> None:
    writable = {name for name in NAMES if may(service, Operation.WRITE, Resource.TOPIC, name)}
    assert writable == {topic.name for topic in TOPICS if service in topic.producers}


@pytest.mark.parametrize("service", ServiceName)
def test_a_service_joins_its_own_groups_alone(service: ServiceName) -> None:
    groups = {other: f"{other}.reactions.internal.enrollment.holder.v1" for other in ServiceName}
    joinable = {o for o, g in groups.items() if may(service, Operation.READ, Resource.GROUP, g)}
    assert joinable == {service}
    assert not may(service, Operation.READ, Resource.GROUP, f"{service}-x.reactions")


@pytest.mark.parametrize("service", ServiceName)
def test_only_relays_of_compacted_topics_may_fence_and_only_their_own(service: ServiceName) -> None:
    resource = Resource.TRANSACTIONAL_ID
    fenced = {o for o in ServiceName if may(service, Operation.WRITE, resource, f"{o}-relay-4")}
    writes = any(t.cleanup is Cleanup.COMPACTED and service in t.producers for t in TOPICS)
    assert fenced == ({service} if writes else set())


def test_an_auditor_reads_the_heads_of_histories_and_nothing_else() -> None:
    of_auditor = {(r.operation, r.resource, r.name) for r in RULES if r.principal == AUDITOR}
    assert of_auditor == {
        (Operation.READ, Resource.TOPIC, history_topic(service)) for service in ServiceName
    }


def test_no_topic_is_granted_by_a_pattern() -> None:
    """A topic made later must not be readable by accident."""
    granted = [rule for rule in RULES if rule.resource is Resource.TOPIC]
    assert {rule.pattern for rule in granted} == {Pattern.LITERAL}


def said_by(script_text: str, folder: Path, **environment: str) -> list[list[str]]:
    """Arguments of every command that the script runs, with programs that write them down."""
    said = folder / "said"
    for program in ("kafka-topics.sh", "kafka-acls.sh"):
        (folder / program).write_text(f'#!/bin/sh\nprintf "%s\\t" {program} "$@" >>{said}\n'
                                      f"echo >>{said}\n")  # fmt: skip
        (folder / program).chmod(0o755)
    (folder / "apply.sh").write_text(script_text)
    subprocess.run(
        ["/bin/sh", folder / "apply.sh"],
        env={"BOOTSTRAP": "b:9092", "KAFKA_BIN": str(folder), **environment},
        check=True,
        timeout=60,
    )
    return [line.split("\t")[:-1] for line in said.read_text().splitlines()]


def after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_the_script_asks_for_every_topic_and_every_rule(tmp_path: Path) -> None:
    said = said_by(script(), tmp_path, PRINCIPAL="User:CN=%s", REPLICATION="1")
    made = {after(words, "--topic"): words for words in said if words[0] == "kafka-topics.sh"}
    assert made.keys() == NAMES
    for topic in TOPICS:
        words = made[topic.name]
        assert after(words, "--partitions") == str(topic.partitions)
        configs = {words[i + 1] for i, word in enumerate(words) if word == "--config"}
        expected = {f"{name}={value}" for name, value in topic.config.items()}
        assert configs == {"min.insync.replicas=1", *expected}
    granted = [words for words in said if words[0] == "kafka-acls.sh"]
    assert {_rule_of(words) for words in granted} == set(RULES)


def _rule_of(words: list[str]) -> Rule:
    resource = next(one for one in Resource if f"--{one}" in words)
    return Rule(
        after(words, "--allow-principal").removeprefix("User:CN="),
        Operation(after(words, "--operation")),
        resource,
        Pattern(after(words, "--resource-pattern-type")),
        after(words, f"--{resource}"),
    )


def test_the_script_does_not_start_without_a_broker() -> None:
    shell = shutil.which("sh") or "/bin/sh"
    answer = subprocess.run(
        [shell, "-c", script()], env={}, check=False, timeout=60, capture_output=True, text=True
    )
    assert answer.returncode != 0
    assert "host:port of a broker" in answer.stderr
