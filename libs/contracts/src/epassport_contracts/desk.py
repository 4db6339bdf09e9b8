"""What the desk signs and carries: the presence record and the desk ticket.

Desk software belongs to the offices; these two forms are its contract with the system.
"""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from epassport_contracts.events.enrollment import ApplicationKind
from epassport_contracts.fields import Identity


def presence_record(
    *,
    challenge: str,
    office: str,
    station: str,
    officer: str,
    kind: ApplicationKind,
    identity: Identity,
    at: datetime,
) -> bytes:
    """The octets over which the officer's ES256 signature says: this person stood here.

    Lines of text; the identity enters as the SHA-256 of its JSON, so that the record itself
    holds nothing personal. at: whole seconds count, with time zone.
    """
    digest = hashlib.sha256(identity.model_dump_json().encode()).hexdigest()
    lines = ("epassport-presence-v1", challenge, office, station, officer, kind, digest,
             at.isoformat(timespec="seconds"))  # fmt: skip
    return "\n".join(lines).encode()


class TicketPurpose(StrEnum):
    ENROL = "enrol"
    HAND_OVER = "hand-over"
    RESTORE = "restore"


class Ticket(BaseModel):
    """Sends one person from enrollment's desk to biometrics' capture, for ten minutes.

    On the wire a compact JWS (ES256, `typ` desk-ticket+jwt, key purpose desk-ticket).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[1] = 1
    ticket_id: UUID
    purpose: TicketPurpose
    holder_id: UUID
    application_id: UUID | None
    document_ref: UUID | None
    kind: ApplicationKind | None
    officer: str
    office: str
    station: str
    expires_at: AwareDatetime
