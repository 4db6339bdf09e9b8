"""Any life of a profile: what a phone may show, what a loss ends, and that closed is closed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aggregate_life import LIVES, AggregateLife, is_caught
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from test_profile import APPLICATION, HOLDER, IDENTITY, NEXT_REF, NUMBER, REF, VALID_UNTIL

from cloud_profile.profile import MAX_DEVICES, aggregate
from cloud_profile.profile_commands import (
    AddDocument,
    BindDevice,
    CloseProfile,
    ConfirmLoss,
    IssueAttestations,
    NotePortrait,
    NoteStanding,
    ReportLoss,
    UnbindDevice,
)
from cloud_profile.profile_events import (
    FINAL,
    AttestationsIssued,
    DeviceBound,
    DeviceUnbound,
    DocumentAdded,
    LossConfirmed,
    LossReported,
    PortraitNoted,
    Profile,
    ProfileClosed,
    ProfileOpened,
    Standing,
    StandingNoted,
)
from epassport_contracts.events.cloud_profile import LossChannel

refs = st.sampled_from([REF, NEXT_REF])
devices = st.integers(1, MAX_DEVICES + 2).map(lambda n: UUID(int=100 + n))
FIRST_PHONE = UUID(int=101)


class ProfileLife(AggregateLife):
    aggregate = aggregate
    says_more = (IssueAttestations,)

    @initialize(steps=st.integers(0, 4))
    def begin(self, steps: int) -> None:
        road = [
            self._document(REF),
            NoteStanding(self.now, REF, Standing.VALID),
            BindDevice(self.now, FIRST_PHONE, "aa", proof_holds=True),
            self._attestations(FIRST_PHONE, qualifies=True),
        ]
        for command in road[:steps]:
            assert self.send(command) is None

    @rule(ref=refs)
    def add(self, ref: UUID) -> None:
        self.send(self._document(ref))

    @rule(ref=refs, digest=st.sampled_from(["ab" * 32, "cd" * 32]))
    def note_portrait(self, ref: UUID, digest: str) -> None:
        self.send(NotePortrait(self.now, ref, digest))

    @rule(ref=refs, standing=st.sampled_from(Standing))
    def note_standing(self, ref: UUID, standing: Standing) -> None:
        self.send(NoteStanding(self.now, ref, standing))

    @rule(device=devices, holds=st.booleans())
    def bind(self, device: UUID, holds: bool) -> None:
        before = len(self.of(DeviceBound))
        self.send(BindDevice(self.now, device, "aa", holds))
        assert holds or len(self.of(DeviceBound)) == before

    @rule(device=devices)
    def unbind(self, device: UUID) -> None:
        self.send(UnbindDevice(self.now, device))

    @rule(device=devices, qualifies=st.booleans())
    def attest(self, device: UUID, qualifies: bool) -> None:
        """Only to a bound phone, for the latest document in force, without an open loss."""
        before = len(self.of(AttestationsIssued))
        may = self._is_bound(device) and self._holds_a_valid_document() and qualifies
        self.send(self._attestations(device, qualifies=qualifies))
        assert (len(self.of(AttestationsIssued)) > before) == (may and not self._is_closed())

    @rule(ref=refs, channel=st.sampled_from(LossChannel))
    def report(self, ref: UUID, channel: LossChannel) -> None:
        self.send(ReportLoss(self.now, ref, channel))

    @rule(ref=refs)
    def confirm(self, ref: UUID) -> None:
        self.send(ConfirmLoss(self.now, ref))

    @rule(seldom=st.integers(0, 7))
    def close(self, seldom: int) -> None:
        if seldom == 0:
            self.send(CloseProfile(self.now))

    @invariant()
    def it_is_opened_first_and_closed_for_good(self) -> None:
        assert len(self.of(ProfileOpened)) <= 1
        assert len(self.of(ProfileClosed)) <= 1
        if self._is_closed():
            later = self.events[self.events.index(self.of(ProfileClosed)[0]) + 1 :]
            assert [fact for fact in later if not isinstance(fact, StandingNoted)] == []
            assert not any(self._is_bound(fact.device_id) for fact in self.of(DeviceBound))

    @invariant()
    def a_document_is_added_once(self) -> None:
        added = [fact.document_ref for fact in self.of(DocumentAdded)]
        assert len(added) == len(set(added))

    @invariant()
    def phones_are_bound_once_and_never_too_many(self) -> None:
        for kind in (DeviceBound, DeviceUnbound):
            named = [fact.device_id for fact in self.of(kind)]
            assert len(named) == len(set(named))
        bound = [f for f in self.of(DeviceBound) if self._is_bound(f.device_id)]
        assert len(bound) <= MAX_DEVICES

    @invariant()
    def only_a_bound_phone_shows_a_document_in_force_and_no_other(self) -> None:
        """They are tried wherever a life has come to: by chance the wrong moment seldom is."""
        in_force = self._holds_a_valid_document() and not self._is_closed()
        for device in {FIRST_PHONE, *(fact.device_id for fact in self.of(DeviceBound))}:
            asked = self._attestations(device, qualifies=True)
            assert self.would_do(asked) == (in_force and self._is_bound(device))

    @invariant()
    def a_phone_that_was_unbound_stays_so(self) -> None:
        for fact in self.of(DeviceUnbound):
            assert not self.would_do(BindDevice(self.now, fact.device_id, "aa", proof_holds=True))

    @invariant()
    def what_is_final_stays_so(self) -> None:
        for ref in (REF, NEXT_REF):
            told = [f.standing for f in self.of(StandingNoted) if f.document_ref == ref]
            assert not FINAL & set(told[:-1])

    @invariant()
    def a_loss_is_reported_before_it_is_confirmed_and_once(self) -> None:
        for ref in (REF, NEXT_REF):
            confirmed = [f for f in self.of(LossConfirmed) if f.document_ref == ref]
            reported = [f for f in self.of(LossReported) if f.document_ref == ref]
            assert len(confirmed) <= 1
            assert not confirmed or reported

    @invariant()
    def a_portrait_belongs_to_an_open_profile(self) -> None:
        closed = self.of(ProfileClosed)
        for fact in self.of(PortraitNoted) if closed else []:
            assert self.events.index(fact) < self.events.index(closed[0])

    def _document(self, ref: UUID) -> AddDocument:
        return AddDocument(self.now, HOLDER, APPLICATION, ref, NUMBER, IDENTITY, VALID_UNTIL)

    def _attestations(self, device: UUID, *, qualifies: bool) -> IssueAttestations:
        until = self.now + timedelta(hours=24)
        return IssueAttestations(self.now, device, "over-18", ("bb",), until, qualifies)

    def _is_closed(self) -> bool:
        return bool(self.of(ProfileClosed))

    def _is_bound(self, device: UUID) -> bool:
        bound = [f for f in self.of(DeviceBound, DeviceUnbound) if f.device_id == device]
        return bool(bound) and isinstance(bound[-1], DeviceBound)

    def _holds_a_valid_document(self) -> bool:
        """From the facts alone: the last one added, its last standing, no loss since."""
        added = self.of(DocumentAdded)
        if not added:
            return False
        ref = added[-1].document_ref
        told = [f for f in self.of(StandingNoted, LossReported) if f.document_ref == ref]
        last = told[-1] if told else None
        return isinstance(last, StandingNoted) and last.standing is Standing.VALID


ProfileLife.TestCase.settings = LIVES
test_any_life_of_a_profile = ProfileLife.TestCase


def _in_force_until_final(profile: Profile) -> Profile:
    documents = {
        ref: one if one.standing in FINAL else replace(one, standing=Standing.VALID)
        for ref, one in profile.documents.items()
    }
    return replace(profile, documents=documents)


def _unbound_is_unknown(profile: Profile) -> Profile:
    return replace(profile, devices={one: True for one, bound in profile.devices.items() if bound})


@pytest.mark.parametrize(
    ("command_type", "sees"),
    [(IssueAttestations, _in_force_until_final), (BindDevice, _unbound_is_unknown)],
    ids=["suspended", "unbound"],
)
def test_a_profile_without_one_of_these_rules_is_found_out(
    command_type: type, sees: Callable[[Profile], Profile]
) -> None:
    def decide(command: Any, profile: Profile) -> Any:
        seen = sees(profile) if isinstance(command, command_type) else profile
        return aggregate.decide(command, seen)

    assert is_caught(ProfileLife, replace(aggregate, decide=decide))
