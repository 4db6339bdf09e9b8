"""A system that somebody else runs, as docker-compose does: where it answers stands in the
environment, and what a process here would own is left alone.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import Field, FilePath
from pydantic_settings import BaseSettings, SettingsConfigDict

from epassport.ceremony import paths_in
from epassport.settings import read_secret
from epassport_sandbox.clock import MovableClock
from epassport_sandbox.oidc import Issuer
from epassport_sandbox.processes import Supervisor
from epassport_sandbox.stack import GivenStack
from epassport_sandbox.system import ALL, System


class GivenSystem(BaseSettings):
    """Where a running system answers, and the files by which its people sign in and check."""

    model_config = SettingsConfigDict(env_prefix="EPASSPORT_SANDBOX_", frozen=True)

    service_url: str = Field(description="with {service} in place of a service's name")
    kafka_bootstrap: str
    postgres_dsn_file: FilePath = Field(description="of a user who may read every database")
    issuer_url: str
    issuer_key_file: FilePath
    trust_folder: Path = Field(description="holds trust.jws and root-public-key.pem")
    verify_command: str | None = Field(
        default=None, description="how epassport-verify is called where the demo's reader sits"
    )


@asynccontextmanager
async def open_given_system(given: GivenSystem, folder: Path) -> AsyncIterator[System]:
    """Nothing is started and nothing stopped. folder: the clock's file, which shows real time."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs yet
    clock = MovableClock(folder / "clock")
    issuer = Issuer(now=clock.now, url=given.issuer_url, key_file=given.issuer_key_file)
    async with issuer, Supervisor(folder / "logs") as no_processes:
        yield System(
            folder,
            GivenStack(read_secret(given.postgres_dsn_file), given.kafka_bootstrap),
            paths_in(given.trust_folder, ALL),
            clock,
            issuer,
            no_processes,
            {service: given.service_url.format(service=service) for service in ALL},
            {service: {} for service in ALL},
        )
