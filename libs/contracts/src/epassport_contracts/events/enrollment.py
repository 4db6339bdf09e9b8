"""Facts of enrollment: who applied, who was approved, who got the card in hand."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from epassport_contracts.fields import Identity, Wishes
from epassport_contracts.model import ContractEvent
from epassport_contracts.sealed import Sealed


class ApplicationKind(StrEnum):
    FIRST = "first"
    RENEW = "renew"
    REPLACE = "replace"
    CORRECT = "correct"
    NAME_CHANGE = "name-change"


class PausedStep(StrEnum):
    """A step of the road that a pause can stop."""

    APPLY = "apply"
    PREPARE = "prepare"
    MAKE = "make"
    HAND_OVER = "hand-over"
    CHECK = "check"


class RolloutPaused(ContractEvent):
    region: str
    step: PausedStep
    reason: str


class RolloutResumed(ContractEvent):
    region: str
    step: PausedStep


class ApplicationSubmitted(ContractEvent):
    application_id: UUID
    holder_id: UUID
    kind: ApplicationKind
    region: str
    office: str


class _Issued(ContractEvent):
    """What the services that make and check a document must know about it."""

    application_id: UUID
    holder_id: UUID
    kind: ApplicationKind
    region: str
    office: str
    document_ref: UUID
    document_number: Sealed[str]
    predecessor: UUID | None
    identity: Sealed[Identity]
    wishes: Sealed[Wishes] | None
    valid_until: date


class ApplicationApproved(_Issued):
    """The decision to issue; `document_ref` is the document's only public name."""


class DocumentReassigned(_Issued):
    """A card was lost in transit: the same approval continues under a new reference."""

    lost_document_ref: UUID


class ApplicationRejected(ContractEvent):
    application_id: UUID
    holder_id: UUID
    document_ref: UUID | None
    has_other_document: bool
    reason: str


class ApplicationWithdrawn(ContractEvent):
    application_id: UUID
    holder_id: UUID
    document_ref: UUID | None
    has_other_document: bool


class HandoverCompleted(ContractEvent):
    application_id: UUID
    holder_id: UUID
    kind: ApplicationKind
    office: str
    document_ref: UUID
    document_number: Sealed[str]
    predecessor: UUID | None
    identity: Sealed[Identity]
    valid_until: date


class ErasureOrdered(ContractEvent):
    """Every service destroys its keys of this person; the event itself is kept."""

    holder_id: UUID


class ErasureCompleted(ContractEvent):
    holder_id: UUID
