"""Whether an application may begin: every rule of the counter, kept and broken."""

import hashlib
from dataclasses import replace
from datetime import date, timedelta

import pytest
from counter import (
    ADULT,
    CERTIFICATE,
    CHALLENGE,
    COUNTER,
    DESK,
    HOLDER,
    NOON,
    OPEN,
    OTHER_KEY,
    PAPER,
    PARENT,
    PERSON_DIGEST,
    REF,
    REGION,
    STRANGER,
    SUBMITTED,
    TODAY,
    aged,
    lines_of,
    paused,
    replacement,
    submission,
)

from enrollment import application, office
from enrollment.application_commands import (
    Consent,
    Predecessor,
    Reason,
    SubmitApplication,
)
from enrollment.application_events import ApplicationSubmitted
from enrollment.office import Office
from enrollment.rollout import Rollout
from epassport import Claim, Personal, Refused, Take
from epassport.testing import Specification
from epassport_contracts.events.enrollment import ApplicationKind, PausedStep
from epassport_contracts.fields import Wishes

given = Specification(application.aggregate).given

RIGHT_WISHES = Wishes(snils="11223344595", inn="500100732259", driving_licence="7710123456")
ALL_CONSENTS = frozenset(Consent)


def admitted(command: SubmitApplication, *, on: Rollout = OPEN, at: Office = DESK) -> bool:
    return not isinstance(application.decide(command, None, on, at), Refused)


def refusal_of(command: SubmitApplication, *, on: Rollout = OPEN, at: Office = DESK) -> str:
    decision = application.decide(command, None, on, at)
    assert isinstance(decision, Refused), decision
    return decision.reason


def test_a_first_application_is_sealed_claimed_and_counted() -> None:
    digest = hashlib.sha256(CHALLENGE.encode()).digest()
    command = submission()
    given().reading(OPEN, DESK).when(command).then(
        replace(
            SUBMITTED,
            identity=Personal(HOLDER, "identity", ADULT),
            presence=command.presence,
        ),
        Claim("presence-challenge", digest, Reason.CHALLENGE_USED),
        Claim("live-application", PERSON_DIGEST, Reason.LIVE_APPLICATION, HOLDER),
        Claim("holder-person", PERSON_DIGEST, Reason.ALREADY_HAS_PASSPORT, HOLDER),
        Take(f"rollout/{REGION}", 1, Reason.QUOTA_USED_UP),
    )


def test_a_replacement_is_claimed_by_its_holder_and_not_as_a_new_person() -> None:
    decision = application.decide(replacement(), None, OPEN, DESK)
    assert not isinstance(decision, Refused)
    claims = [item for item in decision if isinstance(item, Claim)]
    assert [claim.kind for claim in claims] == [
        "presence-challenge",
        "live-application",
        "live-replacement",
    ]
    assert claims[2].digest == HOLDER.bytes


def test_the_same_submission_twice_is_one_application() -> None:
    given(SUBMITTED).reading(OPEN, DESK).when(submission()).then_nothing()


@pytest.mark.parametrize(
    "kind", [ApplicationKind.RENEW, ApplicationKind.CORRECT, ApplicationKind.NAME_CHANGE]
)
def test_other_kinds_are_not_yet_open(kind: ApplicationKind) -> None:
    assert refusal_of(replacement(kind=kind)) == Reason.KIND_NOT_YET_OPEN


def test_a_region_that_nobody_opened_is_refused() -> None:
    assert refusal_of(submission(), on=Rollout()) == Reason.REGION_NOT_OPEN


def test_a_region_is_open_from_its_day_on() -> None:
    assert admitted(submission(), on=Rollout(TODAY, 10))
    assert refusal_of(submission(), on=Rollout(TODAY + timedelta(days=1), 10)) == (
        Reason.REGION_NOT_OPEN
    )


def test_a_paused_region_takes_no_applications() -> None:
    assert refusal_of(submission(), on=paused(PausedStep.APPLY)) == Reason.APPLYING_PAUSED
    assert admitted(submission(), on=paused(PausedStep.MAKE))


def test_the_desk_must_be_registered() -> None:
    assert refusal_of(submission(), at=Office()) == office.Reason.NOT_REGISTERED
    other = submission(station="station-9")
    assert refusal_of(other) == office.Reason.STATION_NOT_REGISTERED
    assert refusal_of(submission(by=STRANGER)) == office.Reason.OFFICER_NOT_REGISTERED


