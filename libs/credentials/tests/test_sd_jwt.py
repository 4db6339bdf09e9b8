import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import encode_base64url, encode_json
from epassport_credentials.sd_jwt import (
    MAX_DISCLOSURES,
    MAX_NESTING,
    MAX_SD_JWT_CHARACTERS,
    choose,
    digest_of,
    join_sd_jwt,
    read_disclosure,
    reveal,
    split_sd_jwt,
    write_disclosure,
)

SALT = bytes(range(16))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


def disclosed(*content: object) -> str:
    return encode_base64url(encode_json(["salt", *content]))


def test_a_disclosure_has_the_digest_of_rfc_9901() -> None:
    """RFC 9901 §4.2.3, an example whose JSON has spaces."""
    encoded = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    disclosure = read_disclosure(encoded)
    assert (disclosure.name, disclosure.value) == ("family_name", "Möbius")
    assert disclosure.digest == "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"


@given(st.binary(min_size=16, max_size=20), st.text(min_size=4), json_values)
def test_a_disclosure_survives_its_encoding(salt: bytes, name: str, value: object) -> None:
    written = write_disclosure(salt, name, value)
    assert read_disclosure(written.encoded) == written


def test_a_short_salt_is_not_written() -> None:
    with pytest.raises(ValueError, match="salt"):
        write_disclosure(SALT[:15], "name", 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], Reason.MALFORMED),
        ([1, "name", 2], Reason.MALFORMED),
        (["salt", 5, 2], Reason.MALFORMED),
        (["salt", "name", 2, 3], Reason.MALFORMED),
        ({"salt": 1}, Reason.MALFORMED),
        (["salt", "_sd", 2], Reason.FORBIDDEN_CLAIM),
        (["salt", "...", 2], Reason.FORBIDDEN_CLAIM),
    ],
)
def test_what_is_no_disclosure_is_refused(content: object, reason: Reason) -> None:
    assert reason_of(read_disclosure, encode_base64url(encode_json(content))) is reason


def test_the_parts_of_a_text_are_found_again() -> None:
    first, second = write_disclosure(SALT, "a", 1), write_disclosure(SALT, "b", 2)
    text = join_sd_jwt("h.p.s", [first, second])
    split = split_sd_jwt(text + "k.b.j")
    assert (split.issuer_jwt, split.presented, split.key_binding) == ("h.p.s", text, "k.b.j")
    assert split.disclosures == (first.encoded, second.encoded)
    assert split_sd_jwt("h.p.s~").disclosures == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Reason.MALFORMED),
        ("h.p.s", Reason.MALFORMED),
        ("~", Reason.MALFORMED),
        ("h.p.s~é~", Reason.MALFORMED),
        ("h.p.s" + "~d" * (MAX_DISCLOSURES + 1) + "~", Reason.TOO_LONG),
        ("h" * MAX_SD_JWT_CHARACTERS + "~", Reason.TOO_LONG),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_sd_jwt_is_refused(text: str, reason: Reason) -> None:
    assert reason_of(split_sd_jwt, text) is reason


def test_nested_disclosures_come_to_their_places() -> None:
    region = disclosed("region", "Tatarstan")
    address = disclosed("address", {"city": "Kazan", "_sd": [digest_of(region)]})
    german = disclosed("DE")
    payload = {
        "_sd": [digest_of(address), digest_of("a decoy")],
        "_sd_alg": "sha-256",
        "nationalities": ["RU", {"...": digest_of(german)}, {"...": digest_of("another")}],
    }
    revealed = reveal(payload, [german, region, address])
    assert revealed.claims == {
        "nationalities": ["RU", "DE"],
        "address": {"city": "Kazan", "region": "Tatarstan"},
    }
    places = {placed.path for placed in revealed.placed}
    assert places == {("nationalities", 1), ("address",), ("address", "region")}
    assert reveal(payload, []).claims == {"nationalities": ["RU"]}


