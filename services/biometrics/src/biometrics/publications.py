"""What others hear of a record: verdicts and results, never a score; images for one document."""

from uuid import UUID

from biometrics.record_events import (
    BiometricsAccepted,
    DuplicateConfirmed,
    HolderMismatch,
    HolderVerified,
    ImageReleased,
)
from epassport import Recorded, publishes, sealed
from epassport.blobs import digest_of
from epassport_contracts.events import biometrics as contract


@publishes(BiometricsAccepted)
def biometrics_accepted(event: Recorded[BiometricsAccepted]) -> contract.BiometricsAccepted:
    return contract.BiometricsAccepted(
        at=event.fact.at,
        application_id=event.fact.application_id,
        holder_id=UUID(event.stream_key),
        by_exception=event.fact.by_exception,
    )


@publishes(DuplicateConfirmed)
def duplicate_confirmed(event: Recorded[DuplicateConfirmed]) -> contract.DuplicateConfirmed:
    """Against whom stays here: enrollment has to reject, not to find the other holder."""
    return contract.DuplicateConfirmed(
        at=event.fact.at,
        application_id=event.fact.application_id,
        holder_id=UUID(event.stream_key),
    )


@publishes(HolderVerified)
def holder_verified(event: Recorded[HolderVerified]) -> contract.HolderVerified:
    return contract.HolderVerified(
        at=event.fact.at,
        check_id=event.fact.check_id,
        holder_id=UUID(event.stream_key),
        application_id=event.fact.application_id,
        document_ref=event.fact.document_ref,
        purpose=event.fact.purpose,
        method=event.fact.method,
        officer=event.fact.officer,
        station=event.fact.station,
        office=event.fact.office,
    )


@publishes(HolderMismatch)
def holder_mismatch(event: Recorded[HolderMismatch]) -> contract.HolderMismatch:
    return contract.HolderMismatch(
        at=event.fact.at,
        check_id=event.fact.check_id,
        holder_id=UUID(event.stream_key),
        application_id=event.fact.application_id,
        document_ref=event.fact.document_ref,
        purpose=event.fact.purpose,
        method=event.fact.method,
        officer=event.fact.officer,
        station=event.fact.station,
        office=event.fact.office,
    )


@publishes(ImageReleased)
def image_released(event: Recorded[ImageReleased]) -> contract.ImageReleased:
    image = sealed(event.fact.image)
    return contract.ImageReleased(
        at=event.fact.at,
        holder_id=UUID(event.stream_key),
        application_id=event.fact.application_id,
        document_ref=event.fact.document_ref,
        image_kind=event.fact.image_kind,
        purpose=image.purpose,
        media_type=event.fact.media_type,
        digest=digest_of(image),
        image=image,
    )
