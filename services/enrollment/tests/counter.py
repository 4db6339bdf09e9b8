"""The counter that the tests of enrollment speak of: one office, its people, an applicant."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from enrollment import office, rollout
from enrollment.application_commands import (
    Consent,
    HolderCheck,
    PassportLines,
    Predecessor,
    Presence,
    SubmitApplication,
)
from enrollment.application_events import (
    ApplicationApproved,
    ApplicationSubmitted,
    BiometricsNoted,
    CardAtOffice,
    DocumentReassigned,
    HandoverCompleted,
    HolderCheckNoted,
)
from enrollment.office import Office, OfficerId, WorkingTime
from enrollment.rollout import Rollout
from epassport import Personal
from epassport.personal import Secret
from epassport.signing import LocalSigner, Signer, new_private_key, public_key_octets
from epassport.testing import test_seal as seal
from epassport_contracts.desk import presence_record
from epassport_contracts.events.biometrics import ComparisonMethod
from epassport_contracts.events.enrollment import ApplicationKind, PausedStep
from epassport_contracts.fields import (
    BirthCertificate,
    Identity,
    PaperPassport,
    Representative,
    Sex,
)
from epassport_credentials.mrz import yymmdd
from epassport_credentials.paper_passport import PaperPassport as PaperLines
from epassport_credentials.paper_passport import build_paper_passport

# A Monday, 12:00 in Moscow.
NOON = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TODAY = date(2026, 11, 23)
LATER = NOON + timedelta(minutes=5)

REGION, OFFICE, STATION = "RU-MOW", "office-mow-1", "station-1"
ISSUER = "https://issuer.test"
OPERATOR = OfficerId(ISSUER, "operator-1")
COUNTER = OfficerId(ISSUER, "hand-over-officer-1")
SUPERVISOR = OfficerId(ISSUER, "supervisor-1")
STRANGER = OfficerId(ISSUER, "nobody")

OPERATOR_KEY, OTHER_KEY = LocalSigner(new_private_key()), LocalSigner(new_private_key())
SPKI = public_key_octets(OPERATOR_KEY.public_key)

HOLDER = UUID("11111111-1111-4111-8111-111111111111")
APPLICATION = UUID("22222222-2222-4222-8222-222222222222")
REF, NEW_REF = UUID(int=0xD0C1), UUID(int=0xD0C2)
PERSON_DIGEST, NUMBER_DIGEST = b"p" * 32, b"n" * 32
NUMBER = "912345678"

OPENED = rollout.RolloutOpened(NOON, TODAY, 10)
OPEN = rollout.aggregate.state_after([OPENED])
HOURS = WorkingTime(8 * 60, 20 * 60, (0, 1, 2, 3, 4), 180)
OFFICE_REGISTERED = office.OfficeRegistered(NOON, REGION, "МФЦ", HOURS, TODAY)
OPERATOR_REGISTERED = office.OfficerRegistered(NOON, OPERATOR, SPKI, TODAY)
DESK: Office = office.aggregate.state_after(
    [
        OFFICE_REGISTERED,
        office.StationRegistered(NOON, STATION, TODAY),
        OPERATOR_REGISTERED,
        office.OfficerRegistered(NOON, COUNTER, SPKI, TODAY),
    ]
)

PAPER = PaperPassport(
    series="4510",
    number="123456",
    issued_on=date(2010, 6, 1),
    authority="ОВД района",
    division_code="770-001",
)
CERTIFICATE = BirthCertificate(
    series="IV-МЮ", number="654321", issued_on=date(2012, 1, 10), authority="ЗАГС"
)
ADULT = Identity(
    surname="Ковалёва",
    given_name="Елена",
    patronymic="Игоревна",
    sex=Sex.FEMALE,
    birth_date=date(1990, 5, 20),
    birth_place="Москва",
    paper_passport=PAPER,
)
PARENT = Representative(surname="Ковалёв", given_name="Игорь", paper_passport=PAPER)
CHALLENGE = "v1.1795000000.00.00"


def paused(step: PausedStep) -> Rollout:
    state: Rollout = rollout.aggregate.state_after(
        [OPENED, rollout.RolloutPaused(NOON, step, "drill")]
    )
    return state


def aged(years: int, **papers: Any) -> Identity:
    """Somebody who reaches this age today, the day after the birthday."""
    born = TODAY.replace(year=TODAY.year - years) - timedelta(days=1)
    return ADULT.model_copy(update={"birth_date": born, **papers})


def lines_of(person: Identity, **misread: Any) -> PassportLines:
    """The lines that this person's passport bears; misread: what stands there instead."""
    paper = person.paper_passport
    assert paper is not None
    bears = PaperLines(
        surname="КОВАЛЁВА",
        given_name="ЕЛЕНА",
        patronymic="ИГОРЕВНА",
        series=paper.series,
        number=paper.number,
        birth_date=yymmdd(person.birth_date),
        sex=person.sex.value,
        issued_on=yymmdd(paper.issued_on),
        division_code=paper.division_code.replace("-", ""),
    )
    return build_paper_passport(replace(bears, **misread))


