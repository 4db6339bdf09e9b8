"""What others may know of a profile: losses, and which phone keys stand for which document."""

from uuid import UUID

from cloud_profile.profile_events import (
    AttestationsIssued,
    DeviceUnbound,
    LossConfirmed,
    LossReported,
)
from epassport import Recorded, publishes
from epassport_contracts.events import cloud_profile as contract


@publishes(LossReported)
def loss_reported(event: Recorded[LossReported]) -> contract.LossReported:
    return contract.LossReported(
        at=event.fact.at,
        holder_id=UUID(event.stream_key),
        document_ref=event.fact.document_ref,
        channel=event.fact.channel,
    )


@publishes(LossConfirmed)
def loss_confirmed(event: Recorded[LossConfirmed]) -> contract.LossConfirmed:
    return contract.LossConfirmed(
        at=event.fact.at,
        holder_id=UUID(event.stream_key),
        document_ref=event.fact.document_ref,
    )


@publishes(AttestationsIssued)
def attestations_issued(event: Recorded[AttestationsIssued]) -> contract.AttestationsIssued:
    return contract.AttestationsIssued(
        at=event.fact.at,
        holder_id=UUID(event.stream_key),
        document_ref=event.fact.document_ref,
        device_id=event.fact.device_id,
        thumbprints=event.fact.thumbprints,
        expires_at=event.fact.expires_at,
    )


@publishes(DeviceUnbound)
def device_unbound(event: Recorded[DeviceUnbound]) -> contract.DeviceUnbound:
    return contract.DeviceUnbound(
        at=event.fact.at, holder_id=UUID(event.stream_key), device_id=event.fact.device_id
    )