def test_nobody_applies_outside_working_hours() -> None:
    night = NOON + timedelta(hours=9)
    assert refusal_of(submission(at=night)) == office.Reason.CLOSED


def test_a_challenge_of_somebody_else_is_refused() -> None:
    assert refusal_of(submission(challenge_drawn_at=None)) == Reason.CHALLENGE_UNKNOWN


def test_a_challenge_lives_ten_minutes() -> None:
    assert admitted(submission(challenge_drawn_at=NOON - timedelta(minutes=10)))
    old = submission(challenge_drawn_at=NOON - timedelta(minutes=10, seconds=1))
    assert refusal_of(old) == Reason.CHALLENGE_EXPIRED
    early = submission(challenge_drawn_at=NOON + timedelta(seconds=1))
    assert refusal_of(early) == Reason.CHALLENGE_EXPIRED


def test_presence_is_signed_by_the_officers_own_key() -> None:
    assert refusal_of(submission(signer=OTHER_KEY)) == Reason.PRESENCE_NOT_SIGNED


@pytest.mark.parametrize(
    "swapped",
    [
        {"identity": ADULT.model_copy(update={"surname": "Белова"})},
        {"by": COUNTER},
        {"kind": ApplicationKind.REPLACE, "predecessor": Predecessor(HOLDER, REF, True, False)},
    ],
)
def test_a_signature_holds_for_what_was_signed_alone(swapped: dict[str, object]) -> None:
    assert refusal_of(replace(submission(), **swapped)) == Reason.PRESENCE_NOT_SIGNED  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", [Consent.PROCESSING, Consent.BIOMETRICS])
def test_both_consents_are_needed(missing: Consent) -> None:
    assert refusal_of(submission(consents=ALL_CONSENTS - {missing})) == Reason.CONSENT_MISSING


def test_the_warning_must_have_been_read() -> None:
    assert refusal_of(submission(warning_read=False)) == Reason.WARNING_NOT_READ


def test_nobody_under_fourteen_applies() -> None:
    assert refusal_of(submission(identity=aged(13), representative=PARENT)) == Reason.UNDER_FOURTEEN
    assert admitted(submission(identity=aged(14), representative=PARENT))


def test_under_eighteen_a_representative_comes_along() -> None:
    assert refusal_of(submission(identity=aged(17))) == Reason.REPRESENTATIVE_MISSING
    assert admitted(submission(identity=aged(17), representative=PARENT))
    assert admitted(submission(identity=aged(18)))


def test_nobody_is_too_old() -> None:
    assert admitted(submission(identity=aged(99)))


def test_identity_rests_on_a_paper() -> None:
    bare = submission(identity=aged(30, paper_passport=None))
    assert refusal_of(bare) == Reason.IDENTITY_PAPER_MISSING


def test_the_birth_certificate_stands_for_the_passport_at_fourteen_only() -> None:
    papers = {"paper_passport": None, "birth_certificate": CERTIFICATE}
    assert admitted(submission(identity=aged(14, **papers), representative=PARENT))
    older = submission(identity=aged(15, **papers), representative=PARENT)
    assert refusal_of(older) == Reason.PAPER_PASSPORT_MISSING


def test_a_passport_that_has_lines_is_read_by_them() -> None:
    new = PAPER.model_copy(update={"issued_on": date(2011, 7, 1)})
    person = aged(30, paper_passport=new)
    assert admitted(submission(identity=person, passport_lines=lines_of(person)))
    assert refusal_of(submission(identity=person)) == Reason.PASSPORT_LINES_MISSING
    old = PAPER.model_copy(update={"issued_on": date(2011, 6, 30)})
    assert admitted(submission(identity=aged(30, paper_passport=old)))


@pytest.mark.parametrize("place", [2, 9, 15, 19, 28, 30, 36, 42, 43])
def test_lines_with_a_wrong_check_digit_are_refused(place: int) -> None:
    first, second = lines_of(ADULT)
    wrong = second[:place] + str((int(second[place]) + 1) % 10) + second[place + 1 :]
    command = submission(passport_lines=(first, wrong))
    assert refusal_of(command) == Reason.PASSPORT_LINES_WRONG


