"""Public facts: thin, no name, no number, no pseudonym, no image."""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime

from epassport_contracts.model import ContractEvent


class PublicStatus(StrEnum):
    VALID = "valid"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    EXPIRED = "expired"


class ReasonClass(StrEnum):
    """Coarse on purpose: a shop learns that a document ended, not why in detail."""

    ISSUED = "issued"
    HOLDER = "holder"
    AUTHORITY = "authority"
    SUPERSEDED = "superseded"
    TIME = "time"


class PassportStatusChanged(ContractEvent):
    document_ref: UUID
    status: PublicStatus
    reason_class: ReasonClass
    effective_at: AwareDatetime
    recorded_at: AwareDatetime
    superseded_by: UUID | None
