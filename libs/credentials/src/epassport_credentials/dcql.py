"""DCQL, the query language of OpenID4VP 1.0 (§6, §7): what a verifier asks a wallet for.

`read_dcql` takes well-formed queries only, as the text of the standard has it; unknown
members are ignored (§6). `answer` is the wallet's side: which credentials fit, and which
claims of them to show. `fits` is the verifier's: does what came satisfy the query.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from epassport_credentials.claims import text_of
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.sd_jwt import MAX_NESTING, Pointer

SD_JWT_VC, MDOC = "dc+sd-jwt", "mso_mdoc"  # Annex B.3.1 and B.2.1

# The largest published query (an EU PID, every claim) has 1 credential, 27 claims.
MAX_ENTRIES = 64

Value = str | int | bool
Entry = TypeVar("Entry")

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # §6.1; the length is ours


@dataclass(frozen=True)
class ClaimQuery:
    """path: a claims path pointer; values: of which one must be there, None for any."""

    path: Pointer
    values: tuple[Value, ...] | None = None
    id: str | None = None


@dataclass(frozen=True)
class CredentialQuery:
    """One credential that is asked for (§6.1).

    types: `vct_values` or the one `doctype_value`; empty for formats not known here,
        which nothing fits
    claims: empty asks for none that is selectively disclosable
    authorities: pairs of type and value, of which one must fit; empty for any
    """

    id: str
    format: str
    types: tuple[str, ...]
    claims: tuple[ClaimQuery, ...] = ()
    claim_sets: tuple[tuple[str, ...], ...] = ()
    authorities: tuple[tuple[str, str], ...] = ()
    multiple: bool = False
    holder_binding: bool = True


@dataclass(frozen=True)
class CredentialSet:
    """Options of credential query ids, the preferred first (§6.2)."""

    options: tuple[tuple[str, ...], ...]
    required: bool = True


@dataclass(frozen=True)
class DcqlQuery:
    credentials: tuple[CredentialQuery, ...]
    sets: tuple[CredentialSet, ...] = ()


@dataclass(frozen=True)
class Held:
    """A credential as the query sees it. claims: of an mdoc, elements by namespace."""

    id: str
    format: str
    type: str
    claims: Mapping[str, object] = field(repr=False)
    holder_binding: bool = True
    authorities: Collection[tuple[str, str]] = ()


@dataclass(frozen=True)
class Match:
    """One credential to present and the claims of it to show."""

    credential_id: str
    pointers: tuple[Pointer, ...]


def answer(query: DcqlQuery, wallet: Iterable[Held]) -> Mapping[str, tuple[Match, ...]] | None:
    """What to present, by credential query id; None if the query cannot be satisfied (§6.4).

    Of several that fit the first is taken unless `multiple`; of optional sets, those that
    can be met.
    """
    held = tuple(wallet)
    fitting: dict[str, tuple[Match, ...]] = {}
    for asked in query.credentials:
        shown = ((one.id, fits(asked, one)) for one in held)
        matches = tuple(Match(id_, pointers) for id_, pointers in shown if pointers is not None)
        if matches:
            fitting[asked.id] = matches if asked.multiple else matches[:1]
    wanted = satisfied_by(query, fitting.keys())
    return None if wanted is None else {id_: fitting[id_] for id_ in wanted}


def satisfied_by(query: DcqlQuery, present: Collection[str]) -> tuple[str, ...] | None:
    """The ids to return of those present, in the order of the query; None if too few (§6.4.2)."""
    ids = [asked.id for asked in query.credentials]
    if not query.sets:
        return tuple(ids) if all(id_ in present for id_ in ids) else None
    wanted: set[str] = set()
    for one in query.sets:
        met = next((set(ids) for ids in one.options if set(ids) <= set(present)), None)
        if met is None and one.required:
            return None
        wanted |= met or set()
    return tuple(id_ for id_ in ids if id_ in wanted)


def fits(asked: CredentialQuery, held: Held) -> tuple[Pointer, ...] | None:
    """The claims to show, of the first claim set that is there; None if it does not fit."""
    if held.format != asked.format or held.type not in asked.types:
        return None
    if asked.holder_binding and not held.holder_binding:
        return None
    if asked.authorities and not set(asked.authorities) & set(held.authorities):
        return None
    options = asked.claim_sets or (None,)
    for option in options:
        chosen = [one for one in asked.claims if option is None or one.id in option]
        if all(_is_there(one, held.claims) for one in chosen):
            return tuple(dict.fromkeys(one.path for one in chosen))
    return None


def select(pointer: Pointer, claims: Mapping[str, object]) -> list[object]:
    """What a claims path pointer points to (§7.1.1); nothing where processing would abort."""
    selected: list[object] = [claims]
    for step in pointer:
        if isinstance(step, str):
            if not all(isinstance(one, Mapping) for one in selected):
                return []
            selected = [one[step] for one in selected if step in one]  # type: ignore[index,operator]
            continue
        if not all(isinstance(one, list) for one in selected):
            return []
        arrays: list[list[object]] = selected  # type: ignore[assignment]
        if step is None:
            selected = [element for array in arrays for element in array]
        else:
            selected = [array[step] for array in arrays if step < len(array)]
    return selected


def read_dcql(value: object) -> DcqlQuery:
    """The query in a JSON value. Raises InvalidCredential: MALFORMED, TOO_LONG."""
    members = _object(value)
    credentials = _entries(members.get("credentials"), _read_credential)
    _check_unique([one.id for one in credentials])
    sets: tuple[CredentialSet, ...] = ()
    if "credential_sets" in members:
        sets = _entries(members["credential_sets"], _read_set)
    ids = {one.id for one in credentials}
    if not all(set(option) <= ids for one in sets for option in one.options):
        raise _malformed("an option names a credential that is not asked for")
    return DcqlQuery(credentials, sets)


def write_dcql(query: DcqlQuery) -> dict[str, object]:
    """The query as a JSON value; members with their default value are left out."""
    value: dict[str, object] = {"credentials": [_write_credential(c) for c in query.credentials]}
    if query.sets:
        value["credential_sets"] = [
            {"options": [list(option) for option in one.options]}
            | ({} if one.required else {"required": False})
            for one in query.sets
        ]
    return value


def _is_there(asked: ClaimQuery, claims: Mapping[str, object]) -> bool:
    selected = select(asked.path, claims)
    if asked.values is None:
        return bool(selected)
    # Type and value (§6.3): 1 is neither true nor "1".
    wanted = {(type(value), value) for value in asked.values}
    scalars = (one for one in selected if isinstance(one, str | int))
    return any((type(one), one) in wanted for one in scalars)


def _read_credential(value: object) -> CredentialQuery:
    members = _object(value)
    format_ = text_of(members, "format")
    is_mdoc = format_ == MDOC
    claims: tuple[ClaimQuery, ...] = ()
    if "claims" in members:
        claims = _entries(members["claims"], lambda one: _read_claim(one, is_mdoc=is_mdoc))
    _check_unique([one.id for one in claims if one.id is not None])
    claim_sets: tuple[tuple[str, ...], ...] = ()
    if "claim_sets" in members:
        claim_sets = _entries(members["claim_sets"], _texts)
        if any(one.id is None for one in claims):
            raise _malformed("with claim_sets every claim has an id")
        if not {id_ for option in claim_sets for id_ in option} <= {one.id for one in claims}:
            raise _malformed("a claim set names a claim that is not there")
    authorities: tuple[tuple[tuple[str, str], ...], ...] = ()
    if "trusted_authorities" in members:
        authorities = _entries(members["trusted_authorities"], _read_authority)
    return CredentialQuery(
        id=_id(members),
        format=format_,
        types=_read_types(format_, _object(members.get("meta"))),
        claims=claims,
        claim_sets=claim_sets,
        authorities=tuple(pair for pairs in authorities for pair in pairs),
        multiple=_flag(members, "multiple", default=False),
        holder_binding=_flag(members, "require_cryptographic_holder_binding", default=True),
    )


def _read_types(format_: str, meta: Mapping[str, object]) -> tuple[str, ...]:
    if format_ == SD_JWT_VC:
        return _texts(meta.get("vct_values"))
    return (text_of(meta, "doctype_value"),) if format_ == MDOC else ()


def _read_claim(value: object, *, is_mdoc: bool) -> ClaimQuery:
    members = _object(value)
    path = _entries(members.get("path"), _read_step, at_most=MAX_NESTING)
    if is_mdoc and not (len(path) == 2 and all(isinstance(step, str) for step in path)):
        raise _malformed("an mdoc path is a namespace and an element (§7.2)")
    values = _entries(members["values"], _read_value) if "values" in members else None
    return ClaimQuery(path, values, _id(members) if "id" in members else None)


def _read_step(value: object) -> str | int | None:
    if value is None or isinstance(value, str) or (type(value) is int and value >= 0):
        return value
    raise _malformed("a path is made of texts, nulls and non-negative integers")


def _read_value(value: object) -> Value:
    if isinstance(value, str | int):  # bool is an int
        return value
    raise _malformed("values are texts, integers and booleans")


def _read_authority(value: object) -> tuple[tuple[str, str], ...]:
    members = _object(value)
    kind = text_of(members, "type")
    return tuple((kind, one) for one in _texts(members.get("values")))


def _read_set(value: object) -> CredentialSet:
    members = _object(value)
    options = _entries(members.get("options"), _texts)
    return CredentialSet(options, _flag(members, "required", default=True))


def _write_credential(asked: CredentialQuery) -> dict[str, object]:
    value: dict[str, object] = {"id": asked.id, "format": asked.format, "meta": {}}
    if asked.format == SD_JWT_VC:
        value["meta"] = {"vct_values": list(asked.types)}
    elif asked.format == MDOC:
        value["meta"] = {"doctype_value": asked.types[0]}
    if asked.claims:
        value["claims"] = [_write_claim(one) for one in asked.claims]
    if asked.claim_sets:
        value["claim_sets"] = [list(option) for option in asked.claim_sets]
    if asked.authorities:
        value["trusted_authorities"] = [
            {"type": kind, "values": [one]} for kind, one in asked.authorities
        ]
    if asked.multiple:
        value["multiple"] = True
    if not asked.holder_binding:
        value["require_cryptographic_holder_binding"] = False
    return value


def _write_claim(asked: ClaimQuery) -> dict[str, object]:
    value: dict[str, object] = {"path": list(asked.path)}
    if asked.values is not None:
        value["values"] = list(asked.values)
    if asked.id is not None:
        value["id"] = asked.id
    return value


def _entries(
    value: object, read: Callable[[object], Entry], *, at_most: int = MAX_ENTRIES
) -> tuple[Entry, ...]:
    if not isinstance(value, list) or not value:
        raise _malformed("not an array with something in it")
    if len(value) > at_most:
        raise InvalidCredential(Reason.TOO_LONG, f"more than {at_most} entries")
    return tuple(read(entry) for entry in value)


def _texts(value: object) -> tuple[str, ...]:
    return _entries(value, _text)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _malformed("not a text")
    return value


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _malformed("not an object")
    return value


def _flag(members: Mapping[str, object], name: str, *, default: bool) -> bool:
    value = members.get(name, default)
    if not isinstance(value, bool):
        raise _malformed(f"{name} is not a boolean")
    return value


def _id(members: Mapping[str, object]) -> str:
    value = text_of(members, "id")
    if not _ID.fullmatch(value):
        raise _malformed("an id is made of letters, digits, _ and -")
    return value


def _check_unique(ids: Sequence[str]) -> None:
    if len(set(ids)) != len(ids):
        raise _malformed("an id stands twice")


def _malformed(detail: str) -> InvalidCredential:
    return InvalidCredential(Reason.MALFORMED, detail)
