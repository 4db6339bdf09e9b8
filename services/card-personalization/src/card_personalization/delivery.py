"""Delivery: from the packing table to the holder's hand, or back, or nowhere.

- An inspector's accepted card is packed by somebody else, into an open batch of its office.
- The office it was made for confirms it, and may send it back once collection is overdue.
- A card lost in transit stays lost, also if it turns up.
"""

from uuid import UUID

from card_personalization.batch import MAX_CARDS, Batch
from card_personalization.batch import Status as BatchStatus
from card_personalization.card_commands import (
    ActivateCard,
    DispatchCard,
    PackCard,
    Reason,
    ReceiveCard,
    ReportLostInTransit,
    ReturnCard,
)
from card_personalization.card_events import (
    Card,
    CardActivated,
    CardDispatched,
    CardLostInTransit,
    CardPacked,
    CardReceived,
    CardReturned,
    Order,
    Status,
)
from epassport import Refused

Decided = (
    list[
        CardPacked
        | CardDispatched
        | CardReceived
        | CardReturned
        | CardLostInTransit
        | CardActivated
    ]
    | Refused
)


def pack(command: PackCard, card: Card, batch: Batch) -> Decided:
    match card.status:
        case Status.PREPARING | Status.PREPARED | Status.BLANK_ALLOCATED | Status.WRITTEN:
            return Refused(Reason.NOT_ACCEPTED)
        case Status.ACCEPTED:
            reason = _cannot_pack(command, card, batch)
            packed = CardPacked(command.at, command.by, command.batch_id)
            return Refused(reason) if reason else [packed]
        case Status.BLOCKED:
            return Refused(Reason.BLOCKED)
        case (
            Status.PACKED
            | Status.DISPATCHED
            | Status.RECEIVED
            | Status.RETURNED
            | Status.LOST
            | Status.ACTIVE
        ):
            return [] if card.batch_id == command.batch_id else Refused(Reason.ALREADY_PACKED)


def _cannot_pack(command: PackCard, card: Card, batch: Batch) -> Reason | None:
    """Who found the card good does not send it out alone; and it goes to its own office only."""
    if command.by == card.inspector:
        return Reason.FOUR_EYES
    match batch.status:
        case BatchStatus.ABSENT:
            return Reason.BATCH_UNKNOWN
        case BatchStatus.CLOSED | BatchStatus.DISPATCHED:
            return Reason.BATCH_CLOSED
        case BatchStatus.OPEN:
            if batch.office != _order_of(card).office:
                return Reason.BATCH_OF_OTHER_OFFICE
            return Reason.BATCH_FULL if len(batch.cards) >= MAX_CARDS else None


def dispatch(command: DispatchCard, card: Card) -> Decided:
    match card.status:
        case Status.PACKED if card.batch_id == command.batch_id:
            return [CardDispatched(command.at, command.batch_id, command.courier)]
        case Status.DISPATCHED | Status.RECEIVED | Status.RETURNED | Status.LOST | Status.ACTIVE:
            return []
        case Status.BLOCKED:
            return Refused(Reason.BLOCKED)
        case _:
            return Refused(Reason.NOT_PACKED)


def receive(command: ReceiveCard, card: Card) -> Decided:
    if card.order is not None and command.office != card.order.office:
        return Refused(Reason.OTHER_OFFICE)
    match card.status:
        case Status.DISPATCHED:
            return [CardReceived(command.at, *_about(card), by=command.by)]
        case Status.RECEIVED | Status.ACTIVE:
            return []
        case Status.RETURNED:
            return Refused(Reason.RETURNED)
        case Status.LOST:
            return Refused(Reason.LOST)
        case Status.BLOCKED:
            return Refused(Reason.BLOCKED)
        case _:
            return Refused(Reason.NOT_DISPATCHED)


def report_lost(command: ReportLostInTransit, card: Card) -> Decided:
    match card.status:
        case Status.DISPATCHED:
            return [CardLostInTransit(command.at, *_about(card), by=command.by)]
        case Status.LOST:
            return []
        case Status.RECEIVED | Status.RETURNED | Status.ACTIVE:
            return Refused(Reason.ALREADY_RECEIVED)
        case Status.BLOCKED:
            return Refused(Reason.BLOCKED)
        case _:
            return Refused(Reason.NOT_DISPATCHED)


def send_back(command: ReturnCard, card: Card) -> Decided:
    if card.order is not None and command.office != card.order.office:
        return Refused(Reason.OTHER_OFFICE)
    match card.status:
        case Status.RECEIVED:
            returned = CardReturned(command.at, *_about(card), by=command.by)
            return [returned] if card.is_overdue_for_collection else Refused(Reason.NOT_OVERDUE)
        case Status.RETURNED:
            return []
        case Status.ACTIVE:
            return Refused(Reason.ACTIVE)
        case Status.BLOCKED:
            return Refused(Reason.BLOCKED)
        case _:
            return Refused(Reason.NOT_RECEIVED)


def activate(command: ActivateCard, card: Card) -> Decided:
    match card.status:
        case Status.RECEIVED:
            return [CardActivated(command.at, *_about(card), predecessor=command.predecessor)]
        case Status.ACTIVE:
            return []
        case Status.BLOCKED:
            return Refused(Reason.BLOCKED)
        case _:
            return Refused(Reason.NOT_RECEIVED)


def _order_of(card: Card) -> Order:
    assert card.order is not None, "nothing is made without an order"
    return card.order


def _about(card: Card) -> tuple[UUID, UUID, str]:
    order = _order_of(card)
    return order.application_id, order.holder_id, order.office
