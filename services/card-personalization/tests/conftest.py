"""`bureau`: the service with HTTP, tasks, readers and timers, on a database of its own."""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from cryptography import x509

from card_personalization import certificates
from card_personalization.service import build
from epassport.ceremony import PURPOSES, CeremonyResult, hold_ceremony
from epassport.database import migrate
from epassport.keystore import KeyStore
from epassport.service import running
from epassport_contracts import ServiceName
from epassport_sandbox.clock import MovableClock
from epassport_sandbox.oidc import Issuer

sys.path.insert(0, str(Path(__file__).parent))  # what the tests of this folder share

from bureau_service import (
    OWNERS,
    PEOPLE,
    Bureau,
    all_running,
    settings_for,
)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CeremonyResult]:
    folder = tmp_path_factory.mktemp("keys")
    result = hold_ceremony(folder, list(ServiceName), at=datetime.now(UTC) - timedelta(days=1))
    begin = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    asked = ["--keys", str(folder), "--folder", str(folder), "--at", begin, "--sandbox"]
    assert certificates.main(asked) == 0
    return folder, result


@pytest_asyncio.fixture(loop_scope="session")
async def bureau(
    database: str, held: tuple[Path, CeremonyResult], tmp_path: Path
) -> AsyncIterator[Bureau]:
    folder, keys = held
    await migrate(database, "card_personalization")
    stores = {
        owner: KeyStore.open(
            keys.services[owner].keystore,
            keys.services[owner].passphrase,
            PURPOSES[owner],
            sandbox=True,
        )
        for owner in OWNERS
    }
    clock = MovableClock(tmp_path / "clock")
    csca = x509.load_der_x509_certificate((folder / "csca.der").read_bytes())
    async with Issuer(PEOPLE.values(), now=clock.now) as issuer:
        settings = settings_for(folder, keys, tmp_path, database, issuer.url)
        url = f"http://127.0.0.1:{settings.http_port}"
        async with (
            running(build(settings)) as opened,
            all_running(opened.serve, opened.project, opened.work, opened.timers),
            httpx.AsyncClient(
                base_url=url, timeout=20, transport=httpx.AsyncHTTPTransport(retries=5)
            ) as client,
        ):
            yield Bureau(opened, stores, client, issuer, clock, csca)