def submission(*, signer: Signer = OPERATOR_KEY, **changes: Any) -> SubmitApplication:
    """What the operator sends; the presence record is signed over what it then says."""
    command = SubmitApplication(
        at=NOON,
        by=OPERATOR,
        holder_id=HOLDER,
        kind=ApplicationKind.FIRST,
        region=REGION,
        office=OFFICE,
        station=STATION,
        identity=ADULT,
        wishes=None,
        representative=None,
        consents=frozenset({Consent.PROCESSING, Consent.BIOMETRICS}),
        warning_read=True,
        presence=Presence(CHALLENGE, NOON, b""),
        challenge_drawn_at=NOON - timedelta(minutes=3),
        person_digest=PERSON_DIGEST,
        predecessor=None,
    )
    command = replace(command, **changes)
    signature = signer.sign(
        presence_record(
            challenge=command.presence.challenge,
            office=command.office,
            station=command.station,
            officer=command.by.subject,
            kind=command.kind,
            identity=command.identity,
            at=command.presence.at,
        )
    )
    return replace(command, presence=replace(command.presence, signature=signature))


def replacement(**changes: Any) -> SubmitApplication:
    before = Predecessor(HOLDER, REF, handed_over=True, superseded=False)
    return submission(**{"kind": ApplicationKind.REPLACE, "predecessor": before, **changes})


IDENTITY: Secret[Identity] = seal(Personal(HOLDER, "identity", ADULT))
SEALED_NUMBER: Secret[str] = seal(Personal(HOLDER, "document-number", NUMBER))
PRESENCE = submission().presence

SUBMITTED = ApplicationSubmitted(
    at=NOON,
    by=OPERATOR,
    holder_id=HOLDER,
    kind=ApplicationKind.FIRST,
    region=REGION,
    office=OFFICE,
    station=STATION,
    identity=IDENTITY,
    wishes=None,
    representative=None,
    consents=(Consent.BIOMETRICS, Consent.PROCESSING),
    warning_read=True,
    presence=PRESENCE,
    predecessor=None,
)
REPLACING = replace(SUBMITTED, kind=ApplicationKind.REPLACE, predecessor=UUID(int=0xD0C0))
ACCEPTED = BiometricsNoted(NOON, by_exception=False)
APPROVED = ApplicationApproved(
    at=NOON,
    by=SUPERVISOR,
    holder_id=HOLDER,
    kind=ApplicationKind.FIRST,
    region=REGION,
    office=OFFICE,
    document_ref=REF,
    document_number=SEALED_NUMBER,
    predecessor=None,
    identity=IDENTITY,
    wishes=None,
    valid_until=date(2036, 11, 23),
)
REASSIGNED = DocumentReassigned(
    at=NOON,
    holder_id=HOLDER,
    kind=ApplicationKind.FIRST,
    region=REGION,
    office=OFFICE,
    document_ref=NEW_REF,
    document_number=SEALED_NUMBER,
    predecessor=None,
    identity=IDENTITY,
    wishes=None,
    valid_until=APPROVED.valid_until,
    lost_document_ref=REF,
)
AT_OFFICE = CardAtOffice(NOON, REF, OFFICE)
CHECK = HolderCheck(
    check_id=UUID(int=0xC4EC),
    at=NOON,
    verified=True,
    method=ComparisonMethod.FINGERS,
    document_ref=REF,
    officer=COUNTER.subject,
    office=OFFICE,
    station=STATION,
)
CHECKED = HolderCheckNoted(NOON, CHECK)
HANDED_OVER = HandoverCompleted(
    at=LATER,
    by=COUNTER,
    station=STATION,
    check_id=CHECK.check_id,
    holder_id=HOLDER,
    kind=ApplicationKind.FIRST,
    office=OFFICE,
    document_ref=REF,
    document_number=SEALED_NUMBER,
    predecessor=None,
    identity=IDENTITY,
    valid_until=date(2036, 11, 23),
)