def test_lines_of_another_kind_of_document_are_refused() -> None:
    abroad = ("P<RUSKOVALEVA<<ELENA".ljust(44, "<"), lines_of(ADULT)[1])
    assert refusal_of(submission(passport_lines=abroad)) == Reason.PASSPORT_LINES_WRONG


@pytest.mark.parametrize(
    "misread",
    [
        {"series": "4511"},
        {"number": "123457"},
        {"birth_date": "900521"},
        {"sex": "M"},
        {"issued_on": "100602"},
        {"division_code": "770002"},
    ],
)
def test_what_the_operator_typed_is_what_the_lines_say(misread: dict[str, str]) -> None:
    command = submission(passport_lines=lines_of(ADULT, **misread))
    assert refusal_of(command) == Reason.PASSPORT_LINES_DIFFER


def test_lines_without_a_passport_are_refused() -> None:
    papers = {"paper_passport": None, "birth_certificate": CERTIFICATE}
    child = aged(14, **papers)
    command = submission(identity=child, representative=PARENT, passport_lines=lines_of(ADULT))
    assert refusal_of(command) == Reason.PASSPORT_LINES_DIFFER


@pytest.mark.parametrize("name", ["李", "Müller", "Ґалаган", "Иванов2", "Ь"])
@pytest.mark.parametrize("part", ["surname", "given_name", "patronymic"])
def test_a_name_that_no_machine_readable_zone_can_hold_is_refused(part: str, name: str) -> None:
    assert refusal_of(submission(identity=aged(30, **{part: name}))) == (
        Reason.NAME_NOT_TRANSLITERABLE
    )


@pytest.mark.parametrize("part", ["surname", "given_name", "patronymic"])
def test_a_name_longer_than_a_face_has_room_for_is_refused(part: str) -> None:
    """Щ is SHCH in Latin letters."""
    assert admitted(submission(identity=aged(30, **{part: "Щ" * 20})))
    longer = submission(identity=aged(30, **{part: "Щ" * 20 + "А"}))
    assert refusal_of(longer) == Reason.NAME_TOO_LONG


@pytest.mark.parametrize("name", ["Ёлкина-Щукина", "д'Артаньян", "Smith", "Мамед оглы"])
def test_russian_and_plain_latin_names_are_written(name: str) -> None:
    person = aged(30, surname=name, given_name=name, patronymic=name)
    assert admitted(submission(identity=person))
    assert admitted(submission(identity=aged(30, patronymic=None)))


def test_wishes_with_their_consents_are_sealed() -> None:
    decision = application.decide(
        submission(wishes=RIGHT_WISHES, consents=ALL_CONSENTS), None, OPEN, DESK
    )
    assert not isinstance(decision, Refused)
    fact = decision[0]
    assert isinstance(fact, ApplicationSubmitted)
    assert fact.wishes == Personal(HOLDER, "wishes", RIGHT_WISHES)


@pytest.mark.parametrize("consent", [Consent.SNILS, Consent.INN, Consent.DRIVING_LICENCE])
def test_each_wish_needs_its_own_consent(consent: Consent) -> None:
    command = submission(wishes=RIGHT_WISHES, consents=ALL_CONSENTS - {consent})
    assert refusal_of(command) == Reason.WISH_WITHOUT_CONSENT


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        (Wishes(snils="11223344596"), Reason.SNILS_WRONG),
        (Wishes(inn="500100732258"), Reason.INN_WRONG),
        (Wishes.model_construct(driving_licence="77AA123456"), Reason.DRIVING_LICENCE_WRONG),
    ],
)
def test_a_number_that_cannot_be_right_is_refused(wishes: Wishes, reason: Reason) -> None:
    assert refusal_of(submission(wishes=wishes, consents=ALL_CONSENTS)) == reason


def test_only_a_known_document_in_hand_without_successor_is_replaced() -> None:
    assert admitted(replacement())
    assert refusal_of(replacement(predecessor=None)) == Reason.PREDECESSOR_UNKNOWN
    waiting = Predecessor(HOLDER, REF, handed_over=False, superseded=False)
    assert refusal_of(replacement(predecessor=waiting)) == Reason.PREDECESSOR_NOT_HANDED_OVER
    old = Predecessor(HOLDER, REF, handed_over=True, superseded=True)
    assert refusal_of(replacement(predecessor=old)) == Reason.PREDECESSOR_SUPERSEDED
