"""cloud-profile over HTTP: what a citizen sees and does, and who may report a loss.

A citizen reaches only the own profile; another holder's answers as if it did not exist.
"""

import base64
import json
from datetime import datetime
from typing import Annotated
from uuid import UUID

from asyncpg import Record
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from cloud_profile import profile, readmodel
from cloud_profile.context import App
from cloud_profile.phones import proves, read_phone_key
from cloud_profile.profile_commands import (
    BindDevice,
    CloseProfile,
    ConfirmLoss,
    IssueAttestations,
    ReportLoss,
    UnbindDevice,
)
from epassport import Accepted, Actor, Outcome, Role
from epassport.access import AccessTable
from epassport.blobs import load
from epassport.http import Call, Routes, View, json_response
from epassport.opening import InRecord, open_for, who_looked
from epassport.problems import NotFound, Problem
from epassport.problems import Reason as ProblemReason
from epassport.sealing import ERASED, Opened
from epassport_contracts import Sealed
from epassport_contracts.events.cloud_profile import LossChannel
from epassport_contracts.fields import Asked, Identity
from epassport_credentials import identity as stated
from epassport_credentials.cose_key import key_thumbprint
from epassport_credentials.mobile_qr import ATTESTATION_LIFE, MobilePurpose, issue_attestation

ACCESS = AccessTable(
    {
        "read-profile": {Role.CITIZEN},
        "read-portrait": {Role.CITIZEN},
        "bind-device": {Role.CITIZEN},
        "unbind-device": {Role.CITIZEN, Role.OPERATOR, Role.HOTLINE},
        "issue-attestations": {Role.CITIZEN},
        "report-loss": {Role.CITIZEN, Role.HOTLINE, Role.OPERATOR},
        "confirm-loss": {Role.CITIZEN, Role.OPERATOR, Role.SUPERVISOR},
        "read-access-log": {Role.CITIZEN},
        "close-profile": {Role.CITIZEN},
    }
)
routes = Routes(ACCESS)

