"""`check`: what a service needs, looked at before it is started. One line per finding."""

from collections.abc import Collection

import asyncpg
from aiokafka.errors import KafkaError

from epassport.database import SchemaMismatch
from epassport.errors import Unsafe
from epassport.kafka import KafkaClients
from epassport.service import Service, running
from epassport_contracts import ServiceName
from epassport_contracts.registry import TOPICS, Topic


async def findings(service: Service) -> list[str]:
    """Key store, trust file, database, schema and Kafka; empty where all is well."""
    clients = KafkaClients(service.settings.kafka(), client_id=f"epassport-{service.name}")
    return [
        *await _opening(service),
        *await topic_findings(clients, topics_of(service.name)),
    ]


def topics_of(service: ServiceName) -> list[Topic]:
    """Every topic that a service writes or hears."""
    return [
        topic
        for topic in TOPICS
        if service in topic.producers or any(service in spec.consumers for spec in topic.events)
    ]


async def _opening(service: Service) -> list[str]:
    try:
        async with running(service):
            return []
    except SchemaMismatch as error:
        return [f"database: {error}"]
    except Unsafe as error:
        return [f"settings and keys: {error}"]
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return [f"database: cannot be used ({type(error).__name__})"]


async def topic_findings(clients: KafkaClients, topics: Collection[Topic]) -> list[str]:
    """Every topic's metadata is asked for at once: naming one that is missing could make it."""
    admin = clients.admin()
    try:
        await admin.start()
        described = {topic["topic"]: topic for topic in await admin.describe_topics()}
    except (KafkaError, OSError) as error:
        return [f"kafka: cannot be reached ({type(error).__name__})"]
    finally:
        await admin.close()
    found = []
    for topic in topics:
        known = described.get(topic.name)
        if known is None:
            found.append(f"kafka: topic {topic.name} is missing, or this principal may not see it")
        elif (partitions := len(known["partitions"])) != topic.partitions:
            found.append(
                f"kafka: topic {topic.name} has {partitions} partitions,"
                f" the registry says {topic.partitions}"
            )
    return found
