"""What routes of cloud-profile work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from cloud_profile import profile
from cloud_profile.profile_events import Profile
from epassport.database import Database
from epassport.events import EventCodec
from epassport.keyring import SubjectKeyring
from epassport.loading import load
from epassport.service import Essentials
from epassport.signing import Signer, SigningPurpose


@dataclass(frozen=True)
class App:
    """issuer: the name that attestations carry; a sandbox's says so."""

    database: Database
    keyring: SubjectKeyring
    codec: EventCodec
    attestation_signer: Signer
    issuer: str

    async def profile(self, holder_id: UUID) -> Profile:
        """As its events say now; nothing is decided on it."""
        stream = profile.stream(holder_id)
        async with self.database.connection() as connection:
            events = await load(connection, self.codec, [stream])
        found: Profile = profile.aggregate.state_after(events[stream])
        return found


@asynccontextmanager
async def open_app(essentials: Essentials) -> AsyncIterator[App]:
    sandbox = essentials.settings.profile == "sandbox"
    yield App(
        essentials.database,
        essentials.keyring,
        EventCodec([profile.aggregate]),
        essentials.keystore.signer(SigningPurpose.MOBILE_ATTESTATION),
        "epassport-sandbox" if sandbox else "epassport",
    )
