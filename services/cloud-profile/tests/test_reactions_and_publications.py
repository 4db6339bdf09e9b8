"""What is heard leads to the right command; what is told is ids, times and thumbprints."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from cloud_profile import profile, publications, reactions, readmodel
from cloud_profile.profile_commands import AddDocument, NotePortrait, NoteStanding, Reason
from cloud_profile.profile_events import (
    AttestationsIssued,
    DeviceUnbound,
    LossConfirmed,
    LossReported,
    Standing,
)
from epassport import Personal, Recorded
from epassport.actor import service_actor
from epassport.blobs import digest_of
from epassport.events import Origin
from epassport.reactions import Keep, Send, reactions_of
from epassport.testing import test_seal as seal
from epassport_contracts import ContractEvent, DataPurpose, ServiceName
from epassport_contracts.events import cloud_profile as contract
from epassport_contracts.events.biometrics import ImageReleased, ReleasedImage
from epassport_contracts.events.cloud_profile import LossChannel
from epassport_contracts.events.enrollment import ApplicationKind, HandoverCompleted
from epassport_contracts.events.verification import (
    DocumentActivated,
    DocumentExpired,
    DocumentRestored,
    DocumentRevoked,
    DocumentSuspended,
    StatusReason,
)
from epassport_contracts.fields import Identity, Sex
from epassport_contracts.registry import consumed_by

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
HOLDER, REF, APPLICATION, DEVICE, SOMETHING = (UUID(int=n) for n in range(1, 6))
LAST_DAY = date(2036, 11, 21)
NUMBER = seal(Personal(HOLDER, "document-number", "900000001"))
PERSON = Identity(
    surname="Иванова",
    given_name="Анна",
    sex=Sex.FEMALE,
    birth_date=date(1990, 5, 17),
    birth_place="г. Казань",
)
IDENTITY = seal(Personal(HOLDER, "identity", PERSON))
FACE = seal(Personal(HOLDER, "portrait", b"\xff\xd8\xff face"))
STREAM = profile.stream(HOLDER)
ABOUT: dict[str, Any] = {"at": AT, "holder_id": HOLDER, "document_ref": REF}


def recorded(fact: Any) -> Recorded[Any]:
    origin = Origin(service_actor("test"), SOMETHING)
    return Recorded(fact, STREAM, 1, 1, 1, SOMETHING, origin, AT)


def released(purpose: DataPurpose) -> ImageReleased:
    return ImageReleased(
        **ABOUT, application_id=APPLICATION, image_kind=ReleasedImage.FACE, purpose=purpose,
        media_type="image/jpeg", digest=digest_of(FACE), image=FACE,
    )  # fmt: skip


def test_everything_that_is_sent_here_is_heard() -> None:
    """Besides those that the runtime hears itself."""
    heard = {*reactions_of([reactions]), *readmodel.access_log.projections}
    runtime = {"RolloutPaused", "RolloutResumed", "ErasureOrdered", "SubjectKey"}
    sent = {model for _, model in consumed_by(ServiceName.CLOUD_PROFILE)}
    assert {model for model in sent if model.__name__ not in runtime} == heard


def test_a_handed_over_document_is_added_with_the_envelopes_as_they_came() -> None:
    event = HandoverCompleted(
        **ABOUT, application_id=APPLICATION, kind=ApplicationKind.FIRST, office="mfc-1",
        document_number=NUMBER, predecessor=None, identity=IDENTITY, valid_until=LAST_DAY,
    )  # fmt: skip
    command = AddDocument(AT, HOLDER, APPLICATION, REF, NUMBER, IDENTITY, LAST_DAY)
    assert reactions.add_document(event) == [
        Send(STREAM, command, expects=frozenset({Reason.CLOSED}))
    ]


def test_the_portrait_is_kept_and_the_image_for_the_chip_is_not() -> None:
    assert reactions.keep_portrait(released(DataPurpose.PORTRAIT)) == [
        Keep(FACE, "image/jpeg"),
        Send(STREAM, NotePortrait(AT, REF, digest_of(FACE))),
    ]
    assert reactions.keep_portrait(released(DataPurpose.CHIP)) == []


@pytest.mark.parametrize(
    ("event", "standing"),
    [
        (DocumentActivated(**ABOUT), Standing.VALID),
        (DocumentSuspended(**ABOUT, reason=StatusReason.ORDERED), Standing.SUSPENDED),
        (DocumentRestored(**ABOUT), Standing.VALID),
        (
            DocumentRevoked(**ABOUT, reason=StatusReason.ORDERED, superseded_by=None),
            Standing.REVOKED,
        ),
        (DocumentExpired(**ABOUT), Standing.EXPIRED),
    ],
)
def test_what_verification_says_of_a_document_is_noted(event: Any, standing: Standing) -> None:
    assert reactions.note_standing(event) == [Send(STREAM, NoteStanding(AT, REF, standing))]


ENDS = AT + timedelta(hours=24)


@pytest.mark.parametrize(
    ("publish", "fact", "told"),
    [
        (
            publications.loss_reported,
            LossReported(AT, REF, LossChannel.PHONE),
            contract.LossReported(**ABOUT, channel=LossChannel.PHONE),
        ),
        (publications.loss_confirmed, LossConfirmed(AT, REF), contract.LossConfirmed(**ABOUT)),
        (
            publications.attestations_issued,
            AttestationsIssued(AT, DEVICE, REF, "age-over-18", ("ab",), ENDS),
            contract.AttestationsIssued(
                **ABOUT, device_id=DEVICE, thumbprints=("ab",), expires_at=ENDS
            ),
        ),
        (
            publications.device_unbound,
            DeviceUnbound(AT, DEVICE),
            contract.DeviceUnbound(at=AT, holder_id=HOLDER, device_id=DEVICE),
        ),
    ],
)
def test_losses_and_phone_keys_are_told(publish: Any, fact: Any, told: ContractEvent) -> None:
    assert publish(recorded(fact)) == told
