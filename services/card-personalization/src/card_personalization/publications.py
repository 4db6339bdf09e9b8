"""What others may know of a card: where it is, and that its holder has it in hand."""

from uuid import UUID

from card_personalization.card_events import (
    CardActivated,
    CardLostInTransit,
    CardReceived,
    CardReturned,
)
from epassport import Recorded, publishes
from epassport_contracts.events import card_personalization as contract


@publishes(CardReceived)
def card_received(event: Recorded[CardReceived]) -> contract.CardReceived:
    return contract.CardReceived(
        at=event.fact.at,
        document_ref=UUID(event.stream_key),
        application_id=event.fact.application_id,
        holder_id=event.fact.holder_id,
        office=event.fact.office,
    )


@publishes(CardReturned)
def card_returned(event: Recorded[CardReturned]) -> contract.CardReturned:
    return contract.CardReturned(
        at=event.fact.at,
        document_ref=UUID(event.stream_key),
        application_id=event.fact.application_id,
        holder_id=event.fact.holder_id,
        office=event.fact.office,
    )


@publishes(CardLostInTransit)
def card_lost_in_transit(event: Recorded[CardLostInTransit]) -> contract.CardLostInTransit:
    return contract.CardLostInTransit(
        at=event.fact.at,
        document_ref=UUID(event.stream_key),
        application_id=event.fact.application_id,
        holder_id=event.fact.holder_id,
        office=event.fact.office,
    )


@publishes(CardActivated)
def card_activated(event: Recorded[CardActivated]) -> contract.CardActivated:
    return contract.CardActivated(
        at=event.fact.at,
        document_ref=UUID(event.stream_key),
        application_id=event.fact.application_id,
        holder_id=event.fact.holder_id,
        office=event.fact.office,
        predecessor=event.fact.predecessor,
    )
