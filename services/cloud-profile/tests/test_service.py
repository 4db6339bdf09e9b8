"""The service alone on real PostgreSQL: a card handed over, a phone bound, a loss, the end.

Every refusal is asked of a profile that is open and of a document that is in force, so that
nothing but the broken rule can be the reason.
"""

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cloud_service import NUMBER, PORTRAIT, Cloud, Holder, now
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloud_profile.http import ACCESS, routes
from cloud_profile.phones import proof_octets
from epassport.actor import Role
from epassport.signing import LocalSigner, new_private_key, public_key_octets
from epassport_credentials.cose_key import key_thumbprint
from epassport_sandbox.people import DemoPerson

HOTLINE = DemoPerson("hotline", "hotline", (Role.HOTLINE,))
OPERATOR = DemoPerson("operator", "operator", (Role.OPERATOR,), office="office-1")
LOSSES = "SELECT data->>'channel' AS channel FROM events WHERE type = 'LossReported'"
BOUND = [
    "PortraitNoted",
    "ProfileOpened",
    "DocumentAdded",
    "StandingNoted",
    "DeviceBound",
]


def text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def new_phone() -> LocalSigner:
    return LocalSigner(new_private_key())


def key_of(phone: LocalSigner) -> str:
    return text(public_key_octets(phone.public_key))


def of_another_curve() -> str:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return text(key.public_bytes(serialization.Encoding.DER, form))


NO_KEYS = {
    "another curve": of_another_curve(),
    "no key": text(bytes(91)),
    "no base64": "*" * 124,
}


async def bind(cloud: Cloud, holder: Holder, **changes: str) -> httpx.Response:
    phone = new_phone()
    proof = text(phone.sign(proof_octets(holder.holder_id)))
    body = {"public_key": key_of(phone), "proof": proof, **changes}
    return await cloud.post(f"/profiles/{holder.holder_id}/devices", holder.citizen, **body)


async def attest(
    cloud: Cloud,
    holder: Holder,
    device_id: str,
    purpose: str = "age-over-18",
    keys: tuple[str, ...] = (),
) -> httpx.Response:
    path = f"/profiles/{holder.holder_id}/attestations"
    keys = keys or (key_of(new_phone()),)
    body = {"device_id": device_id, "purpose": purpose, "keys": keys}
    return await cloud.post(path, holder.citizen, **body)


async def with_phone(cloud: Cloud, **about: Any) -> tuple[Holder, str]:
    """A holder whose card is in force, and the phone that is bound."""
    holder = Holder(**about)
    await cloud.hand_over(holder)
    device_id: str = done(await bind(cloud, holder))["device_id"]
    return holder, device_id


def done(answer: httpx.Response) -> Mapping[str, Any]:
    assert answer.status_code == 200, answer.text
    content: Mapping[str, Any] = answer.json()
    return content


def refused(answer: httpx.Response) -> tuple[int, str]:
    assert answer.is_client_error, answer.text
    return answer.status_code, answer.json()["reason"]


async def events_of(cloud: Cloud, holder: Holder) -> list[str]:
    stream = f"profile/{holder.holder_id}"
    sql = "SELECT type FROM events WHERE stream_id = $1 ORDER BY version"
    return [row["type"] for row in await cloud.rows(sql, stream)]


async def test_the_holder_reads_first_spread_and_portrait(cloud: Cloud) -> None:
    holder, device_id = await with_phone(cloud)
    seen = await cloud.seen(holder, lambda seen: seen["devices"])
    (document,), (device,) = seen["documents"], seen["devices"]
    assert (document["document_number"], document["standing"]) == (NUMBER, "valid")
    assert document["identity"]["birth_date"] == "1990-05-06"
    assert (device["device_id"], device["unbound_at"]) == (device_id, None)
    portrait = await cloud.get(f"/profiles/{holder.holder_id}/portrait", holder.citizen)
    assert (portrait.content, portrait.headers["content-type"]) == (PORTRAIT, "image/jpeg")


