"""Whether an application may begin: the rules of the counter, each with its own reason.

Order: what is open at all, who is at work, that the person stood there, what the person
agreed to, and who the person is. Claims and quota are taken by the group in the same
transaction, so two applications at once cannot both win.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import date, timedelta

from enrollment import challenge
from enrollment import office as offices
from enrollment.application_commands import Consent, Reason, SubmitApplication
from enrollment.application_events import Application, ApplicationSubmitted
from enrollment.office import Office
from enrollment.papers import lines_refused
from enrollment.rollout import Rollout, quota_of
from epassport import Claim, Give, Personal, Refused, Release, Take
from epassport.signing import is_signed_by, public_key_of
from epassport_contracts.desk import presence_record
from epassport_contracts.events.enrollment import ApplicationKind, PausedStep
from epassport_contracts.fields import Identity
from epassport_credentials.check_digits import is_driving_licence, is_inn, is_snils
from epassport_credentials.errors import InvalidCredential
from epassport_credentials.identity import has_reached
from epassport_credentials.transliteration import to_icao

OPEN_KINDS = frozenset({ApplicationKind.FIRST, ApplicationKind.REPLACE})
ADMITTED_FROM_AGE = 14
FULL_AGE = 18
PRINTED_LETTERS = 80  # the widest ones fill the two lines that a face has for one name

# Kinds of claims; the digests are keyed, except the challenge's, which says nothing of anybody.
CHALLENGE = "presence-challenge"
LIVE_APPLICATION = "live-application"
LIVE_REPLACEMENT = "live-replacement"
HOLDER_PERSON = "holder-person"

_AnyReason = Reason | offices.Reason


def admit(
    command: SubmitApplication, rollout: Rollout, office: Office
) -> Sequence[ApplicationSubmitted | Claim | Take] | Refused:
    day = office.day(command.at)
    reason = (
        _not_open(command, rollout, day)
        or office.refuses(command.by, command.station, command.at)
        or _not_present(command, office, day)
        or _not_agreed(command)
        or _not_entitled(command, day)
        or lines_refused(command.identity, command.passport_lines)
        or _not_writable(command.identity)
        or _wish_refused(command)
        or _cannot_replace(command)
    )
    if reason is not None:
        return Refused(reason)
    take = Take(quota_of(command.region), 1, Reason.QUOTA_USED_UP)
    return [_submitted(command), *_claims(command), take]


def _not_open(command: SubmitApplication, rollout: Rollout, day: date) -> Reason | None:
    if command.kind not in OPEN_KINDS:
        return Reason.KIND_NOT_YET_OPEN
    if not rollout.is_open_on(day):
        return Reason.REGION_NOT_OPEN
    return Reason.APPLYING_PAUSED if rollout.is_paused(PausedStep.APPLY) else None


def _not_present(command: SubmitApplication, office: Office, day: date) -> _AnyReason | None:
    """A fresh challenge, drawn for this station, signed by the officer with this identity."""
    if command.challenge_drawn_at is None:
        return Reason.CHALLENGE_UNKNOWN
    if not timedelta() <= command.at - command.challenge_drawn_at <= challenge.LIVES:
        return Reason.CHALLENGE_EXPIRED
    key = office.key_of(command.by, day)
    if key is None:
        return offices.Reason.OFFICER_NOT_REGISTERED
    record = presence_record(
        challenge=command.presence.challenge,
        office=command.office,
        station=command.station,
        officer=command.by.subject,
        kind=command.kind,
        identity=command.identity,
        at=command.presence.at,
    )
    signed = is_signed_by(public_key_of(key), command.presence.signature, record)
    return None if signed else Reason.PRESENCE_NOT_SIGNED


def _not_agreed(command: SubmitApplication) -> Reason | None:
    if not {Consent.PROCESSING, Consent.BIOMETRICS} <= command.consents:
        return Reason.CONSENT_MISSING
    return None if command.warning_read else Reason.WARNING_NOT_READ


def _not_entitled(command: SubmitApplication, day: date) -> Reason | None:
    """14 or older; the birth certificate stands for the passport in the first year only."""
    identity = command.identity
    born = identity.birth_date
    if not has_reached(ADMITTED_FROM_AGE, born, day):
        return Reason.UNDER_FOURTEEN
    if not has_reached(FULL_AGE, born, day) and command.representative is None:
        return Reason.REPRESENTATIVE_MISSING
    if identity.paper_passport is not None:
        return None
    if identity.birth_certificate is None:
        return Reason.IDENTITY_PAPER_MISSING
    first_year = not has_reached(ADMITTED_FROM_AGE + 1, born, day)
    return None if first_year else Reason.PAPER_PASSPORT_MISSING


def _not_writable(identity: Identity) -> Reason | None:
    """A name that no zone or no face can hold would stop its card at preparation."""
    names = (identity.surname, identity.given_name, identity.patronymic)
    images = [_image(name) for name in names if name is not None]
    if not all(images):
        return Reason.NAME_NOT_TRANSLITERABLE
    if any(len(image) > PRINTED_LETTERS for image in images):
        return Reason.NAME_TOO_LONG
    return None


def _image(name: str) -> str:
    """Latin letters of the machine-readable zone; none of a soft sign alone."""
    try:
        return to_icao(name).strip("<")
    except InvalidCredential:
        return ""


def _wish_refused(command: SubmitApplication) -> Reason | None:
    """Each number only with its own consent, and only where it can be right."""
    wishes = command.wishes
    if wishes is None:
        return None
    rules: list[tuple[str | None, Consent, Callable[[str], bool], Reason]] = [
        (wishes.snils, Consent.SNILS, is_snils, Reason.SNILS_WRONG),
        (wishes.inn, Consent.INN, is_inn, Reason.INN_WRONG),
        (wishes.driving_licence, Consent.DRIVING_LICENCE, is_driving_licence,
         Reason.DRIVING_LICENCE_WRONG),
    ]  # fmt: skip
    for number, consent, is_right, wrong in rules:
        if number is None:
            continue
        if consent not in command.consents:
            return Reason.WISH_WITHOUT_CONSENT
        if not is_right(number):
            return wrong
    return None


def _cannot_replace(command: SubmitApplication) -> Reason | None:
    """Any document the holder has had in hand, lost or not, but none that has a successor."""
    if command.kind is ApplicationKind.FIRST:
        return None
    if command.predecessor is None:
        return Reason.PREDECESSOR_UNKNOWN
    if not command.predecessor.handed_over:
        return Reason.PREDECESSOR_NOT_HANDED_OVER
    return Reason.PREDECESSOR_SUPERSEDED if command.predecessor.superseded else None


def _claims(command: SubmitApplication) -> list[Claim]:
    """In this order, as the first one lost gives the refusal.

    A replacement is also claimed by its holder: a new paper passport makes a new digest.
    """
    person = command.holder_id
    presence = hashlib.sha256(command.presence.challenge.encode()).digest()
    claims = [
        Claim(CHALLENGE, presence, Reason.CHALLENGE_USED),
        Claim(LIVE_APPLICATION, command.person_digest, Reason.LIVE_APPLICATION, person),
    ]
    if command.kind is ApplicationKind.FIRST:
        refusal = Reason.ALREADY_HAS_PASSPORT
        return [*claims, Claim(HOLDER_PERSON, command.person_digest, refusal, person)]
    return [*claims, Claim(LIVE_REPLACEMENT, person.bytes, Reason.LIVE_APPLICATION, person)]


def give_back(application: Application, person_digest: bytes | None) -> list[Release | Give]:
    """No passport comes of it: the person may apply again, and the quota has one more."""
    freed: list[Release | Give] = [*no_longer_live(application, person_digest)]
    if person_digest is not None and application.kind is ApplicationKind.FIRST:
        freed.append(Release(HOLDER_PERSON, person_digest))
    return [*freed, Give(quota_of(application.region), 1)]


def no_longer_live(application: Application, person_digest: bytes | None) -> list[Release]:
    """What a live application held for itself; the digest is gone where the person is erased."""
    freed = [] if person_digest is None else [Release(LIVE_APPLICATION, person_digest)]
    if application.kind is not ApplicationKind.FIRST:
        freed.append(Release(LIVE_REPLACEMENT, application.holder_id.bytes))
    return freed


def _submitted(command: SubmitApplication) -> ApplicationSubmitted:
    person, wishes, representative = command.holder_id, command.wishes, command.representative
    return ApplicationSubmitted(
        at=command.at,
        by=command.by,
        holder_id=person,
        kind=command.kind,
        region=command.region,
        office=command.office,
        station=command.station,
        identity=Personal(person, "identity", command.identity),
        wishes=Personal(person, "wishes", wishes) if wishes else None,
        representative=(
            Personal(person, "representative", representative) if representative else None
        ),
        consents=tuple(sorted(command.consents)),
        warning_read=command.warning_read,
        presence=command.presence,
        predecessor=command.predecessor.document_ref if command.predecessor else None,
    )
