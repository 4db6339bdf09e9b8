"""Card: from the order to the holder's hand. One stream per document reference.

Making is decided here, packing and all that follows in `delivery`.

- It is prepared once order, status index and face are there, in any order, and written on a
  blank that a lot still had.
- A finger for the chip comes before the face or not at all.
- Only a card whose read-back passed and whom an inspector accepted is packed, and never by
  that inspector. A rejected piece is destroyed and remade with the same number and index.
- The office it was made for confirms it; uncollected for 60 days it goes back.
- A card lost in transit is given up: it is never remade, and its document ends.
- A blocked card stays blocked; blocking leads nowhere from here.
- Every wait on somebody else has a deadline; its passing is a fact, nothing more.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never, get_args

from card_personalization import delivery
from card_personalization.batch import Batch
from card_personalization.blank_lot import capacity_of
from card_personalization.card_commands import (
    AcceptQuality,
    ActivateCard,
    AllocateBlank,
    AssignIndex,
    BlockCard,
    Command,
    DispatchCard,
    NoteBlanksMissing,
    OrderCard,
    PackCard,
    Reason,
    ReceiveCard,
    RecordChip,
    RecordChipData,
    RejectQuality,
    ReportLostInTransit,
    ReturnCard,
    StoreFinger,
    StoreImage,
)
from card_personalization.card_events import (
    STATUS_AFTER,
    Blank,
    BlankAllocated,
    BlanksMissing,
    BlanksSoughtAgain,
    Card,
    CardActivated,
    CardBlocked,
    CardDispatched,
    CardLostInTransit,
    CardOrdered,
    CardPacked,
    CardReceived,
    CardReturned,
    CardSpoiled,
    ChipDataPrepared,
    ChipReadBack,
    ChipWritten,
    CollectionOverdue,
    DispatchOverdue,
    Event,
    FingerStored,
    ImageStored,
    IndexAssigned,
    InspectionOverdue,
    MakingOverdue,
    Order,
    PreparationOverdue,
    QualityAccepted,
    QualityRejected,
    Status,
    TransitOverdue,
)
from epassport import Aggregate, DeadlinePassed, EndWait, Refused, StartWait, Take, sealed

_NO_BATCH = Batch()


class Wait(StrEnum):
    PREPARATION = "preparation"
    BLANKS = "blanks"
    MAKING = "making"
    INSPECTION = "inspection"
    DISPATCH = "dispatch"
    TRANSIT = "transit"
    COLLECTION = "collection"


PATIENCE = {
    Wait.PREPARATION: timedelta(days=2),
    Wait.MAKING: timedelta(days=2),
    Wait.INSPECTION: timedelta(days=3),
    Wait.DISPATCH: timedelta(days=5),
    Wait.TRANSIT: timedelta(days=10),
    Wait.COLLECTION: timedelta(days=60),
}
# A search in vain is repeated after 1, 2, 4, ... minutes, later once an hour.
FIRST_LOOK, LONGEST_LOOK = timedelta(minutes=1), timedelta(hours=1)

Decided = Sequence[Event | Take] | Refused

initial = Card()


def decide(command: Command, card: Card, batch: Batch = _NO_BATCH) -> Decided:
    """Packing reads the batch."""
    match command:
        case OrderCard() | AssignIndex() | StoreImage():
            return _gather(command, card)
        case StoreFinger(at, digest):
            return _store_finger(at, digest, card)
        case RecordChipData() | AllocateBlank() | NoteBlanksMissing() | RecordChip():
            return _make(command, card)
        case AcceptQuality() | RejectQuality():
            return _inspect(command, card)
        case PackCard():
            return delivery.pack(command, card, batch)
        case DispatchCard():
            return delivery.dispatch(command, card)
        case ReceiveCard():
            return delivery.receive(command, card)
        case ReportLostInTransit():
            return delivery.report_lost(command, card)
        case ReturnCard():
            return delivery.send_back(command, card)
        case ActivateCard():
            return delivery.activate(command, card)
        case BlockCard(at, cause):
            # A lost card was given up before its document ended.
            given_up = card.status in (Status.BLOCKED, Status.LOST)
            return [] if given_up else [CardBlocked(at, cause)]
        case DeadlinePassed():
            return _overdue(command, card)
        case _:
            assert_never(command)


def _gather(command: OrderCard | AssignIndex | StoreImage, card: Card) -> Decided:
    """The three parts come from three topics, so each may be first, and each comes once."""
    fact: CardOrdered | IndexAssigned | ImageStored
    known: object
    said: object
    match command:
        case OrderCard():
            known = card.order.application_id if card.order else None
            said, refusal = command.application_id, Reason.ALREADY_ORDERED
            fact = CardOrdered(**vars(command))
        case AssignIndex(at, uri, index):
            known, said, refusal = card.index, (uri, index), Reason.INDEX_ALREADY_ASSIGNED
            fact = IndexAssigned(at, uri, index)
        case StoreImage(at, digest):
            known, said, refusal = card.image, digest, Reason.IMAGE_ALREADY_STORED
            fact = ImageStored(at, digest)
    if known is not None:
        return [] if known == said else Refused(refusal)
    return Refused(Reason.BLOCKED) if card.status is Status.BLOCKED else [fact]


def _store_finger(at: datetime, digest: str, card: Card) -> Decided:
    """It is released before the face, which completes the card; what comes after the chip was
    prepared is not missed: a chip may be without fingers."""
    if card.status is Status.BLOCKED:
        return Refused(Reason.BLOCKED)
    is_awaited = card.status is Status.PREPARING and card.finger is None
    return [FingerStored(at, digest)] if is_awaited else []


def _make(
    command: RecordChipData | AllocateBlank | NoteBlanksMissing | RecordChip, card: Card
) -> Decided:
    match card.status, command:
        case Status.BLOCKED, _:
            return Refused(Reason.BLOCKED)
        case Status.PREPARING, RecordChipData(at, files):
            return [ChipDataPrepared(at, files)] if card.parts else Refused(Reason.NOT_COMPLETE)
        case Status.PREPARING, _:
            return Refused(Reason.NOT_PREPARED)
        case Status.PREPARED, AllocateBlank(at, lot_id):
            number = card.blank.number + 1 if card.blank else 1
            return [
                BlankAllocated(at, lot_id, number),
                Take(capacity_of(lot_id), 1, Reason.LOT_EMPTY),
            ]
        case Status.PREPARED, NoteBlanksMissing(at):
            return [
                BlanksMissing(at, at + min(FIRST_LOOK * 2 ** min(card.sought, 9), LONGEST_LOOK))
            ]
        case Status.PREPARED, RecordChip():
            return Refused(Reason.NO_BLANK)
        case Status.BLANK_ALLOCATED, RecordChip(at, files, fault):
            return [ChipWritten(at, files), ChipReadBack(at, fault)]
        case _:
            return []  # done before


def _inspect(command: AcceptQuality | RejectQuality, card: Card) -> Decided:
    match card.status:
        case Status.PREPARING | Status.PREPARED | Status.BLANK_ALLOCATED:
            return Refused(Reason.NOT_WRITTEN)
        case Status.WRITTEN:
            if isinstance(command, RejectQuality):
                assert card.blank is not None, "a card is written on a blank"
                return [
                    QualityRejected(command.at, command.by, command.reason),
                    CardSpoiled(command.at, card.blank.lot_id, card.blank.number),
                ]
            if card.fault is not None:
                return Refused(Reason.READ_BACK_FAILED)
            return [QualityAccepted(command.at, command.by)]
        case Status.BLOCKED:
            return Refused(Reason.BLOCKED)
        case (
            Status.ACCEPTED
            | Status.PACKED
            | Status.DISPATCHED
            | Status.RECEIVED
            | Status.RETURNED
            | Status.LOST
            | Status.ACTIVE
        ):
            said_twice = isinstance(command, AcceptQuality)
            return [] if said_twice else Refused(Reason.ALREADY_ACCEPTED)


def _overdue(deadline: DeadlinePassed, card: Card) -> Decided:
    """Heard only while the wait is open."""
    match Wait(deadline.kind):
        case Wait.PREPARATION:
            return [PreparationOverdue(deadline.at)]
        case Wait.BLANKS:
            return [BlanksSoughtAgain(deadline.at)] if card.status is Status.PREPARED else []
        case Wait.MAKING:
            return [MakingOverdue(deadline.at)]
        case Wait.INSPECTION:
            return [InspectionOverdue(deadline.at)]
        case Wait.DISPATCH:
            return [DispatchOverdue(deadline.at)]
        case Wait.TRANSIT:
            return [TransitOverdue(deadline.at)]
        case Wait.COLLECTION:
            return [CollectionOverdue(deadline.at)]


def evolve(card: Card, event: Event) -> Card:
    card = replace(card, status=STATUS_AFTER.get(type(event), card.status))
    match event:
        case CardOrdered():
            return replace(card, order=_order(event))
        case IndexAssigned(_, uri, index):
            return replace(card, index=(uri, index))
        case ImageStored(_, digest):
            return replace(card, image=digest)
        case FingerStored(_, digest):
            return replace(card, finger=digest)
        case ChipDataPrepared(_, files) | ChipWritten(_, files):
            return replace(card, files={**card.files, **files})
        case BlanksMissing():
            return replace(card, sought=card.sought + 1)
        case BlankAllocated(_, lot_id, number):
            return replace(card, blank=Blank(lot_id, number), sought=0)
        case ChipReadBack(_, fault):
            return replace(card, fault=fault)
        case QualityAccepted(_, by):
            return replace(card, inspector=by)
        case CardPacked(_, _, batch_id):
            return replace(card, batch_id=batch_id)
        case CollectionOverdue():
            return replace(card, is_overdue_for_collection=True)
        case _:
            return card


def _order(event: CardOrdered) -> Order:
    return Order(
        event.application_id,
        event.holder_id,
        event.region,
        event.office,
        sealed(event.document_number),
        sealed(event.identity),
        None if event.wishes is None else sealed(event.wishes),
        event.valid_until,
    )


def waits(event: Event) -> Sequence[StartWait | EndWait]:
    match event:
        case CardOrdered(at):
            return [_start(Wait.PREPARATION, at)]
        case ChipDataPrepared(at):
            return [EndWait(Wait.PREPARATION), _start(Wait.MAKING, at)]
        case BlanksMissing(_, look_again_at):
            return [StartWait(Wait.BLANKS, look_again_at)]
        case BlanksSoughtAgain() | BlankAllocated():
            return [EndWait(Wait.BLANKS)]
        case ChipReadBack(at):
            return [EndWait(Wait.MAKING), _start(Wait.INSPECTION, at)]
        case CardSpoiled(at):
            return [EndWait(Wait.INSPECTION), _start(Wait.MAKING, at)]
        case QualityAccepted(at):
            return [EndWait(Wait.INSPECTION), _start(Wait.DISPATCH, at)]
        case CardDispatched(at):
            return [EndWait(Wait.DISPATCH), _start(Wait.TRANSIT, at)]
        case CardReceived(at):
            return [EndWait(Wait.TRANSIT), _start(Wait.COLLECTION, at)]
        case CardLostInTransit():
            return [EndWait(Wait.TRANSIT)]
        case CardReturned() | CardActivated():
            return [EndWait(Wait.COLLECTION)]
        case CardBlocked():
            return [EndWait(wait) for wait in Wait]
        case _:
            return []


def _start(wait: Wait, at: datetime) -> StartWait:
    return StartWait(wait, at + PATIENCE[wait])


aggregate = Aggregate("card", initial, decide, evolve, events=get_args(Event), waits=waits)
stream = aggregate.stream
