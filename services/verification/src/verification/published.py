"""What verification signs for verifiers: status list, trust list, offline pack.

A list is issued anew when a document has changed, at most every two seconds, and at the
latest after half of its life; `after` names a change that must be in it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncpg import Record

from epassport import Token
from epassport.database import Database
from epassport.keystore import KeyStore
from epassport.projector import START, checkpoint
from epassport.signing import SigningPurpose
from epassport.trustfile import PRODUCTION_ISSUER, SANDBOX_ISSUER, TrustFile
from epassport_contracts import ServiceName
from epassport_credentials.offline_pack import issue_offline_pack
from epassport_credentials.signer import Purpose
from epassport_credentials.status_list import (
    ENTRIES_PER_LIST,
    Status,
    issue_status_list,
    pack_statuses,
)
from epassport_credentials.trust import TrustedKey, TrustList, issue_trust_list
from verification import readmodel
from verification.document_events import Standing
from verification.settings import VerificationSettings

LIST_LIFE = timedelta(seconds=60)
LIST_REUSE = timedelta(seconds=30)
LIST_REST = timedelta(seconds=2)
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

_ENTRY: Mapping[str, Status] = {
    Standing.REGISTERED: Status.NOT_IN_FORCE,
    Standing.VALID: Status.VALID,
    Standing.SUSPENDED: Status.SUSPENDED,
    Standing.REVOKED: Status.INVALID,
    Standing.EXPIRED: Status.INVALID,
}


@dataclass(frozen=True)
class _Issued:
    """seen: how far the read model was that it was made from."""

    token: str
    at: datetime
    seen: Token

    def is_fresh(self, now: datetime, seen: Token, after: Token) -> bool:
        age = now - self.at
        is_current = self.seen == seen or (age < LIST_REST and not _is_later(after, self.seen))
        return is_current and timedelta() <= age < LIST_REUSE


class Published:
    """trusted: the keys that may sign what verification is shown."""

    def __init__(
        self, settings: VerificationSettings, keystore: KeyStore, trust: TrustFile
    ) -> None:
        self._settings = settings
        self._keystore = keystore
        self._issuer = SANDBOX_ISSUER if trust.sandbox else PRODUCTION_ISSUER
        self._sandbox = trust.sandbox
        self._keys = _trusted_keys(trust)
        self._issuing = asyncio.Lock()
        self._list: _Issued | None = None
        self.trusted = self._trust(trust.issued_at, TRUST_LIST_LIFE)

    def trust_list(self, now: datetime) -> str:
        signer = self._keystore.signer(SigningPurpose.TRUST_LIST)
        return issue_trust_list(self._trust(now, TRUST_LIST_LIFE), signer)

    async def offline_pack(self, database: Database, now: datetime, after: Token = START) -> str:
        lists = {self._settings.status_list_uri(): await self.status_list(database, now, after)}
        signer = self._keystore.signer(SigningPurpose.OFFLINE_PACK)
        return issue_offline_pack(self._trust(now, PACK_LIFE), lists, signer)

    async def status_list(self, database: Database, now: datetime, after: Token = START) -> str:
        async with self._issuing:
            async with database.connection() as connection:
                seen = await checkpoint(connection, readmodel.documents.reader)
                if self._list is not None and self._list.is_fresh(now, seen, after):
                    return self._list.token
                uri = self._settings.status_list_uri()
                rows = await readmodel.entries_of(readmodel.documents.on(connection), uri)
            # Packing and compressing a million entries takes tens of milliseconds.
            token = await asyncio.to_thread(self._issue_list, uri, rows, now)
            self._list = _Issued(token, now, seen)
            return token

    def _issue_list(self, uri: str, rows: Sequence[Record], now: datetime) -> str:
        """Entries that no document has are not in force either."""
        entries = bytearray([Status.NOT_IN_FORCE]) * ENTRIES_PER_LIST
        for row in rows:
            entries[row["status_index"]] = _ENTRY[row["status"]]
        return issue_status_list(
            pack_statuses(bytes(entries)),
            self._keystore.signer(SigningPurpose.STATUS_LIST),
            uri=uri,
            issued_at=now,
            expires_at=now + LIST_LIFE,
        )

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


def _is_later(one: Token, other: Token) -> bool:
    return (one.transaction_id, one.position) > (other.transaction_id, other.position)
