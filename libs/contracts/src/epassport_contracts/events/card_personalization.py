"""Facts of card-personalization: where a card is, and when it came into force."""

from uuid import UUID

from epassport_contracts.model import ContractEvent


class _AboutCard(ContractEvent):
    document_ref: UUID
    application_id: UUID
    holder_id: UUID
    office: str


class CardReceived(_AboutCard):
    """The office has confirmed this card."""


class CardReturned(_AboutCard):
    """Not collected in time; back at the bureau."""


class CardLostInTransit(_AboutCard):
    """Never remade: the document is revoked and a new reference assigned."""


class CardActivated(_AboutCard):
    """The holder has the card in hand; its predecessor, if any, ends in the same step."""

    predecessor: UUID | None
