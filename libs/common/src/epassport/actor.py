"""Who acts: named on every command, event and query."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Channel(StrEnum):
    DESK = "desk"
    PHONE = "phone"
    HOTLINE = "hotline"
    SERVICE = "service"


class Role(StrEnum):
    """Roles a token may carry; what each may do is one table per service."""

    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ADJUDICATOR = "adjudicator"
    HAND_OVER_OFFICER = "hand-over-officer"
    CARD_OPERATOR = "card-operator"
    CARD_INSPECTOR = "card-inspector"
    COURIER = "courier"
    CITIZEN = "citizen"
    HOTLINE = "hotline"
    REGISTRAR = "registrar"
    VERIFIER = "verifier"
    AGENCY = "agency"
    ADMINISTRATOR = "administrator"
    PLATFORM_OPERATOR = "platform-operator"  # runs the services; sees no person and decides nothing
    SERVICE = "service"


@dataclass(frozen=True)
class Actor:
    """issuer and subject together are the person; officers carry region and office.

    acting_for: the holder on whose behalf; basis: what the order rests on, where something was
    issued for it: `ticket/<id>` of a desk's ticket
    """

    issuer: str
    subject: str
    roles: frozenset[Role] = frozenset()
    region: str | None = None
    office: str | None = None
    acting_for: UUID | None = None
    basis: str | None = None
    channel: Channel = Channel.SERVICE

    @property
    def name(self) -> str:
        return f"{self.issuer}#{self.subject}"


def service_actor(service: str) -> Actor:
    """The actor of reactions, deadlines and tasks."""
    return Actor(f"service:{service}", service, frozenset({Role.SERVICE}))
