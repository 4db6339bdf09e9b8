"""What is heard leads to the right command; what is told is thin, and of activated documents."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from epassport import Publication, Recorded
from epassport.actor import service_actor
from epassport.events import Origin
from epassport.personal import Personal
from epassport.reactions import Send, reactions_of
from epassport.testing import test_seal as seal
from epassport_contracts import ServiceName
from epassport_contracts.events import verification as contract
from epassport_contracts.events.biometrics import CheckPurpose, ComparisonMethod, HolderVerified
from epassport_contracts.events.card_personalization import CardActivated, CardLostInTransit
from epassport_contracts.events.cloud_profile import LossChannel, LossConfirmed, LossReported
from epassport_contracts.events.enrollment import (
    ApplicationApproved,
    ApplicationKind,
    ApplicationRejected,
    ApplicationWithdrawn,
    DocumentReassigned,
)
from epassport_contracts.events.public import PassportStatusChanged, PublicStatus, ReasonClass
from epassport_contracts.events.verification import StatusReason
from epassport_contracts.fields import Asked, Identity, Sex
from epassport_contracts.registry import PUBLIC_STATUS, PUBLIC_STATUS_CURRENT, consumed_by
from verification import publications, reactions, readmodel
from verification.document_status import aggregate, stream
from verification.document_status_commands import (
    ActivateDocument,
    ExpectDocument,
    Reason,
    RestoreDocument,
    RevokeDocument,
    SuspendDocument,
)
from verification.document_status_events import (
    DocumentActivated,
    DocumentExpired,
    DocumentRegistered,
    DocumentRestored,
    DocumentRevoked,
    DocumentSuspended,
)
from verification.presentation import (
    Form,
    PresentationRefused,
    PresentationUndecided,
    PresentationVerified,
)

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
REF, OLD, HOLDER, APPLICATION, CHECK = (UUID(int=n) for n in range(1, 6))
LAST_DAY = date(2036, 11, 21)
IDENTITY = Identity(
    surname="Подъёмная",
    given_name="Юлия",
    sex=Sex.FEMALE,
    birth_date=date(1990, 5, 17),
    birth_place="Казань",
)
ISSUED: dict[str, Any] = {
    "at": AT,
    "application_id": APPLICATION,
    "holder_id": HOLDER,
    "kind": ApplicationKind.REPLACE,
    "region": "RU-TA",
    "office": "mfc-1",
    "document_ref": REF,
    "document_number": seal(Personal(HOLDER, "document-number", "700123456")),
    "predecessor": OLD,
    "identity": seal(Personal(HOLDER, "identity", IDENTITY)),
    "wishes": None,
    "valid_until": LAST_DAY,
}
CARD: dict[str, Any] = {
    "at": AT,
    "document_ref": REF,
    "application_id": APPLICATION,
    "holder_id": HOLDER,
    "office": "mfc-1",
}
CHECKED: dict[str, Any] = {
    "at": AT,
    "check_id": CHECK,
    "holder_id": HOLDER,
    "application_id": None,
    "document_ref": REF,
    "purpose": CheckPurpose.RESTORE,
    "method": ComparisonMethod.FINGERS,
    "officer": "irina",
    "station": "s-1",
    "office": "mfc-1",
}


def recorded(fact: Any, key: UUID = REF) -> Recorded[Any]:
    origin = Origin(service_actor("verification"), uuid4())
    return Recorded(fact, aggregate.stream(key), 1, 0, 1, uuid4(), origin, AT)


def test_every_event_that_the_registry_sends_here_is_heard() -> None:
    """Besides those that the runtime hears itself."""
    heard = {*reactions_of([reactions]), *readmodel.device_keys.projections}
    runtime = {"RolloutPaused", "RolloutResumed", "ErasureOrdered", "SubjectKey"}
    sent = {model for _, model in consumed_by(ServiceName.VERIFICATION)}
    assert {model for model in sent if model.__name__ not in runtime} == heard


@pytest.mark.parametrize(
    "event",
    [
        ApplicationApproved(**ISSUED),
        DocumentReassigned(**ISSUED, lost_document_ref=uuid4()),
    ],
)
def test_an_approved_document_is_expected(event: ApplicationApproved | DocumentReassigned) -> None:
    command = ExpectDocument(AT, APPLICATION, HOLDER, "RU-TA", LAST_DAY, OLD)
    expects = frozenset({Reason.REVOKED_IS_FINAL})
    assert reactions.expect(event) == [Send(stream(REF), command, expects=expects)]


def test_an_application_that_ends_after_approval_revokes_its_document() -> None:
    ended: dict[str, Any] = {
        "at": AT,
        "application_id": APPLICATION,
        "holder_id": HOLDER,
        "has_other_document": False,
    }
    command = RevokeDocument(AT, StatusReason.APPLICATION_ENDED, HOLDER)
    rejected = ApplicationRejected(**ended, document_ref=REF, reason="forged-paper")
    assert reactions.end(rejected) == [Send(stream(REF), command)]
    assert reactions.end(ApplicationWithdrawn(**ended, document_ref=None)) == []


def test_a_card_lost_on_its_way_is_worthless() -> None:
    command = RevokeDocument(AT, StatusReason.LOST_IN_TRANSIT, HOLDER)
    sends = reactions.revoke_lost_card(CardLostInTransit(**CARD))
    assert sends == [Send(stream(REF), command)]


def test_activation_ends_the_predecessor_in_the_same_step() -> None:
    first = reactions.activate(CardActivated(**CARD, predecessor=None))
    assert first == [Send(stream(REF), ActivateDocument(AT))]
    both = reactions.activate(CardActivated(**CARD, predecessor=OLD))
    superseded = RevokeDocument(AT, StatusReason.SUPERSEDED, HOLDER, superseded_by=REF)
    assert both == [*first, Send(stream(OLD), superseded)]


def test_a_loss_suspends_and_its_confirmation_revokes() -> None:
    reported = LossReported(at=AT, holder_id=HOLDER, document_ref=REF, channel=LossChannel.PHONE)
    (suspend,) = reactions.suspend(reported)
    assert (suspend.stream, suspend.command) == (
        stream(REF),
        SuspendDocument(AT, StatusReason.LOSS_REPORTED),
    )
    confirmed = LossConfirmed(at=AT, holder_id=HOLDER, document_ref=REF)
    revoke = RevokeDocument(AT, StatusReason.LOSS_CONFIRMED, HOLDER)
    assert reactions.revoke_confirmed_loss(confirmed) == [Send(stream(REF), revoke)]


def test_only_a_check_made_to_restore_restores() -> None:
    (restore,) = reactions.restore(HolderVerified(**CHECKED))
    assert restore.command == RestoreDocument(AT, HOLDER, CHECK)
    hand_over = HolderVerified(**{**CHECKED, "purpose": CheckPurpose.HAND_OVER})
    assert reactions.restore(hand_over) == []
    assert reactions.restore(HolderVerified(**{**CHECKED, "document_ref": None})) == []


def test_a_registration_is_told_inside_only() -> None:
    fact = DocumentRegistered(AT, APPLICATION, HOLDER, "https://list", 7)
    assert publications.registered(recorded(fact)) == contract.DocumentRegistered(
        at=AT,
        document_ref=REF,
        application_id=APPLICATION,
        holder_id=HOLDER,
        status_list_uri="https://list",
        status_index=7,
    )


_REVOKED = (HOLDER, StatusReason.SUPERSEDED, OLD)


@pytest.mark.parametrize(
    ("publish", "fact", "status", "reason_class"),
    [
        (
            publications.activated,
            DocumentActivated(AT, HOLDER, LAST_DAY),
            PublicStatus.VALID,
            ReasonClass.ISSUED,
        ),
        (
            publications.suspended,
            DocumentSuspended(AT, HOLDER, StatusReason.LOSS_REPORTED),
            PublicStatus.SUSPENDED,
            ReasonClass.HOLDER,
        ),
        (
            publications.restored,
            DocumentRestored(AT, HOLDER, CHECK),
            PublicStatus.VALID,
            ReasonClass.HOLDER,
        ),
        (
            publications.restored,
            DocumentRestored(AT, HOLDER, None),
            PublicStatus.VALID,
            ReasonClass.AUTHORITY,
        ),
        (
            publications.revoked,
            DocumentRevoked(AT, *_REVOKED, was_in_force=True),
            PublicStatus.REVOKED,
            ReasonClass.SUPERSEDED,
        ),
        (
            publications.expired,
            DocumentExpired(AT, HOLDER),
            PublicStatus.EXPIRED,
            ReasonClass.TIME,
        ),
    ],
)
def test_a_change_of_standing_is_told_inside_and_on_both_public_topics(
    publish: Any, fact: Any, status: PublicStatus, reason_class: ReasonClass
) -> None:
    internal, *public = publish(recorded(fact))
    change = PassportStatusChanged(
        at=AT,
        document_ref=REF,
        status=status,
        reason_class=reason_class,
        effective_at=AT,
        recorded_at=AT,
        superseded_by=getattr(fact, "superseded_by", None),
    )
    assert (internal.document_ref, internal.holder_id, internal.at) == (REF, HOLDER, AT)
    assert internal.type_name() == type(fact).__name__
    assert public == [
        Publication(change, topic, str(REF)) for topic in (PUBLIC_STATUS, PUBLIC_STATUS_CURRENT)
    ]


def test_the_public_does_not_hear_of_a_document_that_was_never_in_force() -> None:
    fact = DocumentRevoked(AT, *_REVOKED, was_in_force=False)
    (internal,) = publications.revoked(recorded(fact))
    assert isinstance(internal, contract.DocumentRevoked)


@pytest.mark.parametrize("reason", list(StatusReason))
def test_every_reason_has_its_public_class(reason: StatusReason) -> None:
    fact = DocumentRevoked(AT, HOLDER, reason, None, was_in_force=True)
    assert publications.public_status(recorded(fact)) is not None


def test_the_holder_hears_who_asked_and_what_was_answered() -> None:
    question = Asked(relying_party="shop", name=None, purpose="alcohol", claims=("over-18",))
    envelope = seal(Personal(HOLDER, "asked", question))
    shown = (AT, Form.MOBILE, OLD, HOLDER, envelope)
    told: dict[str, Any] = {
        "at": AT,
        "presentation_id": REF,
        "document_ref": OLD,
        "holder_id": HOLDER,
        "form": "mobile-qr",
        "asked": envelope,
    }
    good = PresentationVerified(*shown)
    assert publications.verified(recorded(good)) == contract.PresentationVerified(**told)
    for fact, publish in (
        (PresentationRefused(*shown, "x"), publications.refused),
        (PresentationUndecided(*shown, "x", AT), publications.undecided),
    ):
        assert publish(recorded(fact)) == contract.PresentationRefused(**told, reason="x")


def test_the_holder_hears_of_a_check_whose_question_could_not_be_sealed() -> None:
    fact = PresentationVerified(AT, Form.CARD, OLD, HOLDER, None)
    published = publications.verified(recorded(fact))
    assert isinstance(published, contract.PresentationVerified)
    assert (published.holder_id, published.asked) == (HOLDER, None)
