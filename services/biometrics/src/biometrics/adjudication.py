"""Adjudication: two persons decide whether a suspected duplicate is one. Rules of a record.

- Two different adjudicators, neither of them the officer who took the samples, answer
  without knowing of each other; nothing is ever rejected by a score.
- Both the same: decided. Otherwise a supervisor who has taken no part decides.
- A confirmed duplicate can be appealed once; then one more supervisor decides, who has neither
  answered nor recorded the appeal.
- A dismissed suspicion accepts the samples, where the kind's own-record rule holds as well.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from biometrics.record_commands import Adjudicate, Appeal, Reason, Search, Verdict
from biometrics.record_events import (
    AdjudicationEscalated,
    AdjudicationRequested,
    AdjudicatorDecided,
    AppealOpened,
    BiometricRecord,
    BiometricsAccepted,
    Case,
    DuplicateConfirmed,
    DuplicateDismissed,
    Enrolment,
    Event,
    OwnRecordMissing,
    Status,
)
from epassport import Refused
from epassport_contracts.events.enrollment import ApplicationKind

ADJUDICATORS = 2

Decided = Sequence[Event] | Refused


def judge_search(at: datetime, enrolment: Enrolment, search: Search, case_id: UUID) -> list[Event]:
    """For kind `first` nobody; for the others the holder's own record and nobody else's."""
    if search.others:
        return [AdjudicationRequested(at, case_id, enrolment.application_id, search.others)]
    return [_nobody_else(at, enrolment, search.own_matched, search.own_mixed_up)]


def adjudicate(command: Adjudicate, record: BiometricRecord) -> Decided:
    case = record.cases.get(command.case_id)
    if case is None:
        return Refused(Reason.UNKNOWN_CASE)
    said = case.verdicts.get(command.by)
    if case.is_closed:
        return [] if said is command.verdict else Refused(Reason.CASE_CLOSED)
    if said is not None and not case.is_escalated:
        return [] if said is command.verdict else Refused(Reason.ALREADY_ANSWERED)
    enrolment = record.enrolment(case.application_id)
    if command.by in (enrolment.officer, case.appealed_by) or said is not None:
        return Refused(Reason.FOUR_EYES)
    if refusal := _not_this_role(command, case):
        return Refused(refusal)
    decided = AdjudicatorDecided(
        command.at, command.case_id, command.by, command.verdict, command.reason_code
    )
    return [decided, *_consequences(command, case, enrolment)]


def appeal(command: Appeal, record: BiometricRecord) -> Decided:
    """While the application stands; who was rejected applies again instead."""
    case = record.cases.get(command.case_id)
    if case is None:
        return Refused(Reason.UNKNOWN_CASE)
    enrolment = record.enrolment(case.application_id)
    if enrolment.status is Status.RETIRED:
        return Refused(Reason.RETIRED)
    if case.was_appealed:
        return [] if not case.is_closed else Refused(Reason.APPEALED_BEFORE)
    if enrolment.status is not Status.DUPLICATE or not case.is_closed:
        return Refused(Reason.NO_DUPLICATE)
    about = (command.at, command.case_id, case.application_id)
    return [AppealOpened(*about, command.by, command.reason_code)]


def _not_this_role(command: Adjudicate, case: Case) -> Reason | None:
    if case.is_escalated:
        return None if command.is_supervisor else Reason.CASE_ESCALATED
    return None if command.is_adjudicator else Reason.CASE_NOT_ESCALATED


def _consequences(command: Adjudicate, case: Case, enrolment: Enrolment) -> Sequence[Event]:
    verdicts = [*case.verdicts.values(), command.verdict]
    if not case.is_escalated:
        if len(verdicts) < ADJUDICATORS:
            return []
        if len(set(verdicts)) > 1:
            return [AdjudicationEscalated(command.at, command.case_id)]
    about = (command.at, command.case_id, case.application_id)
    match command.verdict:
        case Verdict.SAME_PERSON:
            return [DuplicateConfirmed(*about)]
        case Verdict.DIFFERENT_PERSONS:
            own = (enrolment.own_matched, enrolment.own_mixed_up)
            return [DuplicateDismissed(*about), _nobody_else(command.at, enrolment, *own)]


def _nobody_else(
    at: datetime, enrolment: Enrolment, own_matched: bool, own_mixed_up: bool
) -> Event:
    if enrolment.kind is ApplicationKind.FIRST or own_matched:
        return BiometricsAccepted(at, enrolment.application_id, by_exception=False)
    assert enrolment.capture_id is not None, "a search is of a capture"
    return OwnRecordMissing(at, enrolment.application_id, enrolment.capture_id, own_mixed_up)
