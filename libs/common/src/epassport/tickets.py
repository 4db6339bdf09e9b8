"""Desk tickets: a compact JWS by enrollment that sends one person to biometrics' capture.

ES256 under a key of purpose `desk-ticket`. The key is looked up by service and purpose, the
signature is checked before anything inside is read, and a ticket of a version or shape that
this build does not know is refused.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import ValidationError

from epassport.errors import RuntimeFault
from epassport.jws import CompactJws, MalformedJws, parse_compact, sign_compact
from epassport.signing import Signer, SigningPurpose
from epassport.trustfile import TrustedKey, TrustFile
from epassport_contracts import ServiceName
from epassport_contracts.desk import Ticket

TYPE = "desk-ticket+jwt"
MAX_TICKET_CHARACTERS = 4096


class TicketReason(StrEnum):
    MALFORMED = "ticket-malformed"
    UNKNOWN_SIGNER = "ticket-unknown-signer"
    BAD_SIGNATURE = "ticket-bad-signature"
    EXPIRED = "ticket-expired"


class TicketRefused(RuntimeFault):
    """A ticket that nobody may act on. `reason` is one of the closed list."""

    def __init__(self, reason: TicketReason) -> None:
        super().__init__(reason)
        self.reason = reason


def sign_ticket(signer: Signer, ticket: Ticket) -> str:
    """signer: of purpose desk-ticket."""
    return sign_compact({"typ": TYPE}, ticket.model_dump_json().encode(), signer)


def open_ticket(text: str, trust: TrustFile, now: datetime) -> Ticket:
    """The ticket, if enrollment signed it and it has not expired. Raises TicketRefused."""
    jws = _parse(text)
    candidates = [
        key
        for key in trust.signing_keys(ServiceName.ENROLLMENT, SigningPurpose.DESK_TICKET)
        if _is_meant(key, jws, now)
    ]
    if not candidates:
        raise TicketRefused(TicketReason.UNKNOWN_SIGNER)
    if not any(jws.is_signed_by(key.public_key) for key in candidates):
        raise TicketRefused(TicketReason.BAD_SIGNATURE)
    try:
        ticket = Ticket.model_validate_json(jws.payload)
    except ValidationError:
        raise TicketRefused(TicketReason.MALFORMED) from None
    if now >= ticket.expires_at:
        raise TicketRefused(TicketReason.EXPIRED)
    return ticket


def _parse(text: str) -> CompactJws:
    """The header is the one we write; `crit` or another `typ` would change the meaning."""
    if len(text) > MAX_TICKET_CHARACTERS:
        raise TicketRefused(TicketReason.MALFORMED)
    try:
        jws = parse_compact(text)
    except MalformedJws:
        raise TicketRefused(TicketReason.MALFORMED) from None
    expected = {"alg": "ES256", "kid": jws.header.get("kid"), "typ": TYPE}
    if jws.header != expected or not isinstance(jws.header["kid"], str):
        raise TicketRefused(TicketReason.MALFORMED)
    return jws


def _is_meant(key: TrustedKey, jws: CompactJws, now: datetime) -> bool:
    return key.key_id.hex() == jws.header["kid"] and key.valid_from <= now <= key.valid_until
