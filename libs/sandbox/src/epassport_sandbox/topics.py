"""Topics, made before anything writes to them: the broker never makes one by itself.

`python -m epassport_sandbox.topics BOOTSTRAP` makes those of the contracts that are missing.
"""

import asyncio
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from epassport_contracts.registry import TOPICS

REQUEST_MS = 30_000
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class TopicSpec:
    """config: the broker's own names and values, as `{"cleanup.policy": "compact"}`."""

    name: str
    partitions: int = 1
    config: Mapping[str, str] = field(default_factory=dict)


def contract_topics() -> list[TopicSpec]:
    """What the contracts say, for one broker."""
    return [TopicSpec(topic.name, topic.partitions, dict(topic.config)) for topic in TOPICS]


async def create_topics(
    bootstrap: str, specs: Iterable[TopicSpec], *, replication_factor: int = 1
) -> list[str]:
    """Make those that are missing and return their names; existing ones are left as they are.

    When it returns, every topic has a leader for each partition: a producer may send at once.
    Raises aiokafka's KafkaError of the first topic that the broker refuses.
    """
    wanted = {spec.name: spec for spec in specs}
    if not wanted:
        return []
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=REQUEST_MS)
    await admin.start()
    try:
        answer = await admin.create_topics(
            [
                NewTopic(spec.name, spec.partitions, replication_factor, None, dict(spec.config))
                for spec in wanted.values()
            ]
        )
        created = []
        for name, code, message in answer.topic_errors:
            error = for_code(code)
            if error is NoError:
                created.append(name)
            elif error is not TopicAlreadyExistsError:
                raise error(f"{name}: {message}")
        await _until_led(admin, wanted)
        return created
    finally:
        await admin.close()


async def _until_led(admin: AIOKafkaAdminClient, wanted: Mapping[str, TopicSpec]) -> None:
    """The broker answers a creation before it leads the new partitions."""
    async with asyncio.timeout(REQUEST_MS / 1000):
        while True:
            described = await admin.describe_topics(list(wanted))
            if all(_led(topic) for topic in described):
                return
            await asyncio.sleep(POLL_SECONDS)


def _led(topic: Mapping[str, Any]) -> bool:
    partitions = topic["partitions"]
    return topic["error_code"] == 0 and all(part["leader"] >= 0 for part in partitions)


def main() -> None:
    try:
        created = asyncio.run(create_topics(sys.argv[1], contract_topics()))
    except KafkaError as error:
        sys.exit(f"topics: {type(error).__name__} from Kafka at {sys.argv[1]}")
    print(f"topics: {len(created)} made, {len(TOPICS) - len(created)} were there")


if __name__ == "__main__":
    main()
