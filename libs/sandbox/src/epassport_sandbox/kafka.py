"""A real Apache Kafka broker, one KRaft node on loopback, from jars that Maven fetches.

Java 17 or newer runs it with 512 MB of heap. It keeps its port and its data, so that it can be
stopped and started again in the same folder.
"""

import asyncio
import base64
import os
import re
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from epassport_sandbox.errors import StackUnavailable
from epassport_sandbox.jars import KAFKA_FOLDER, KAFKA_POM, fetch_jars
from epassport_sandbox.ports import HOST, free_port
from epassport_sandbox.processes import Child

LEAST_JAVA = 17
START = timedelta(seconds=90)
STOP = timedelta(seconds=20)
REQUEST_MS = 5_000
# Without the optimizing compiler: a broker of minutes spends as much CPU on it as on records.
JAVA_OPTIONS = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}{fronted}
advertised.listeners=PLAINTEXT://{host}:{port}{advertised}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,FRONTED:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
message.max.bytes=1048576
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=2
"""
"""The voter is named with its address rather than found by --standalone formatting, which would
write the controller's port into the data and forbid another one at the next start."""


@dataclass(frozen=True)
class Kafka:
    """Where a running broker answers, as host:port."""

    bootstrap: str

    async def describe(self) -> dict[str, Any]:
        """What the broker says of its cluster; aiokafka's own form."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=REQUEST_MS)
        try:
            await admin.start()
            cluster: dict[str, Any] = await admin.describe_cluster()
            return cluster
        finally:
            await admin.close()


def environment_of_broker(port: int, controller_port: int, *, data: str) -> dict[str, str]:
    """The same settings in the form that Kafka's container images take: KAFKA_LOG_DIRS."""
    places = {"host": HOST, "port": port, "controller_port": controller_port, "data": data}
    filled = PROPERTIES.format(**places, fronted="", advertised="")
    settings = dict(line.split("=", 1) for line in filled.splitlines())
    return {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()}


class EmbeddedKafka:
    """A broker of our own. It keeps its port, so that it can be stopped and started again."""

    def __init__(self, folder: Path, *, log: Path, front_port: int | None = None) -> None:
        """front_port: where something stands before the broker, as a proxy that cuts connections.

        Whoever comes in at `fronted_port` is told to go on at the front; all others go straight.
        """
        self._folder = folder
        self._log = log
        self._port = free_port()
        self._controller_port = free_port(but_not=self._port)
        self._front_port = front_port
        self.fronted_port = None if front_port is None else free_port(but_not=front_port)
        self._child: Child | None = None

    @property
    def version(self) -> str:
        """Of the jars, as `4.3.1`."""
        server = next(fetch_jars(KAFKA_POM, KAFKA_FOLDER).glob("kafka-server-[0-9]*.jar"))
        return server.stem.removeprefix("kafka-server-")

    @property
    def data(self) -> Path:
        """Where the broker keeps its topics."""
        return self._folder / "data"

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self._port}"

    @property
    def child(self) -> Child:
        if self._child is None:
            raise StackUnavailable("Kafka has not been started")
        return self._child

    async def start(self) -> Kafka:
        """Raises StackUnavailable when Java or the jars are missing, else ChildFailed."""
        java = await asyncio.to_thread(_find_java)
        jars = await asyncio.to_thread(fetch_jars, KAFKA_POM, KAFKA_FOLDER)
        properties = self._write_properties()
        if not (self._folder / "data" / "meta.properties").exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            # In one word: one id in 64 begins with "-", which would be read as an option.
            named = f"--cluster-id={cluster}"
            tool = ["kafka.tools.StorageTool", "format", named, "-c", str(properties)]
            formatting = await self._run("kafka-format", java, jars, *tool)
            if await formatting.wait() != 0:
                raise formatting.failure()
        running = await self._run("kafka", java, jars, "kafka.Kafka", str(properties))
        broker = Kafka(self.bootstrap)
        await running.until_ready(lambda: broker_not_ready(broker, self._port), within=START)
        return broker

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop(grace=STOP)

    def _write_properties(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        properties = self._folder / "server.properties"
        front, fronted = self._front_port, self.fronted_port
        properties.write_text(
            PROPERTIES.format(
                host=HOST,
                port=self._port,
                controller_port=self._controller_port,
                data=self._folder.resolve() / "data",
                fronted="" if front is None else f",FRONTED://{HOST}:{fronted}",
                advertised="" if front is None else f",FRONTED://{HOST}:{front}",
            )
        )
        return properties

    async def _run(self, name: str, java: str, jars: Path, *arguments: str) -> Child:
        log_settings = f"-Dlog4j2.configurationFile={KAFKA_POM.with_name('log4j2.xml')}"
        self._child = await Child.start(
            name,
            [java, *JAVA_OPTIONS, log_settings, "-cp", f"{jars}/*", *arguments],
            log=self._log,
        )
        return self._child


async def broker_not_ready(broker: Kafka, port: int) -> str | None:
    """None when it answers and leads, else what is missing."""
    # The bare connection comes first, as the client logs every refused one as an error.
    try:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        cluster = await broker.describe()
    except (OSError, KafkaError) as error:
        return f"{type(error).__name__}: {error}"
    return None if cluster["brokers"] else "the cluster has no broker yet"


def _find_java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        raise StackUnavailable(f"Java is missing: Kafka needs Java {LEAST_JAVA} or newer")
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30)
    found = re.search(r'version "(\d+)', answer.stderr)
    if found is None or int(found[1]) < LEAST_JAVA:
        first_line = answer.stderr.strip().partition("\n")[0]
        raise StackUnavailable(f"Kafka needs Java {LEAST_JAVA} or newer, {java} says: {first_line}")
    return java
