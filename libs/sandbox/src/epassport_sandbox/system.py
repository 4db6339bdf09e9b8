"""The whole of epassport on one machine: stack, keys, topics, five services, an issuer.

Each service runs as an operating system process of its own, with its own database and
keystore, as a platform team would run it; only the profile says sandbox.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from uuid import uuid4

from epassport.ceremony import CeremonyResult, hold_ceremony, paths_in
from epassport_contracts import ServiceName
from epassport_sandbox.clock import MovableClock
from epassport_sandbox.errors import SandboxError
from epassport_sandbox.jars import cache_folder
from epassport_sandbox.oidc import AUDIENCE, Issuer
from epassport_sandbox.ports import free_port
from epassport_sandbox.processes import Supervisor
from epassport_sandbox.stack import Stack
from epassport_sandbox.topics import contract_topics, create_topics

ALL = tuple(ServiceName)
CERTIFICATES = "certificates"

Say = Callable[[str], None]


def package_of(service: ServiceName) -> str:
    """The Python package of a service: `cloud-profile` is `cloud_profile`."""
    return service.replace("-", "_")


def clock_file(folder: Path) -> Path:
    """In a folder of its own, which a container can be shown: the file is replaced at each move."""
    own = folder / "time"
    own.mkdir(exist_ok=True)
    return own / "offset-seconds"


def database_of(service: ServiceName) -> str:
    return f"epassport_{package_of(service)}"


@dataclass(frozen=True)
class System:
    """Five running services and what is needed to talk to them."""

    folder: Path
    stack: Stack
    keys: CeremonyResult
    clock: MovableClock
    issuer: Issuer
    processes: Supervisor
    urls: dict[ServiceName, str]
    environments: dict[ServiceName, dict[str, str]]

    async def start(
        self, service: ServiceName, *, within: timedelta = timedelta(seconds=90)
    ) -> None:
        """Start a service's processes (again) and wait until they are ready."""
        await self.processes.start(
            service,
            package_of(service),
            "all",
            environment=self.environments[service],
            ready_url=f"{self.urls[service]}/readyz",
            within=within,
        )

    async def run_once(
        self, service: ServiceName, command: str, *arguments: str
    ) -> tuple[int, str]:
        """Exit code of `python -m <package> <command> <arguments>`, and what it said."""
        name = f"{command}-{service}-{uuid4().hex}"
        child = await self.processes.start(
            name, package_of(service), command, *arguments, environment=self.environments[service]
        )
        child.expected_to_end = True
        code = await child.wait()
        return code, await asyncio.to_thread(child.log.read_text)

    def dsn(self, service: ServiceName) -> str:
        return self.stack.postgres.dsn(database_of(service))


@asynccontextmanager
async def open_system(
    stack: Stack,
    folder: Path,
    *,
    services: Sequence[ServiceName] = ALL,
    settings: Mapping[str, str] | None = None,
    say: Say = print,
) -> AsyncIterator[System]:
    """Everything started and ready; everything stopped again at the end.

    folder: keys, logs and the clock's file go here; a folder used before keeps its keys.
    settings: more of every service's environment.
    """
    async with AsyncExitStack() as closing:
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs yet
        clock = MovableClock(clock_file(folder))
        keys = _keys(folder / "keys", clock)
        issuer = await closing.enter_async_context(Issuer(now=clock.now))
        processes = await closing.enter_async_context(stack.supervisor(folder / "logs"))
        urls = {service: f"http://127.0.0.1:{free_port()}" for service in services}
        environments = {
            service: {
                **_environment(service, folder, stack, keys, clock, issuer, urls[service]),
                **(settings or {}),
            }
            for service in services
        }
        system = System(folder, stack, keys, clock, issuer, processes, urls, environments)
        say("topics and databases")
        await _prepare(system, services)
        say("five services start" if len(services) == len(ALL) else f"{len(services)} services")
        async with asyncio.TaskGroup() as starting:
            for service in services:
                starting.create_task(system.start(service))
        yield system


