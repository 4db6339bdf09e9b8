"""What verification does when it hears of approvals, cards, losses and checked holders."""

from epassport.reactions import Send, reacts_to
from epassport_contracts.events.biometrics import CheckPurpose, HolderVerified
from epassport_contracts.events.card_personalization import CardActivated, CardLostInTransit
from epassport_contracts.events.cloud_profile import LossConfirmed, LossReported
from epassport_contracts.events.enrollment import (
    ApplicationApproved,
    ApplicationRejected,
    ApplicationWithdrawn,
    DocumentReassigned,
)
from epassport_contracts.events.verification import StatusReason
from verification.document_status import stream
from verification.document_status_commands import (
    ActivateDocument,
    ExpectDocument,
    Reason,
    RestoreDocument,
    RevokeDocument,
    SuspendDocument,
)

ENDED = frozenset({Reason.REVOKED_IS_FINAL, Reason.EXPIRED})


@reacts_to(ApplicationApproved, DocumentReassigned)
def expect(event: ApplicationApproved | DocumentReassigned) -> list[Send]:
    """The index is random, so a task draws it; what the approval said is noted first."""
    command = ExpectDocument(
        event.at,
        event.application_id,
        event.holder_id,
        event.region,
        event.valid_until,
        event.predecessor,
    )
    return [Send(stream(event.document_ref), command, expects=frozenset({Reason.REVOKED_IS_FINAL}))]


@reacts_to(ApplicationRejected, ApplicationWithdrawn)
def end(event: ApplicationRejected | ApplicationWithdrawn) -> list[Send]:
    """An application that ends after its approval leaves a reference that nobody may use."""
    if event.document_ref is None:
        return []
    command = RevokeDocument(event.at, StatusReason.APPLICATION_ENDED, event.holder_id)
    return [Send(stream(event.document_ref), command)]


@reacts_to(CardLostInTransit)
def revoke_lost_card(event: CardLostInTransit) -> list[Send]:
    """Whoever finds the card shall find it worthless; its holder gets a new reference."""
    command = RevokeDocument(event.at, StatusReason.LOST_IN_TRANSIT, event.holder_id)
    return [Send(stream(event.document_ref), command)]


@reacts_to(CardActivated)
def activate(event: CardActivated) -> list[Send]:
    """A document becomes checkable when its card is handed over, not when it is made; in the
    same step the one it replaces ends, so that a person never has two that hold."""
    sends = [Send(stream(event.document_ref), ActivateDocument(event.at))]
    if event.predecessor is not None:
        superseded = RevokeDocument(
            event.at, StatusReason.SUPERSEDED, event.holder_id, superseded_by=event.document_ref
        )
        sends.append(Send(stream(event.predecessor), superseded))
    return sends


@reacts_to(LossReported)
def suspend(event: LossReported) -> list[Send]:
    """At once: until somebody confirms or withdraws it, the finder must not profit."""
    command = SuspendDocument(event.at, StatusReason.LOSS_REPORTED)
    return [Send(stream(event.document_ref), command, expects=ENDED)]


@reacts_to(LossConfirmed)
def revoke_confirmed_loss(event: LossConfirmed) -> list[Send]:
    """The holder has given the card up."""
    command = RevokeDocument(event.at, StatusReason.LOSS_CONFIRMED, event.holder_id)
    return [Send(stream(event.document_ref), command)]


@reacts_to(HolderVerified)
def restore(event: HolderVerified) -> list[Send]:
    """Only the person whose document it is, at a counter, takes a loss report back."""
    if event.purpose is not CheckPurpose.RESTORE or event.document_ref is None:
        return []
    command = RestoreDocument(event.at, event.holder_id, event.check_id)
    expects = ENDED | {Reason.NOT_SUSPENDED}
    return [Send(stream(event.document_ref), command, expects=expects)]