def test_what_is_chosen_comes_with_what_stands_above_and_below_it() -> None:
    region, city = disclosed("region", "Tatarstan"), disclosed("city", "Kazan")
    address = disclosed("address", {"_sd": [digest_of(region), digest_of(city)]})
    name = disclosed("name", "Anna")
    elements = [disclosed("RU"), disclosed("KZ")]
    payload = {
        "_sd": [digest_of(address), digest_of(name)],
        "nationalities": [{"...": digest_of(element)} for element in elements],
    }
    revealed = reveal(payload, [region, city, address, name, *elements])

    def chosen(*pointers: tuple[str | int | None, ...]) -> set[str]:
        return {disclosure.encoded for disclosure in choose(revealed, pointers)}

    assert chosen() == set()
    assert chosen(("name",)) == {name}
    assert chosen(("address", "city")) == {address, city}
    assert chosen(("address",)) == {address, city, region}
    assert chosen(("nationalities", 1)) == {elements[1]}
    assert chosen(("nationalities", None), ("name",)) == {*elements, name}
    assert chosen(("other",)) == set()


A, B = disclosed("a", 1), disclosed("b", 2)
DEEP: object = 0
for _ in range(MAX_NESTING + 1):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("payload", "disclosures", "reason"),
    [
        ({"_sd": [digest_of(A)]}, [A, A], Reason.DUPLICATE_DIGEST),
        ({"_sd": [digest_of(A)] * 2}, [A], Reason.DUPLICATE_DIGEST),
        ({"_sd": ["x"], "inner": {"_sd": ["x"]}}, [], Reason.DUPLICATE_DIGEST),
        ({"_sd": ["x"], "list": [{"...": "x"}]}, [], Reason.DUPLICATE_DIGEST),
        ({"_sd": [digest_of(A)]}, [A, B], Reason.DISCLOSURE_NOT_SIGNED),
        ({}, [A], Reason.DISCLOSURE_NOT_SIGNED),
        ({"_sd": [digest_of(A)], "a": 1}, [A], Reason.DUPLICATE_CLAIM),
        (
            {"_sd": [digest_of(A), digest_of(disclosed("a", 2))]},
            [A, disclosed("a", 2)],
            Reason.DUPLICATE_CLAIM,
        ),
        ({"_sd": "x"}, [], Reason.MALFORMED),
        ({"_sd": [1]}, [], Reason.MALFORMED),
        ({"list": [{"...": 1}]}, [], Reason.MALFORMED),
        ({"list": [{"...": "x", "y": 1}]}, [], Reason.MALFORMED),
        ({"list": [{"...": digest_of(A)}]}, [A], Reason.MALFORMED),
        ({"_sd": [digest_of(disclosed(1))]}, [disclosed(1)], Reason.MALFORMED),
        ({"inner": {"...": "x"}}, [], Reason.FORBIDDEN_CLAIM),
        ({"_sd_alg": "sha-512"}, [], Reason.UNSUPPORTED_ALGORITHM),
        ({"_sd_alg": None}, [], Reason.UNSUPPORTED_ALGORITHM),
        ({"deep": DEEP}, [], Reason.TOO_LONG),
        (
            {"_sd": [digest_of(disclosed("deep", DEEP))]},
            [disclosed("deep", DEEP)],
            Reason.TOO_LONG,
        ),
    ],
)
def test_a_payload_that_could_be_read_two_ways_is_refused(
    payload: dict[str, object], disclosures: list[str], reason: Reason
) -> None:
    assert reason_of(reveal, payload, disclosures) is reason


@given(st.text(alphabet="eyJ0.-_A~", max_size=60))
def test_any_text_ends_in_parts_or_our_own_error(text: str) -> None:
    with contextlib.suppress(InvalidCredential):
        for disclosure in split_sd_jwt(text).disclosures:
            read_disclosure(disclosure)


digests = st.sampled_from([digest_of(A), digest_of(B), digest_of(disclosed(1)), "x", 5])
payloads = st.recursive(
    st.just(1) | st.builds(lambda digest: {"...": digest}, digests),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "..."]), inner, max_size=3)
        | st.builds(lambda some: {"_sd": some}, st.lists(digests, max_size=3))
    ),
    max_leaves=8,
)


@given(
    payload=st.dictionaries(st.sampled_from(["a", "c", "_sd"]), payloads),
    given_=st.lists(st.sampled_from([A, B, disclosed(1)]), max_size=3),
)
def test_any_payload_is_revealed_whole_or_refused(
    payload: dict[str, object], given_: list[str]
) -> None:
    with contextlib.suppress(InvalidCredential):
        revealed = reveal(payload, given_)
        assert len(revealed.placed) == len(given_)
        text = encode_json(revealed.claims)
        assert b'"_sd"' not in text
        assert b'"..."' not in text