PublicKeyText = Annotated[str, Field(min_length=80, max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BindBody(_Body):
    """public_key: base64 SubjectPublicKeyInfo; proof: base64 r || s over the binding octets."""

    public_key: PublicKeyText
    proof: Annotated[str, Field(max_length=100)]


class AttestationsBody(_Body):
    device_id: UUID
    purpose: MobilePurpose
    keys: Annotated[list[PublicKeyText], Field(min_length=1, max_length=30)]


class LossBody(_Body):
    document_ref: UUID


@routes.command("bind-device", "/v1/profiles/{holder_id}/devices")
async def bind_device(holder_id: UUID, body: BindBody, call: Call[App]) -> Outcome:
    await _known_profile(call, holder_id)
    key = read_phone_key(body.public_key)
    device_id = call.new_id("device")
    command = BindDevice(
        call.now, device_id, key_thumbprint(key).hex(), proves(key, holder_id, body.proof)
    )
    answer = {"device_id": str(device_id)}
    return await call.send(profile.stream(holder_id), command, answer=answer)


@routes.command("unbind-device", "/v1/profiles/{holder_id}/devices/{device_id}/unbind")
async def unbind_device(holder_id: UUID, device_id: UUID, call: Call[App]) -> Outcome:
    await _known_profile(call, holder_id)
    return await call.send(profile.stream(holder_id), UnbindDevice(call.now, device_id))


@routes.command("issue-attestations", "/v1/profiles/{holder_id}/attestations")
async def issue_attestations(
    holder_id: UUID, body: AttestationsBody, call: Call[App]
) -> Outcome | Response:
    """One attestation for each key of the phone. Sent again, it is signed again, with the
    time of the first answer: what is kept under the idempotency key holds no attestation."""
    await _known_profile(call, holder_id)
    keys = [read_phone_key(text) for text in body.keys]
    claims = await _claims(call, holder_id, body.purpose)
    issued_at = call.now.replace(microsecond=0)
    command = IssueAttestations(
        call.now,
        body.device_id,
        body.purpose.value,
        tuple(key_thumbprint(key).hex() for key in keys),
        issued_at + ATTESTATION_LIFE,
        holder_qualifies=claims is not None,
    )
    answer = {"issued_at": issued_at.isoformat()}
    outcome = await call.send(profile.stream(holder_id), command, answer=answer)
    if not isinstance(outcome, Accepted) or claims is None:
        return outcome
    issued_at = datetime.fromisoformat(outcome.answer["issued_at"])
    attestations = [
        issue_attestation(
            claims,
            holder_key=key,
            issuer=call.app.issuer,
            issued_at=issued_at,
            signer=call.app.attestation_signer,
        )
        for key in keys
    ]
    return json_response(
        {
            "version": outcome.version,
            "token": str(outcome.token) if outcome.token else None,
            "expires_at": issued_at + ATTESTATION_LIFE,
            "attestations": [base64.b64encode(octets).decode() for octets in attestations],
        }
    )


@routes.command("report-loss", "/v1/profiles/{holder_id}/loss")
async def report_loss(holder_id: UUID, body: LossBody, call: Call[App]) -> Outcome:
    await _known_profile(call, holder_id)
    channel = LossChannel(call.actor.channel.value)
    command = ReportLoss(call.now, body.document_ref, channel)
    return await call.send(profile.stream(holder_id), command)


@routes.command("confirm-loss", "/v1/profiles/{holder_id}/loss/confirm")
async def confirm_loss(holder_id: UUID, body: LossBody, call: Call[App]) -> Outcome:
    await _known_profile(call, holder_id)
    command = ConfirmLoss(call.now, body.document_ref)
    return await call.send(profile.stream(holder_id), command)


@routes.command("close-profile", "/v1/profiles/{holder_id}/close")
async def close_profile(holder_id: UUID, call: Call[App]) -> Outcome:
    await _known_profile(call, holder_id)
    return await call.send(profile.stream(holder_id), CloseProfile(call.now))


@routes.query("read-profile", "/v1/profiles/{holder_id}", reads=("profiles",))
async def read_profile(holder_id: UUID, view: View[App]) -> Response:
    """The first spread of every document, opened for its holder, and the bound phones."""
    _own(view.actor, holder_id)
    async with view.database.connection() as connection:
        tables = readmodel.profiles.on(connection)
        row = await readmodel.profile_of(tables, holder_id)
        documents = await readmodel.documents_of(tables, holder_id)
        devices = await readmodel.devices_of(tables, holder_id)
    if row is None:
        raise NotFound
    opened = await _open_documents(view, holder_id, documents)
    return json_response(
        {
            "holder_id": holder_id,
            "opened_at": row["opened_at"],
            "closed_at": row["closed_at"],
            "documents": opened,
            "devices": [
                {
                    "device_id": device["device_id"],
                    "bound_at": device["bound_at"],
                    "unbound_at": device["unbound_at"],
                }
                for device in devices
            ],
        }
    )


@routes.query("read-portrait", "/v1/profiles/{holder_id}/portrait", reads=("profiles",))
async def read_portrait(holder_id: UUID, view: View[App]) -> Response:
    _own(view.actor, holder_id)
    async with view.database.connection() as connection:
        documents = await readmodel.documents_of(readmodel.profiles.on(connection), holder_id)
        digest = documents[-1]["portrait"] if documents else None
        blob = await load(connection, digest) if digest is not None else None
    if blob is None:
        raise NotFound
    (portrait,) = await open_for(
        view.database,
        view.keyring,
        [InRecord(holder_id, "portrait", blob.envelope)],
        actor=view.actor,
        reason="own-profile",
        correlation_id=view.correlation_id,
    )
    if portrait is ERASED:
        raise Problem(ProblemReason.ERASED)
    return Response(portrait, media_type=blob.media_type)


@routes.query("read-access-log", "/v1/profiles/{holder_id}/access-log", reads=("access_log",))
async def read_access_log(holder_id: UUID, view: View[App]) -> Response:
    """Who asked for this holder's documents, and who looked into the profile.

    relying_party, purpose, claims: null where the key had not come when it was asked, or is
    destroyed.
    """
    _own(view.actor, holder_id)
    async with view.database.connection() as connection:
        asked = await readmodel.asked_about(readmodel.access_log.on(connection), holder_id)
        looks = await who_looked(connection, holder_id)
    return json_response(
        {
            "asked": await _opened_questions(view, holder_id, asked),
            "looked": [
                {
                    "who": look.actor.name,
                    "fields": look.fields,
                    "reason": look.reason,
                    "at": look.opened_at,
                }
                for look in looks
            ],
        }
    )


def _own(actor: Actor, holder_id: UUID) -> None:
    """A citizen, and nothing more, acts for nobody else."""
    if actor.roles <= {Role.CITIZEN} and actor.acting_for != holder_id:
        raise NotFound


async def _known_profile(call: Call[App], holder_id: UUID) -> None:
    """A holder that nobody has heard of leaves no trace."""
    _own(call.actor, holder_id)
    if await call.app.profile(holder_id) == profile.initial:
        raise NotFound


async def _claims(
    call: Call[App], holder_id: UUID, purpose: MobilePurpose
) -> stated.AgeOver18 | stated.Identity | None:
    """What the attestation will state; None where it is not true of this holder."""
    async with call.app.database.connection() as connection:
        documents = await readmodel.documents_of(readmodel.profiles.on(connection), holder_id)
    if not documents:
        raise NotFound
    identity, number = await open_for(
        call.app.database,
        call.app.keyring,
        _first_spread(holder_id, documents[-1]),
        actor=call.actor,
        reason=f"attest-{purpose}",
        correlation_id=call.correlation_id,
    )
    if identity is ERASED:
        raise Problem(ProblemReason.ERASED)
    match purpose:
        case MobilePurpose.AGE_OVER_18:
            adult = stated.is_over_18(identity.birth_date, call.now.date())
            return stated.AgeOver18() if adult else None
        case MobilePurpose.IDENTITY:
            return _stated_identity(identity, number)


def _stated_identity(identity: Identity, document_number: str) -> stated.Identity:
    names = (identity.surname, identity.given_name, identity.patronymic)
    return stated.Identity(
        full_name=" ".join(name for name in names if name),
        birth_date=identity.birth_date,
        sex=stated.Sex(identity.sex.value),
        document_number=document_number,
        nationality="RUS",
    )


def _first_spread(holder_id: UUID, document: Record) -> list[InRecord]:
    return [
        InRecord(holder_id, "identity", Sealed.model_validate_json(document["identity"])),
        InRecord(
            holder_id, "document-number", Sealed.model_validate_json(document["document_number"])
        ),
    ]


async def _opened_questions(
    view: View[App], holder_id: UUID, rows: list[Record]
) -> list[dict[str, object]]:
    envelopes = {
        row["presentation_id"]: InRecord(
            holder_id, "asked", Sealed.model_validate_json(row["asked"])
        )
        for row in rows
        if row["asked"] is not None
    }
    values = await open_for(
        view.database,
        view.keyring,
        list(envelopes.values()),
        actor=view.actor,
        reason="own-access-log",
        correlation_id=view.correlation_id,
    )
    opened = dict(zip(envelopes, values, strict=True))
    return [
        {
            "presentation_id": row["presentation_id"],
            "document_ref": row["document_ref"],
            "form": row["form"],
            "refused_because": row["refused_because"],
            "at": row["at"],
            **_question(opened.get(row["presentation_id"], ERASED)),
        }
        for row in rows
    ]


def _question(asked: Opened[Asked]) -> dict[str, object]:
    if asked is ERASED:
        return dict.fromkeys(("relying_party", "name", "purpose", "claims"))
    return asked.model_dump()


async def _open_documents(
    view: View[App], holder_id: UUID, documents: list[Record]
) -> list[dict[str, object]]:
    opened = await open_for(
        view.database,
        view.keyring,
        [item for document in documents for item in _first_spread(holder_id, document)],
        actor=view.actor,
        reason="own-profile",
        correlation_id=view.correlation_id,
    )
    pairs = zip(opened[::2], opened[1::2], strict=True)
    return [
        {
            "document_ref": document["document_ref"],
            "standing": document["standing"],
            "valid_until": document["valid_until"],
            "document_number": None if number is ERASED else number,
            "identity": None if identity is ERASED else json.loads(identity.model_dump_json()),
        }
        for document, (identity, number) in zip(documents, pairs, strict=True)
    ]
