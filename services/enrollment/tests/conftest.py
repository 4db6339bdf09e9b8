"""`desk`: one running replica of enrollment with a registered office."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))  # what the tests of this folder share

from service_desk import Desk, answers, now, register_everything

from enrollment.service import build
from epassport.ceremony import CeremonyResult, hold_ceremony
from epassport.database import migrate
from epassport.service import running
from epassport.settings import Settings
from epassport_contracts import ServiceName
from epassport_sandbox.oidc import Issuer
from epassport_sandbox.ports import free_port


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> CeremonyResult:
    """One ceremony for all tests: it takes a second."""
    folder = tmp_path_factory.mktemp("keys")
    return hold_ceremony(folder, list(ServiceName), at=now() - timedelta(days=1))


@pytest_asyncio.fixture(loop_scope="session")
async def desk(database: str, tmp_path: Path, keys: CeremonyResult) -> AsyncIterator[Desk]:
    await migrate(database, "enrollment")
    (tmp_path / "dsn").write_text(database)
    async with AsyncExitStack() as closing:
        oidc = await closing.enter_async_context(Issuer())
        own, port = keys.services[ServiceName.ENROLLMENT], free_port()
        settings = Settings(
            profile="sandbox", postgres_dsn_file=tmp_path / "dsn", kafka_security="plaintext",
            kafka_bootstrap="127.0.0.1:9", key_store=own.keystore,
            key_store_passphrase_file=own.passphrase, trust_file=keys.trust_file,
            trust_root_file=keys.root_public_key, oidc_issuer=oidc.url,
            oidc_audience="epassport", oidc_jwks_url=f"{oidc.url}/jwks", http_port=port,
        )  # fmt: skip
        opened = await closing.enter_async_context(running(build(settings)))
        tasks = [
            asyncio.create_task(part()) for part in (opened.serve, opened.project, opened.work)
        ]
        http = await closing.enter_async_context(httpx.AsyncClient(timeout=10))
        found = Desk(opened, f"http://127.0.0.1:{port}", oidc, http)
        await answers(found)
        await register_everything(found)
        try:
            yield found
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
