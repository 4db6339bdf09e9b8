"""Facts of verification: whether a document may be relied on, and who asked."""

from enum import StrEnum
from uuid import UUID

from epassport_contracts.fields import Asked
from epassport_contracts.model import ContractEvent
from epassport_contracts.sealed import Sealed


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


class _Presented(ContractEvent):
    """A check of a document whose holder is known; others are not published.

    asked: None where the holder's key had not come to verification, or was destroyed
    """

    presentation_id: UUID
    document_ref: UUID
    holder_id: UUID
    form: str  # card-qr, identity-qr, mobile-qr
    asked: Sealed[Asked] | None


class PresentationVerified(_Presented):
    pass


class PresentationRefused(_Presented):
    reason: str
