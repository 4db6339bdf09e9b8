"""What others hear: internal facts of documents and checks, and the thin public status.

Nothing is public of a document that was never in force. A check that concerns no known holder is
published to nobody.
"""

from collections.abc import Mapping
from uuid import UUID

from epassport import Publication, Recorded, publishes, sealed
from epassport_contracts import ContractEvent
from epassport_contracts.events import verification as contract
from epassport_contracts.events.public import PassportStatusChanged, PublicStatus, ReasonClass
from epassport_contracts.events.verification import StatusReason
from epassport_contracts.registry import PUBLIC_STATUS, PUBLIC_STATUS_CURRENT
from verification.document_status_events import (
    DocumentActivated,
    DocumentExpired,
    DocumentRegistered,
    DocumentRestored,
    DocumentRevoked,
    DocumentSuspended,
)
from verification.presentation import (
    PresentationRefused,
    PresentationUndecided,
    PresentationVerified,
)

Published = list[ContractEvent | Publication]
StandingChange = (
    DocumentActivated | DocumentSuspended | DocumentRestored | DocumentRevoked | DocumentExpired
)

_REASON_CLASS: Mapping[StatusReason, ReasonClass] = {
    StatusReason.LOSS_REPORTED: ReasonClass.HOLDER,
    StatusReason.LOSS_CONFIRMED: ReasonClass.HOLDER,
    StatusReason.LOSS_NOT_WITHDRAWN_IN_TIME: ReasonClass.HOLDER,
    StatusReason.HOLDER_LEFT: ReasonClass.HOLDER,
    StatusReason.SUPERSEDED: ReasonClass.SUPERSEDED,
    StatusReason.LOST_IN_TRANSIT: ReasonClass.AUTHORITY,
    StatusReason.APPLICATION_ENDED: ReasonClass.AUTHORITY,
    StatusReason.ORDERED: ReasonClass.AUTHORITY,
}


@publishes(DocumentRegistered)
def registered(event: Recorded[DocumentRegistered]) -> ContractEvent:
    return contract.DocumentRegistered(
        at=event.fact.at,
        document_ref=_ref(event),
        application_id=event.fact.application_id,
        holder_id=event.fact.holder_id,
        status_list_uri=event.fact.status_list_uri,
        status_index=event.fact.status_index,
    )


@publishes(DocumentActivated)
def activated(event: Recorded[DocumentActivated]) -> Published:
    return _standing(contract.DocumentActivated, event)


@publishes(DocumentSuspended)
def suspended(event: Recorded[DocumentSuspended]) -> Published:
    fact = event.fact
    internal = contract.DocumentSuspended(
        at=fact.at, document_ref=_ref(event), holder_id=fact.holder_id, reason=fact.reason
    )
    return [internal, *_public(event)]


@publishes(DocumentRestored)
def restored(event: Recorded[DocumentRestored]) -> Published:
    return _standing(contract.DocumentRestored, event)


@publishes(DocumentRevoked)
def revoked(event: Recorded[DocumentRevoked]) -> Published:
    fact = event.fact
    internal = contract.DocumentRevoked(
        at=fact.at,
        document_ref=_ref(event),
        holder_id=fact.holder_id,
        reason=fact.reason,
        superseded_by=fact.superseded_by,
    )
    return [internal, *_public(event)]


@publishes(DocumentExpired)
def expired(event: Recorded[DocumentExpired]) -> Published:
    return _standing(contract.DocumentExpired, event)


@publishes(PresentationVerified)
def verified(event: Recorded[PresentationVerified]) -> ContractEvent:
    fact = event.fact
    return contract.PresentationVerified(
        at=fact.at,
        presentation_id=_ref(event),
        document_ref=fact.document_ref,
        holder_id=fact.holder_id,
        form=fact.form,
        asked=sealed(fact.asked) if fact.asked else None,
    )


@publishes(PresentationRefused)
def refused(event: Recorded[PresentationRefused]) -> ContractEvent:
    return _not_verified(event)


@publishes(PresentationUndecided)
def undecided(event: Recorded[PresentationUndecided]) -> ContractEvent:
    """To the holder both are the same: somebody asked, and was not told that it holds."""
    return _not_verified(event)


def public_status(event: Recorded[StandingChange]) -> PassportStatusChanged | None:
    """The same fact for everybody; None for what nobody outside has heard of."""
    fact = event.fact
    superseded_by = None
    match fact:
        case DocumentActivated():
            status, reason = PublicStatus.VALID, ReasonClass.ISSUED
        case DocumentSuspended():
            status, reason = PublicStatus.SUSPENDED, _REASON_CLASS[fact.reason]
        case DocumentRestored(check_id=check_id):
            status = PublicStatus.VALID
            reason = ReasonClass.AUTHORITY if check_id is None else ReasonClass.HOLDER
        case DocumentRevoked(was_in_force=False):
            return None
        case DocumentRevoked():
            status, reason = PublicStatus.REVOKED, _REASON_CLASS[fact.reason]
            superseded_by = fact.superseded_by
        case DocumentExpired():
            status, reason = PublicStatus.EXPIRED, ReasonClass.TIME
    return PassportStatusChanged(
        at=fact.at,
        document_ref=_ref(event),
        status=status,
        reason_class=reason,
        effective_at=fact.at,
        recorded_at=event.recorded_at,
        superseded_by=superseded_by,
    )


def _standing(
    model: type[contract.DocumentActivated | contract.DocumentRestored | contract.DocumentExpired],
    event: Recorded[DocumentActivated] | Recorded[DocumentRestored] | Recorded[DocumentExpired],
) -> Published:
    """Changes of which there is nothing to say but that they happened."""
    fact = event.fact
    internal = model(at=fact.at, document_ref=_ref(event), holder_id=fact.holder_id)
    return [internal, *_public(event)]


def _public(event: Recorded[StandingChange]) -> list[Publication]:
    change = public_status(event)
    if change is None:
        return []
    key = str(change.document_ref)
    return [Publication(change, topic, key) for topic in (PUBLIC_STATUS, PUBLIC_STATUS_CURRENT)]


def _not_verified(
    event: Recorded[PresentationRefused] | Recorded[PresentationUndecided],
) -> ContractEvent:
    fact = event.fact
    return contract.PresentationRefused(
        at=fact.at,
        presentation_id=_ref(event),
        document_ref=fact.document_ref,
        holder_id=fact.holder_id,
        form=fact.form,
        asked=sealed(fact.asked) if fact.asked else None,
        reason=fact.reason,
    )


def _ref(event: Recorded[object]) -> UUID:
    """Streams of documents and of checks are named by their id."""
    return UUID(event.stream_key)
