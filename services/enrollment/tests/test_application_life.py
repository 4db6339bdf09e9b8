"""Whatever is told to an application in whatever order, these hold."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from counter import (
    CHECK,
    COUNTER,
    DESK,
    NEW_REF,
    NOON,
    NUMBER,
    NUMBER_DIGEST,
    OFFICE,
    OPEN,
    OPERATOR,
    PERSON_DIGEST,
    REF,
    STATION,
    SUPERVISOR,
    submission,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from enrollment import application
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
    HandoverCompleted,
)
from epassport import Give, Refused, Take
from epassport.testing import sealed_event

REFS = (REF, NEW_REF)


def _checks() -> st.SearchStrategy[HolderCheck]:
    return st.builds(
        lambda n, verified, ref: replace(
            CHECK, check_id=UUID(int=n), verified=verified, document_ref=ref
        ),
        st.integers(1, 4),
        st.booleans(),
        st.sampled_from(REFS),
    )


def commands() -> st.SearchStrategy[Any]:
    ref, by = st.sampled_from(REFS), st.sampled_from((OPERATOR, SUPERVISOR, COUNTER))
    at = st.integers(0, 45).map(lambda minutes: NOON + timedelta(minutes=minutes))
    number, digest = st.just(NUMBER), st.just(NUMBER_DIGEST)
    person, what = st.just(PERSON_DIGEST), st.sampled_from(("inn", "snils"))
    return st.one_of(
        st.just(submission()),
        st.builds(NoteBiometrics, at, st.booleans()),
        st.builds(NoteDuplicate, at),
        st.builds(RequestInformation, at, by, what),
        st.builds(SupplyInformation, at, by, what),
        st.builds(ApproveApplication, at, by, ref, number, digest),
        st.builds(RejectApplication, at, by, st.sampled_from(RejectionReason), person),
        st.builds(WithdrawApplication, at, by, person),
        st.builds(NoteCardAtOffice, at, ref, st.just(OFFICE)),
        st.builds(NoteCardGone, at, ref),
        st.builds(NoteCardLost, at, ref),
        st.builds(ReassignDocument, at, ref, number, digest),
        st.builds(NoteHolderCheck, at, _checks()),
        st.builds(HandOver, at, by, st.just(STATION), person),
    )


def lived(sequence: list[Any]) -> list[Any]:
    """Everything decided, in order, when each command is told in turn."""
    state, decided = None, []
    for command in sequence:
        decision = application.decide(command, state, OPEN, DESK)
        if isinstance(decision, Refused):
            continue
        for item in decision:
            decided.append(item)
            if isinstance(item, application.aggregate.events):
                state = application.evolve(state, sealed_event(item))
    return decided


def of(kind: type, decided: list[Any]) -> list[Any]:
    return [item for item in decided if isinstance(item, kind)]


# Random commands seldom find the road: half of the runs start some way along it.
ROAD = [
    submission(),
    NoteBiometrics(NOON, by_exception=False),
    ApproveApplication(NOON, SUPERVISOR, REF, NUMBER, NUMBER_DIGEST),
    NoteCardAtOffice(NOON, REF, OFFICE),
    NoteHolderCheck(NOON, CHECK),
]
LIVES = st.builds(
    lambda begun, rest: [*ROAD[:begun], *rest],
    st.integers(0, len(ROAD)),
    st.lists(commands(), max_size=12),
)


@settings(max_examples=150)
@given(LIVES)
def test_an_application_is_approved_once_and_ends_once(sequence: list[Any]) -> None:
    decided = lived(sequence)
    ends = (ApplicationRejected, ApplicationWithdrawn, HandoverCompleted)
    ended = [item for item in decided if isinstance(item, ends)]
    assert len(of(ApplicationSubmitted, decided)) <= 1
    assert len(of(ApplicationApproved, decided)) <= 1
    assert len(ended) <= 1


@settings(max_examples=150)
@given(LIVES)
def test_nothing_is_approved_by_who_took_part_or_without_biometrics(sequence: list[Any]) -> None:
    decided = lived(sequence)
    for approval in of(ApplicationApproved, decided):
        assert approval.by != OPERATOR
        assert of(BiometricsNoted, decided[: decided.index(approval)])


@settings(max_examples=150)
@given(LIVES)
def test_only_what_was_approved_is_handed_over(sequence: list[Any]) -> None:
    decided = lived(sequence)
    for handover in of(HandoverCompleted, decided):
        assert of(ApplicationApproved, decided)
        assert handover.by == COUNTER


@settings(max_examples=150)
@given(LIVES)
def test_the_quota_gets_back_at_most_what_was_taken(sequence: list[Any]) -> None:
    decided = lived(sequence)
    taken = sum(take.n for take in of(Take, decided))
    assert sum(give.n for give in of(Give, decided)) <= taken <= 1


def test_the_road_leads_to_the_holders_hand() -> None:
    by_counter = HandOver(NOON + timedelta(minutes=1), COUNTER, STATION, PERSON_DIGEST)
    assert of(HandoverCompleted, lived([*ROAD, by_counter]))
