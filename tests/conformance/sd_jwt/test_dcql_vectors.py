"""DCQL of OpenID4VP 1.0: evaluations, malformed queries, and the queries of a real wallet."""

import json
from pathlib import Path
from typing import Any

import pytest

from epassport_credentials.dcql import Held, answer, read_dcql, write_dcql
from epassport_credentials.errors import InvalidCredential, Reason

EVALUATIONS, MALFORMED = 33, 23
EUDI_QUERIES = {
    "basic_example": True,
    "complex_example": False,  # asks an mdoc by vct_values
    "eudi_msomdoc_pid_dcql_query": True,
    "mDL-example": True,
    "mso_mdoc-pid-dcql-query": True,
    "sd-jwt-vc-pid-dcql-query": True,
}


@pytest.fixture(scope="module")
def cases(vectors: Path) -> list[dict[str, Any]]:
    return list(json.loads((vectors / "openid4vp/dcql-cases.json").read_text())["cases"])


def held(entry: dict[str, Any]) -> Held:
    authority = entry.get("authority")
    authorities = [(authority["type"], value) for value in authority["values"]] if authority else []
    return Held(
        id=entry["id"],
        format=entry["format"],
        type=entry.get("vct") or entry["doctype"],
        claims=entry.get("claims") or entry["namespaces"],
        holder_binding=entry["holder_binding"],
        authorities=authorities,
    )


def test_every_evaluation_gives_the_expected_answer(cases: list[dict[str, Any]]) -> None:
    evaluations = [case for case in cases if case["expected"]["valid_query"]]
    assert len(evaluations) == EVALUATIONS
    for case in evaluations:
        query = read_dcql(case["query"])
        matches = answer(query, map(held, case["wallet"]))
        expected = case["expected"]
        assert (matches is not None) is expected["satisfied"], case["name"]
        shown = {
            query_id: {
                "credentials": [match.credential_id for match in found],
                "claims": [list(pointer) for pointer in found[0].pointers],
            }
            for query_id, found in (matches or {}).items()
        }
        assert shown == expected.get("answer", {}), case["name"]
        assert read_dcql(write_dcql(query)) == query, case["name"]


def test_every_malformed_query_is_refused(cases: list[dict[str, Any]]) -> None:
    malformed = [case for case in cases if not case["expected"]["valid_query"]]
    assert len(malformed) == MALFORMED
    for case in malformed:
        with pytest.raises(InvalidCredential) as refusal:
            read_dcql(case["query"])
        assert refusal.value.reason is Reason.MALFORMED, case["name"]


@pytest.mark.parametrize("name", EUDI_QUERIES)
def test_the_queries_of_the_european_wallet_are_read(name: str, vectors: Path) -> None:
    value = json.loads((vectors / f"openid4vp/eudi/{name}.json").read_text())
    query = value.get("dcql_query", value)
    if EUDI_QUERIES[name]:
        assert read_dcql(query).credentials
    else:
        with pytest.raises(InvalidCredential):
            read_dcql(query)
