"""Everything a verifier without network needs, in one signed file.

The keys that sign cards, attestations and status lists, the status lists themselves,
each still with its own signature, and the policy: how old the knowledge of a status may
be. A pack is checked once, when it is loaded; its age counts at each check (`verifier`).

Sizes for ten million documents, measured (`tests/test_offline_pack.py`), in characters of
the pack, bytes of it with gzip on the way, bytes of the bare lists:

| entries                                             | pack    | gzip    | bare    |
| --------------------------------------------------- | ------- | ------- | ------- |
| 10 lists, all in use, 1 % revoked                   | 0.37 MB | 0.25 MB | 2.62 MB |
| 10 lists, 95 % in use, 1 % revoked, 0.1 % suspended | 1.47 MB | 0.98 MB | 2.62 MB |
| 12 lists, 80 % in use, 3 % revoked, 0.1 % suspended | 4.04 MB | 2.69 MB | 3.15 MB |
| 10 lists, every status as likely as any             | 6.22 MB | 4.14 MB | 2.62 MB |

Entries that no document has stand at random places and read 3: they cost more than the
revoked ones, so lists should be filled before the next is begun. The limits below hold
eight times the last row.

Version 1 had no policy; it is read with the default one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from epassport_credentials.claims import text_of
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import sign_jws
from epassport_credentials.signer import Purpose, Signer
from epassport_credentials.status_list import (
    StatusListToken,
    open_status_list,
    optional,
    positive_seconds,
)
from epassport_credentials.trust import (
    TrustedKey,
    TrustList,
    check_version,
    refuse_sandbox,
    trust_from_json,
    trust_to_json,
    trusted_payload,
)

OFFLINE_PACK_VERSION = 2
OFFLINE_PACK_TYP = "epassport-offline-pack+jwt"

# Eighty million documents in lists that cannot be compressed: see the table above.
MAX_PACK_CHARACTERS = 50_000_000
MAX_LISTS = 128
MAX_STATUS_BYTES = 2**26  # inflated, of all lists together

_PURPOSES = frozenset({Purpose.CARD_QR, Purpose.MOBILE_ATTESTATION, Purpose.STATUS_LIST})


@dataclass(frozen=True)
class PackPolicy:
    """How old the knowledge of a card's status may be; beyond it the card is unknown.

    status_age: for everyday checks, by the small code
    identity_age: for identity checks, by the identity code; as status_age if None
    What a phone shows ends by itself.
    """

    status_age: timedelta = timedelta(hours=24)  # the bound promised for offline checks
    identity_age: timedelta | None = None


@dataclass(frozen=True)
class OfflinePack:
    """A checked pack. trust: its keys, valid while the pack is; status_lists: by address."""

    trust: TrustList
    status_lists: Mapping[str, StatusListToken]
    policy: PackPolicy = PackPolicy()

    @property
    def created_at(self) -> datetime:
        return self.trust.issued_at

    @property
    def valid_until(self) -> datetime:
        return self.trust.valid_until


def issue_offline_pack(
    trust: TrustList,
    status_lists: Mapping[str, str],
    signer: Signer,
    *,
    policy: PackPolicy | None = None,
) -> str:
    """The pack, a compact JWS; it compresses by a third on the way (the base64 of it).

    trust: issuer, creation and end of the pack, and its keys; others are left out
    status_lists: status list tokens by the address they are served at
    policy: the default one if None
    """
    if len(status_lists) > MAX_LISTS:
        raise ValueError(f"a pack has at most {MAX_LISTS} lists")
    keys = tuple(key for key in trust.keys if key.purpose in _PURPOSES)
    payload = {
        "version": OFFLINE_PACK_VERSION,
        **trust_to_json(replace(trust, keys=keys)),
        "policy": _policy_to_json(policy or PackPolicy()),
        "status_lists": [{"uri": uri, "token": token} for uri, token in status_lists.items()],
    }
    return sign_jws(payload, typ=OFFLINE_PACK_TYP, signer=signer)


def open_offline_pack(
    token: str, keys: Sequence[TrustedKey], *, now: datetime, accept_sandbox: bool = False
) -> OfflinePack:
    """Check a pack with all that is in it. An old or ended pack opens: it may still refuse.

    keys: of purpose offline-pack, for example those of a TrustList
    Raises InvalidCredential: those of `trusted_payload`, UNKNOWN_VERSION, MALFORMED,
    SANDBOX_SIGNER, NOT_YET_VALID, WRONG_PURPOSE, TOO_LONG, and those of
    `open_status_list`.
    """
    payload = trusted_payload(
        token,
        keys,
        Purpose.OFFLINE_PACK,
        typ=OFFLINE_PACK_TYP,
        at_most=MAX_PACK_CHARACTERS,
        at=now,
    )
    version = check_version(payload, 1, OFFLINE_PACK_VERSION)
    trust = trust_from_json(payload)
    refuse_sandbox(trust, accept_sandbox=accept_sandbox)
    if not all(key.purpose in _PURPOSES for key in trust.keys):
        raise InvalidCredential(Reason.WRONG_PURPOSE, "a key that a pack has no use for")
    if now < trust.issued_at:
        raise InvalidCredential(Reason.NOT_YET_VALID, trust.issued_at.isoformat())
    return OfflinePack(
        trust=trust,
        status_lists=_open_lists(payload.get("status_lists"), trust),
        policy=PackPolicy() if version == 1 else _policy_from_json(payload.get("policy")),
    )


def _open_lists(value: object, trust: TrustList) -> Mapping[str, StatusListToken]:
    if not isinstance(value, list):
        raise InvalidCredential(Reason.MALFORMED, "status_lists is not an array")
    if len(value) > MAX_LISTS:
        raise InvalidCredential(Reason.TOO_LONG, f"more than {MAX_LISTS} lists")
    opened: dict[str, StatusListToken] = {}
    held = 0
    for member in value:
        if not isinstance(member, dict):
            raise InvalidCredential(Reason.MALFORMED, "a status list is not an object")
        uri, token = text_of(member, "uri"), text_of(member, "token")
        if uri in opened:
            raise InvalidCredential(Reason.MALFORMED, "a status list stands twice")
        # The lists were in force when the pack was made; from then on the pack's age counts.
        opened[uri] = open_status_list(token, trust.keys, uri=uri, now=trust.issued_at)
        held += len(opened[uri].statuses.data)
        if held > MAX_STATUS_BYTES:
            raise InvalidCredential(Reason.TOO_LONG, f"lists of more than {MAX_STATUS_BYTES} bytes")
    return opened


def _policy_to_json(policy: PackPolicy) -> Mapping[str, object]:
    ages = {"status_age": policy.status_age, "identity_age": policy.identity_age}
    return {name: int(age.total_seconds()) for name, age in ages.items() if age is not None}


def _policy_from_json(value: object) -> PackPolicy:
    if not isinstance(value, dict):
        raise InvalidCredential(Reason.MALFORMED, "policy is not an object")
    return PackPolicy(
        status_age=positive_seconds(value, "status_age"),
        identity_age=optional(positive_seconds, value, "identity_age"),
    )
