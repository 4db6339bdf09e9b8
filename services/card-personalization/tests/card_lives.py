"""Lives of one card, up to each of its statuses, for the tests of its rules."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from card_personalization import batch
from card_personalization.batch import BatchOpened
from card_personalization.card_commands import (
    AssignIndex,
    BlockCause,
    OfficerId,
    OrderCard,
    StoreFinger,
    StoreImage,
)
from card_personalization.card_events import (
    BlankAllocated,
    CardActivated,
    CardBlocked,
    CardDispatched,
    CardLostInTransit,
    CardOrdered,
    CardPacked,
    CardReceived,
    CardReturned,
    ChipDataPrepared,
    ChipReadBack,
    ChipWritten,
    CollectionOverdue,
    Event,
    FingerStored,
    ImageStored,
    IndexAssigned,
    QualityAccepted,
    Status,
)
from epassport import Personal
from epassport.testing import test_seal
from epassport_contracts.fields import Identity, Sex

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
LATER = AT + timedelta(hours=3)
CARD_REF, APPLICATION, HOLDER, BATCH, OTHER = (UUID(int=n) for n in range(1, 6))
OFFICE = "office-1"
INSPECTOR, PACKER = OfficerId("https://id", "inspector"), OfficerId("https://id", "packer")
OFFICER = OfficerId("https://id", "officer")
PERSON = Identity(
    surname="Иванова",
    given_name="Анна",
    sex=Sex.FEMALE,
    birth_date=date(1990, 5, 17),
    birth_place="г. Казань",
)
ORDER = OrderCard(
    AT,
    APPLICATION,
    HOLDER,
    "RU-TA",
    OFFICE,
    test_seal(Personal(HOLDER, "document-number", "900000001")),
    test_seal(Personal(HOLDER, "identity", PERSON)),
    None,
    date(2036, 11, 22),
)
INDEX, IMAGE = AssignIndex(AT, "https://status/1", 42), StoreImage(AT, "ab" * 32)
PREPARED_FILES = {"EF.COM": ("c1",), "DG1": ("d1",), "front": ("f1", "f2")}
CHIP_FILES = {"EF.COM": ("c1",), "DG1": ("d1",), "DG15": ("k1",), "EF.SOD": ("s1",)}

ORDERED = CardOrdered(**vars(ORDER))
ASSIGNED, STORED = IndexAssigned(AT, "https://status/1", 42), ImageStored(AT, "ab" * 32)
FINGER, FINGER_STORED = StoreFinger(AT, "fe" * 32), FingerStored(AT, "fe" * 32)
COMPLETE: list[Event] = [ORDERED, ASSIGNED, STORED]
PREPARED: list[Event] = [*COMPLETE, ChipDataPrepared(AT, PREPARED_FILES)]
ALLOCATED: list[Event] = [*PREPARED, BlankAllocated(AT, "lot-1", 1)]
WRITTEN: list[Event] = [*ALLOCATED, ChipWritten(AT, CHIP_FILES), ChipReadBack(AT, None)]
FAULTY: list[Event] = [*ALLOCATED, ChipWritten(AT, {}), ChipReadBack(AT, "wrong-signature")]
ACCEPTED: list[Event] = [*WRITTEN, QualityAccepted(AT, INSPECTOR)]
PACKED: list[Event] = [*ACCEPTED, CardPacked(AT, PACKER, BATCH)]
DISPATCHED: list[Event] = [*PACKED, CardDispatched(AT, BATCH, "courier-7")]
ABOUT = (AT, APPLICATION, HOLDER, OFFICE)
RECEIVED: list[Event] = [*DISPATCHED, CardReceived(*ABOUT, by=OFFICER)]
OVERDUE: list[Event] = [*RECEIVED, CollectionOverdue(AT)]
RETURNED: list[Event] = [*OVERDUE, CardReturned(*ABOUT, by=OFFICER)]
LOST: list[Event] = [*DISPATCHED, CardLostInTransit(*ABOUT, by=OFFICER)]
ACTIVE: list[Event] = [*RECEIVED, CardActivated(*ABOUT, predecessor=None)]
BLOCKED: list[Event] = [*ACCEPTED, CardBlocked(AT, BlockCause.DOCUMENT_REVOKED)]

LIVES = {
    Status.PREPARING: COMPLETE,
    Status.PREPARED: PREPARED,
    Status.BLANK_ALLOCATED: ALLOCATED,
    Status.WRITTEN: WRITTEN,
    Status.ACCEPTED: ACCEPTED,
    Status.PACKED: PACKED,
    Status.DISPATCHED: DISPATCHED,
    Status.RECEIVED: RECEIVED,
    Status.RETURNED: RETURNED,
    Status.LOST: LOST,
    Status.ACTIVE: ACTIVE,
    Status.BLOCKED: BLOCKED,
}
OPEN_BATCH = batch.aggregate.state_after([BatchOpened(AT, OFFICE)])
