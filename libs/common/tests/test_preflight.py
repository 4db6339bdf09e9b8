"""What `check` says of topics, against a real Kafka."""

from dataclasses import replace

import pytest
from kafka_notes import clients_of, new_topic

from epassport.preflight import topic_findings, topics_of
from epassport_contracts import ServiceName
from epassport_contracts.registry import BY_NAME
from epassport_sandbox.stack import Stack


@pytest.mark.stack
async def test_missing_topics_and_wrong_partition_counts_are_told_by_name(stack: Stack) -> None:
    there = await new_topic(stack.kafka.bootstrap, partitions=2)
    wider, missing = replace(there, partitions=4), replace(there, name=f"{there.name}-missing")
    clients = clients_of(stack.kafka.bootstrap)
    assert await topic_findings(clients, [there]) == []
    assert await topic_findings(clients, [wider, missing]) == [
        f"kafka: topic {there.name} has 2 partitions, the registry says 4",
        f"kafka: topic {missing.name} is missing, or this principal may not see it",
    ]
    assert await topic_findings(clients, [missing]) != []


def test_a_service_needs_the_topics_that_it_writes_and_those_that_it_hears() -> None:
    needed = set(topics_of(ServiceName.CLOUD_PROFILE))
    assert BY_NAME["internal.cloud-profile.profile.v1"] in needed
    assert BY_NAME["internal.verification.document-status.v1"] in needed
    assert BY_NAME["internal.biometrics.biometric-record.v1"] not in needed
