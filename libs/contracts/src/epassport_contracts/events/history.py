"""That a service's history stands: heads of its hash chain, kept outside its database."""

from epassport_contracts.access import ServiceName
from epassport_contracts.model import ContractEvent


class HistoryLinked(ContractEvent):
    """One more link of the chain over all events of a service.

    Who holds this record can show that an event up to it was changed, removed, added or moved
    later, whatever the service's database says by then.

    link: counts from 1; events: how many all links cover
    transaction_id, position: of the last event covered, in reading order
    head: SHA-256 in hex; ADR 0026 says over what
    follows: set where a restore has lost the links before this one: the last one that was kept
    """

    service: ServiceName
    link: int
    events: int
    transaction_id: int
    position: int
    head: str
    follows: int | None = None
