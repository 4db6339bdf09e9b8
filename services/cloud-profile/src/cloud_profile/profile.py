"""Profile: what one citizen keeps in the cloud and on the phone. One stream per holder.

- Opened when the first card is handed over; a replacement adds its document.
- A phone is bound only by proof that it holds its key; attestations are issued to a bound
  phone and for a document that is in force, never while a loss is open.
- A reported loss is final for this document until the holder stands at the counter; whoever
  reports it, it is recorded here, because after hand-over Profile owns it.
- A closed profile stays closed.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, assert_never, get_args
from uuid import UUID

from cloud_profile.profile_commands import (
    AddDocument,
    BindDevice,
    CloseProfile,
    Command,
    ConfirmLoss,
    IssueAttestations,
    NotePortrait,
    NoteStanding,
    Reason,
    ReportLoss,
    UnbindDevice,
)
from cloud_profile.profile_events import (
    FINAL,
    AttestationsIssued,
    DeviceBound,
    DeviceUnbound,
    Document,
    DocumentAdded,
    Event,
    LossConfirmed,
    LossReported,
    PortraitNoted,
    Profile,
    ProfileClosed,
    ProfileOpened,
    Standing,
    StandingNoted,
)
from epassport import Aggregate, Refused, sealed

MAX_DEVICES = 5

initial = Profile()


def decide(command: Command, profile: Profile) -> Sequence[Event] | Refused:
    match command:
        case AddDocument():
            return _add_document(command, profile)
        case NotePortrait(at, ref, digest):
            known = profile.portraits.get(ref) == digest
            return [] if known or profile.is_closed else [PortraitNoted(at, ref, digest)]
        case NoteStanding():
            return _note_standing(command, profile)
        case BindDevice():
            return _bind_device(command, profile)
        case UnbindDevice(at, device_id):
            if device_id not in profile.devices:
                return Refused(Reason.UNKNOWN_DEVICE)
            return [DeviceUnbound(at, device_id)] if profile.devices[device_id] else []
        case IssueAttestations():
            return _issue_attestations(command, profile)
        case ReportLoss():
            return _report_loss(command, profile)
        case ConfirmLoss():
            return _confirm_loss(command, profile)
        case CloseProfile(at):
            return _close(at, profile)
        case _:
            assert_never(command)


def _add_document(command: AddDocument, profile: Profile) -> Sequence[Event] | Refused:
    if profile.is_closed:
        return Refused(Reason.CLOSED)
    if command.document_ref in profile.documents:
        return []
    opened = [] if profile.is_open else [ProfileOpened(command.at, command.holder_id)]
    added = DocumentAdded(
        command.at,
        command.document_ref,
        command.document_number,
        command.identity,
        command.valid_until,
    )
    return [*opened, added]


def _note_standing(command: NoteStanding, profile: Profile) -> Sequence[Event] | Refused:
    """A revocation ends everything a phone could still show for this document."""
    document = profile.documents.get(command.document_ref)
    known = document.standing if document else profile.early_standings.get(command.document_ref)
    if known == command.standing or known in FINAL:
        return []
    return [StandingNoted(command.at, command.document_ref, command.standing)]


def _bind_device(command: BindDevice, profile: Profile) -> Sequence[Event] | Refused:
    if refused := _must_be_open(profile):
        return refused
    if not command.proof_holds:
        return Refused(Reason.DEVICE_PROOF_WRONG)
    if command.device_id in profile.devices:
        return []
    if sum(profile.devices.values()) >= MAX_DEVICES:
        return Refused(Reason.TOO_MANY_DEVICES)
    return [DeviceBound(command.at, command.device_id, command.key_thumbprint)]


def _issue_attestations(command: IssueAttestations, profile: Profile) -> Sequence[Event] | Refused:
    if refused := _must_be_open(profile):
        return refused
    if command.device_id not in profile.devices:
        return Refused(Reason.UNKNOWN_DEVICE)
    if not profile.devices[command.device_id]:
        return Refused(Reason.DEVICE_UNBOUND)
    document = profile.current
    if document is None:
        return Refused(Reason.UNKNOWN_DOCUMENT)
    if document.loss_reported:
        return Refused(Reason.LOSS_REPORTED)
    if document.standing is not Standing.VALID:
        return Refused(Reason.DOCUMENT_NOT_IN_FORCE)
    if not command.holder_qualifies:
        return Refused(Reason.HOLDER_DOES_NOT_QUALIFY)
    return [
        AttestationsIssued(
            command.at,
            command.device_id,
            document.document_ref,
            command.purpose,
            command.thumbprints,
            command.expires_at,
        )
    ]


def _report_loss(command: ReportLoss, profile: Profile) -> Sequence[Event] | Refused:
    if refused := _must_be_open(profile):
        return refused
    document = profile.documents.get(command.document_ref)
    if document is None:
        return Refused(Reason.UNKNOWN_DOCUMENT)
    if document.loss_reported or document.standing in FINAL:
        return []
    return [LossReported(command.at, command.document_ref, command.channel)]


def _confirm_loss(command: ConfirmLoss, profile: Profile) -> Sequence[Event] | Refused:
    if refused := _must_be_open(profile):
        return refused
    document = profile.documents.get(command.document_ref)
    if document is None:
        return Refused(Reason.UNKNOWN_DOCUMENT)
    if document.loss_confirmed:
        return []
    if not document.loss_reported:
        return Refused(Reason.NO_LOSS_REPORTED)
    return [LossConfirmed(command.at, command.document_ref)]


def _close(at: datetime, profile: Profile) -> Sequence[Event] | Refused:
    if profile.is_closed:
        return []
    if not profile.is_open:
        return Refused(Reason.NOT_OPEN)
    unbound = [DeviceUnbound(at, device) for device, bound in profile.devices.items() if bound]
    return [*unbound, ProfileClosed(at)]


def _must_be_open(profile: Profile) -> Refused | None:
    if profile.is_closed:
        return Refused(Reason.CLOSED)
    return None if profile.is_open else Refused(Reason.NOT_OPEN)


def evolve(profile: Profile, event: Event) -> Profile:
    match event:
        case ProfileOpened():
            return replace(profile, is_open=True)
        case DocumentAdded(_, ref, number, identity):
            standing = profile.early_standings.get(ref, Standing.ISSUED)
            document = Document(ref, sealed(number), sealed(identity), standing)
            return replace(profile, documents={**profile.documents, ref: document})
        case PortraitNoted(_, ref, digest):
            return replace(profile, portraits={**profile.portraits, ref: digest})
        case StandingNoted(_, ref, standing):
            return _with_standing(profile, ref, standing)
        case DeviceBound(_, device_id):
            return replace(profile, devices={**profile.devices, device_id: True})
        case DeviceUnbound(_, device_id):
            return replace(profile, devices={**profile.devices, device_id: False})
        case AttestationsIssued():
            return profile
        case LossReported(_, ref):
            return _with_document(profile, ref, loss_reported=True)
        case LossConfirmed(_, ref):
            return _with_document(profile, ref, loss_confirmed=True)
        case ProfileClosed():
            return replace(profile, is_closed=True)
        case _:
            assert_never(event)


def _with_standing(profile: Profile, ref: UUID, standing: Standing) -> Profile:
    if ref not in profile.documents:
        early = {**profile.early_standings, ref: standing}
        return replace(profile, early_standings=early)
    if standing is Standing.VALID:  # restored at the counter: the loss is over
        return _with_document(profile, ref, standing=standing, loss_reported=False)
    return _with_document(profile, ref, standing=standing)


def _with_document(profile: Profile, ref: UUID, **changes: Any) -> Profile:
    changed = replace(profile.documents[ref], **changes)
    return replace(profile, documents={**profile.documents, ref: changed})


aggregate = Aggregate("profile", initial, decide, evolve, events=get_args(Event))
stream = aggregate.stream
