"""`cloud`: one running replica of cloud-profile, on a database of its own."""

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

from cloud_service import OWNERS, Cloud, answers, now

from cloud_profile.service import build
from epassport.ceremony import PURPOSES, CeremonyResult, hold_ceremony
from epassport.database import migrate
from epassport.keystore import KeyStore
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
async def cloud(database: str, tmp_path: Path, keys: CeremonyResult) -> AsyncIterator[Cloud]:
    await migrate(database, "cloud_profile")
    (tmp_path / "dsn").write_text(database)
    async with AsyncExitStack() as closing:
        oidc = await closing.enter_async_context(Issuer())
        own, port = keys.services[ServiceName.CLOUD_PROFILE], free_port()
        settings = Settings(
            profile="sandbox", postgres_dsn_file=tmp_path / "dsn", kafka_security="plaintext",
            kafka_bootstrap="127.0.0.1:9", key_store=own.keystore,
            key_store_passphrase_file=own.passphrase, trust_file=keys.trust_file,
            trust_root_file=keys.root_public_key, oidc_issuer=oidc.url,
            oidc_audience="epassport", oidc_jwks_url=f"{oidc.url}/jwks", http_port=port,
        )  # fmt: skip
        opened = await closing.enter_async_context(running(build(settings)))
        parts = [asyncio.create_task(part()) for part in (opened.serve, opened.project)]
        http = await closing.enter_async_context(httpx.AsyncClient(timeout=10))
        owners = {
            owner: KeyStore.open(
                keys.services[owner].keystore,
                keys.services[owner].passphrase,
                PURPOSES[owner],
                sandbox=True,
            )
            for owner in OWNERS
        }
        found = Cloud(opened, f"http://127.0.0.1:{port}", oidc, http, owners)
        await answers(found)
        try:
            yield found
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
