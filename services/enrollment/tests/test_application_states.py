"""Any life of an application: who decides, what must be there, and that an end is an end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from aggregate_life import LIVES, AggregateLife
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

ENDS = (ApplicationRejected, ApplicationWithdrawn, HandoverCompleted)
QUOTA = 5
officers = st.sampled_from([OPERATOR, SUPERVISOR, COUNTER])
refs = st.sampled_from([REF, NEW_REF])
papers = st.sampled_from(["birth-certificate", "photo"])


class ApplicationLife(AggregateLife):
    aggregate = aggregate
    # A card may be told of again after it moved; a comparison overtakes the one before.
    says_more = (NoteCardAtOffice, NoteHolderCheck)

    @initialize(steps=st.integers(0, 6))
    def begin(self, steps: int) -> None:
        """Some way along the good road: by chance alone nothing ever gets far."""
        self.capacities[quota_of(REGION)] = QUOTA
        road: list[tuple[Any, ...]] = [
            (submission(), OPEN, DESK),
            (NoteBiometrics(self.now, by_exception=False),),
            (self._approval(SUPERVISOR, REF),),
            (NoteCardAtOffice(self.now, REF, OFFICE),),
            (NoteHolderCheck(self.now, replace(CHECK, at=self.now)),),
            (HandOver(self.now, COUNTER, STATION, PERSON_DIGEST), OPEN, DESK),
        ]
        for step in road[:steps]:
            assert self.send(*step) is None

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
        station=st.sampled_from([STATION, "station-2"]),
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
    def it_is_approved_once_with_biometrics_and_nothing_missing(self) -> None:
        assert len(self.of(ApplicationApproved)) <= 1
        for fact in self.of(ApplicationApproved):
            before = self.events[: self.events.index(fact)]
            verdicts = [f for f in before if isinstance(f, BiometricsNoted | DuplicateNoted)]
            assert isinstance(verdicts[-1], BiometricsNoted)
            assert len(set(map(type, verdicts))) == len(verdicts)
            open_papers: set[str] = set()
            for one in before:
                if isinstance(one, InformationRequested):
                    open_papers.add(one.what)
                if isinstance(one, InformationSupplied):
                    open_papers.discard(one.what)
            assert open_papers == set()

    @invariant()
    def who_took_part_has_not_approved(self) -> None:
        for fact in self.of(ApplicationApproved):
            before = self.events[: self.events.index(fact)]
            took_part = [
                f for f in before if isinstance(f, ApplicationSubmitted | InformationSupplied)
            ]
            assert fact.by not in {one.by for one in took_part}

    @invariant()
    def a_duplicate_is_rejected_for_it_only_where_one_was_confirmed(self) -> None:
        for fact in self.of(ApplicationRejected):
            if fact.reason is RejectionReason.DUPLICATE_PERSON:
                assert self.of(DuplicateNoted)

    @invariant()
    def it_is_handed_over_by_who_compared_here_just_now(self) -> None:
        for fact in self.of(HandoverCompleted):
            check: HolderCheck = self.of(HolderCheckNoted)[-1].check
            assert check.check_id == fact.check_id
            assert check.verified
            assert check.document_ref == fact.document_ref
            assert (check.officer, check.station) == (fact.by.subject, fact.station)
            assert fact.at - check.at <= timedelta(minutes=30)
            moved = self.of(CardAtOffice, CardGone, CardLost, DocumentReassigned)[-1]
            assert isinstance(moved, CardAtOffice)
            assert (moved.office, moved.document_ref) == (OFFICE, fact.document_ref)
            noted = self.of(HolderCheckNoted)[-1]
            assert self.events.index(moved) < self.events.index(noted), "the card moved since"

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


ApplicationLife.TestCase.settings = LIVES
test_any_life_of_an_application = ApplicationLife.TestCase
