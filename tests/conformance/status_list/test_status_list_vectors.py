"""Token Status List draft: encodings, look-ups and tokens in both forms."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.cbor import decode_cbor_map
from epassport_credentials.compression import inflate
from epassport_credentials.cose import read_sign1, verify_sign1
from epassport_credentials.cwt import read_status_claim
from epassport_credentials.errors import InvalidCredential
from epassport_credentials.jws import decode_base64url
from epassport_credentials.signer import Purpose
from epassport_credentials.status_list import (
    MAX_LIST_BYTES,
    Status,
    StatusList,
    StatusListToken,
    open_status_list,
    pack_statuses,
)
from epassport_credentials.status_list_cwt import open_status_list_cwt
from epassport_credentials.trust import TrustedKey

Note = Callable[[str, object], None]

FORMS = {"jwt": "Token Status List, JWT", "cwt": "Token Status List, CWT"}
DRAFT, DIRECTION = "draft 20 examples", "theirs to ours"
NEGATIVES = {"jwt": 12, "cwt": 10}


@pytest.fixture(scope="module")
def encodings(vectors: Path) -> dict[str, dict[str, Any]]:
    listed = json.loads((vectors / "token-status-list/encodings.json").read_text())
    return {encoding["name"]: encoding for encoding in listed["encodings"]}


@pytest.fixture(scope="module")
def tokens(vectors: Path) -> dict[str, Any]:
    return dict(json.loads((vectors / "token-status-list/tokens.json").read_text()))


@pytest.fixture(scope="module")
def keys(tokens: dict[str, Any]) -> list[TrustedKey]:
    """The one published key; its id "12" is hex in a JWT and text in a CWT."""
    x, y = (
        int.from_bytes(base64.urlsafe_b64decode(tokens["key"][name] + "=="), "big")
        for name in ("x", "y")
    )
    now = datetime.fromtimestamp(tokens["check_time"], UTC)
    kid = tokens["key"]["kid"]
    return [
        TrustedKey(
            purpose=Purpose.STATUS_LIST,
            key_id=key_id,
            public_key=ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key(),
            not_before=now - timedelta(days=1),
            not_after=now + timedelta(days=1),
        )
        for key_id in (bytes.fromhex(kid), kid.encode())
    ]


def open_entry(
    entry: dict[str, Any], keys: list[TrustedKey], tokens: dict[str, Any]
) -> StatusListToken:
    now = datetime.fromtimestamp(tokens["check_time"], UTC)
    if entry["format"] == "jwt":
        return open_status_list(entry["token"], keys, uri=tokens["uri"], now=now)
    token = bytes.fromhex(entry["token_hex"])
    return open_status_list_cwt(token, keys, uri=tokens["uri"], now=now)


def values_of(encoding: dict[str, Any]) -> list[int]:
    if "values" in encoding:
        return list(encoding["values"])
    values = [0] * encoding["entries"]
    for index, value in encoding["set"].items():
        values[int(index)] = value
    return values


def test_every_published_list_reads_as_its_values(encodings: dict[str, dict[str, Any]]) -> None:
    assert {encoding["bits"] for encoding in encodings.values()} == {1, 2, 4, 8}
    for encoding in encodings.values():
        data = inflate(decode_base64url(encoding["lst"]), at_most=MAX_LIST_BYTES)
        statuses = StatusList(encoding["bits"], data)
        expected = values_of(encoding)
        assert len(statuses) == len(expected)
        checked = range(len(expected)) if "values" in encoding else map(int, encoding["set"])
        assert all(statuses.value_at(index) == expected[index] for index in checked)


@pytest.mark.parametrize("name", ["two-bit", "two-bit-long"])
def test_our_two_bit_lists_hold_the_published_bytes(
    name: str, encodings: dict[str, dict[str, Any]]
) -> None:
    published = inflate(decode_base64url(encodings[name]["lst"]), at_most=MAX_LIST_BYTES)
    assert pack_statuses(values_of(encodings[name])).data == published


def test_every_published_lookup_is_answered(
    tokens: dict[str, Any], encodings: dict[str, dict[str, Any]]
) -> None:
    lists = {
        name: StatusList(
            encoding["bits"], inflate(decode_base64url(encoding["lst"]), at_most=MAX_LIST_BYTES)
        )
        for name, encoding in encodings.items()
    }
    assert len(tokens["lookups"]) >= 20
    for lookup in tokens["lookups"]:
        statuses, index = lists[lookup["list"]], lookup["idx"]
        if isinstance(lookup["expected"], int):
            assert statuses.value_at(index) == lookup["expected"]
        else:
            with pytest.raises(InvalidCredential):
                statuses.value_at(index)


@pytest.mark.parametrize("name", ["status-list-jwt", "status-list-cwt"])
def test_the_published_token_is_accepted(
    name: str, tokens: dict[str, Any], keys: list[TrustedKey], record_property: Note
) -> None:
    (entry,) = (entry for entry in tokens["positive"] if entry["name"] == name)
    record_property("conformance", (FORMS[entry["format"]], DRAFT, DIRECTION, "read"))
    opened = open_entry(entry, keys, tokens)
    assert opened.statuses == StatusList(1, bytes.fromhex("b9a3"))
    assert opened.ttl == timedelta(seconds=43200)


def test_the_published_document_is_revoked_by_the_published_list(
    tokens: dict[str, Any], keys: list[TrustedKey]
) -> None:
    entries = {entry["name"]: entry for entry in tokens["positive"]}
    document = read_sign1(bytes.fromhex(entries["referenced-token-cwt"]["token_hex"]))
    verify_sign1(document, keys[0].public_key)
    reference = read_status_claim(decode_cbor_map(document.payload))
    statuses = open_entry(entries["status-list-cwt"], keys, tokens).statuses
    assert reference.uri == tokens["uri"]
    assert statuses.status_at(reference.index) is Status.INVALID


@pytest.mark.parametrize("form", NEGATIVES)
def test_every_bad_token_is_refused(
    form: str, tokens: dict[str, Any], keys: list[TrustedKey], record_property: Note
) -> None:
    bad = [entry for entry in tokens["negative"] if entry["format"] == form]
    assert len(bad) >= NEGATIVES[form]
    for entry in bad:
        record_property("conformance", (FORMS[form], DRAFT, DIRECTION, "broken refused"))
        with pytest.raises(InvalidCredential):
            open_entry(entry, keys, tokens)
