"""The offline verifier: a scanned code in, one of three outcomes out.

good     the signatures hold, the period is right, the status is known and fresh
refused  with a reason that no later information can mend, or one the issuer may lift
unknown  since a moment: the pack is too old, has ended, or lacks this status list

What bounds the delay of a revocation: for a card the age of the pack, for a phone the
end of its attestation, at most 24 hours, both given in `Verdict.as_of`. Replay of a
phone's code is not seen here: keep `presentation` keys until they expire, and ask a
challenge where a relay matters.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from epassport_credentials.base45 import decode_base45
from epassport_credentials.card_qr import (
    MAX_IDENTITY_CHARACTERS,
    IdentityCard,
    SmallCard,
    open_compressed_card,
)
from epassport_credentials.cwt import StatusReference
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.identity import AgeOver18, Identity, shown_identity
from epassport_credentials.mobile_qr import MobilePresentation, open_mobile_message
from epassport_credentials.offline_pack import OfflinePack, PackPolicy
from epassport_credentials.status_list import Status

_ZLIB_FIRST_BYTE = b"\x78"  # a card's code is compressed, a phone's is CBOR

# How a zlib stream begins, or a COSE_Sign1 with tag 18, 18 inside 61, or none.
_BEGINNING = re.compile(rb"\x78[\x01\x5e\x9c\xda]|(?:\xd8\x3d)?\xd2\x84|\x84[\x40-\x5b]")
_BEGINNING_CHARACTERS = 6  # four bytes, the longest of these


class Outcome(StrEnum):
    GOOD = "good"
    REFUSED = "refused"
    UNKNOWN = "unknown"


# Statuses for which a card is refused; with any other reason the pack cannot tell.
_REFUSING = frozenset({Reason.REVOKED, Reason.SUSPENDED, Reason.NOT_IN_FORCE})


@dataclass(frozen=True)
class Verdict:
    """reason: none only when good; since: only when unknown.

    as_of: the moment whose knowledge decided: of the status for a card, of the attestation
        for a phone
    shown: what the code states, by name; empty unless good
    document_ref: of a card whose signature holds
    presentation: of a phone whose signatures hold
    """

    outcome: Outcome
    reason: Reason | None = None
    since: datetime | None = None
    as_of: datetime | None = None
    shown: Mapping[str, str | bool] = field(default_factory=dict, repr=False)
    portrait: bytes | None = field(default=None, repr=False)
    document_ref: bytes | None = None
    presentation: MobilePresentation | None = None


def verify_offline(
    scanned: str | bytes,
    pack: OfflinePack,
    *,
    now: datetime,
    freshness: timedelta | None = None,
    audience: str | None = None,
    nonce: bytes | None = None,
) -> Verdict:
    """The verdict on any of our codes: small card QR, identity card QR, mobile QR.

    scanned: the text of the code, or its bytes as scanners hand them over
    freshness: how old the knowledge of a card's status may be; if None by the pack's policy,
        which has a limit for everyday checks and one for identity checks.
        A phone shows no status: its attestation ends after 24 hours
    audience, nonce: of this verifier's challenge to a phone, if it showed one
    """
    try:
        # Latin-1 gives each byte a character, and what is not ASCII is no Base45.
        text = scanned if isinstance(scanned, str) else str(scanned, "latin-1")
        data = decode_base45(text, at_most=MAX_IDENTITY_CHARACTERS)
        if data.startswith(_ZLIB_FIRST_BYTE):
            card = open_compressed_card(data, pack.trust, now=now)
            limit = _limit(card, pack.policy) if freshness is None else freshness
            return _card_verdict(card, pack, now=now, freshness=limit)
        presentation = open_mobile_message(
            data, pack.trust, now=now, audience=audience, nonce=nonce
        )
        return _mobile_verdict(presentation, pack, now=now)
    except InvalidCredential as refusal:
        return Verdict(Outcome.REFUSED, refusal.reason)


def has_form_of_a_code(scanned: str | bytes) -> bool:
    """Whether this begins as our codes do, whatever comes of it.

    `verify_offline` refuses everything else as well. For a desk it is another thing: not a
    document that must not be relied on, but a web address, a ticket, a misread picture.
    """
    begin = scanned[:_BEGINNING_CHARACTERS]
    text = begin if isinstance(begin, str) else str(begin, "latin-1")
    try:
        data = decode_base45(text, at_most=_BEGINNING_CHARACTERS)
    except InvalidCredential:
        return False
    return _BEGINNING.match(data) is not None


def _limit(card: SmallCard | IdentityCard, policy: PackPolicy) -> timedelta:
    if isinstance(card, IdentityCard) and policy.identity_age is not None:
        return policy.identity_age
    return policy.status_age


def _card_verdict(
    card: SmallCard | IdentityCard, pack: OfflinePack, *, now: datetime, freshness: timedelta
) -> Verdict:
    reason, as_of = _standing(card.status, pack, now=now, freshness=freshness)
    if reason is None:
        portrait = card.portrait if isinstance(card, IdentityCard) else None
        return Verdict(Outcome.GOOD, None, None, as_of, _shown(card), portrait, card.document_ref)
    known = reason in _REFUSING
    return Verdict(
        outcome=Outcome.REFUSED if known else Outcome.UNKNOWN,
        reason=reason,
        since=None if known else as_of,
        as_of=as_of,
        document_ref=card.document_ref,
    )


def _mobile_verdict(
    presentation: MobilePresentation, pack: OfflinePack, *, now: datetime
) -> Verdict:
    attestation = presentation.attestation
    unusable = _unusable(pack, now)
    return Verdict(
        outcome=Outcome.UNKNOWN if unusable else Outcome.GOOD,
        reason=unusable,
        since=pack.created_at if unusable else None,
        as_of=attestation.issued_at,
        shown={} if unusable else _shown(attestation.claims),
        presentation=presentation,
    )


def _standing(
    reference: StatusReference, pack: OfflinePack, *, now: datetime, freshness: timedelta
) -> tuple[Reason | None, datetime]:
    """What the pack knows of one document, none if it is in force, and since when.

    Raises InvalidCredential: INDEX_OUT_OF_RANGE, UNKNOWN_STATUS.
    """
    status_list = pack.status_lists.get(reference.uri)
    if status_list is None:
        return Reason.STATUS_NOT_IN_PACK, pack.created_at
    as_of = min(status_list.issued_at, pack.created_at)
    status = status_list.statuses.status_at(reference.index)
    if status is Status.INVALID:  # revocation is final, so an old pack knows it as well
        return Reason.REVOKED, as_of
    unusable = _unusable(pack, now)
    if unusable is None and now - as_of > freshness:
        unusable = Reason.PACK_TOO_OLD
    if unusable is not None:
        return unusable, as_of
    match status:
        case Status.VALID:
            return None, as_of
        case Status.SUSPENDED:
            return Reason.SUSPENDED, as_of
        case Status.NOT_IN_FORCE:
            return Reason.NOT_IN_FORCE, as_of


def _unusable(pack: OfflinePack, now: datetime) -> Reason | None:
    if now < pack.created_at:  # the clock was set back: nothing can be said about age
        return Reason.NOT_YET_VALID
    return Reason.PACK_EXPIRED if now >= pack.valid_until else None


def _shown(
    claims: SmallCard | IdentityCard | AgeOver18 | Identity,
) -> Mapping[str, str | bool]:
    match claims:
        case SmallCard():
            # False was true on the day it was made, and is no answer on any later one.
            return {"over_18": True} if claims.over_18 else {}
        case AgeOver18():
            return {"over_18": True}
        case IdentityCard():
            return shown_identity(claims.identity)
        case Identity():
            return shown_identity(claims)
