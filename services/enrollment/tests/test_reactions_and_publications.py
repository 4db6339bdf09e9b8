"""What enrollment hears leads to the right command; what it tells is whole and sealed."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from counter import (
    APPLICATION,
    APPROVED,
    CHECK,
    HANDED_OVER,
    HOLDER,
    IDENTITY,
    NEW_REF,
    NOON,
    OFFICE,
    OPERATOR,
    REASSIGNED,
    REF,
    REGION,
    REPLACING,
    SEALED_NUMBER,
    SUBMITTED,
    SUPERVISOR,
)

from enrollment import (
    application,
    holder,
    holder_commands,
    holder_events,
    publications,
    reactions,
    rollout,
)
from enrollment.application_commands import (
    NoteBiometrics,
    NoteCardAtOffice,
    NoteCardGone,
    NoteCardLost,
    NoteDuplicate,
    NoteHolderCheck,
    Reason,
    RejectionReason,
)
from enrollment.application_events import (
    ApplicationRejected,
    ApplicationWithdrawn,
    CardLost,
)
from enrollment.holder_events import Standing
from enrollment.work import REASSIGN
from epassport import Recorded, StreamId, TaskStart
from epassport.actor import service_actor
from epassport.catalog import Catalog
from epassport.events import EventCodec, Origin
from epassport.reactions import Send, reactions_of
from epassport.tasks import starters_of
from epassport_contracts import ServiceName
from epassport_contracts.events import enrollment as contract
from epassport_contracts.events.biometrics import (
    BiometricsAccepted,
    CheckPurpose,
    ComparisonMethod,
    DuplicateConfirmed,
    HolderMismatch,
    HolderVerified,
)
from epassport_contracts.events.card_personalization import (
    CardLostInTransit,
    CardReceived,
    CardReturned,
)
from epassport_contracts.events.enrollment import ApplicationKind, PausedStep
from epassport_contracts.events.keys import KeysDestroyed
from epassport_contracts.events.verification import (
    DocumentActivated,
    DocumentExpired,
    DocumentRevoked,
    StatusReason,
)
from epassport_contracts.registry import consumed_by

REACTIONS = reactions_of([reactions])
AGGREGATES = [application.aggregate, holder.aggregate, rollout.aggregate]
CATALOG = Catalog(ServiceName.ENROLLMENT, AGGREGATES, [publications], starters_of([REASSIGN]))

OF_APPLICATION = application.stream(APPLICATION)
OF_HOLDER = holder.stream(HOLDER)
CARD: dict[str, Any] = {
    "at": NOON,
    "document_ref": REF,
    "application_id": APPLICATION,
    "holder_id": HOLDER,
    "office": OFFICE,
}
COMPARED: dict[str, Any] = {
    "at": NOON,
    "check_id": CHECK.check_id,
    "holder_id": HOLDER,
    "application_id": APPLICATION,
    "document_ref": REF,
    "purpose": CheckPurpose.HAND_OVER,
    "method": ComparisonMethod.FINGERS,
    "officer": CHECK.officer,
    "station": CHECK.station,
    "office": OFFICE,
}


def recorded(fact: Any, stream: StreamId) -> Recorded[Any]:
    origin = Origin(service_actor("enrollment"), uuid4())
    return Recorded(fact, stream, 1, 0, 1, uuid4(), origin, NOON)


def sends(event: Any) -> list[Send]:
    """Of a contract event as it comes, of an own one as recorded."""
    kind = type(event.fact) if isinstance(event, Recorded) else type(event)
    return [item for react in REACTIONS[kind] for item in react(event) if isinstance(item, Send)]


def test_everything_that_the_registry_sends_here_is_heard() -> None:
    # Of these the runtime takes care: destroying keys, receiving keys, the table of pauses.
    by_runtime = {"ErasureOrdered", "SubjectKey", "RolloutPaused", "RolloutResumed"}
    wanted = {model.type_name() for _, model in consumed_by(ServiceName.ENROLLMENT)}
    foreign = {kind.__name__ for kind in REACTIONS if kind.__module__.startswith("epassport_")}
    assert foreign == wanted - by_runtime


@pytest.mark.parametrize(
    ("event", "command"),
    [
        (
            BiometricsAccepted(
                at=NOON, application_id=APPLICATION, holder_id=HOLDER, by_exception=True
            ),
            NoteBiometrics(NOON, by_exception=True),
        ),
        (
            DuplicateConfirmed(at=NOON, application_id=APPLICATION, holder_id=HOLDER),
            NoteDuplicate(NOON),
        ),
        (CardReceived(**CARD), NoteCardAtOffice(NOON, REF, OFFICE)),
        (CardReturned(**CARD), NoteCardGone(NOON, REF)),
        (CardLostInTransit(**CARD), NoteCardLost(NOON, REF)),
    ],
)
def test_an_application_hears_of_its_person_and_its_card(event: Any, command: Any) -> None:
    given_up = frozenset({Reason.REJECTED, Reason.WITHDRAWN})
    assert sends(event) == [Send(OF_APPLICATION, command, expects=given_up)]


@pytest.mark.parametrize("kind", [HolderVerified, HolderMismatch])
def test_a_comparison_at_hand_over_is_noted_with_its_verdict(kind: Any) -> None:
    (send,) = sends(kind(**COMPARED))
    check = replace(CHECK, verified=kind is HolderVerified)
    assert (send.stream, send.command) == (OF_APPLICATION, NoteHolderCheck(NOON, check))


def test_a_comparison_to_restore_is_not_enrollments() -> None:
    restore = {**COMPARED, "purpose": CheckPurpose.RESTORE, "application_id": None}
    assert sends(HolderVerified(**restore)) == []


@pytest.mark.parametrize(
    ("event", "standing"),
    [
        (DocumentActivated(at=NOON, document_ref=REF, holder_id=HOLDER), Standing.ACTIVE),
        (
            DocumentRevoked(
                at=NOON,
                document_ref=REF,
                holder_id=HOLDER,
                reason=StatusReason.SUPERSEDED,
                superseded_by=NEW_REF,
            ),
            Standing.REVOKED,
        ),
        (DocumentExpired(at=NOON, document_ref=REF, holder_id=HOLDER), Standing.EXPIRED),
    ],
)
def test_a_holder_hears_of_the_standing_of_documents(event: Any, standing: Standing) -> None:
    assert sends(event) == [Send(OF_HOLDER, holder_commands.NoteStanding(NOON, REF, standing))]


def test_a_holder_hears_of_destroyed_keys() -> None:
    event = KeysDestroyed(at=NOON, service=ServiceName.BIOMETRICS, holder_id=HOLDER)
    command = holder_commands.NoteKeysDestroyed(NOON, ServiceName.BIOMETRICS)
    assert sends(event) == [Send(OF_HOLDER, command)]


REJECTED = ApplicationRejected(
    NOON, SUPERVISOR, HOLDER, REF, False, RejectionReason.PAPERS_NOT_VALID
)
WITHDRAWN = ApplicationWithdrawn(NOON, OPERATOR, HOLDER, None, True)


@pytest.mark.parametrize(
    ("fact", "command"),
    [
        (SUBMITTED, holder_commands.RegisterHolder(NOON, HOLDER, APPLICATION)),
        (REPLACING, holder_commands.NoteApplication(NOON, APPLICATION)),
        (REJECTED, holder_commands.NoteApplicationEnd(NOON, APPLICATION)),
        (WITHDRAWN, holder_commands.NoteApplicationEnd(NOON, APPLICATION)),
        (HANDED_OVER, holder_commands.NoteDocument(HANDED_OVER.at, APPLICATION, REF)),
    ],
)
def test_a_holder_follows_its_applications(fact: Any, command: Any) -> None:
    assert sends(recorded(fact, OF_APPLICATION)) == [Send(OF_HOLDER, command)]


ISSUED: dict[str, Any] = {
    "at": NOON,
    "application_id": APPLICATION,
    "holder_id": HOLDER,
    "kind": ApplicationKind.FIRST,
    "region": REGION,
    "office": OFFICE,
    "document_number": SEALED_NUMBER,
    "predecessor": None,
    "identity": IDENTITY,
    "wishes": None,
    "valid_until": APPROVED.valid_until,
}
ENDED: dict[str, Any] = {"at": NOON, "application_id": APPLICATION, "holder_id": HOLDER}


@pytest.mark.parametrize(
    ("fact", "stream", "event"),
    [
        (
            rollout.RolloutPaused(NOON, PausedStep.MAKE, "drill"),
            rollout.stream(REGION),
            contract.RolloutPaused(at=NOON, region=REGION, step=PausedStep.MAKE, reason="drill"),
        ),
        (
            rollout.RolloutResumed(NOON, PausedStep.MAKE),
            rollout.stream(REGION),
            contract.RolloutResumed(at=NOON, region=REGION, step=PausedStep.MAKE),
        ),
        (
            SUBMITTED,
            OF_APPLICATION,
            contract.ApplicationSubmitted(
                **ENDED, kind=ApplicationKind.FIRST, region=REGION, office=OFFICE
            ),
        ),
        (APPROVED, OF_APPLICATION, contract.ApplicationApproved(**ISSUED, document_ref=REF)),
        (
            REASSIGNED,
            OF_APPLICATION,
            contract.DocumentReassigned(**ISSUED, document_ref=NEW_REF, lost_document_ref=REF),
        ),
        (
            REJECTED,
            OF_APPLICATION,
            contract.ApplicationRejected(
                **ENDED, document_ref=REF, has_other_document=False, reason="papers-not-valid"
            ),
        ),
        (
            WITHDRAWN,
            OF_APPLICATION,
            contract.ApplicationWithdrawn(**ENDED, document_ref=None, has_other_document=True),
        ),
        (
            HANDED_OVER,
            OF_APPLICATION,
            contract.HandoverCompleted(
                at=HANDED_OVER.at,
                application_id=APPLICATION,
                holder_id=HOLDER,
                kind=ApplicationKind.FIRST,
                office=OFFICE,
                document_ref=REF,
                document_number=SEALED_NUMBER,
                predecessor=None,
                identity=IDENTITY,
                valid_until=APPROVED.valid_until,
            ),
        ),
        (
            holder_events.ErasureOrdered(NOON, OPERATOR, HOLDER, None),
            OF_HOLDER,
            contract.ErasureOrdered(at=NOON, holder_id=HOLDER),
        ),
        (
            holder_events.ErasureCompleted(NOON, HOLDER),
            OF_HOLDER,
            contract.ErasureCompleted(at=NOON, holder_id=HOLDER),
        ),
    ],
)
def test_a_fact_is_told_whole_on_its_own_topic(fact: Any, stream: StreamId, event: Any) -> None:
    (publication,) = CATALOG.publications(recorded(fact, stream))
    assert publication.event == event
    assert publication.key == stream


@pytest.mark.parametrize("fact", [SUBMITTED, APPROVED, REASSIGNED, REJECTED, HANDED_OVER])
def test_a_stored_fact_reads_as_it_was_written(fact: Any) -> None:
    codec = EventCodec(AGGREGATES)
    assert codec.decode(*codec.encode(fact)) == fact


def test_a_lost_card_starts_one_task() -> None:
    started = CATALOG.tasks(recorded(CardLost(NOON, REF), OF_APPLICATION), None)
    assert started == [TaskStart("reassign-document", {})]
