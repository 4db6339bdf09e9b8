"""What the sender tells: counts, whose topic is kept and numbered, and pictures, whose is not."""

from uuid import UUID

from epassport import Recorded, publishes, sealed
from epassport_contracts import DataPurpose
from epassport_contracts.events.biometrics import DuplicateConfirmed, ImageReleased, ReleasedImage
from tests.faults.sender.tally import Counted, Pictured


@publishes(Counted)
def counted(event: Recorded[Counted]) -> DuplicateConfirmed:
    return DuplicateConfirmed(
        at=event.fact.at,
        application_id=event.fact.operation,
        holder_id=UUID(event.stream_key),
    )


@publishes(Pictured)
def pictured(event: Recorded[Pictured]) -> ImageReleased:
    return ImageReleased(
        at=event.fact.at,
        holder_id=UUID(event.stream_key),
        application_id=event.fact.operation,
        document_ref=event.fact.operation,
        image_kind=ReleasedImage.FACE,
        purpose=DataPurpose.PORTRAIT,
        media_type="application/octet-stream",
        digest="",
        image=sealed(event.fact.image),
    )
