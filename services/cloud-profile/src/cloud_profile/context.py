"""What routes of cloud-profile work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from epassport.database import Database
from epassport.keyring import SubjectKeyring
from epassport.service import Essentials
from epassport.signing import Signer, SigningPurpose


@dataclass(frozen=True)
class App:
    """issuer: the name that attestations carry; a sandbox's says so."""

    database: Database
    keyring: SubjectKeyring
    attestation_signer: Signer
    issuer: str


@asynccontextmanager
async def open_app(essentials: Essentials) -> AsyncIterator[App]:
    sandbox = essentials.settings.profile == "sandbox"
    yield App(
        essentials.database,
        essentials.keyring,
        essentials.keystore.signer(SigningPurpose.MOBILE_ATTESTATION),
        "epassport-sandbox" if sandbox else "epassport",
    )
