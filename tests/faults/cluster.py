"""What is under fire: two services of two replicas each process, behind proxies, on a real stack.

The services reach PostgreSQL and Kafka through proxies; whoever prepares and checks goes straight.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from epassport.actor import Role as Officer
from epassport.ceremony import CeremonyResult, hold_ceremony, paths_in
from epassport.database import migrate
from epassport_contracts import ServiceName
from epassport_contracts.registry import TOPICS
from epassport_sandbox.errors import ChildFailed
from epassport_sandbox.kafka import EmbeddedKafka, Kafka
from epassport_sandbox.oidc import AUDIENCE, Issuer
from epassport_sandbox.people import DemoPerson
from epassport_sandbox.ports import HOST, free_port
from epassport_sandbox.postgres import EmbeddedPostgres, Postgres, server_not_ready
from epassport_sandbox.scratch import scratch_folder
from epassport_sandbox.topics import TopicSpec, create_topics
from tests.faults.proxy import Proxy
from tests.faults.replicas import Replica, Role

NAMES: Mapping[str, ServiceName] = {
    "sender": ServiceName.BIOMETRICS,
    "receiver": ServiceName.CLOUD_PROFILE,
}
APART = tuple(
    Role(service, command)
    for service, commands in {
        "sender": ("serve", "project", "relay", "work", "timers"),
        "receiver": ("consume", "project", "relay"),
    }.items()
    for command in commands
)
TOGETHER = (Role("sender", "all"), Role("receiver", "all"))
"""The same in four processes and their workers: quicker to start, and killed all at once."""

SERVING = ("serve", "all")
EVERYBODY = tuple(ServiceName)  # a data key goes to whoever may open it, here or not
REPLICAS = 2
READY = timedelta(seconds=240)
COMES_UP = timedelta(seconds=60)
CLIENT = DemoPerson("client", "Клиент", (Officer.OPERATOR,))


@dataclass
class Cluster:
    folder: Path
    http: aiohttp.ClientSession
    issuer: Issuer
    postgres_server: EmbeddedPostgres
    kafka_server: EmbeddedKafka
    postgres_proxy: Proxy
    kafka_proxy: Proxy
    postgres: Postgres
    kafka: Kafka
    replicas: list[Replica]

    def of(self, *roles: str) -> list[Replica]:
        """Replicas of these roles, as `sender.relay`; all where none is named."""
        return [one for one in self.replicas if not roles or str(one.role) in roles]

    def dsn(self, service: str) -> str:
        return self.postgres.dsn(f"faults_{service}")

    def urls(self) -> list[str]:
        serving = self.of(*(f"sender.{command}" for command in SERVING))
        return [one.ready_url.removesuffix("/readyz") for one in serving]

    async def until_ready(self, *, within: timedelta = READY) -> None:
        """Raises TimeoutError with who is missing."""
        deadline = asyncio.get_running_loop().time() + within.total_seconds()
        waiting = list(self.replicas)
        while waiting:
            ready = await asyncio.gather(*(one.is_ready(self.http) for one in waiting))
            waiting = [one for one, is_ready in zip(waiting, ready, strict=True) if not is_ready]
            if waiting and asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"not ready: {', '.join(one.name for one in waiting)}")
            await asyncio.sleep(0.2)

    async def start_postgres(self) -> None:
        """Again: what is left of a server that was killed may need a moment to end."""
        deadline = asyncio.get_running_loop().time() + COMES_UP.total_seconds()
        while True:
            try:
                await self.postgres_server.start()
                return
            except ChildFailed:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.5)

    async def until_postgres_answers(self) -> None:
        """It may have ended, or be recovering, or end over that."""
        running = self.postgres_server.child
        try:
            await running.until_ready(lambda: server_not_ready(self.postgres), within=COMES_UP)
        except ChildFailed:
            await self.start_postgres()

    async def start_kafka(self) -> None:
        await self.kafka_server.start()


@asynccontextmanager
async def open_cluster(
    folder: Path,
    *,
    roles: Sequence[Role] = APART,
    replicas: int = REPLICAS,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Cluster]:
    """Everything started and ready; everything gone at the end.

    folder: keys and logs. environment: added to every process's own.
    """
    async with AsyncExitStack() as closing:
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs yet
        scratch = closing.enter_context(scratch_folder())
        http = await closing.enter_async_context(aiohttp.ClientSession())
        issuer = await closing.enter_async_context(Issuer([CLIENT]))
        front = free_port()
        postgres_server = EmbeddedPostgres(
            scratch / "postgres", scratch, log=folder / "postgres.log", durable=True
        )
        kafka_server = EmbeddedKafka(scratch / "kafka", log=folder / "kafka.log", front_port=front)
        closing.push_async_callback(postgres_server.stop)
        closing.push_async_callback(kafka_server.stop)
        postgres, kafka = await asyncio.gather(postgres_server.start(), kafka_server.start())
        fronted = kafka_server.fronted_port or 0
        kafka_proxy = await closing.enter_async_context(Proxy(front, fronted))
        postgres_port = urlsplit(postgres.superuser_dsn).port or 0
        postgres_proxy = await closing.enter_async_context(Proxy(free_port(), postgres_port))
        cluster = Cluster(
            folder, http, issuer, postgres_server, kafka_server, postgres_proxy, kafka_proxy,
            postgres, kafka, [],
        )  # fmt: skip
        await _prepare(cluster)
        cluster.replicas += _replicas(cluster, roles, replicas, environment or {})
        closing.push_async_callback(_stop_all, cluster)
        for one in cluster.replicas:
            one.start()
        await cluster.until_ready()
        yield cluster


async def _prepare(cluster: Cluster) -> None:
    wanted = [TopicSpec(topic.name, topic.partitions, dict(topic.config)) for topic in TOPICS]
    await create_topics(cluster.kafka.bootstrap, wanted)
    for service in NAMES:
        dsn = await cluster.postgres.create_database(f"faults_{service}")
        await migrate(dsn, f"tests.faults.{service}")
    hold_ceremony(cluster.folder / "keys", EVERYBODY, at=datetime.now(UTC) - timedelta(days=2))


def _replicas(
    cluster: Cluster, roles: Sequence[Role], replicas: int, environment: Mapping[str, str]
) -> list[Replica]:
    keys = paths_in(cluster.folder / "keys", EVERYBODY)
    found = []
    for role in roles:
        for number in range(1, replicas + 1):
            port = free_port()
            found.append(
                Replica(
                    role,
                    number,
                    {**_environment(cluster, keys, role, number, port), **environment},
                    cluster.folder / f"{role}-{number}.log",
                    f"http://{HOST}:{port}/readyz",
                )
            )
    return found


def _environment(
    cluster: Cluster, keys: CeremonyResult, role: Role, number: int, port: int
) -> dict[str, str]:
    """The first replica has a lasting name in its Kafka groups, the second has none."""
    name = NAMES[role.service]
    dsn_file = cluster.folder / f"{role.service}.dsn"
    address = urlsplit(cluster.dsn(role.service))
    credentials = address.netloc.rpartition("@")[0]
    through = address._replace(netloc=f"{credentials}@{HOST}:{cluster.postgres_proxy.port}")
    dsn_file.write_text(urlunsplit(through))
    lasting = {"EPASSPORT_KAFKA_GROUP_INSTANCE_ID": f"{role}-{number}"} if number == 1 else {}
    return {
        "EPASSPORT_PROFILE": "sandbox",
        "EPASSPORT_POSTGRES_DSN_FILE": str(dsn_file),
        "EPASSPORT_POSTGRES_CONNECTIONS": "6",
        "EPASSPORT_KAFKA_BOOTSTRAP": f"{HOST}:{cluster.kafka_proxy.port}",
        "EPASSPORT_KAFKA_SECURITY": "plaintext",
        "EPASSPORT_KEY_STORE": str(keys.services[name].keystore),
        "EPASSPORT_KEY_STORE_PASSPHRASE_FILE": str(keys.services[name].passphrase),
        "EPASSPORT_TRUST_FILE": str(keys.trust_file),
        "EPASSPORT_TRUST_ROOT_FILE": str(keys.root_public_key),
        "EPASSPORT_OIDC_ISSUER": cluster.issuer.url,
        "EPASSPORT_OIDC_AUDIENCE": AUDIENCE,
        "EPASSPORT_OIDC_JWKS_URL": f"{cluster.issuer.url}/jwks",
        ("EPASSPORT_HTTP_PORT" if role.command in SERVING else "EPASSPORT_HEALTH_PORT"): str(port),
        **lasting,
    }


async def _stop_all(cluster: Cluster) -> None:
    await asyncio.gather(*(one.stop() for one in cluster.replicas))
