"""One holder's captures, a suspected duplicate, and the counter."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from biometrics.engine.positions import FingerPosition
from biometrics.holder_check import PURPOSES
from biometrics.record import aggregate
from biometrics.record_commands import (
    ConcludeSearch,
    FingerSample,
    Officer,
    Samples,
    Search,
    Verdict,
)
from biometrics.record_events import (
    AdjudicationRequested,
    AdjudicatorDecided,
    BiometricsAccepted,
    DuplicateSearchCompleted,
    Event,
    FingersExcepted,
    HolderMismatch,
    HolderVerified,
    SamplesReceived,
)
from epassport.testing import Specification
from epassport_contracts.desk import Ticket, TicketPurpose
from epassport_contracts.events.biometrics import ComparisonMethod
from epassport_contracts.events.enrollment import ApplicationKind

given = Specification(aggregate).given

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
HOLDER, OTHER_HOLDER = UUID(int=1), UUID(int=2)
APPLICATION, NEXT_APPLICATION = UUID(int=3), UUID(int=4)
CAPTURE, NEXT_CAPTURE, CASE, REF, CHECK = (UUID(int=n) for n in range(5, 10))

ISSUER = "https://people.test"
OPERATOR, SUPERVISOR = Officer(ISSUER, "operator"), Officer(ISSUER, "supervisor")
NEXT_SUPERVISOR = Officer(ISSUER, "supervisor-2")
FIRST, SECOND, THIRD = (Officer(ISSUER, f"adjudicator-{n}") for n in (1, 2, 3))
AT_COUNTER, BESIDE = Officer(ISSUER, "hand-over"), Officer(ISSUER, "hand-over-2")

ENGINE = "sourceafis-3.18.1-java"
INDEX = FingerPosition.RIGHT_INDEX
SAMPLES = Samples("face", (FingerSample(INDEX, "finger", "template", 80),), ENGINE)

ENROL = Ticket(
    ticket_id=UUID(int=20),
    purpose=TicketPurpose.ENROL,
    holder_id=HOLDER,
    application_id=APPLICATION,
    document_ref=None,
    kind=ApplicationKind.FIRST,
    officer="operator",
    office="office-1",
    station="station-1",
    expires_at=NOON + timedelta(minutes=10),
)
REPLACE = ENROL.model_copy(update={"kind": ApplicationKind.REPLACE})
COUNTER = ENROL.model_copy(
    update={
        "ticket_id": UUID(int=21),
        "purpose": TicketPurpose.HAND_OVER,
        "document_ref": REF,
        "officer": "hand-over",
    }
)
RESTORE = COUNTER.model_copy(
    update={"purpose": TicketPurpose.RESTORE, "application_id": None, "kind": None}
)


def received(
    kind: ApplicationKind = ApplicationKind.FIRST,
    application_id: UUID = APPLICATION,
    capture_id: UUID = CAPTURE,
) -> SamplesReceived:
    return SamplesReceived(
        NOON, OPERATOR, application_id, kind, "office-1", "station-1", capture_id, SAMPLES
    )


def search(*others: UUID, own_matched: bool = False, own_mixed_up: bool = False) -> Search:
    return Search(others, own_matched, 1000, ENGINE, 140.0, 200.0, own_mixed_up, 1000)


def conclude(found: Search) -> ConcludeSearch:
    return ConcludeSearch(LATER, APPLICATION, CAPTURE, found, CASE)


def searched(found: Search) -> DuplicateSearchCompleted:
    return DuplicateSearchCompleted(LATER, APPLICATION, CAPTURE, found)


def requested(*against: UUID) -> AdjudicationRequested:
    return AdjudicationRequested(LATER, CASE, APPLICATION, against)


def answered(by: Officer, verdict: Verdict) -> AdjudicatorDecided:
    return AdjudicatorDecided(LATER, CASE, by, verdict, "ridges")


def checked(
    kind: type[HolderVerified] | type[HolderMismatch],
    ticket: Ticket = COUNTER,
    method: ComparisonMethod = ComparisonMethod.FINGERS,
    check_id: UUID = CHECK,
) -> HolderVerified | HolderMismatch:
    return kind(
        LATER,
        check_id,
        ticket.ticket_id,
        PURPOSES[ticket.purpose],
        method,
        ticket.application_id,
        ticket.document_ref,
        "hand-over",
        "office-1",
        "station-1",
    )


def excepted(ticket: Ticket = ENROL) -> FingersExcepted:
    return FingersExcepted(
        NOON,
        SUPERVISOR,
        ticket.ticket_id,
        ticket.purpose,
        ticket.application_id,
        ticket.kind,
        CAPTURE,
        "face",
        "worn-fingers",
    )


ACCEPTED: list[Event] = [
    received(),
    searched(search()),
    BiometricsAccepted(LATER, APPLICATION, by_exception=False),
]
BY_EXCEPTION: list[Event] = [excepted(), BiometricsAccepted(NOON, APPLICATION, by_exception=True)]
SUSPECTED: list[Event] = [received(), searched(search(OTHER_HOLDER)), requested(OTHER_HOLDER)]