async def test_each_key_of_a_batch_gets_its_own_attestation(cloud: Cloud) -> None:
    holder, device_id = await with_phone(cloud)
    keys = [new_phone() for _ in range(3)]
    answer = done(await attest(cloud, holder, device_id, keys=tuple(map(key_of, keys))))
    assert len(set(answer["attestations"])) == 3
    (row,) = await cloud.rows(
        "SELECT data->'thumbprints' AS thumbprints FROM events WHERE type = 'AttestationsIssued'"
    )
    assert all(key_thumbprint(key.public_key).hex() in row["thumbprints"] for key in keys)


async def test_a_phone_that_does_not_hold_its_key_is_not_bound(cloud: Cloud) -> None:
    holder = Holder()
    await cloud.hand_over(holder)
    wrong = (409, "profile-device-proof-wrong")
    another_key = text(new_phone().sign(proof_octets(holder.holder_id)))
    assert refused(await bind(cloud, holder, proof=another_key)) == wrong
    assert refused(await bind(cloud, holder, proof=text(bytes(64)))) == wrong
    assert refused(await bind(cloud, holder, proof="*")) == wrong
    assert "DeviceBound" not in await events_of(cloud, holder)


async def test_a_proof_made_for_another_holder_binds_nothing(cloud: Cloud) -> None:
    holder, phone = Holder(), new_phone()
    await cloud.hand_over(holder)
    proof = text(phone.sign(proof_octets(uuid4())))
    answer = await bind(cloud, holder, public_key=key_of(phone), proof=proof)
    assert refused(answer) == (409, "profile-device-proof-wrong")
    assert "DeviceBound" not in await events_of(cloud, holder)


@pytest.mark.parametrize("key", NO_KEYS.values(), ids=NO_KEYS)
async def test_what_is_no_key_on_p256_is_neither_bound_nor_attested(cloud: Cloud, key: str) -> None:
    holder, device_id = await with_phone(cloud)
    assert refused(await bind(cloud, holder, public_key=key)) == (409, "phone-key-not-p256")
    mixed = (key_of(new_phone()), key)
    answer = await attest(cloud, holder, device_id, keys=mixed)
    assert refused(answer) == (409, "phone-key-not-p256")
    assert await events_of(cloud, holder) == BOUND


async def test_a_holder_of_17_states_who_but_not_that_they_are_18(cloud: Cloud) -> None:
    born = now().date() - timedelta(days=17 * 365 + 180)
    holder, device_id = await with_phone(cloud, born=born)
    answer = await attest(cloud, holder, device_id)
    assert refused(answer) == (409, "profile-holder-does-not-qualify")
    assert await events_of(cloud, holder) == BOUND
    done(await attest(cloud, holder, device_id, "identity"))


async def ask(
    cloud: Cloud, operation: str, who: DemoPerson, device_id: str, of: Holder
) -> httpx.Response:
    """The request that would do it for its holder."""
    profile, phone = f"/profiles/{of.holder_id}", new_phone()
    loss = {"document_ref": str(of.document_ref)}
    proof = text(phone.sign(proof_octets(of.holder_id)))
    keys = [key_of(new_phone())]
    attestations = {"device_id": device_id, "purpose": "identity", "keys": keys}
    match operation:
        case "bind-device":
            body = {"public_key": key_of(phone), "proof": proof}
            return await cloud.post(f"{profile}/devices", who, **body)
        case "unbind-device":
            return await cloud.post(f"{profile}/devices/{device_id}/unbind", who)
        case "issue-attestations":
            return await cloud.post(f"{profile}/attestations", who, **attestations)
        case "report-loss":
            return await cloud.post(f"{profile}/loss", who, **loss)
        case "confirm-loss":
            return await cloud.post(f"{profile}/loss/confirm", who, **loss)
        case "close-profile":
            return await cloud.post(f"{profile}/close", who)
        case "read-profile":
            return await cloud.get(profile, who)
        case "read-portrait":
            return await cloud.get(f"{profile}/portrait", who)
        case "read-access-log":
            return await cloud.get(f"{profile}/access-log", who)
    pytest.fail(f"{operation}: what would be asked?")


async def test_to_another_citizen_a_profile_does_not_exist(cloud: Cloud) -> None:
    holder, device_id = await with_phone(cloud)
    other = Holder().citizen
    answers = {
        operation: refused(await ask(cloud, operation, other, device_id, holder))
        for operation in ACCESS
    }
    assert answers == dict.fromkeys(ACCESS, (404, "unknown-id"))
    assert await events_of(cloud, holder) == BOUND


