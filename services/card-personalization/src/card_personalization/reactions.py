"""What the card bureau does about other services' facts, and about its own in other streams."""

from uuid import UUID

from card_personalization import batch, blank_lot, card
from card_personalization.batch import BatchDispatched, CardNoted, NoteCard
from card_personalization.blank_lot import BlankOf, NoteSpoiled, NoteUsed
from card_personalization.card_commands import (
    ActivateCard,
    AssignIndex,
    BlockCard,
    BlockCause,
    DispatchCard,
    OrderCard,
    Reason,
    StoreFinger,
    StoreImage,
)
from card_personalization.card_events import BlankAllocated, CardPacked, CardSpoiled
from epassport import Recorded
from epassport.blobs import digest_of
from epassport.reactions import Keep, Send, reacts_to
from epassport_contracts import DataPurpose
from epassport_contracts.events.biometrics import ImageReleased, ReleasedImage
from epassport_contracts.events.enrollment import (
    ApplicationApproved,
    ApplicationRejected,
    ApplicationWithdrawn,
    DocumentReassigned,
    HandoverCompleted,
)
from epassport_contracts.events.verification import (
    DocumentExpired,
    DocumentRegistered,
    DocumentRevoked,
)

# A document may end before its parts have all been heard of.
_BLOCKED = frozenset({Reason.BLOCKED})


@reacts_to(ApplicationApproved, DocumentReassigned)
def order_card(event: ApplicationApproved | DocumentReassigned) -> list[Send]:
    """A card lost in transit is never remade: its successor is a new document, so a new card."""
    command = OrderCard(
        event.at,
        event.application_id,
        event.holder_id,
        event.region,
        event.office,
        event.document_number,
        event.identity,
        event.wishes,
        event.valid_until,
    )
    return [Send(card.stream(event.document_ref), command, expects=_BLOCKED)]


@reacts_to(DocumentRegistered)
def assign_index(event: DocumentRegistered) -> list[Send]:
    """Both codes on the card say where its status is looked up."""
    command = AssignIndex(event.at, event.status_list_uri, event.status_index)
    return [Send(card.stream(event.document_ref), command, expects=_BLOCKED)]


@reacts_to(ImageReleased)
def keep_image(event: ImageReleased) -> list[Send | Keep]:
    """What the chip holds: the face (DG2), and the finger that came before it (DG3)."""
    if event.purpose is not DataPurpose.CHIP:
        return []
    command: StoreImage | StoreFinger
    match event.image_kind:
        case ReleasedImage.FACE:
            command = StoreImage(event.at, digest_of(event.image))
        case ReleasedImage.RIGHT_INDEX:
            command = StoreFinger(event.at, digest_of(event.image))
    send = Send(card.stream(event.document_ref), command, expects=_BLOCKED)
    return [Keep(event.image, event.media_type), send]


@reacts_to(ApplicationRejected, ApplicationWithdrawn)
def stop_making(event: ApplicationRejected | ApplicationWithdrawn) -> list[Send]:
    """No blank is spent on a passport that nobody will get."""
    if event.document_ref is None:
        return []
    cause = (
        BlockCause.APPLICATION_REJECTED
        if isinstance(event, ApplicationRejected)
        else BlockCause.APPLICATION_WITHDRAWN
    )
    return [Send(card.stream(event.document_ref), BlockCard(event.at, cause))]


@reacts_to(DocumentRevoked, DocumentExpired)
def block_card(event: DocumentRevoked | DocumentExpired) -> list[Send]:
    """Wherever the card is, it goes no further."""
    cause = (
        BlockCause.DOCUMENT_REVOKED
        if isinstance(event, DocumentRevoked)
        else BlockCause.DOCUMENT_EXPIRED
    )
    return [Send(card.stream(event.document_ref), BlockCard(event.at, cause))]


@reacts_to(HandoverCompleted)
def activate_card(event: HandoverCompleted) -> list[Send]:
    """In the holder's hand; a document revoked in the same moment stays revoked."""
    command = ActivateCard(event.at, event.predecessor)
    return [Send(card.stream(event.document_ref), command, expects=_BLOCKED)]


@reacts_to(BlankAllocated)
def note_used(event: Recorded[BlankAllocated]) -> list[Send]:
    """The lot keeps the account of its blanks."""
    blank = BlankOf(UUID(event.stream_key), event.fact.blank)
    return [Send(blank_lot.stream(event.fact.lot_id), NoteUsed(event.fact.at, blank))]


@reacts_to(CardSpoiled)
def note_spoiled(event: Recorded[CardSpoiled]) -> list[Send]:
    """A destroyed piece is accounted for too."""
    blank = BlankOf(UUID(event.stream_key), event.fact.blank)
    return [Send(blank_lot.stream(event.fact.lot_id), NoteSpoiled(event.fact.at, blank))]


@reacts_to(CardPacked)
def note_card(event: Recorded[CardPacked]) -> list[Send]:
    """The batch must name its cards when it leaves."""
    command = NoteCard(event.fact.at, UUID(event.stream_key))
    return [Send(batch.stream(event.fact.batch_id), command)]


@reacts_to(BatchDispatched)
def dispatch_cards(event: Recorded[BatchDispatched]) -> list[Send]:
    """Each card says for itself that it is on its way; a blocked one stays."""
    batch_id = UUID(event.stream_key)
    command = DispatchCard(event.fact.at, batch_id, event.fact.courier)
    return [Send(card.stream(ref), command, expects=_BLOCKED) for ref in event.fact.cards]


@reacts_to(CardNoted)
def dispatch_late_card(event: Recorded[CardNoted]) -> list[Send]:
    """Packed while the batch was open, noted after it had left."""
    if event.fact.courier is None:
        return []
    command = DispatchCard(event.fact.at, UUID(event.stream_key), event.fact.courier)
    return [Send(card.stream(event.fact.document_ref), command, expects=_BLOCKED)]
