"""Token Status Lists in both directions: @sd-jwt/jwt-status-list; the CWT form by cwt and pycose.

@sd-jwt/jwt-status-list checks no signature; joserfc does for the JWT form what cwt and
pycose do for the CWT form.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey

from epassport_credentials.cbor import decode_cbor_map
from epassport_credentials.compression import inflate
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jwk import jwk_of
from epassport_credentials.jws import encode_base64url
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.status_list import (
    ENTRIES_PER_LIST,
    Status,
    StatusList,
    issue_status_list,
    open_status_list,
    pack_statuses,
)
from epassport_credentials.status_list_cwt import (
    STATUS_LIST,
    SUB,
    TTL,
    issue_status_list_cwt,
    open_status_list_cwt,
)
from epassport_credentials.trust import TrustedKey
from tests.conformance.conversation import Conversation, Refused

Note = Callable[[str, object], None]

NUMBER = 4711
SIGNER = LocalSigner(ec.derive_private_key(NUMBER, ec.SECP256R1()))
URI = "https://status.epassport.test/1"
# Other people's clocks cannot be set, so these stay valid for longer than any test will live.
EARLY, LATE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TRUSTED = [TrustedKey(Purpose.STATUS_LIST, SIGNER.key_id, SIGNER.public_key, EARLY, LATE)]

PLACES = {0: Status.VALID, 5: Status.INVALID, 70_001: Status.SUSPENDED, 2**20 - 1: Status.VALID}
JWT, CWT = "Token Status List, JWT", "Token Status List, CWT"
LIBRARY = "@sd-jwt/jwt-status-list 0.17.1"


def whole_list() -> StatusList:
    values = bytearray([Status.NOT_IN_FORCE]) * ENTRIES_PER_LIST
    for index, status in PLACES.items():
        values[index] = status
    return pack_statuses(bytes(values))


def our_jwt() -> str:
    return issue_status_list(
        whole_list(), SIGNER, uri=URI, issued_at=EARLY, expires_at=LATE, ttl=timedelta(hours=1)
    )


def our_cwt() -> bytes:
    return issue_status_list_cwt(
        whole_list(), SIGNER, uri=URI, issued_at=EARLY, expires_at=LATE, ttl=timedelta(hours=1)
    )


def test_jwt_status_list_reads_every_entry_of_ours(
    javascript_readers: Conversation, record_property: Note
) -> None:
    record_property("conformance", (JWT, LIBRARY, "ours to theirs", "read"))
    indices = [*PLACES, 1, 70_000, 70_002]
    seen = javascript_readers.ask("jwt-status-list read", token=our_jwt(), indices=indices)
    assert seen == [PLACES.get(index, Status.NOT_IN_FORCE) for index in indices]
    record_property("conformance", (JWT, LIBRARY, "ours to theirs", "index beyond refused"))
    with pytest.raises(Refused, match=r"(?i)bounds"):
        javascript_readers.ask("jwt-status-list read", token=our_jwt(), indices=[2**20])


def test_joserfc_verifies_our_list_and_not_an_altered_one(record_property: Note) -> None:
    row = (JWT, "joserfc 1", "ours to theirs")
    key = ECKey.import_key(jwk_of(SIGNER.public_key))
    token = our_jwt()
    record_property("conformance", (*row, "read"))
    assert jws.deserialize_compact(token, key).headers()["typ"] == "statuslist+jwt"
    record_property("conformance", (*row, "altered refused"))
    header, payload, signature = token.split(".")
    altered = (
        f"{header}.{payload[:50]}{'A' if payload[50] != 'A' else 'B'}{payload[51:]}.{signature}"
    )
    with pytest.raises(BadSignatureError):
        jws.deserialize_compact(altered, key)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_list_by_jwt_status_list_is_read_here(
    bits: int, javascript_readers: Conversation, record_property: Note
) -> None:
    row = (JWT, LIBRARY, "theirs to ours")
    values = [index * 7 % 2**bits for index in range(64)]
    asked = {
        "values": values,
        "bits": bits,
        "kid": SIGNER.key_id.hex(),
        "issuer": {**jwk_of(SIGNER.public_key), "d": encode_base64url(NUMBER.to_bytes(32, "big"))},
    }
    claims = {
        "iss": "https://issuer.example",  # this library demands it
        "sub": URI,
        "iat": int(EARLY.timestamp()),
        "exp": int(LATE.timestamp()),
        "ttl": 60,
    }
    token = javascript_readers.ask("jwt-status-list write", claims=claims, **asked)
    record_property("conformance", (*row, "read"))
    opened = open_status_list(token, TRUSTED, uri=URI, now=NOW)
    assert [opened.statuses.value_at(index) for index in range(64)] == values
    assert opened.ttl == timedelta(seconds=60)
    record_property("conformance", (*row, "expired refused"))
    ended = javascript_readers.ask(
        "jwt-status-list write", claims=claims | {"exp": int(NOW.timestamp())}, **asked
    )
    with pytest.raises(InvalidCredential) as refusal:
        open_status_list(ended, TRUSTED, uri=URI, now=NOW)
    assert refusal.value.reason is Reason.EXPIRED


def cose_key() -> dict[str, object]:
    point = SIGNER.public_key.public_numbers()
    x, y = (number.to_bytes(32, "big") for number in (point.x, point.y))
    return {"alg": -7, "curve": "P-256", "kid": SIGNER.key_id, "x": x, "y": y}


@pytest.mark.parametrize(("reader", "version"), [("cwt", "cwt 3.3.0"), ("pycose", "pycose 1.1.0")])
def test_a_cose_reader_verifies_our_list_and_not_an_altered_one(
    reader: str, version: str, cose_readers: Conversation, record_property: Note
) -> None:
    row = (CWT, version, "ours to theirs")
    record_property("conformance", (*row, "read"))
    message = our_cwt()
    payload = cose_readers.ask(f"{reader} read sign1", message=message, **cose_key())
    claims = decode_cbor_map(bytes.fromhex(payload))
    entry = claims[STATUS_LIST]
    assert isinstance(entry, dict)
    assert (claims[SUB], claims[TTL], entry["bits"]) == (URI, 3600, 2)
    assert inflate(entry["lst"], at_most=2**20) == whole_list().data
    record_property("conformance", (*row, "altered refused"))
    altered = bytearray(message)
    altered[60] ^= 1
    with pytest.raises(Refused):
        cose_readers.ask(f"{reader} read sign1", message=bytes(altered), **cose_key())


def test_cwt_reads_the_claims_of_our_list_and_refuses_it_when_expired(
    cose_readers: Conversation, record_property: Note
) -> None:
    row = (CWT, "cwt 3.3.0", "ours to theirs")
    record_property("conformance", (*row, "claims read"))
    said = cose_readers.ask("cwt read token", message=our_cwt(), **cose_key())
    assert decode_cbor_map(bytes.fromhex(said))[SUB] == URI
    record_property("conformance", (*row, "expired refused"))
    ended = issue_status_list_cwt(
        whole_list(), SIGNER, uri=URI, issued_at=EARLY, expires_at=EARLY + timedelta(days=1)
    )
    with pytest.raises(Refused, match="expired"):
        cose_readers.ask("cwt read token", message=ended, **cose_key())
    assert open_status_list_cwt(our_cwt(), TRUSTED, uri=URI, now=NOW).statuses == whole_list()
