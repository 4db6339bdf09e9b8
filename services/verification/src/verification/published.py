"""What verification signs for verifiers: status lists, trust list, offline pack."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from epassport import Token
from epassport.database import Database
from epassport.keystore import KeyStore
from epassport.projector import START
from epassport.signing import SigningPurpose
from epassport.trustfile import PRODUCTION_ISSUER, SANDBOX_ISSUER, TrustFile
from epassport_contracts import ServiceName
from epassport_credentials.offline_pack import issue_offline_pack
from epassport_credentials.signer import Purpose
from epassport_credentials.trust import TrustedKey, TrustList, issue_trust_list
from verification.settings import VerificationSettings
from verification.status_lists import StatusLists

PACK_LIFE = timedelta(hours=24)
TRUST_LIST_LIFE = timedelta(days=7)

SIGNING_PURPOSES = frozenset(
    {
        SigningPurpose.STATUS_LIST,
        SigningPurpose.TRUST_LIST,
        SigningPurpose.OFFLINE_PACK,
        SigningPurpose.PUBLIC_EVENT,
    }
)

_VERIFIERS_NEED: Sequence[tuple[ServiceName, SigningPurpose]] = (
    (ServiceName.CARD_PERSONALIZATION, SigningPurpose.CARD_QR),
    (ServiceName.CLOUD_PROFILE, SigningPurpose.MOBILE_ATTESTATION),
    (ServiceName.VERIFICATION, SigningPurpose.STATUS_LIST),
    (ServiceName.VERIFICATION, SigningPurpose.OFFLINE_PACK),
    (ServiceName.VERIFICATION, SigningPurpose.PUBLIC_EVENT),
)


class Published:
    """trusted: the keys that may sign what verification is shown."""

    def __init__(
        self, settings: VerificationSettings, keystore: KeyStore, trust: TrustFile
    ) -> None:
        self._keystore = keystore
        self._issuer = SANDBOX_ISSUER if trust.sandbox else PRODUCTION_ISSUER
        self._sandbox = trust.sandbox
        self._keys = _trusted_keys(trust)
        self.status_lists = StatusLists(settings, keystore.signer(SigningPurpose.STATUS_LIST))
        self.trusted = self._trust(trust.issued_at, TRUST_LIST_LIFE)

    def trust_list(self, now: datetime) -> str:
        signer = self._keystore.signer(SigningPurpose.TRUST_LIST)
        return issue_trust_list(self._trust(now, TRUST_LIST_LIFE), signer)

    async def offline_pack(self, database: Database, now: datetime, after: Token = START) -> str:
        lists = await self.status_lists.all_issued(database, now, after)
        signer = self._keystore.signer(SigningPurpose.OFFLINE_PACK)
        return issue_offline_pack(self._trust(now, PACK_LIFE), lists, signer)

    def _trust(self, now: datetime, life: timedelta) -> TrustList:
        return TrustList(self._issuer, now, now + life, self._keys, self._sandbox)


def _trusted_keys(trust: TrustFile) -> tuple[TrustedKey, ...]:
    return tuple(
        TrustedKey(
            Purpose(purpose.value),
            key.key_id,
            key.public_key,
            key.valid_from,
            key.valid_until,
            trust.sandbox,
        )
        for service, purpose in _VERIFIERS_NEED
        for key in trust.signing_keys(service, purpose)
    )
