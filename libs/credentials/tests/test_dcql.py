import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.dcql import (
    MAX_ENTRIES,
    ClaimQuery,
    CredentialQuery,
    CredentialSet,
    DcqlQuery,
    Held,
    Match,
    answer,
    fits,
    read_dcql,
    satisfied_by,
    select,
    write_dcql,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.sd_jwt import MAX_NESTING

VCT = "https://credentials.epassport.test/pass/1"
PERSON = {
    "name": "Anna",
    "age": 36,
    "adult": True,
    "address": {"locality": "Kazan"},
    "documents": [{"number": "1"}, {"number": "2", "kind": "card"}],
    "nationalities": ["RUS", "KAZ"],
    "mixed": [["a"], "b"],
}
PASS = Held("pass", "dc+sd-jwt", VCT, PERSON)


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


@pytest.mark.parametrize(
    ("pointer", "selected"),
    [
        (("name",), ["Anna"]),
        (("address", "locality"), ["Kazan"]),
        (("nationalities", None), ["RUS", "KAZ"]),
        (("nationalities", 1), ["KAZ"]),
        (("nationalities", 2), []),
        (("documents", None, "number"), ["1", "2"]),
        (("documents", None, "kind"), ["card"]),
        (("documents", None, "other"), []),
        (("mixed", None, 0), []),
        (("mixed", None, None), []),
        (("address", 0), []),
        (("address", None), []),
        (("name", "x"), []),
        (("documents", "number"), []),
        (("other",), []),
    ],
)
def test_a_pointer_selects_what_the_standard_says(
    pointer: tuple[str | int | None, ...], selected: list[object]
) -> None:
    assert select(pointer, PERSON) == selected


def asked(**changes: object) -> CredentialQuery:
    return CredentialQuery(**{"id": "a", "format": "dc+sd-jwt", "types": (VCT,), **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "values", "is_there"),
    [
        (("age",), (36,), True),
        (("age",), ("36",), False),
        (("age",), (35, 36), True),
        (("adult",), (True,), True),
        (("adult",), (1,), False),
        (("age",), (True,), False),
        (("nationalities", None), ("KAZ",), True),
        (("address",), ("Kazan",), False),
    ],
)
def test_a_value_fits_in_type_and_in_value(
    path: tuple[str | int | None, ...], values: tuple[str | int | bool, ...], is_there: bool
) -> None:
    shown = fits(asked(claims=(ClaimQuery(path, values),)), PASS)
    assert shown == ((path,) if is_there else None)


def test_the_first_claim_set_that_is_there_is_shown_and_nothing_twice() -> None:
    claims = tuple(
        ClaimQuery((name,), id=id_)
        for id_, name in (("e", "email"), ("n", "name"), ("a", "age"), ("m", "name"))
    )
    shown = fits(asked(claims=claims, claim_sets=(("e", "n"), ("n", "m", "a"), ("a",))), PASS)
    assert shown == (("name",), ("age",))
    assert fits(asked(claims=claims, claim_sets=(("e",),)), PASS) is None
    assert fits(asked(claims=claims), PASS) is None


def test_a_credential_of_another_kind_does_not_fit() -> None:
    assert fits(asked(), PASS) == ()
    assert fits(asked(format="mso_mdoc"), PASS) is None
    assert fits(asked(types=(VCT + "0",)), PASS) is None
    unbound = Held("pass", "dc+sd-jwt", VCT, PERSON, holder_binding=False)
    assert fits(asked(), unbound) is None
    assert fits(asked(holder_binding=False), unbound) == ()
    known = Held("pass", "dc+sd-jwt", VCT, PERSON, authorities=[("aki", "x")])
    assert fits(asked(authorities=(("aki", "y"), ("aki", "x"))), known) == ()
    assert fits(asked(authorities=(("etsi_tl", "x"),)), known) is None


def test_the_first_that_fits_is_presented_unless_several_are_asked() -> None:
    second = Held("second", "dc+sd-jwt", VCT, PERSON)
    one = DcqlQuery((asked(),))
    assert answer(one, [PASS, second]) == {"a": (Match("pass", ()),)}
    many = DcqlQuery((asked(multiple=True),))
    assert answer(many, [PASS, second]) == {"a": (Match("pass", ()), Match("second", ()))}
    assert answer(one, []) is None


def test_sets_say_which_credentials_are_enough() -> None:
    queries = tuple(asked(id=id_) for id_ in "abc")
    assert satisfied_by(DcqlQuery(queries), "ab") is None
    assert satisfied_by(DcqlQuery(queries), "cba") == ("a", "b", "c")
    either = CredentialSet((("a", "b"), ("c",)))
    optional = CredentialSet((("b",),), required=False)
    assert satisfied_by(DcqlQuery(queries, (either,)), "ac") == ("c",)
    assert satisfied_by(DcqlQuery(queries, (either, optional)), "bc") == ("b", "c")
    assert satisfied_by(DcqlQuery(queries, (either, optional)), "c") == ("c",)
    assert satisfied_by(DcqlQuery(queries, (either, optional)), "b") is None


ids = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
texts = st.text(max_size=5)
steps = st.none() | texts | st.integers(0, 2**40)
values = st.none() | st.lists(texts | st.integers() | st.booleans(), min_size=1, max_size=3).map(
    tuple
)


@st.composite
def credential_queries(draw: st.DrawFn, id_: str) -> CredentialQuery:
    is_mdoc = draw(st.booleans())
    path = (
        st.lists(texts, min_size=2, max_size=2)
        if is_mdoc
        else st.lists(steps, min_size=1, max_size=4)
    )
    names = draw(st.lists(ids, max_size=3, unique=True))
    claims = tuple(ClaimQuery(tuple(draw(path)), draw(values), name) for name in names)
    options = st.lists(st.sampled_from(names), min_size=1, max_size=3).map(tuple) if names else None
    return CredentialQuery(
        id=id_,
        format="mso_mdoc" if is_mdoc else "dc+sd-jwt",
        types=tuple(draw(st.lists(texts, min_size=1, max_size=1 if is_mdoc else 3))),
        claims=claims,
        claim_sets=tuple(draw(st.lists(options, max_size=2))) if options is not None else (),
        authorities=tuple(draw(st.lists(st.tuples(texts, texts), max_size=2))),
        multiple=draw(st.booleans()),
        holder_binding=draw(st.booleans()),
    )


@st.composite
def queries(draw: st.DrawFn) -> DcqlQuery:
    names = draw(st.lists(ids, min_size=1, max_size=3, unique=True))
    options = st.lists(
        st.lists(st.sampled_from(names), min_size=1, max_size=2).map(tuple), min_size=1, max_size=2
    )
    sets = st.lists(
        st.builds(
            lambda some, required: CredentialSet(tuple(some), required), options, st.booleans()
        ),
        max_size=2,
    )
    return DcqlQuery(tuple(draw(credential_queries(name)) for name in names), tuple(draw(sets)))


@given(queries())
def test_a_query_survives_its_encoding(query: DcqlQuery) -> None:
    assert read_dcql(write_dcql(query)) == query


GOOD = {"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.MALFORMED),
        ([], Reason.MALFORMED),
        ({"credentials": [GOOD, GOOD]}, Reason.MALFORMED),
        ({"credentials": [GOOD | {"id": ""}]}, Reason.MALFORMED),
        ({"credentials": [GOOD | {"id": "a\n"}]}, Reason.MALFORMED),
        ({"credentials": [GOOD | {"multiple": 1}]}, Reason.MALFORMED),
        ({"credentials": [GOOD | {"meta": {"vct_values": [1]}}]}, Reason.MALFORMED),
        ({"credentials": [GOOD | {"format": "mso_mdoc"}]}, Reason.MALFORMED),
        ({"credentials": [GOOD | {"claims": [{"path": [1.0]}]}]}, Reason.MALFORMED),
        ({"credentials": [GOOD | {"claims": [{"path": ["a", -1]}]}]}, Reason.MALFORMED),
        ({"credentials": [GOOD | {"claims": [{"path": ["a", True]}]}]}, Reason.MALFORMED),
        (
            {"credentials": [GOOD | {"claims": [{"path": ["a"], "values": [1.5]}]}]},
            Reason.MALFORMED,
        ),
        ({"credentials": [GOOD | {"claims": [{"path": ["a"], "id": 1}]}]}, Reason.MALFORMED),
        ({"credentials": [GOOD], "credential_sets": [{"options": [[]]}]}, Reason.MALFORMED),
        ({"credentials": [GOOD | {"trusted_authorities": [{"type": "aki"}]}]}, Reason.MALFORMED),
        ({"credentials": [GOOD] * (MAX_ENTRIES + 1)}, Reason.TOO_LONG),
        (
            {"credentials": [GOOD | {"claims": [{"path": ["a"] * (MAX_NESTING + 1)}]}]},
            Reason.TOO_LONG,
        ),
    ],
)
def test_a_malformed_query_is_refused(value: object, reason: Reason) -> None:
    assert reason_of(read_dcql, value) is reason


def test_a_format_that_is_not_known_is_asked_for_in_vain() -> None:
    query = read_dcql({"credentials": [{"id": "a", "format": "ldp_vc", "meta": {}}]})
    assert answer(query, [PASS]) is None


shapes = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | texts | st.sampled_from(["dc+sd-jwt", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "credentials",
                    "id",
                    "format",
                    "meta",
                    "vct_values",
                    "claims",
                    "path",
                    "values",
                    "claim_sets",
                    "credential_sets",
                    "options",
                    "trusted_authorities",
                    "type",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(shapes, shapes)
def test_any_json_ends_in_a_query_or_our_own_error(value: object, more: object) -> None:
    good = {"credentials": [GOOD | {"claims": more}], "credential_sets": value}
    for candidate in (value, good, {"credentials": [GOOD | {"claims": value, "claim_sets": more}]}):
        with contextlib.suppress(InvalidCredential):
            answer(read_dcql(candidate), [PASS])
