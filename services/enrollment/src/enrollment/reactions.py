"""What enrollment does when it hears of others' events, and of its own in another stream.

Notes may come after the application has ended: the refusal is then a normal end.
"""

from uuid import UUID

from enrollment import application, holder, holder_commands
from enrollment.application_commands import (
    HolderCheck,
    NoteBiometrics,
    NoteCardAtOffice,
    NoteCardGone,
    NoteCardLost,
    NoteDuplicate,
    NoteHolderCheck,
    Reason,
)
from enrollment.application_events import (
    ApplicationRejected,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    HandoverCompleted,
)
from enrollment.holder_events import Standing
from epassport import Recorded
from epassport.reactions import Send, reacts_to
from epassport_contracts.events.biometrics import (
    BiometricsAccepted,
    CheckPurpose,
    DuplicateConfirmed,
    HolderMismatch,
    HolderVerified,
)
from epassport_contracts.events.card_personalization import (
    CardLostInTransit,
    CardReceived,
    CardReturned,
)
from epassport_contracts.events.enrollment import ApplicationKind
from epassport_contracts.events.keys import KeysDestroyed
from epassport_contracts.events.verification import (
    DocumentActivated,
    DocumentExpired,
    DocumentRevoked,
)

_GIVEN_UP = frozenset({Reason.REJECTED, Reason.WITHDRAWN})
_ENDED = _GIVEN_UP | {Reason.HANDED_OVER}


@reacts_to(BiometricsAccepted)
def note_biometrics(event: BiometricsAccepted) -> list[Send]:
    """Approval waits for the fact that this person is one person, once."""
    command = NoteBiometrics(event.at, event.by_exception)
    return [Send(application.stream(event.application_id), command, expects=_GIVEN_UP)]


@reacts_to(DuplicateConfirmed)
def note_duplicate(event: DuplicateConfirmed) -> list[Send]:
    """Two adjudicators saw the same person twice; a supervisor, not a machine, rejects."""
    command = NoteDuplicate(event.at)
    return [Send(application.stream(event.application_id), command, expects=_GIVEN_UP)]


@reacts_to(CardReceived)
def note_card_at_office(event: CardReceived) -> list[Send]:
    """Only a card that the office has confirmed can be handed over, and only there."""
    command = NoteCardAtOffice(event.at, event.document_ref, event.office)
    return [Send(application.stream(event.application_id), command, expects=_GIVEN_UP)]


@reacts_to(CardReturned)
def note_card_gone(event: CardReturned) -> list[Send]:
    """What went back to the bureau cannot be handed over."""
    command = NoteCardGone(event.at, event.document_ref)
    return [Send(application.stream(event.application_id), command, expects=_GIVEN_UP)]


@reacts_to(CardLostInTransit)
def note_card_lost(event: CardLostInTransit) -> list[Send]:
    """The approval goes on: a task draws a new reference and number."""
    command = NoteCardLost(event.at, event.document_ref)
    return [Send(application.stream(event.application_id), command, expects=_GIVEN_UP)]


@reacts_to(HolderVerified, HolderMismatch)
def note_holder_check(event: HolderVerified | HolderMismatch) -> list[Send]:
    """Hand-over relies on the latest result, so a mismatch after a success counts too."""
    if event.purpose is not CheckPurpose.HAND_OVER or event.application_id is None:
        return []
    check = HolderCheck(
        event.check_id,
        event.at,
        isinstance(event, HolderVerified),
        event.method,
        event.document_ref,
        event.officer,
        event.office,
        event.station,
    )
    command = NoteHolderCheck(event.at, check)
    return [Send(application.stream(event.application_id), command, expects=_ENDED)]


@reacts_to(DocumentActivated)
def note_active(event: DocumentActivated) -> list[Send]:
    """A document in force keeps its holder from being erased."""
    return [_note_standing(event, Standing.ACTIVE)]


@reacts_to(DocumentRevoked)
def note_revoked(event: DocumentRevoked) -> list[Send]:
    """The last document's end is what makes erasure possible."""
    return [_note_standing(event, Standing.REVOKED)]


@reacts_to(DocumentExpired)
def note_expired(event: DocumentExpired) -> list[Send]:
    """As revocation: the end of a document."""
    return [_note_standing(event, Standing.EXPIRED)]


def _note_standing(
    event: DocumentActivated | DocumentRevoked | DocumentExpired, standing: Standing
) -> Send:
    command = holder_commands.NoteStanding(event.at, event.document_ref, standing)
    return Send(holder.stream(event.holder_id), command)


@reacts_to(KeysDestroyed)
def note_keys_destroyed(event: KeysDestroyed) -> list[Send]:
    """Erasure is complete when all five services have reported."""
    command = holder_commands.NoteKeysDestroyed(event.at, event.service)
    return [Send(holder.stream(event.holder_id), command)]


@reacts_to(ApplicationSubmitted)
def note_application(event: Recorded[ApplicationSubmitted]) -> list[Send]:
    """A first application makes the holder; every live one keeps the holder from erasure."""
    fact, application_id = event.fact, UUID(event.stream_key)
    stream = holder.stream(fact.holder_id)
    if fact.kind is ApplicationKind.FIRST:
        return [
            Send(stream, holder_commands.RegisterHolder(fact.at, fact.holder_id, application_id))
        ]
    return [Send(stream, holder_commands.NoteApplication(fact.at, application_id))]


@reacts_to(ApplicationRejected, ApplicationWithdrawn)
def note_application_end(
    event: Recorded[ApplicationRejected] | Recorded[ApplicationWithdrawn],
) -> list[Send]:
    """Nothing comes of it any more."""
    command = holder_commands.NoteApplicationEnd(event.fact.at, UUID(event.stream_key))
    return [Send(holder.stream(event.fact.holder_id), command)]


@reacts_to(HandoverCompleted)
def note_document(event: Recorded[HandoverCompleted]) -> list[Send]:
    """The holder's documents are known in the order they were handed over."""
    fact = event.fact
    command = holder_commands.NoteDocument(fact.at, UUID(event.stream_key), fact.document_ref)
    return [Send(holder.stream(fact.holder_id), command)]
