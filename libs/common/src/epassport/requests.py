"""Reading a request: every byte of it is untrusted until one of these functions returned it.

Limits come before parsing. What does not fit is told by path and code of our own schema,
never by what was sent: a field that we do not know is itself something the caller sent.
"""

import asyncio
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from starlette.requests import Request

from epassport.actor import Channel, Role
from epassport.commands import Token
from epassport.errors import Unsafe
from epassport.problems import Problem, Reason

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_BODY_SECONDS = 10
MAX_ACCEPT_CHARACTERS = 1000
UNKNOWN_FIELD = "extra_forbidden"

_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,200}")
_ENTITY_TAG = re.compile(r'"([0-9]{1,9})"|([0-9]{1,9})')
_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_TOKEN = re.compile(r"[0-9]{1,19}-[0-9]{1,18}")
# U+0000 as an escape that is not itself escaped; PostgreSQL holds it neither in text nor in jsonb.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_LOOKS_LIKE_NUL = rb"\u0000"  # found a hundred times as fast: an image has 200 kB to look through

M = TypeVar("M", bound=BaseModel)


async def read_json(request: Request) -> bytes:
    """The body as canonical JSON (members sorted, no white space), at most 2 MB."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(Reason.MEDIA_TYPE_NOT_JSON)
    octets = await _read_body(request)
    try:
        canonical = orjson.dumps(orjson.loads(octets), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONDecodeError:
        raise Problem(Reason.MALFORMED_JSON) from None
    if _LOOKS_LIKE_NUL in canonical and _NUL.search(canonical):
        raise Problem(Reason.INVALID_BODY)
    return canonical


async def _read_body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise Problem(Reason.BODY_TOO_LARGE)
    octets = bytearray()
    try:
        async with asyncio.timeout(MAX_BODY_SECONDS):
            async for chunk in request.stream():
                octets += chunk
                if len(octets) > MAX_BODY_BYTES:
                    raise Problem(Reason.BODY_TOO_LARGE)
    except TimeoutError:
        raise Problem(Reason.BODY_TOO_SLOW) from None
    return bytes(octets)


class BodyReader:
    """Validates bodies of one model, which and whose parts must forbid unknown fields."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model
        self._names = _schema_names(model)

    def read(self, canonical: bytes) -> BaseModel:
        """Strict: no text for numbers, no numbers for truth values."""
        try:
            return self._model.model_validate_json(canonical, strict=True)
        except ValidationError as error:
            raise Problem(Reason.INVALID_BODY, fields=_faults(error, self._names)) from None


class ParameterReader:
    """Validates path and query parameters of one route; each may stand once."""

    def __init__(self, operation: str, parameters: Mapping[str, inspect.Parameter]) -> None:
        fields: dict[str, Any] = {
            name: (
                parameter.annotation,
                ... if parameter.default is parameter.empty else parameter.default,
            )
            for name, parameter in parameters.items()
        }
        self._names = frozenset(fields)
        self._model = create_model(
            operation, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **fields
        )

    def read(self, request: Request) -> dict[str, Any]:
        query = request.query_params.multi_items()
        given = dict(query) | request.path_params
        if len(given) != len(query) + len(request.path_params):
            raise Problem(Reason.INVALID_PARAMETER)
        if any("\x00" in value for value in given.values()):
            raise Problem(Reason.INVALID_PARAMETER)
        given.pop("after", None)
        try:
            read = self._model.model_validate(given)
        except ValidationError as error:
            raise Problem(Reason.INVALID_PARAMETER, fields=_faults(error, self._names)) from None
        return {name: getattr(read, name) for name in self._names}


def read_after(request: Request) -> Token | None:
    text = request.query_params.get("after")
    if text is None:
        return None
    if not _TOKEN.fullmatch(text):
        raise Problem(Reason.INVALID_PARAMETER, fields=[("after", "malformed")])
    return Token.parse(text)


def read_idempotency_key(request: Request) -> str:
    values = request.headers.getlist("idempotency-key")
    if not values:
        raise Problem(Reason.IDEMPOTENCY_KEY_MISSING)
    if len(values) > 1 or not _IDEMPOTENCY_KEY.fullmatch(values[0]):
        raise Problem(Reason.IDEMPOTENCY_KEY_MALFORMED)
    return values[0]


def read_expected_version(request: Request) -> int | None:
    """If-Match as a version, quoted (RFC 9110 §8.8.3) or bare."""
    text = request.headers.get("if-match")
    if text is None:
        return None
    match = _ENTITY_TAG.fullmatch(text.strip())
    if match is None:
        raise Problem(Reason.INVALID_HEADER, fields=[("If-Match", "malformed")])
    return int(match.group(1) or match.group(2))


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """The media type of `offered`, best first, that Accept (RFC 9110 §12.5.1) weighs most.

    None where it takes none of them. A part that cannot be read, and what stands behind the
    limit, is as if it were not there.
    """
    weights = dict(_weighed(part) for part in accept[:MAX_ACCEPT_CHARACTERS].split(","))

    def weight(media_type: str) -> float:
        group = media_type.partition("/")[0] + "/*"
        named = next((name for name in (media_type, group, "*/*") if name in weights), None)
        return 0.0 if named is None else weights[named]

    best = max(offered, key=weight)
    return best if weight(best) > 0 else None


def _weighed(part: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weight = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    return media_type, float(weight) if _WEIGHT.fullmatch(weight) else 0.0


def read_channel(request: Request, roles: frozenset[Role]) -> Channel:
    """X-Channel. The audit shall not show a citizen's own phone as a desk."""
    own = Channel.PHONE if roles <= {Role.CITIZEN} else Channel.DESK
    text = request.headers.get("x-channel", own)
    if text not in (Channel.DESK, Channel.PHONE, Channel.HOTLINE):
        raise Problem(Reason.INVALID_HEADER, fields=[("X-Channel", "unknown")])
    if own is Channel.PHONE and text != own:
        raise Problem(Reason.CHANNEL_NOT_ALLOWED)
    return Channel(text)


def _faults(error: ValidationError, names: frozenset[str]) -> list[tuple[str, str]]:
    """(path, code), each once. Names that are not the schema's are shown as `*`."""
    faults = {
        (_path(item["loc"], names), item["type"]): None
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    }
    return list(faults)[:50]


def _path(location: tuple[int | str, ...], names: frozenset[str]) -> str:
    return "/".join(
        str(part) if isinstance(part, int) or part in names else "*" for part in location
    )


def _schema_names(model: type[BaseModel]) -> frozenset[str]:
    """Raises Unsafe where a part of the model takes fields that it does not know."""
    schema = model.model_json_schema()
    names: set[str] = set()
    for part in (schema, *schema.get("$defs", {}).values()):
        properties = part.get("properties")
        if properties is None:
            continue
        if part.get("additionalProperties") is not False:
            raise Unsafe(f"{model.__name__}: {part.get('title')} must forbid unknown fields")
        names.update(properties)
    return frozenset(names)
