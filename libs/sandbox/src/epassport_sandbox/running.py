"""A running system with everything a demo, a pilot or a test needs in one place."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp

from epassport.signing import SigningPurpose
from epassport.trustfile import TrustFile, read_public_key
from epassport_contracts import ServiceName
from epassport_credentials.offline_pack import OfflinePack, open_offline_pack
from epassport_credentials.signer import Purpose
from epassport_credentials.trust import TrustedKey, open_trust_list
from epassport_sandbox import fingerprints
from epassport_sandbox.client import Client
from epassport_sandbox.country import BLANKS, Country, set_up_country
from epassport_sandbox.fingerprints import FingerprintSet
from epassport_sandbox.given import GivenSystem, open_given_system
from epassport_sandbox.road import Captures, Road
from epassport_sandbox.scratch import scratch_folder
from epassport_sandbox.stack import Stack, open_stack
from epassport_sandbox.system import ALL, Say, System, open_system

IMPRESSIONS = 2
ANSWER = timedelta(seconds=30)


@dataclass
class Session:
    """road walks citizens; client asks anything else."""

    system: System
    client: Client
    country: Country
    road: Road

    async def offline_pack(self) -> OfflinePack:
        """As a shop without network got it: the signed pack, trusted by the signed trust list."""
        trust_token = await self.client.octets(ServiceName.VERIFICATION, "/trust-list")
        pack_token = await self.client.octets(ServiceName.VERIFICATION, "/offline-pack")
        now = self.system.clock.now()
        trust = open_trust_list(
            trust_token.decode(), self.trust_list_keys(), now=now, accept_sandbox=True
        )
        keys = [key for key in trust.keys if key.purpose is Purpose.OFFLINE_PACK]
        return open_offline_pack(pack_token.decode(), keys, now=now, accept_sandbox=True)

    def trust_list_keys(self) -> list[TrustedKey]:
        """The one key a verifier is given by hand, with its validity."""
        keys = self.system.keys
        trust = TrustFile.open(keys.trust_file, read_public_key(keys.root_public_key), sandbox=True)
        return [
            TrustedKey(
                Purpose.TRUST_LIST,
                key.key_id,
                key.public_key,
                key.valid_from,
                key.valid_until,
                sandbox=True,
            )
            for key in trust.signing_keys(ServiceName.VERIFICATION, SigningPurpose.TRUST_LIST)
        ]


class Fingers:
    """Impressions of whoever comes: finger seeds are numbered as they are first asked for.
    first: the number of the first, where others have used fingers of the same set."""

    def __init__(self, made: FingerprintSet, *, first: int = 0) -> None:
        self._made = made
        self._first = first
        self._numbers: dict[int, int] = {}

    def impression(self, finger_seed: int, n: int) -> bytes:
        number = self._numbers.setdefault(finger_seed, self._first + len(self._numbers))
        return self._made.png(number, n)


@asynccontextmanager
async def open_session(
    folder: Path,
    *,
    fingers: int,
    stack: Stack | None = None,
    durable: bool = True,
    services: Sequence[ServiceName] = ALL,
    settings: Mapping[str, str] | None = None,
    blanks: int = BLANKS,
    say: Say = print,
    progress: Callable[[int, int], None] | None = None,
) -> AsyncIterator[Session]:
    """fingers: how many different ones will be needed. A given stack is used and left running.
    services: those that are needed; the others are not started. settings: see `open_system`.
    blanks: cards in stock, of which each passport takes one."""
    say("fingerprints of synthetic people (made once, then cached)")
    made = fingerprints.fingerprint_set(fingers, IMPRESSIONS, progress=progress)
    if stack is not None:
        async with _on(stack, folder, made, services, settings, blanks, say) as session:
            yield session
        return
    with scratch_folder() as data:
        async with (
            open_stack(data, durable=durable, announce=say) as opened,
            _on(opened, folder, made, services, settings, blanks, say) as session,
        ):
            yield session


@asynccontextmanager
async def open_given_session(
    given: GivenSystem, folder: Path, *, fingers: int, say: Say = print
) -> AsyncIterator[Session]:
    """On a system that somebody else runs, in which nobody has registered anything yet."""
    say("fingerprints of synthetic people (made once, then cached)")
    made = fingerprints.fingerprint_set(fingers, IMPRESSIONS)
    async with (
        open_given_system(given, folder) as system,
        _in_country(system, made, BLANKS, say) as session,
    ):
        yield session


@asynccontextmanager
async def _on(
    stack: Stack,
    folder: Path,
    made: FingerprintSet,
    services: Sequence[ServiceName],
    settings: Mapping[str, str] | None,
    blanks: int,
    say: Say,
) -> AsyncIterator[Session]:
    async with (
        open_system(stack, folder, services=services, settings=settings, say=say) as system,
        _in_country(system, made, blanks, say) as session,
    ):
        yield session


@asynccontextmanager
async def _in_country(
    system: System, made: FingerprintSet, blanks: int, say: Say
) -> AsyncIterator[Session]:
    # A service closes what is idle for 5 s; a request sent at that moment would be lost.
    connections = aiohttp.TCPConnector(limit=200, keepalive_timeout=2)
    bound = aiohttp.ClientTimeout(total=ANSWER.total_seconds())
    async with aiohttp.ClientSession(connector=connections, timeout=bound) as http:
        client = Client(system.urls, system.issuer, http)
        say("offices, officers, open regions, blanks, a shop and a bank")
        country = await set_up_country(system, client, blanks=blanks)
        captures = Captures(Fingers(made).impression, system.clock.now().date())
        yield Session(system, client, country, Road(client, country, captures, system.clock.now))
