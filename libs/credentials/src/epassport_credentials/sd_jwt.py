"""The form of an SD-JWT (RFC 9901): a signed payload, disclosures beside it, digests between.

Text: issuer-signed JWT, "~", each disclosure followed by "~", then a key binding JWT or
nothing (§4). A disclosure is base64url of a JSON array: salt, name and value of a member
of an object, or salt and value of an element of an array (§4.2). Its digest, over the
text as it arrived, stands in `_sd` or in `{"...": digest}` (§4.2.4).

This module knows no keys. `reveal` may be called only with a payload whose signature has
been checked. Written here: members of the top level. Read: any nesting.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import decode_base64url, encode_base64url, encode_json, read_json

# An identity credential with a portrait of 40 kB has 54,000; the rest is room.
MAX_SD_JWT_CHARACTERS = 131_072
MAX_DISCLOSURES = 256  # a person identification document has about 40
MAX_NESTING = 16  # the deepest of the published examples has 6
MIN_SALT_BYTES = 16  # §9.3: 128 bits

SD, SD_ALG, ELEMENT = "_sd", "_sd_alg", "..."
SHA_256 = "sha-256"

Path = tuple[str | int, ...]
Pointer = tuple[str | int | None, ...]  # None: every element (OpenID4VP 1.0 §7)


@dataclass(frozen=True)
class SplitSdJwt:
    """presented: what a key binding is over, up to the last "~"; key_binding: or empty."""

    issuer_jwt: str
    disclosures: tuple[str, ...]
    presented: str
    key_binding: str


@dataclass(frozen=True)
class Disclosure:
    """name: of the member, None for an element of an array."""

    encoded: str
    digest: str
    name: str | None
    value: object = field(repr=False)


@dataclass(frozen=True)
class Placed:
    """Where a disclosure stands; indices count the elements that are disclosed."""

    path: Path
    disclosure: Disclosure


@dataclass(frozen=True)
class Revealed:
    """claims: the processed payload (§7.1); placed: outer disclosures before inner ones."""

    claims: Mapping[str, object] = field(repr=False)
    placed: tuple[Placed, ...]


def write_disclosure(salt: bytes, name: str, value: object) -> Disclosure:
    """salt: at least 16 random bytes, never used twice."""
    if len(salt) < MIN_SALT_BYTES:
        raise ValueError(f"a salt has at least {MIN_SALT_BYTES} bytes")
    encoded = encode_base64url(encode_json([encode_base64url(salt), name, value]))
    return Disclosure(encoded, digest_of(encoded), name, value)


def read_disclosure(encoded: str) -> Disclosure:
    """Raises InvalidCredential: MALFORMED, FORBIDDEN_CLAIM (a member named _sd or ...)."""
    match read_json(decode_base64url(encoded)):
        case [str(), value]:
            name = None
        case [str(), str(name), value]:
            if name in (SD, ELEMENT):
                raise InvalidCredential(Reason.FORBIDDEN_CLAIM, "a disclosure of _sd or ...")
        case _:
            raise InvalidCredential(Reason.MALFORMED, "not a disclosure")
    return Disclosure(encoded, digest_of(encoded), name, value)


def digest_of(text: str) -> str:
    """SHA-256 of the ASCII text, base64url: of a disclosure (§4.2.3) and `sd_hash` (§4.3.1)."""
    return encode_base64url(hashlib.sha256(text.encode()).digest())


def split_sd_jwt(text: str) -> SplitSdJwt:
    """Take the text apart; nothing in it is read yet.

    Raises InvalidCredential: TOO_LONG, MALFORMED.
    """
    if len(text) > MAX_SD_JWT_CHARACTERS:
        raise InvalidCredential(Reason.TOO_LONG, f"more than {MAX_SD_JWT_CHARACTERS} characters")
    issuer_jwt, *disclosures, key_binding = text.split("~") if "~" in text else ("", "")
    if not issuer_jwt or not text.isascii():
        raise InvalidCredential(Reason.MALFORMED, "not an SD-JWT")
    if len(disclosures) > MAX_DISCLOSURES:
        raise InvalidCredential(Reason.TOO_LONG, f"more than {MAX_DISCLOSURES} disclosures")
    presented = text[: len(text) - len(key_binding)]
    return SplitSdJwt(issuer_jwt, tuple(disclosures), presented, key_binding)


def join_sd_jwt(issuer_jwt: str, disclosures: Sequence[Disclosure]) -> str:
    """Ending in "~" (§4); a key binding JWT may follow."""
    return "~".join((issuer_jwt, *(disclosure.encoded for disclosure in disclosures), ""))


def reveal(payload: Mapping[str, object], encoded: Sequence[str]) -> Revealed:
    """Put the disclosures into the places of their digests (§7.1 steps 2 to 5).

    payload: of the issuer-signed JWT, signature checked
    Raises InvalidCredential: MALFORMED, FORBIDDEN_CLAIM, UNSUPPORTED_ALGORITHM (_sd_alg),
    DUPLICATE_DIGEST, DUPLICATE_CLAIM, DISCLOSURE_NOT_SIGNED, TOO_LONG (nested too deep).
    """
    if payload.get(SD_ALG, SHA_256) != SHA_256:
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "_sd_alg is not sha-256")
    disclosures = [read_disclosure(text) for text in encoded]
    by_digest = {disclosure.digest: disclosure for disclosure in disclosures}
    if len(by_digest) != len(disclosures):
        raise InvalidCredential(Reason.DUPLICATE_DIGEST, "a disclosure given twice")
    revealing = _Revealing(by_digest)
    claims = revealing.of_object(payload, ())
    if len(revealing.placed) != len(disclosures):
        raise InvalidCredential(Reason.DISCLOSURE_NOT_SIGNED, "no digest for a disclosure")
    return Revealed(
        {name: value for name, value in claims.items() if name != SD_ALG},
        tuple(revealing.placed),
    )


def choose(revealed: Revealed, pointers: Collection[Pointer]) -> list[Disclosure]:
    """The disclosures that show what is pointed to, whole, and no others.

    pointers: claims path pointers (OpenID4VP 1.0 §7); of a nested claim the disclosures
        above it are needed too
    """
    return [
        placed.disclosure
        for placed in revealed.placed
        if any(_is_on_the_way(placed.path, pointer) for pointer in pointers)
    ]


def _is_on_the_way(path: Path, pointer: Pointer) -> bool:
    """One leads to the other: all that both have in common is equal."""
    return all(
        isinstance(step, int) if wanted is None else step == wanted
        for step, wanted in zip(path, pointer, strict=False)
    )


class _Revealing:
    """One walk through a payload and the disclosures that its digests lead to."""

    def __init__(self, by_digest: Mapping[str, Disclosure]) -> None:
        self._by_digest = by_digest
        self._seen: set[str] = set()
        self.placed: list[Placed] = []

    def of_object(self, value: Mapping[str, object], path: Path) -> dict[str, object]:
        if ELEMENT in value:
            raise InvalidCredential(Reason.FORBIDDEN_CLAIM, "a member named ...")
        result = {
            name: self._of_value(member, (*path, name))
            for name, member in value.items()
            if name != SD
        }
        digests = value.get(SD, [])
        if not isinstance(digests, list):
            raise InvalidCredential(Reason.MALFORMED, "_sd is not an array")
        for digest in digests:
            disclosure = self._disclosure(digest, is_member=True)
            if disclosure is None or disclosure.name is None:
                continue
            if disclosure.name in value or disclosure.name in result:
                raise InvalidCredential(Reason.DUPLICATE_CLAIM, "a disclosed member stands twice")
            place = (*path, disclosure.name)
            self.placed.append(Placed(place, disclosure))
            result[disclosure.name] = self._of_value(disclosure.value, place)
        return result

    def _of_array(self, value: Sequence[object], path: Path) -> list[object]:
        result: list[object] = []
        for element in value:
            place = (*path, len(result))
            if not (isinstance(element, dict) and ELEMENT in element):
                result.append(self._of_value(element, place))
                continue
            if len(element) != 1:
                raise InvalidCredential(Reason.MALFORMED, "... beside other members")
            disclosure = self._disclosure(element[ELEMENT], is_member=False)
            if disclosure is not None:
                self.placed.append(Placed(place, disclosure))
                result.append(self._of_value(disclosure.value, place))
        return result

    def _of_value(self, value: object, path: Path) -> object:
        if not isinstance(value, dict | list):
            return value
        if len(path) > MAX_NESTING:
            raise InvalidCredential(Reason.TOO_LONG, f"nested deeper than {MAX_NESTING}")
        return (
            self.of_object(value, path) if isinstance(value, dict) else self._of_array(value, path)
        )

    def _disclosure(self, digest: object, *, is_member: bool) -> Disclosure | None:
        """None for what is not disclosed, and for a decoy (§4.2.5)."""
        if not isinstance(digest, str):
            raise InvalidCredential(Reason.MALFORMED, "a digest is not a text")
        if digest in self._seen:
            raise InvalidCredential(Reason.DUPLICATE_DIGEST, "a digest stands twice")
        self._seen.add(digest)
        disclosure = self._by_digest.get(digest)
        if disclosure is not None and (disclosure.name is not None) is not is_member:
            raise InvalidCredential(Reason.MALFORMED, "a disclosure of the other shape")
        return disclosure
