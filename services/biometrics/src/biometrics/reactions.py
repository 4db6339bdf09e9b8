"""What biometrics does when it hears how an application went on."""

from biometrics import record
from biometrics.record_commands import OrderRelease, Reason, RetireRecord
from epassport.reactions import Send, reacts_to
from epassport_contracts.events.enrollment import (
    ApplicationApproved,
    ApplicationRejected,
    ApplicationWithdrawn,
    DocumentReassigned,
)


@reacts_to(ApplicationApproved, DocumentReassigned)
def order_release(event: ApplicationApproved | DocumentReassigned) -> list[Send]:
    """Images leave only for a document that somebody decided to issue. A card lost on its way
    gets them again: what was released before lives 30 days and under another reference."""
    command = OrderRelease(event.at, event.application_id, event.document_ref)
    expects = frozenset({Reason.RETIRED})
    return [Send(record.stream(event.holder_id), command, expects=expects)]


@reacts_to(ApplicationRejected, ApplicationWithdrawn)
def retire_record(event: ApplicationRejected | ApplicationWithdrawn) -> list[Send]:
    """Who gets no document is not searched against, and may apply again."""
    command = RetireRecord(event.at, event.application_id, event.has_other_document)
    return [Send(record.stream(event.holder_id), command)]
