"""How to reach Kafka, and the only places where its clients are made.

aiokafka's and FastStream's defaults lose records (`acks=1`, latest, automatic commits, topics
made on the fly); what a system of record needs is set here and in `consumer.py`.
"""

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from faststream.kafka import KafkaBroker
from faststream.security import (
    BaseSecurity,
    SASLPlaintext,
    SASLScram256,
    SASLScram512,
)

from epassport.errors import Unsafe
from epassport.fetched import take_any_names

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

REQUEST_MS = 10_000
MAX_REQUEST_BYTES = 1_000_000
TRANSACTION_MS = 30_000
PARTING_SECONDS = 15.0
POLL_MS = 1_000
# Whoever's topic was gone for a moment is assigned nothing until it asks again what there is.
METADATA_MS = 20_000

_LOG = logging.getLogger("epassport.kafka")


@dataclass(frozen=True)
class KafkaSettings:
    """Addresses and credentials.

    bootstrap: host:port, several separated by commas
    ca_file, certificate_file, key_file: PEM; a certificate is shown where the broker asks
    group_instance_id: this replica's lasting name, so that its restart moves no partition
    session_timeout: how long a killed replica keeps its partitions
    """

    bootstrap: str
    security_protocol: SecurityProtocol = "PLAINTEXT"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password_file: Path | None = None
    group_instance_id: str | None = None
    session_timeout: timedelta = timedelta(seconds=30)

    def tls(self) -> ssl.SSLContext | None:
        if self.security_protocol not in ("SSL", "SASL_SSL"):
            return None
        context = ssl.create_default_context(cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate_file is not None:
            context.load_cert_chain(self.certificate_file, self.key_file)
        return context

    def login(self) -> tuple[str, str] | None:
        """User name and password, where the protocol asks for them. Raises Unsafe."""
        if self.security_protocol not in ("SASL_PLAINTEXT", "SASL_SSL"):
            return None
        if self.sasl_username is None or self.sasl_password_file is None:
            raise Unsafe(f"{self.security_protocol} needs a user name and a password file")
        return self.sasl_username, self.sasl_password_file.read_text().strip()


class WaitingConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """Waits for records as long as a poll may take.

    After an empty poll FastStream sleeps for as long as the poll was to take: short polls wake
    each of a service's subscriptions fifty times a second, long ones keep records waiting. Asked
    for a short poll, this consumer makes a long one, which the first record ends.
    """

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Any]]:
        records: dict[TopicPartition, list[Any]] = await super().getmany(
            *partitions, timeout_ms=max(timeout_ms, POLL_MS), max_records=max_records
        )
        return records


class _Broker(KafkaBroker):
    async def _connect(self) -> Callable[..., AIOKafkaConsumer]:
        made = await super()._connect()
        if not isinstance(made, partial):
            raise TypeError("this FastStream makes its consumers in another way")
        builder = partial(WaitingConsumer, **made.keywords)
        self.config.broker_config.builder = builder
        return builder


class KafkaClients:
    """Makes clients of one service, none of them started."""

    def __init__(self, settings: KafkaSettings, *, client_id: str) -> None:
        take_any_names()
        self.settings = settings
        self._client_id = client_id

    def producer(self, *, transactional_id: str | None = None) -> AIOKafkaProducer:
        return AIOKafkaProducer(**self.producer_arguments(transactional_id))

    def producer_arguments(self, transactional_id: str | None) -> dict[str, Any]:
        """Idempotent: its own retries neither repeat nor reorder a record."""
        arguments: dict[str, Any] = {
            **self._connection(),
            "acks": "all",
            "enable_idempotence": True,
            "max_request_size": MAX_REQUEST_BYTES,
            "max_batch_size": 64 * 1024,
        }
        if transactional_id is not None:
            arguments["transactional_id"] = transactional_id
            arguments["transaction_timeout_ms"] = TRANSACTION_MS
        return arguments

    def admin(self) -> AIOKafkaAdminClient:
        """For looking only: nothing of ours makes or changes a topic."""
        return AIOKafkaAdminClient(**self._connection())

    def reader(self) -> AIOKafkaConsumer:
        """Of no group: it asks where topics end."""
        return AIOKafkaConsumer(
            **self._connection(),
            group_id=None,
            isolation_level="read_committed",
            enable_auto_commit=False,
        )

    def _connection(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.settings.bootstrap,
            "client_id": self._client_id,
            "request_timeout_ms": REQUEST_MS,
            "security_protocol": self.settings.security_protocol,
            "ssl_context": self.settings.tls(),
        }
        if (login := self.settings.login()) is not None:
            arguments["sasl_mechanism"] = self.settings.sasl_mechanism
            arguments["sasl_plain_username"], arguments["sasl_plain_password"] = login
        return arguments

    def broker(self) -> KafkaBroker:
        """For consuming only: no producer, no admin client, no topic made on the fly."""
        _LOG.setLevel(logging.ERROR)  # it warns once per subscriber that it makes no topics
        return _Broker(
            self.settings.bootstrap.split(","),
            client_id=self._client_id,
            security=self._security(),
            request_timeout_ms=REQUEST_MS,
            metadata_max_age_ms=METADATA_MS,
            consumer_only=True,
            allow_auto_create_topics=False,
            apply_types=False,
            graceful_timeout=PARTING_SECONDS,
            logger=_LOG,
            log_level=logging.DEBUG,
        )

    def _security(self) -> BaseSecurity | None:
        context, login = self.settings.tls(), self.settings.login()
        if login is None:
            return None if context is None else BaseSecurity(ssl_context=context)
        kinds: dict[Mechanism, type[SASLPlaintext | SASLScram256 | SASLScram512]] = {
            "PLAIN": SASLPlaintext,
            "SCRAM-SHA-256": SASLScram256,
            "SCRAM-SHA-512": SASLScram512,
        }
        return kinds[self.settings.sasl_mechanism](*login, ssl_context=context)