async def test_a_holder_nobody_has_heard_of_is_unknown_and_leaves_nothing(cloud: Cloud) -> None:
    nobody = Holder()
    callers = {Role.CITIZEN: nobody.citizen, Role.HOTLINE: HOTLINE, Role.OPERATOR: OPERATOR}
    for row in (row for row in routes.rows() if row.method == "POST"):
        for role in callers.keys() & row.allowed:
            answer = await ask(cloud, row.operation, callers[role], str(uuid4()), nobody)
            assert refused(answer) == (404, "unknown-id"), (row.operation, role)
    assert await cloud.rows("SELECT stream_id FROM streams") == []
    assert await cloud.rows("SELECT scope FROM idempotency") == []


@pytest.mark.parametrize(
    ("who", "asked", "recorded"),
    [(HOTLINE, "hotline", "hotline"), (OPERATOR, None, "desk"), (None, None, "phone")],
)
async def test_a_loss_is_reported_by_any_channel_and_ends_attestations(
    cloud: Cloud, who: DemoPerson | None, asked: str | None, recorded: str
) -> None:
    """None: the holder."""
    holder, device_id = await with_phone(cloud)
    path, body = f"/profiles/{holder.holder_id}/loss", {"document_ref": str(holder.document_ref)}
    done(await cloud.post(path, who or holder.citizen, channel=asked, **body))
    done(await cloud.post(path, holder.citizen, **body))
    assert [row["channel"] for row in await cloud.rows(LOSSES)] == [recorded]
    answer = await attest(cloud, holder, device_id)
    assert refused(answer) == (409, "profile-loss-reported")


async def test_a_loss_is_confirmed_once_and_only_after_it_was_reported(cloud: Cloud) -> None:
    holder, _ = await with_phone(cloud)
    path, body = f"/profiles/{holder.holder_id}/loss", {"document_ref": str(holder.document_ref)}
    early = await cloud.post(f"{path}/confirm", holder.citizen, **body)
    assert refused(early) == (409, "profile-no-loss-reported")
    done(await cloud.post(path, HOTLINE, channel="hotline", **body))
    by_hotline = await cloud.post(f"{path}/confirm", HOTLINE, channel="hotline", **body)
    assert refused(by_hotline) == (403, "role-not-allowed")
    done(await cloud.post(f"{path}/confirm", OPERATOR, **body))
    done(await cloud.post(f"{path}/confirm", holder.citizen, **body))
    assert await events_of(cloud, holder) == [*BOUND, "LossReported", "LossConfirmed"]


@pytest.mark.parametrize("by_hotline", [True, False])
async def test_an_unbound_phone_gets_nothing_more(cloud: Cloud, by_hotline: bool) -> None:
    holder, device_id = await with_phone(cloud)
    path = f"/profiles/{holder.holder_id}/devices/{device_id}/unbind"
    done(await cloud.post(path, HOTLINE if by_hotline else holder.citizen))
    done(await cloud.post(path, holder.citizen))
    answer = await attest(cloud, holder, device_id)
    assert refused(answer) == (409, "profile-device-unbound")
    assert await events_of(cloud, holder) == [*BOUND, "DeviceUnbound"]
    await cloud.seen(holder, lambda seen: seen["devices"] and seen["devices"][0]["unbound_at"])


async def test_a_closed_profile_unbinds_its_phones_and_stays_closed(cloud: Cloud) -> None:
    holder, device_id = await with_phone(cloud)
    path = f"/profiles/{holder.holder_id}"
    done(await cloud.post(f"{path}/close", holder.citizen))
    done(await cloud.post(f"{path}/close", holder.citizen))
    closed = (409, "profile-closed")
    loss = {"document_ref": str(holder.document_ref)}
    assert refused(await bind(cloud, holder)) == closed
    assert refused(await attest(cloud, holder, device_id)) == closed
    assert refused(await cloud.post(f"{path}/loss", HOTLINE, **loss)) == (409, "profile-closed")
    assert await events_of(cloud, holder) == [*BOUND, "DeviceUnbound", "ProfileClosed"]
    await cloud.seen(holder, lambda seen: seen["closed_at"])
