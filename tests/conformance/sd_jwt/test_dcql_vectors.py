"""DCQL of OpenID4VP 1.0: evaluations, malformed queries, and the queries of a real wallet.

The same cases are put to dcql-ts, in our writing of them: it must agree with every one, but
for the malformed queries that the vectors say it takes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from epassport_credentials.dcql import Held, answer, read_dcql, write_dcql
from epassport_credentials.errors import InvalidCredential, Reason
from tests.conformance.conversation import Conversation, Refused

Note = Callable[[str, object], None]

EVALUATIONS, MALFORMED, LENIENT = 33, 23, 7
ROW = ("DCQL query", "OpenID4VP 1.0 cases", "theirs to ours")
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


def as_dcql_ts_holds(entry: dict[str, Any]) -> dict[str, Any]:
    members = ("vct", "doctype", "claims", "namespaces", "authority")
    return {
        "credential_format": entry["format"],
        "cryptographic_holder_binding": entry["holder_binding"],
        **{name: entry[name] for name in members if name in entry},
    }


def test_every_evaluation_gives_the_expected_answer(
    cases: list[dict[str, Any]], record_property: Note
) -> None:
    evaluations = [case for case in cases if case["expected"]["valid_query"]]
    assert len(evaluations) == EVALUATIONS
    for case in evaluations:
        record_property("conformance", (*ROW, "same answer"))
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


def test_every_malformed_query_is_refused(
    cases: list[dict[str, Any]], record_property: Note
) -> None:
    malformed = [case for case in cases if not case["expected"]["valid_query"]]
    assert len(malformed) == MALFORMED
    for case in malformed:
        record_property("conformance", (*ROW, "malformed refused"))
        with pytest.raises(InvalidCredential) as refusal:
            read_dcql(case["query"])
        assert refusal.value.reason is Reason.MALFORMED, case["name"]


@pytest.mark.parametrize("name", EUDI_QUERIES)
def test_the_queries_of_the_european_wallet_are_read(
    name: str, vectors: Path, record_property: Note
) -> None:
    verdict = "read" if EUDI_QUERIES[name] else "malformed refused"
    record_property("conformance", ("DCQL query", "EUDI wallet", "theirs to ours", verdict))
    value = json.loads((vectors / f"openid4vp/eudi/{name}.json").read_text())
    query = value.get("dcql_query", value)
    if EUDI_QUERIES[name]:
        assert read_dcql(query).credentials
    else:
        with pytest.raises(InvalidCredential):
            read_dcql(query)


def test_dcql_ts_evaluates_our_queries_as_we_do(
    cases: list[dict[str, Any]], javascript_readers: Conversation, record_property: Note
) -> None:
    for case in (case for case in cases if case["expected"]["valid_query"]):
        record_property(
            "conformance", ("DCQL query", "dcql 3.0.0", "ours to theirs", "same answer")
        )
        query, wallet = read_dcql(case["query"]), case["wallet"]
        theirs = javascript_readers.ask(
            "dcql answer", query=write_dcql(query), wallet=[as_dcql_ts_holds(one) for one in wallet]
        )
        matches = answer(query, map(held, wallet))
        assert theirs["satisfied"] is (matches is not None), case["name"]
        for query_id, found in (matches or {}).items():
            fitting = [wallet[index]["id"] for index in theirs["fitting"][query_id]]
            ids = [match.credential_id for match in found]
            assert ids == fitting[: len(ids)], case["name"]


def test_dcql_ts_refuses_what_we_refuse_but_for_its_known_leniency(
    cases: list[dict[str, Any]], javascript_readers: Conversation, record_property: Note
) -> None:
    lenient = 0
    for case in (case for case in cases if not case["expected"]["valid_query"]):
        if case.get("lenient_library"):
            lenient += 1
            continue
        record_property(
            "conformance", ("DCQL query", "dcql 3.0.0", "malformed to both", "refused by both")
        )
        with pytest.raises(Refused):
            javascript_readers.ask("dcql read", query=case["query"])
        with pytest.raises(InvalidCredential):
            read_dcql(case["query"])
    assert lenient == LENIENT
