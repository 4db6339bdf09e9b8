"""The rules of a profile."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from cloud_profile.profile import MAX_DEVICES, aggregate
from cloud_profile.profile_commands import (
    AddDocument,
    BindDevice,
    CloseProfile,
    ConfirmLoss,
    IssueAttestations,
    NotePortrait,
    NoteStanding,
    Reason,
    ReportLoss,
    UnbindDevice,
)
from cloud_profile.profile_events import (
    AttestationsIssued,
    DeviceBound,
    DeviceUnbound,
    DocumentAdded,
    Event,
    LossConfirmed,
    LossReported,
    PortraitNoted,
    ProfileClosed,
    ProfileOpened,
    Standing,
    StandingNoted,
)
from epassport import Personal
from epassport.testing import Specification, test_seal
from epassport_contracts.events.cloud_profile import LossChannel
from epassport_contracts.fields import Identity, Sex

given = Specification(aggregate).given

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
UNTIL = AT + timedelta(hours=24)
HOLDER = UUID(int=1)
REF = UUID(int=2)
NEXT_REF = UUID(int=3)
DEVICE = UUID(int=4)
APPLICATION = UUID(int=5)
NUMBER = test_seal(Personal(HOLDER, "document-number", "900000001"))
PERSON = Identity(
    surname="Орлова",
    given_name="Вера",
    sex=Sex.FEMALE,
    birth_date=date(1990, 5, 6),
    birth_place="Казань",
)
IDENTITY = test_seal(Personal(HOLDER, "identity", PERSON))
VALID_UNTIL = date(2036, 11, 22)

ADD = AddDocument(AT, HOLDER, APPLICATION, REF, NUMBER, IDENTITY, VALID_UNTIL)
ADDED = DocumentAdded(AT, REF, NUMBER, IDENTITY, VALID_UNTIL)
OPEN: list[Event] = [ProfileOpened(AT, HOLDER), ADDED]
IN_FORCE: list[Event] = [*OPEN, StandingNoted(AT, REF, Standing.VALID)]
WITH_PHONE: list[Event] = [*IN_FORCE, DeviceBound(AT, DEVICE, "ab")]
LOST: list[Event] = [*WITH_PHONE, LossReported(AT, REF, LossChannel.PHONE)]
CLOSED: list[Event] = [*OPEN, ProfileClosed(AT)]

BIND = BindDevice(AT, DEVICE, "ab", proof_holds=True)
ISSUE = IssueAttestations(AT, DEVICE, "age-over-18", ("cd",), UNTIL, holder_qualifies=True)
REPORT = ReportLoss(AT, REF, LossChannel.HOTLINE)


def test_the_first_hand_over_opens_the_profile_with_its_document() -> None:
    given().when(ADD).then(ProfileOpened(AT, HOLDER), ADDED)


def test_a_replacement_adds_its_document_to_the_open_profile() -> None:
    second = replace(ADD, document_ref=NEXT_REF)
    given(*OPEN).when(second).then(replace(ADDED, document_ref=NEXT_REF))


def test_a_document_added_twice_is_there_once() -> None:
    given(*OPEN).when(ADD).then_nothing()


def test_a_closed_profile_takes_no_document() -> None:
    given(*CLOSED).when(replace(ADD, document_ref=NEXT_REF)).then_refused(Reason.CLOSED)


def test_a_portrait_is_noted_before_the_profile_is_open_and_once() -> None:
    note = NotePortrait(AT, REF, "aa")
    given().when(note).then(PortraitNoted(AT, REF, "aa"))
    given(PortraitNoted(AT, REF, "aa")).when(note).then_nothing()


def test_a_standing_heard_before_the_document_counts_when_it_comes() -> None:
    early = [StandingNoted(AT, REF, Standing.VALID), *OPEN, DeviceBound(AT, DEVICE, "ab")]
    issued = AttestationsIssued(AT, DEVICE, REF, "age-over-18", ("cd",), UNTIL)
    given(*early).when(ISSUE).then(issued)


def test_a_standing_said_twice_is_noted_once_and_a_final_one_stays() -> None:
    given(*IN_FORCE).when(NoteStanding(AT, REF, Standing.VALID)).then_nothing()
    revoked = [*IN_FORCE, StandingNoted(AT, REF, Standing.REVOKED)]
    given(*revoked).when(NoteStanding(AT, REF, Standing.VALID)).then_nothing()


def test_a_phone_is_bound_once_by_proof_of_its_key() -> None:
    given(*IN_FORCE).when(BIND).then(DeviceBound(AT, DEVICE, "ab"))
    given(*WITH_PHONE).when(BIND).then_nothing()
    forged = replace(BIND, proof_holds=False)
    given(*IN_FORCE).when(forged).then_refused(Reason.DEVICE_PROOF_WRONG)


def test_no_phone_is_bound_before_the_profile_opens_or_after_it_closes() -> None:
    given().when(BIND).then_refused(Reason.NOT_OPEN)
    given(*CLOSED).when(BIND).then_refused(Reason.CLOSED)


def test_the_sixth_phone_is_refused_until_one_is_unbound() -> None:
    phones = [DeviceBound(AT, UUID(int=100 + n), "ab") for n in range(MAX_DEVICES)]
    given(*IN_FORCE, *phones).when(BIND).then_refused(Reason.TOO_MANY_DEVICES)
    freed = [*phones, DeviceUnbound(AT, UUID(int=100))]
    given(*IN_FORCE, *freed).when(BIND).then(DeviceBound(AT, DEVICE, "ab"))


def test_a_phone_is_unbound_once_and_only_if_it_was_bound() -> None:
    given(*WITH_PHONE).when(UnbindDevice(AT, DEVICE)).then(DeviceUnbound(AT, DEVICE))
    unbound = [*WITH_PHONE, DeviceUnbound(AT, DEVICE)]
    given(*unbound).when(UnbindDevice(AT, DEVICE)).then_nothing()
    given(*IN_FORCE).when(UnbindDevice(AT, DEVICE)).then_refused(Reason.UNKNOWN_DEVICE)


@pytest.mark.parametrize(
    ("life", "reason"),
    [
        (IN_FORCE, Reason.UNKNOWN_DEVICE),
        ([*WITH_PHONE, DeviceUnbound(AT, DEVICE)], Reason.DEVICE_UNBOUND),
        ([ProfileOpened(AT, HOLDER), DeviceBound(AT, DEVICE, "ab")], Reason.UNKNOWN_DOCUMENT),
        ([*OPEN, DeviceBound(AT, DEVICE, "ab")], Reason.DOCUMENT_NOT_IN_FORCE),
        ([*WITH_PHONE, StandingNoted(AT, REF, Standing.SUSPENDED)], Reason.DOCUMENT_NOT_IN_FORCE),
        (LOST, Reason.LOSS_REPORTED),
        ([], Reason.NOT_OPEN),
        (CLOSED, Reason.CLOSED),
    ],
)
def test_attestations_are_refused(life: list[Event], reason: Reason) -> None:
    given(*life).when(ISSUE).then_refused(reason)


def test_what_is_not_true_of_the_holder_is_not_attested() -> None:
    child = replace(ISSUE, holder_qualifies=False)
    given(*WITH_PHONE).when(child).then_refused(Reason.HOLDER_DOES_NOT_QUALIFY)


def test_attestations_are_issued_again_after_the_holder_restored_the_document() -> None:
    life = [*LOST, StandingNoted(AT, REF, Standing.SUSPENDED)]
    restored = [*life, StandingNoted(AT, REF, Standing.VALID)]
    issued = AttestationsIssued(AT, DEVICE, REF, "age-over-18", ("cd",), UNTIL)
    given(*restored).when(ISSUE).then(issued)


def test_a_loss_is_reported_once_through_any_channel() -> None:
    given(*IN_FORCE).when(REPORT).then(LossReported(AT, REF, LossChannel.HOTLINE))
    given(*LOST).when(REPORT).then_nothing()


def test_the_loss_of_a_document_that_has_ended_changes_nothing() -> None:
    ended = [*IN_FORCE, StandingNoted(AT, REF, Standing.EXPIRED)]
    given(*ended).when(REPORT).then_nothing()


def test_a_loss_needs_an_open_profile_and_one_of_its_documents() -> None:
    given().when(REPORT).then_refused(Reason.NOT_OPEN)
    given(*CLOSED).when(REPORT).then_refused(Reason.CLOSED)
    other = replace(REPORT, document_ref=NEXT_REF)
    given(*IN_FORCE).when(other).then_refused(Reason.UNKNOWN_DOCUMENT)


def test_a_loss_is_confirmed_once_and_only_after_it_was_reported() -> None:
    given(*LOST).when(ConfirmLoss(AT, REF)).then(LossConfirmed(AT, REF))
    given(*LOST, LossConfirmed(AT, REF)).when(ConfirmLoss(AT, REF)).then_nothing()
    given(*IN_FORCE).when(ConfirmLoss(AT, REF)).then_refused(Reason.NO_LOSS_REPORTED)
    given(*IN_FORCE).when(ConfirmLoss(AT, NEXT_REF)).then_refused(Reason.UNKNOWN_DOCUMENT)
    given().when(ConfirmLoss(AT, REF)).then_refused(Reason.NOT_OPEN)


def test_closing_unbinds_every_phone_and_is_final() -> None:
    given(*WITH_PHONE).when(CloseProfile(AT)).then(DeviceUnbound(AT, DEVICE), ProfileClosed(AT))
    given(*CLOSED).when(CloseProfile(AT)).then_nothing()
    given().when(CloseProfile(AT)).then_refused(Reason.NOT_OPEN)
