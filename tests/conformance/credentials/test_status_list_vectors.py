"""Token Status List draft: encodings, look-ups and tokens in their JWT form."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.compression import inflate
from epassport_credentials.errors import InvalidCredential
from epassport_credentials.jws import decode_base64url
from epassport_credentials.signer import Purpose
from epassport_credentials.status_list import (
    MAX_LIST_BYTES,
    StatusList,
    open_status_list,
    pack_statuses,
)
from epassport_credentials.trust import TrustedKey

JWT_NEGATIVES = 12


@pytest.fixture(scope="module")
def encodings(vectors: Path) -> dict[str, dict[str, Any]]:
    listed = json.loads((vectors / "token-status-list/encodings.json").read_text())
    return {encoding["name"]: encoding for encoding in listed["encodings"]}


@pytest.fixture(scope="module")
def tokens(vectors: Path) -> dict[str, Any]:
    return dict(json.loads((vectors / "token-status-list/tokens.json").read_text()))


@pytest.fixture(scope="module")
def key(tokens: dict[str, Any]) -> TrustedKey:
    x, y = (
        int.from_bytes(base64.urlsafe_b64decode(tokens["key"][name] + "=="), "big")
        for name in ("x", "y")
    )
    now = datetime.fromtimestamp(tokens["check_time"], UTC)
    return TrustedKey(
        purpose=Purpose.STATUS_LIST,
        key_id=bytes.fromhex(tokens["key"]["kid"]),
        public_key=ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key(),
        not_before=now - timedelta(days=1),
        not_after=now + timedelta(days=1),
    )


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


def test_the_published_token_is_accepted(tokens: dict[str, Any], key: TrustedKey) -> None:
    (token,) = (entry for entry in tokens["positive"] if entry["format"] == "jwt")
    now = datetime.fromtimestamp(tokens["check_time"], UTC)
    opened = open_status_list(token["token"], [key], uri=tokens["uri"], now=now)
    assert opened.statuses == StatusList(1, bytes.fromhex("b9a3"))


def test_every_bad_token_is_refused(tokens: dict[str, Any], key: TrustedKey) -> None:
    now = datetime.fromtimestamp(tokens["check_time"], UTC)
    bad = [entry for entry in tokens["negative"] if entry["format"] == "jwt"]
    assert len(bad) >= JWT_NEGATIVES
    for entry in bad:
        with pytest.raises(InvalidCredential):
            open_status_list(entry["token"], [key], uri=tokens["uri"], now=now)
