"""What happened to a Card, and its state: facts as stored, personal data sealed.

Events that are published carry all that their contract event needs, because a publication
sees the event alone; sealed values are copied from event to event, never sealed anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from card_personalization.card_commands import BlockCause, Files, OfficerId
from epassport import Secret
from epassport_contracts import Sealed
from epassport_contracts.fields import Identity, Wishes


class Status(StrEnum):
    """Where a card is on its way."""

    PREPARING = "preparing"  # order, index and face come in any order; then the files are made
    PREPARED = "prepared"  # a blank is sought
    BLANK_ALLOCATED = "blank-allocated"
    WRITTEN = "written"  # read back; an inspector decides
    ACCEPTED = "accepted"
    PACKED = "packed"
    DISPATCHED = "dispatched"
    RECEIVED = "received"
    RETURNED = "returned"
    LOST = "lost-in-transit"
    ACTIVE = "active"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class CardOrdered:
    at: datetime
    application_id: UUID
    holder_id: UUID
    region: str
    office: str
    document_number: Secret[str]
    identity: Secret[Identity]
    wishes: Secret[Wishes] | None
    valid_until: date


@dataclass(frozen=True)
class IndexAssigned:
    at: datetime
    status_list_uri: str
    status_index: int


@dataclass(frozen=True)
class ImageStored:
    at: datetime
    digest: str


@dataclass(frozen=True)
class FingerStored:
    at: datetime
    digest: str


@dataclass(frozen=True)
class ChipDataPrepared:
    at: datetime
    files: Files


@dataclass(frozen=True)
class BlanksMissing:
    """No lot has stock."""

    at: datetime
    look_again_at: datetime


@dataclass(frozen=True)
class BlanksSoughtAgain:
    at: datetime


@dataclass(frozen=True)
class BlankAllocated:
    """blank: how many blanks this card has had, this one included."""

    at: datetime
    lot_id: str
    blank: int


@dataclass(frozen=True)
class ChipWritten:
    at: datetime
    files: Files


@dataclass(frozen=True)
class ChipReadBack:
    """fault: None where the read files passed passive and active authentication."""

    at: datetime
    fault: str | None


@dataclass(frozen=True)
class QualityAccepted:
    at: datetime
    by: OfficerId


@dataclass(frozen=True)
class QualityRejected:
    at: datetime
    by: OfficerId
    reason: str


@dataclass(frozen=True)
class CardSpoiled:
    """The piece is destroyed; the card is remade on another blank."""

    at: datetime
    lot_id: str
    blank: int


@dataclass(frozen=True)
class CardPacked:
    at: datetime
    by: OfficerId
    batch_id: UUID


@dataclass(frozen=True)
class CardDispatched:
    at: datetime
    batch_id: UUID
    courier: str


@dataclass(frozen=True)
class _Told:
    """What others must know of the card to find their own part."""

    at: datetime
    application_id: UUID
    holder_id: UUID
    office: str


@dataclass(frozen=True)
class CardReceived(_Told):
    by: OfficerId


@dataclass(frozen=True)
class CardReturned(_Told):
    by: OfficerId


@dataclass(frozen=True)
class CardLostInTransit(_Told):
    by: OfficerId


@dataclass(frozen=True)
class CardActivated(_Told):
    predecessor: UUID | None


@dataclass(frozen=True)
class CardBlocked:
    at: datetime
    cause: BlockCause


@dataclass(frozen=True)
class PreparationOverdue:
    at: datetime


@dataclass(frozen=True)
class MakingOverdue:
    at: datetime


@dataclass(frozen=True)
class InspectionOverdue:
    at: datetime


@dataclass(frozen=True)
class DispatchOverdue:
    at: datetime


@dataclass(frozen=True)
class TransitOverdue:
    at: datetime


@dataclass(frozen=True)
class CollectionOverdue:
    """From now on the office may send the card back."""

    at: datetime


Overdue = (
    PreparationOverdue
    | MakingOverdue
    | InspectionOverdue
    | DispatchOverdue
    | TransitOverdue
    | CollectionOverdue
)
Event = (
    CardOrdered
    | IndexAssigned
    | ImageStored
    | FingerStored
    | ChipDataPrepared
    | BlanksMissing
    | BlanksSoughtAgain
    | BlankAllocated
    | ChipWritten
    | ChipReadBack
    | QualityAccepted
    | QualityRejected
    | CardSpoiled
    | CardPacked
    | CardDispatched
    | CardReceived
    | CardReturned
    | CardLostInTransit
    | CardActivated
    | CardBlocked
    | Overdue
)

# Events that move a card; all others leave it where it is.
STATUS_AFTER: Mapping[type, Status] = {
    ChipDataPrepared: Status.PREPARED,
    BlankAllocated: Status.BLANK_ALLOCATED,
    ChipReadBack: Status.WRITTEN,
    QualityAccepted: Status.ACCEPTED,
    CardSpoiled: Status.PREPARED,
    CardPacked: Status.PACKED,
    CardDispatched: Status.DISPATCHED,
    CardReceived: Status.RECEIVED,
    CardReturned: Status.RETURNED,
    CardLostInTransit: Status.LOST,
    CardActivated: Status.ACTIVE,
    CardBlocked: Status.BLOCKED,
}


@dataclass(frozen=True)
class Order:
    """What is to be made, for whom, and where it is waited for."""

    application_id: UUID
    holder_id: UUID
    region: str
    office: str
    document_number: Sealed[str]
    identity: Sealed[Identity]
    wishes: Sealed[Wishes] | None
    valid_until: date


@dataclass(frozen=True)
class Blank:
    """One blank of a lot. number: how many this card has had, this one included."""

    lot_id: str
    number: int


@dataclass(frozen=True)
class Card:
    """order, index and image stay None until they are heard of; finger where there is none.

    blank: the last one, also after it was spoiled; sought: searches in vain since the last
    """

    status: Status = Status.PREPARING
    order: Order | None = None
    index: tuple[str, int] | None = None
    image: str | None = None
    finger: str | None = None
    files: Files = field(default_factory=dict)
    sought: int = 0
    blank: Blank | None = None
    fault: str | None = None
    inspector: OfficerId | None = None
    batch_id: UUID | None = None
    is_overdue_for_collection: bool = False

    @property
    def parts(self) -> tuple[Order, tuple[str, int], str] | None:
        """All that the card is made from; None while some of it is missing."""
        if self.order is None or self.index is None or self.image is None:
            return None
        return self.order, self.index, self.image
