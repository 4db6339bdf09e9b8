"""What the profile does about other services' facts."""

from cloud_profile import profile
from cloud_profile.profile_commands import AddDocument, NotePortrait, NoteStanding, Reason
from cloud_profile.profile_events import Standing
from epassport.blobs import digest_of
from epassport.reactions import Keep, Send, reacts_to
from epassport_contracts import DataPurpose
from epassport_contracts.events.biometrics import ImageReleased
from epassport_contracts.events.enrollment import HandoverCompleted
from epassport_contracts.events.verification import (
    DocumentActivated,
    DocumentExpired,
    DocumentRestored,
    DocumentRevoked,
    DocumentSuspended,
)

_CLOSED = frozenset({Reason.CLOSED})


@reacts_to(HandoverCompleted)
def add_document(event: HandoverCompleted) -> list[Send]:
    """The cloud begins when the card is in the holder's hand, not when it was made."""
    command = AddDocument(
        event.at,
        event.holder_id,
        event.application_id,
        event.document_ref,
        event.document_number,
        event.identity,
        event.valid_until,
    )
    return [Send(profile.stream(event.holder_id), command, expects=_CLOSED)]


@reacts_to(ImageReleased)
def keep_portrait(event: ImageReleased) -> list[Send | Keep]:
    """The portrait arrives weeks before the profile is opened; its topic forgets in 30 days."""
    if event.purpose is not DataPurpose.PORTRAIT:
        return []
    note = NotePortrait(event.at, event.document_ref, digest_of(event.image))
    return [Keep(event.image, event.media_type), Send(profile.stream(event.holder_id), note)]


_STANDINGS = {
    DocumentActivated: Standing.VALID,
    DocumentSuspended: Standing.SUSPENDED,
    DocumentRestored: Standing.VALID,
    DocumentRevoked: Standing.REVOKED,
    DocumentExpired: Standing.EXPIRED,
}


@reacts_to(*_STANDINGS)
def note_standing(
    event: DocumentActivated
    | DocumentSuspended
    | DocumentRestored
    | DocumentRevoked
    | DocumentExpired,
) -> list[Send]:
    """A phone gets no new attestation for a document that is not in force."""
    command = NoteStanding(event.at, event.document_ref, _STANDINGS[type(event)])
    return [Send(profile.stream(event.holder_id), command)]
