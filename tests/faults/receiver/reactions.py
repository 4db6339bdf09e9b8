"""What the receiver does when it hears the sender."""

from epassport.reactions import Keep, Send, reacts_to
from epassport_contracts.events.biometrics import DuplicateConfirmed, ImageReleased
from tests.faults.receiver.echo import Echo, What, echo


@reacts_to(DuplicateConfirmed)
def note_count(event: DuplicateConfirmed) -> list[Send]:
    command = Echo(event.at, event.application_id, What.COUNT)
    return [Send(echo.stream(event.holder_id), command)]


@reacts_to(ImageReleased)
def note_picture(event: ImageReleased) -> list[Send | Keep]:
    command = Echo(event.at, event.application_id, What.PICTURE)
    return [Keep(event.image, event.media_type), Send(echo.stream(event.holder_id), command)]
