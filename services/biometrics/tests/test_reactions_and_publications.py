"""What enrollment's decisions lead to here, and what others hear."""

from typing import Any
from uuid import UUID, uuid4

from enrolled import (
    APPLICATION,
    CASE,
    CHECK,
    COUNTER,
    HOLDER,
    LATER,
    NOON,
    REF,
    checked,
)

from biometrics import publications, reactions, record
from biometrics.record_commands import OrderRelease, Reason, RetireRecord
from biometrics.record_events import (
    BiometricsAccepted,
    DuplicateConfirmed,
    HolderMismatch,
    HolderVerified,
    ImageReleased,
)
from epassport import Personal, Recorded
from epassport.actor import service_actor
from epassport.blobs import digest_of
from epassport.catalog import Catalog
from epassport.events import Origin
from epassport.reactions import Send, reactions_of
from epassport.testing import test_seal
from epassport_contracts import ContractEvent, DataPurpose, ServiceName
from epassport_contracts.events import biometrics as contract
from epassport_contracts.events.enrollment import (
    ApplicationApproved,
    ApplicationKind,
    ApplicationRejected,
    ApplicationWithdrawn,
    DocumentReassigned,
)
from epassport_contracts.registry import CHIP_DATA, consumed_by

STREAM = record.stream(HOLDER)
SEALED: Any = test_seal(Personal(HOLDER, "document-number", "900000001"))
ISSUED: dict[str, Any] = {
    "at": NOON,
    "application_id": APPLICATION,
    "holder_id": HOLDER,
    "kind": ApplicationKind.FIRST,
    "region": "RU-TA",
    "office": "office-1",
    "document_ref": REF,
    "document_number": SEALED,
    "predecessor": None,
    "identity": SEALED,
    "wishes": None,
    "valid_until": NOON.date(),
}
ENDED: dict[str, Any] = {
    "at": NOON,
    "application_id": APPLICATION,
    "holder_id": HOLDER,
    "document_ref": None,
}
CATALOG = Catalog(ServiceName.BIOMETRICS, [record.aggregate], [publications])


def published(fact: object) -> tuple[object, str, str]:
    origin = Origin(service_actor("biometrics"), uuid4())
    (made,) = CATALOG.publications(Recorded(fact, STREAM, 1, 0, 1, uuid4(), origin, NOON))
    return made.event, made.topic, made.key


def test_every_event_that_the_registry_sends_here_is_heard() -> None:
    heard = {event for event in reactions_of([reactions]) if issubclass(event, ContractEvent)}
    sent = {model for _, model in consumed_by(ServiceName.BIOMETRICS)}
    by_the_runtime = {"SubjectKey", "ErasureOrdered", "RolloutPaused", "RolloutResumed"}
    assert {model for model in sent if model.__name__ not in by_the_runtime} == heard


def test_a_decision_to_issue_orders_the_images_and_so_does_a_lost_card() -> None:
    order = Send(STREAM, OrderRelease(NOON, APPLICATION, REF), expects=frozenset({Reason.RETIRED}))
    assert reactions.order_release(ApplicationApproved(**ISSUED)) == [order]
    again = DocumentReassigned(**ISSUED, lost_document_ref=UUID(int=99))
    assert reactions.order_release(again) == [order]


def test_an_application_that_ends_takes_the_record_along() -> None:
    rejected = ApplicationRejected(**ENDED, has_other_document=False, reason="papers-not-valid")
    wholly = Send(STREAM, RetireRecord(NOON, APPLICATION, has_other_document=False))
    assert reactions.retire_record(rejected) == [wholly]
    withdrawn = ApplicationWithdrawn(**ENDED, has_other_document=True)
    partly = Send(STREAM, RetireRecord(NOON, APPLICATION, has_other_document=True))
    assert reactions.retire_record(withdrawn) == [partly]


def test_an_accepted_person_is_told_to_enrollment() -> None:
    event, topic, key = published(BiometricsAccepted(LATER, APPLICATION, by_exception=True))
    assert event == contract.BiometricsAccepted(
        at=LATER, application_id=APPLICATION, holder_id=HOLDER, by_exception=True
    )
    assert (topic, key) == ("internal.biometrics.biometric-record.v1", STREAM)


def test_a_confirmed_duplicate_does_not_say_of_whom() -> None:
    event, _, _ = published(DuplicateConfirmed(LATER, CASE, APPLICATION))
    assert event == contract.DuplicateConfirmed(
        at=LATER, application_id=APPLICATION, holder_id=HOLDER
    )


def test_a_check_names_the_desk_of_its_ticket() -> None:
    about: dict[str, Any] = {
        "at": LATER,
        "check_id": CHECK,
        "holder_id": HOLDER,
        "application_id": APPLICATION,
        "document_ref": REF,
        "purpose": contract.CheckPurpose.HAND_OVER,
        "method": contract.ComparisonMethod.FINGERS,
        "officer": COUNTER.officer,
        "station": COUNTER.station,
        "office": COUNTER.office,
    }
    assert published(checked(HolderVerified))[0] == contract.HolderVerified(**about)
    assert published(checked(HolderMismatch))[0] == contract.HolderMismatch(**about)


def test_an_image_travels_sealed_on_its_own_topic_and_is_named_by_its_ciphertext() -> None:
    image = test_seal(Personal(HOLDER, "chip-image", b"ridges"))
    kind = contract.ReleasedImage.RIGHT_INDEX
    fact = ImageReleased(LATER, APPLICATION, REF, kind, "image/x-wsq", image)
    event, topic, key = published(fact)
    assert event == contract.ImageReleased(
        at=LATER,
        holder_id=HOLDER,
        application_id=APPLICATION,
        document_ref=REF,
        image_kind=kind,
        purpose=DataPurpose.CHIP,
        media_type="image/x-wsq",
        digest=digest_of(image),
        image=image,
    )
    assert (topic, key) == (CHIP_DATA, STREAM)
