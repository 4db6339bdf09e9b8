"""What other services may know of enrollment: own event in, contract event out.

Sealed values are copied as they are. The stream's key is the application's, the holder's or
the region's id.
"""

from typing import TypeVar
from uuid import UUID

from enrollment import holder_events, rollout
from enrollment.application_events import (
    ApplicationApproved,
    ApplicationRejected,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    DocumentReassigned,
    HandoverCompleted,
)
from epassport import Recorded, publishes, sealed
from epassport_contracts.events import enrollment as contract

Issued = TypeVar("Issued", contract.ApplicationApproved, contract.DocumentReassigned)


@publishes(rollout.RolloutPaused)
def rollout_paused(event: Recorded[rollout.RolloutPaused]) -> contract.RolloutPaused:
    fact = event.fact
    return contract.RolloutPaused(
        at=fact.at, region=event.stream_key, step=fact.step, reason=fact.reason
    )


@publishes(rollout.RolloutResumed)
def rollout_resumed(event: Recorded[rollout.RolloutResumed]) -> contract.RolloutResumed:
    return contract.RolloutResumed(at=event.fact.at, region=event.stream_key, step=event.fact.step)


@publishes(ApplicationSubmitted)
def application_submitted(
    event: Recorded[ApplicationSubmitted],
) -> contract.ApplicationSubmitted:
    fact = event.fact
    return contract.ApplicationSubmitted(
        at=fact.at,
        application_id=UUID(event.stream_key),
        holder_id=fact.holder_id,
        kind=fact.kind,
        region=fact.region,
        office=fact.office,
    )


@publishes(ApplicationApproved)
def application_approved(event: Recorded[ApplicationApproved]) -> contract.ApplicationApproved:
    return _issued(contract.ApplicationApproved, event)


@publishes(DocumentReassigned)
def document_reassigned(event: Recorded[DocumentReassigned]) -> contract.DocumentReassigned:
    lost = event.fact.lost_document_ref
    return _issued(contract.DocumentReassigned, event, lost_document_ref=lost)


@publishes(ApplicationRejected)
def application_rejected(event: Recorded[ApplicationRejected]) -> contract.ApplicationRejected:
    fact = event.fact
    return contract.ApplicationRejected(
        at=fact.at,
        application_id=UUID(event.stream_key),
        holder_id=fact.holder_id,
        document_ref=fact.document_ref,
        has_other_document=fact.has_other_document,
        reason=fact.reason,
    )


@publishes(ApplicationWithdrawn)
def application_withdrawn(
    event: Recorded[ApplicationWithdrawn],
) -> contract.ApplicationWithdrawn:
    fact = event.fact
    return contract.ApplicationWithdrawn(
        at=fact.at,
        application_id=UUID(event.stream_key),
        holder_id=fact.holder_id,
        document_ref=fact.document_ref,
        has_other_document=fact.has_other_document,
    )


@publishes(HandoverCompleted)
def handover_completed(event: Recorded[HandoverCompleted]) -> contract.HandoverCompleted:
    fact = event.fact
    return contract.HandoverCompleted(
        at=fact.at,
        application_id=UUID(event.stream_key),
        holder_id=fact.holder_id,
        kind=fact.kind,
        office=fact.office,
        document_ref=fact.document_ref,
        document_number=sealed(fact.document_number),
        predecessor=fact.predecessor,
        identity=sealed(fact.identity),
        valid_until=fact.valid_until,
    )


@publishes(holder_events.ErasureOrdered)
def erasure_ordered(event: Recorded[holder_events.ErasureOrdered]) -> contract.ErasureOrdered:
    return contract.ErasureOrdered(at=event.fact.at, holder_id=event.fact.holder_id)


@publishes(holder_events.ErasureCompleted)
def erasure_completed(event: Recorded[holder_events.ErasureCompleted]) -> contract.ErasureCompleted:
    return contract.ErasureCompleted(at=event.fact.at, holder_id=event.fact.holder_id)


def _issued(
    model: type[Issued],
    event: Recorded[ApplicationApproved] | Recorded[DocumentReassigned],
    **own: UUID,
) -> Issued:
    """A reassignment says all that the approval said, so that nobody looks that one up."""
    fact = event.fact
    return model(
        at=fact.at,
        application_id=UUID(event.stream_key),
        holder_id=fact.holder_id,
        kind=fact.kind,
        region=fact.region,
        office=fact.office,
        document_ref=fact.document_ref,
        document_number=sealed(fact.document_number),
        predecessor=fact.predecessor,
        identity=sealed(fact.identity),
        wishes=sealed(fact.wishes) if fact.wishes is not None else None,
        valid_until=fact.valid_until,
        **own,
    )
