"""Everything a verifier without network needs, in one signed file.

The keys that sign cards, attestations and status lists, and the status lists themselves,
each still with its own signature. A pack is checked once, when it is loaded; how old it
may be is decided at each check (`verifier`). For 10 million documents, 1 % of them
revoked, it stays below 400 kB (a test of the verifier measures it).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from epassport_credentials.claims import text_of
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import sign_jws
from epassport_credentials.signer import Purpose, Signer
from epassport_credentials.status_list import StatusListToken, open_status_list
from epassport_credentials.trust import (
    TrustedKey,
    TrustList,
    check_version,
    refuse_sandbox,
    trust_from_json,
    trust_to_json,
    trusted_payload,
)

OFFLINE_PACK_VERSION = 1
OFFLINE_PACK_TYP = "epassport-offline-pack+jwt"
MAX_PACK_CHARACTERS = 20_000_000

_PURPOSES = frozenset({Purpose.CARD_QR, Purpose.MOBILE_ATTESTATION, Purpose.STATUS_LIST})


@dataclass(frozen=True)
class OfflinePack:
    """A checked pack. trust: its keys, valid while the pack is; status_lists: by address."""

    trust: TrustList
    status_lists: Mapping[str, StatusListToken]

    @property
    def created_at(self) -> datetime:
        return self.trust.issued_at

    @property
    def valid_until(self) -> datetime:
        return self.trust.valid_until


def issue_offline_pack(trust: TrustList, status_lists: Mapping[str, str], signer: Signer) -> str:
    """trust: issuer, creation and end of the pack, and its keys; others are left out.

    status_lists: status list tokens by the address they are served at
    """
    keys = tuple(key for key in trust.keys if key.purpose in _PURPOSES)
    payload = {
        "version": OFFLINE_PACK_VERSION,
        **trust_to_json(replace(trust, keys=keys)),
        "status_lists": [{"uri": uri, "token": token} for uri, token in status_lists.items()],
    }
    return sign_jws(payload, typ=OFFLINE_PACK_TYP, signer=signer)


def open_offline_pack(
    token: str, keys: Sequence[TrustedKey], *, now: datetime, accept_sandbox: bool = False
) -> OfflinePack:
    """Check a pack with all that is in it. An old or ended pack opens: it may still refuse.

    keys: of purpose offline-pack, for example those of a TrustList
    Raises InvalidCredential: those of `trusted_payload`, UNKNOWN_VERSION, MALFORMED,
    SANDBOX_SIGNER, NOT_YET_VALID, WRONG_PURPOSE, and those of `open_status_list`.
    """
    payload = trusted_payload(
        token,
        keys,
        Purpose.OFFLINE_PACK,
        typ=OFFLINE_PACK_TYP,
        at_most=MAX_PACK_CHARACTERS,
        at=now,
    )
    check_version(payload, OFFLINE_PACK_VERSION)
    trust = trust_from_json(payload)
    refuse_sandbox(trust, accept_sandbox=accept_sandbox)
    if not all(key.purpose in _PURPOSES for key in trust.keys):
        raise InvalidCredential(Reason.WRONG_PURPOSE, "a key that a pack has no use for")
    if now < trust.issued_at:
        raise InvalidCredential(Reason.NOT_YET_VALID, trust.issued_at.isoformat())
    return OfflinePack(trust, _open_lists(payload.get("status_lists"), trust))


def _open_lists(value: object, trust: TrustList) -> Mapping[str, StatusListToken]:
    if not isinstance(value, list):
        raise InvalidCredential(Reason.MALFORMED, "status_lists is not an array")
    opened = {}
    for member in value:
        if not isinstance(member, dict):
            raise InvalidCredential(Reason.MALFORMED, "a status list is not an object")
        uri, token = text_of(member, "uri"), text_of(member, "token")
        # The lists were in force when the pack was made; from then on the pack's age counts.
        opened[uri] = open_status_list(token, trust.keys, uri=uri, now=trust.issued_at)
    return opened
