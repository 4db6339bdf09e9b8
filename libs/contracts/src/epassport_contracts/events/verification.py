"""Facts of verification: whether a document may be relied on, and who asked."""

from enum import StrEnum
from uuid import UUID

from epassport_contracts.model import ContractEvent


class StatusReason(StrEnum):
    """Why a document's standing changed."""

    LOSS_REPORTED = "loss-reported"
    LOSS_CONFIRMED = "loss-confirmed"
    LOSS_NOT_WITHDRAWN_IN_TIME = "loss-not-withdrawn-in-time"
    SUPERSEDED = "superseded"
    LOST_IN_TRANSIT = "lost-in-transit"
    APPLICATION_ENDED = "application-ended"
    HOLDER_LEFT = "holder-left"
    ORDERED = "ordered"


class DocumentRegistered(ContractEvent):
    document_ref: UUID
    application_id: UUID
    holder_id: UUID
    status_list_uri: str
    status_index: int


class _StandingChanged(ContractEvent):
    document_ref: UUID
    holder_id: UUID


class DocumentActivated(_StandingChanged):
    pass


class DocumentSuspended(_StandingChanged):
    reason: StatusReason


class DocumentRestored(_StandingChanged):
    pass


class DocumentRevoked(_StandingChanged):
    reason: StatusReason
    superseded_by: UUID | None


class DocumentExpired(_StandingChanged):
    pass


class _Asked(ContractEvent):
    presentation_id: UUID
    relying_party: str
    purpose: str
    claims: tuple[str, ...]
    form: str  # card-qr, identity-qr, mobile-qr


class PresentationVerified(_Asked):
    document_ref: UUID
    holder_id: UUID


class PresentationRefused(_Asked):
    document_ref: UUID | None
    holder_id: UUID | None
    reason: str
