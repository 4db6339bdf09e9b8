"""Any life of an application: who decides, what must be there, and that an end is an end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from aggregate_life import LIVES, AggregateLife, is_caught
from counter import (
    CHECK,
    COUNTER,
    DESK,
    NEW_REF,
    NUMBER,
    NUMBER_DIGEST,
    OFFICE,
    OPEN,
    OPERATOR,
    PERSON_DIGEST,
    REF,
    REGION,
    STATION,
    SUPERVISOR,
    TODAY,
    submission,
)
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from enrollment import admission
from enrollment.application import Wait, aggregate
from enrollment.application_commands import (
    ApproveApplication,
    HandOver,
    HolderCheck,
    NoteBiometrics,
    NoteCardAtOffice,
    NoteCardGone,
    NoteCardLost,
    NoteDuplicate,
    NoteHolderCheck,
    ReassignDocument,
    RejectApplication,
    RejectionReason,
    RequestInformation,
    SupplyInformation,
    WithdrawApplication,
)
from enrollment.application_events import (
    Application,
    ApplicationApproved,
    ApplicationRejected,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    BiometricsNoted,
    CardAtOffice,
    CardGone,
    CardLost,
    DocumentReassigned,
    DuplicateNoted,
    HandoverCompleted,
    HolderCheckNoted,
    InformationRequested,
    InformationSupplied,
)
from enrollment.office import OfficerId
from enrollment.rollout import quota_of
from epassport.decider import Aggregate

ENDS = (ApplicationRejected, ApplicationWithdrawn, HandoverCompleted)
QUOTA = 5
NAMESAKE = OfficerId("https://other-issuer.test", OPERATOR.subject)
STATIONS = (STATION, "station-2")
TWO_STATIONS = replace(DESK, stations=dict.fromkeys(STATIONS, (TODAY,)))
OFFICERS = (OPERATOR, SUPERVISOR, COUNTER, NAMESAKE)
officers = st.sampled_from(OFFICERS[:3])
refs = st.sampled_from([REF, NEW_REF])
papers = st.sampled_from(["birth-certificate", "photo"])


class ApplicationLife(AggregateLife):
    aggregate = aggregate
    # A card may be told of again after it moved; a comparison overtakes the one before.
    says_more = (NoteCardAtOffice, NoteHolderCheck)

    @initialize(steps=st.integers(0, 11), supplier=st.sampled_from([OPERATOR, COUNTER]))
    def begin(self, steps: int, supplier: OfficerId) -> None:
        """Some way along the good road: by chance alone nothing ever gets far."""
        self.capacities[quota_of(REGION)] = QUOTA
        road: list[Callable[[], None]] = [
            self.submit,
            lambda: self.hear_of_biometrics(False),
            lambda: self.ask(SUPERVISOR, "photo"),
            lambda: self.supply(supplier, "photo"),
            lambda: self.approve(SUPERVISOR, REF),
            lambda: self.card_arrives(REF, OFFICE),
            lambda: self.compare(True, REF, COUNTER, STATION, 1),
            lambda: self.card_leaves(REF, lost=False),
            lambda: self.card_arrives(REF, OFFICE),
            lambda: self.compare(True, REF, COUNTER, STATION, 2),
            lambda: self.hand_over(COUNTER, 0),
        ]
        for step in road[:steps]:
            before = len(self.events)
            step()
            assert len(self.events) == before + 1

    @rule()
    def submit(self) -> None:
        self.send(submission(), OPEN, DESK)

    @rule(duplicate=st.booleans())
    def hear_of_biometrics(self, duplicate: bool) -> None:
        self.send(NoteDuplicate(self.now) if duplicate else NoteBiometrics(self.now, False))

    @rule(by=officers, what=papers)
    def ask(self, by: OfficerId, what: str) -> None:
        self.send(RequestInformation(self.now, by, what))

    @rule(by=officers, what=papers)
    def supply(self, by: OfficerId, what: str) -> None:
        self.send(SupplyInformation(self.now, by, what))

    @rule(by=officers, ref=refs)
    def approve(self, by: OfficerId, ref: UUID) -> None:
        self.send(self._approval(by, ref))

    @rule(by=officers, reason=st.sampled_from(RejectionReason), seldom=st.integers(0, 4))
    def reject(self, by: OfficerId, reason: RejectionReason, seldom: int) -> None:
        if seldom == 0:
            self.send(RejectApplication(self.now, by, reason, PERSON_DIGEST))

    @rule(by=officers, seldom=st.integers(0, 4))
    def withdraw(self, by: OfficerId, seldom: int) -> None:
        if seldom == 0:
            self.send(WithdrawApplication(self.now, by, PERSON_DIGEST))

    @rule(ref=refs, office=st.sampled_from([OFFICE, OFFICE, "office-mow-2"]))
    def card_arrives(self, ref: UUID, office: str) -> None:
        self.send(NoteCardAtOffice(self.now, ref, office))

    @rule(ref=refs, lost=st.booleans())
    def card_leaves(self, ref: UUID, lost: bool) -> None:
        self.send(NoteCardLost(self.now, ref) if lost else NoteCardGone(self.now, ref))

    @rule()
    def reassign(self) -> None:
        ref = UUID(int=0xD0D0 + len(self.of(DocumentReassigned)))
        self.send(ReassignDocument(self.now, ref, NUMBER, NUMBER_DIGEST))

    @rule(
        verified=st.booleans(),
        ref=refs,
        officer=officers,
        station=st.sampled_from(STATIONS),
        number=st.integers(1, 5),
    )
    def compare(
        self, verified: bool, ref: UUID, officer: OfficerId, station: str, number: int
    ) -> None:
        found = replace(
            CHECK, check_id=UUID(int=number), at=self.now, verified=verified, document_ref=ref,
            officer=officer.subject, station=station,
        )  # fmt: skip
        self.send(NoteHolderCheck(self.now, found))

    @rule(by=officers, minutes=st.sampled_from([0, 10, 31]))
    def hand_over(self, by: OfficerId, minutes: int) -> None:
        at = self.now + timedelta(minutes=minutes)
        self.send(HandOver(at, by, STATION, PERSON_DIGEST), OPEN, DESK)

    @invariant()
    def it_begins_once_and_has_one_end(self) -> None:
        assert len(self.of(ApplicationSubmitted)) <= 1
        assert not self.events or isinstance(self.events[0], ApplicationSubmitted)
        assert len(self.of(*ENDS)) <= 1
        assert not self.of(*ENDS) or isinstance(self.events[-1], ENDS)

    @invariant()
    def it_is_approved_once(self) -> None:
        assert len(self.of(ApplicationApproved)) <= 1

    @invariant()
    def whoever_took_no_part_may_approve_and_nobody_else(self) -> None:
        """Everybody is tried wherever a life has come to: by chance the wrong one seldom is."""
        for officer in OFFICERS:
            approval = self._approval(officer, REF)
            assert self.would_do(approval) == self._may_be_approved_by(officer), officer

    @invariant()
    def a_duplicate_is_rejected_for_it_only_where_one_was_confirmed(self) -> None:
        for fact in self.of(ApplicationRejected):
            if fact.reason is RejectionReason.DUPLICATE_PERSON:
                assert self.of(DuplicateNoted)

    @invariant()
    def only_who_compared_here_just_now_may_hand_over(self) -> None:
        for officer, station, minutes in product(OFFICERS, STATIONS, (0, 30, 31)):
            at = self.now + timedelta(minutes=minutes)
            handover = HandOver(at, officer, station, PERSON_DIGEST)
            if self.would_do(handover, OPEN, TWO_STATIONS):
                assert self._may_be_handed_over_by(officer, station, at), (officer, station, at)

    @invariant()
    def it_is_handed_over_with_the_last_comparison(self) -> None:
        for fact in self.of(HandoverCompleted):
            check: HolderCheck = self.of(HolderCheckNoted)[-1].check
            assert (check.check_id, check.document_ref) == (fact.check_id, fact.document_ref)

    @invariant()
    def a_lost_card_is_followed_by_another_reference(self) -> None:
        for fact in self.of(DocumentReassigned):
            assert fact.document_ref != fact.lost_document_ref
            assert fact.lost_document_ref in {one.document_ref for one in self.of(CardLost)}
        assert len(self.of(DocumentReassigned)) <= len(self.of(CardLost))

    @invariant()
    def the_quota_and_the_person_are_free_again_when_nothing_came_of_it(self) -> None:
        taken = QUOTA - self.capacities[quota_of(REGION)]
        live = (admission.LIVE_APPLICATION, PERSON_DIGEST) in self.claims
        begun, in_vain = self.of(ApplicationSubmitted), self.of(*ENDS[:2])
        assert taken == (1 if begun and not in_vain else 0)
        assert live == bool(begun and not self.of(*ENDS))
        assert ((admission.HOLDER_PERSON, PERSON_DIGEST) in self.claims) == bool(
            begun and not in_vain
        )

    @invariant()
    def what_has_ended_waits_for_nothing(self) -> None:
        if self.of(ApplicationRejected, ApplicationWithdrawn):
            assert self.waits == {}
        if self.of(HandoverCompleted):
            assert Wait.COLLECTION not in self.waits

    def _approval(self, by: OfficerId, ref: UUID) -> ApproveApplication:
        return ApproveApplication(self.now, by, ref, NUMBER, NUMBER_DIGEST)

    def _may_be_approved_by(self, officer: OfficerId) -> bool:
        """From the facts alone: the last verdict, what was asked and given, and who took part."""
        begun = bool(self.of(ApplicationSubmitted))
        over = self.of(ApplicationApproved, *ENDS)
        verdicts = self.of(BiometricsNoted, DuplicateNoted)
        is_one_person = bool(verdicts) and isinstance(verdicts[-1], BiometricsNoted)
        missing: set[str] = set()
        for fact in self.of(InformationRequested, InformationSupplied):
            if isinstance(fact, InformationRequested):
                missing.add(fact.what)
            else:
                missing.discard(fact.what)
        took_part = {fact.by for fact in self.of(ApplicationSubmitted, InformationSupplied)}
        return begun and not over and is_one_person and not missing and officer not in took_part

    def _may_be_handed_over_by(self, officer: OfficerId, station: str, at: datetime) -> bool:
        """From the facts alone: a card that moves overtakes the comparison made for it."""
        is_here, ref = False, None
        check: HolderCheck | None = None
        for fact in self.events:
            match fact:
                case ApplicationApproved(document_ref=ref) | DocumentReassigned(document_ref=ref):
                    is_here, check = False, None
                case CardAtOffice(office=office):
                    is_here, check = office == OFFICE, None
                case CardGone() | CardLost():
                    is_here, check = False, None
                case HolderCheckNoted(check=noted):
                    check = noted
        if check is None or self.of(*ENDS):
            return False
        is_same = (check.officer, check.station) == (officer.subject, station)
        is_proved = check.verified and check.document_ref == ref
        return is_here and is_proved and is_same and at - check.at <= timedelta(minutes=30)


ApplicationLife.TestCase.settings = LIVES
test_any_life_of_an_application = ApplicationLife.TestCase


def _who_took_it_in_counts_as_anybody(application: Application, event: Any) -> Application:
    after = aggregate.evolve(application, event)
    began = isinstance(event, ApplicationSubmitted)
    return replace(after, taken_part=frozenset()) if began else after


def _who_supplied_counts_as_anybody(application: Application, event: Any) -> Application:
    after = aggregate.evolve(application, event)
    supplied = isinstance(event, InformationSupplied)
    return replace(after, taken_part=application.taken_part) if supplied else after


def _a_card_that_moved_counts_as_compared(application: Application, event: Any) -> Application:
    after = aggregate.evolve(application, event)
    moved = isinstance(event, CardAtOffice | CardGone | CardLost)
    return replace(after, check=application.check) if moved else after


def _taking(what: str) -> Callable[..., Any]:
    """A decider that takes this of a comparison for what it should be."""

    def decide(command: Any, application: Application | None, *others: Any) -> Any:
        if isinstance(command, HandOver) and application and application.check:
            right = {"officer": command.by.subject, "station": command.station, "at": command.at}
            check = replace(application.check, **{what: right[what]})
            application = replace(application, check=check)
        return aggregate.decide(command, application, *others)

    return decide


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(replace(aggregate, evolve=_who_took_it_in_counts_as_anybody), id="operator"),
        pytest.param(replace(aggregate, evolve=_who_supplied_counts_as_anybody), id="supplier"),
        pytest.param(replace(aggregate, evolve=_a_card_that_moved_counts_as_compared), id="moved"),
        pytest.param(replace(aggregate, decide=_taking("officer")), id="other officer"),
        pytest.param(replace(aggregate, decide=_taking("station")), id="other station"),
        pytest.param(replace(aggregate, decide=_taking("at")), id="long ago"),
    ],
)
def test_an_application_without_one_of_these_rules_is_found_out(broken: Aggregate) -> None:
    assert is_caught(ApplicationLife, broken)
