"""What is heard of a document and what the bureau then does; and what it tells of a card."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from card_personalization import batch, blank_lot, card, publications, reactions
from card_personalization.batch import BatchDispatched, CardNoted, NoteCard
from card_personalization.blank_lot import BlankOf, NoteSpoiled, NoteUsed
from card_personalization.card_commands import (
    ActivateCard,
    AssignIndex,
    BlockCard,
    BlockCause,
    DispatchCard,
    OfficerId,
    OrderCard,
    Reason,
    StoreFinger,
    StoreImage,
)
from card_personalization.card_events import (
    BlankAllocated,
    CardActivated,
    CardLostInTransit,
    CardPacked,
    CardReceived,
    CardReturned,
    CardSpoiled,
)
from epassport import Personal, Recorded, StreamId
from epassport.actor import service_actor
from epassport.blobs import digest_of
from epassport.events import Origin
from epassport.reactions import Keep, Send, reactions_of
from epassport.testing import test_seal
from epassport_contracts import ContractEvent, DataPurpose, ServiceName
from epassport_contracts.events import card_personalization as contract
from epassport_contracts.events.biometrics import ImageReleased, ReleasedImage
from epassport_contracts.events.enrollment import (
    ApplicationApproved,
    ApplicationKind,
    ApplicationRejected,
    ApplicationWithdrawn,
    DocumentReassigned,
    HandoverCompleted,
)
from epassport_contracts.events.verification import (
    DocumentExpired,
    DocumentRegistered,
    DocumentRevoked,
    StatusReason,
)
from epassport_contracts.fields import Identity, Sex
from epassport_contracts.registry import consumed_by

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
REF, APPLICATION, HOLDER, BATCH, OTHER = (UUID(int=n) for n in range(1, 6))
BLOCKED = frozenset({Reason.BLOCKED})
NUMBER = test_seal(Personal(HOLDER, "document-number", "900000001"))
IDENTITY = test_seal(
    Personal(
        HOLDER,
        "identity",
        Identity(
            surname="Иванова",
            given_name="Анна",
            sex=Sex.FEMALE,
            birth_date=date(1990, 5, 17),
            birth_place="г. Казань",
        ),
    )
)
ISSUED: dict[str, Any] = {
    "at": AT,
    "application_id": APPLICATION,
    "holder_id": HOLDER,
    "kind": ApplicationKind.FIRST,
    "region": "RU-TA",
    "office": "office-1",
    "document_ref": REF,
    "document_number": NUMBER,
    "predecessor": None,
    "identity": IDENTITY,
    "wishes": None,
    "valid_until": date(2036, 11, 22),
}
FACE = test_seal(Personal(HOLDER, "chip-image", b"\xff\xd8\xff face"))
RELEASED: dict[str, Any] = {
    "at": AT,
    "holder_id": HOLDER,
    "application_id": APPLICATION,
    "document_ref": REF,
    "image_kind": ReleasedImage.FACE,
    "purpose": DataPurpose.CHIP,
    "media_type": "image/jpeg",
    "digest": digest_of(FACE),
    "image": FACE,
}


def own(fact: Any, stream: StreamId) -> Recorded[Any]:
    return Recorded(fact, stream, 1, 1, 1, OTHER, Origin(service_actor("test"), OTHER), AT)


@pytest.mark.parametrize(
    "event",
    [ApplicationApproved(**ISSUED), DocumentReassigned(**ISSUED, lost_document_ref=OTHER)],
)
def test_an_approval_orders_a_card_with_the_envelopes_as_they_came(
    event: ApplicationApproved | DocumentReassigned,
) -> None:
    (send,) = reactions.order_card(event)
    assert send == Send(
        card.stream(REF),
        OrderCard(
            AT,
            APPLICATION,
            HOLDER,
            "RU-TA",
            "office-1",
            NUMBER,
            IDENTITY,
            None,
            date(2036, 11, 22),
        ),
        expects=BLOCKED,
    )


def test_a_registered_document_assigns_its_index() -> None:
    event = DocumentRegistered(
        at=AT,
        document_ref=REF,
        application_id=APPLICATION,
        holder_id=HOLDER,
        status_list_uri="https://status/1",
        status_index=42,
    )
    command = AssignIndex(AT, "https://status/1", 42)
    assert reactions.assign_index(event) == [Send(card.stream(REF), command, expects=BLOCKED)]


def test_the_face_for_the_chip_is_kept_and_named_by_its_ciphertext() -> None:
    kept = reactions.keep_image(ImageReleased(**RELEASED))
    stored = Send(card.stream(REF), StoreImage(AT, digest_of(FACE)), expects=BLOCKED)
    assert kept == [Keep(FACE, "image/jpeg"), stored]


def test_the_finger_for_the_chip_is_kept_too() -> None:
    event = ImageReleased(**{**RELEASED, "image_kind": ReleasedImage.RIGHT_INDEX})
    stored = Send(card.stream(REF), StoreFinger(AT, digest_of(FACE)), expects=BLOCKED)
    assert reactions.keep_image(event) == [Keep(FACE, "image/jpeg"), stored]


def test_an_image_for_the_cloud_is_not_kept() -> None:
    event = ImageReleased(**{**RELEASED, "purpose": DataPurpose.PORTRAIT})
    assert reactions.keep_image(event) == []


ENDED: dict[str, Any] = {
    "at": AT,
    "application_id": APPLICATION,
    "holder_id": HOLDER,
    "has_other_document": False,
}


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (
            ApplicationRejected(**ENDED, document_ref=REF, reason="withdrawn-consent"),
            BlockCause.APPLICATION_REJECTED,
        ),
        (ApplicationWithdrawn(**ENDED, document_ref=REF), BlockCause.APPLICATION_WITHDRAWN),
    ],
)
def test_an_application_that_ends_stops_the_making(
    event: ApplicationRejected | ApplicationWithdrawn, cause: BlockCause
) -> None:
    assert reactions.stop_making(event) == [Send(card.stream(REF), BlockCard(AT, cause))]


def test_an_application_that_ends_before_approval_has_no_card() -> None:
    assert reactions.stop_making(ApplicationWithdrawn(**ENDED, document_ref=None)) == []


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (
            DocumentRevoked(
                at=AT,
                document_ref=REF,
                holder_id=HOLDER,
                reason=StatusReason.ORDERED,
                superseded_by=None,
            ),
            BlockCause.DOCUMENT_REVOKED,
        ),
        (
            DocumentExpired(at=AT, document_ref=REF, holder_id=HOLDER),
            BlockCause.DOCUMENT_EXPIRED,
        ),
    ],
)
def test_a_document_that_ends_blocks_its_card(
    event: DocumentRevoked | DocumentExpired, cause: BlockCause
) -> None:
    assert reactions.block_card(event) == [Send(card.stream(REF), BlockCard(AT, cause))]


def test_a_hand_over_brings_the_card_into_force_and_names_its_predecessor() -> None:
    about = {key: ISSUED[key] for key in ISSUED if key not in ("region", "wishes")}
    event = HandoverCompleted(**{**about, "predecessor": OTHER})
    command = ActivateCard(AT, OTHER)
    assert reactions.activate_card(event) == [Send(card.stream(REF), command, expects=BLOCKED)]


def test_the_lot_hears_of_each_of_its_blanks() -> None:
    lot, second = blank_lot.stream("lot-1"), BlankOf(REF, 2)
    allocated = own(BlankAllocated(AT, "lot-1", 2), card.stream(REF))
    assert reactions.note_used(allocated) == [Send(lot, NoteUsed(AT, second))]
    spoiled = own(CardSpoiled(AT, "lot-1", 2), card.stream(REF))
    assert reactions.note_spoiled(spoiled) == [Send(lot, NoteSpoiled(AT, second))]


def test_a_batch_notes_its_cards_and_takes_them_along() -> None:
    packed = own(CardPacked(AT, OfficerId("https://id", "p"), BATCH), card.stream(REF))
    assert reactions.note_card(packed) == [Send(batch.stream(BATCH), NoteCard(AT, REF))]
    leaving = own(BatchDispatched(AT, "courier-7", (REF, OTHER)), batch.stream(BATCH))
    command = DispatchCard(AT, BATCH, "courier-7")
    assert reactions.dispatch_cards(leaving) == [
        Send(card.stream(ref), command, expects=BLOCKED) for ref in (REF, OTHER)
    ]


def test_a_card_noted_late_leaves_by_itself_and_one_noted_in_time_does_not() -> None:
    late = own(CardNoted(AT, REF, "courier-7"), batch.stream(BATCH))
    command = DispatchCard(AT, BATCH, "courier-7")
    assert reactions.dispatch_late_card(late) == [Send(card.stream(REF), command, expects=BLOCKED)]
    assert reactions.dispatch_late_card(own(CardNoted(AT, REF, None), batch.stream(BATCH))) == []


def test_every_event_that_the_registry_sends_here_is_heard() -> None:
    heard = {event for event in reactions_of([reactions]) if issubclass(event, ContractEvent)}
    sent = {model for _, model in consumed_by(ServiceName.CARD_PERSONALIZATION)}
    by_the_runtime = {"SubjectKey", "ErasureOrdered", "RolloutPaused", "RolloutResumed"}
    assert {model for model in sent if model.__name__ not in by_the_runtime} == heard


HERE = (AT, APPLICATION, HOLDER, "office-1")
OFFICER = OfficerId("https://id", "officer")


def test_others_hear_where_the_card_is_and_nothing_personal() -> None:
    about = {
        "at": AT,
        "document_ref": REF,
        "application_id": APPLICATION,
        "holder_id": HOLDER,
        "office": "office-1",
    }
    received = own(CardReceived(*HERE, by=OFFICER), card.stream(REF))
    assert publications.card_received(received) == contract.CardReceived(**about)
    returned = own(CardReturned(*HERE, by=OFFICER), card.stream(REF))
    assert publications.card_returned(returned) == contract.CardReturned(**about)
    lost = own(CardLostInTransit(*HERE, by=OFFICER), card.stream(REF))
    assert publications.card_lost_in_transit(lost) == contract.CardLostInTransit(**about)
    active = own(CardActivated(*HERE, predecessor=OTHER), card.stream(REF))
    assert publications.card_activated(active) == contract.CardActivated(**about, predecessor=OTHER)