def _keys(folder: Path, clock: MovableClock) -> CeremonyResult:
    if (folder / "trust.jws").exists():
        return paths_in(folder, ALL)
    # A clock may be moved back a little by a test; keys are older than any moment it shows.
    return hold_ceremony(folder, ALL, sandbox=True, at=clock.now() - timedelta(days=1))


def _environment(
    service: ServiceName,
    folder: Path,
    stack: Stack,
    keys: CeremonyResult,
    clock: MovableClock,
    issuer: Issuer,
    url: str,
) -> dict[str, str]:
    dsn_file = folder / "keys" / service / "postgres-dsn"
    dsn_file.write_text(stack.postgres.dsn(database_of(service)))
    dsn_file.chmod(0o600)
    certificates = folder / CERTIFICATES
    cache = cache_folder()
    own = {
        ServiceName.CARD_PERSONALIZATION: {
            "EPASSPORT_CSCA_CERTIFICATE_FILE": str(certificates / "csca.der"),
            "EPASSPORT_CSCA_CRL_FILE": str(certificates / "csca.crl"),
            "EPASSPORT_DOCUMENT_SIGNER_CERTIFICATE_FILE": str(certificates / "document_signer.der"),
        },
        ServiceName.BIOMETRICS: {
            "EPASSPORT_ENGINE_LIBS": str(cache / "sourceafis-libs"),
            "EPASSPORT_ENGINE_CLASSES": str(cache / "sourceafis-classes"),
        },
    }
    return {
        "EPASSPORT_PROFILE": "sandbox",
        "EPASSPORT_POSTGRES_DSN_FILE": str(dsn_file),
        "EPASSPORT_KAFKA_BOOTSTRAP": stack.kafka.bootstrap,
        "EPASSPORT_KAFKA_SECURITY": "plaintext",
        "EPASSPORT_KEY_STORE": str(keys.services[service].address),
        "EPASSPORT_KEY_STORE_PASSPHRASE_FILE": str(keys.services[service].passphrase),
        "EPASSPORT_TRUST_FILE": str(keys.trust_file),
        "EPASSPORT_TRUST_ROOT_FILE": str(keys.root_public_key),
        "EPASSPORT_OIDC_ISSUER": issuer.url,
        "EPASSPORT_OIDC_AUDIENCE": AUDIENCE,
        "EPASSPORT_OIDC_JWKS_URL": f"{issuer.url}/jwks",
        "EPASSPORT_HTTP_PORT": url.rsplit(":", 1)[1],
        "EPASSPORT_LOG_LEVEL": "info",
        **clock.environment(),
        **own.get(service, {}),
    }


async def _prepare(system: System, services: Sequence[ServiceName]) -> None:
    """Topics, databases with their schema, and the certificates of the chip."""
    async with asyncio.TaskGroup() as preparing:
        preparing.create_task(create_topics(system.stack.kafka.bootstrap, contract_topics()))
        for service in services:
            preparing.create_task(_migrate(system, service))


async def _migrate(system: System, service: ServiceName) -> None:
    if service is ServiceName.CARD_PERSONALIZATION:
        await _certificates(system)  # its settings name them, also where it only migrates
    await system.stack.postgres.create_database(database_of(service))
    await _run(system, f"migrate-{service}", package_of(service), "migrate",
               environment=system.environments[service])  # fmt: skip


async def _certificates(system: System) -> None:
    folder = system.folder / CERTIFICATES
    if not (folder / "csca.der").exists():
        folder.mkdir(exist_ok=True)
        await _run(
            system,
            "certificates",
            "card_personalization.certificates",
            "--keys",
            str(system.folder / "keys"),
            "--folder",
            str(folder),
            "--at",
            (system.clock.now() - timedelta(days=1)).astimezone(UTC).isoformat(),
            "--sandbox",
        )


async def _run(
    system: System,
    name: str,
    module: str,
    *arguments: str,
    environment: dict[str, str] | None = None,
) -> None:
    child = await system.processes.start(name, module, *arguments, environment=environment or {})
    child.expected_to_end = True
    if (code := await child.wait()) != 0:
        raise SandboxError(f"{name} ended with {code}:\n{child.tail()}")
