"""Compact JWS and SD-JWT: header, payload, disclosures, and what binds them to a key."""

import json
import re
from collections.abc import Mapping

from epassport_credentials.described.outline import Outline, shown_date, shown_text
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import decode_base64url

_JWS = re.compile(r"[\w-]+\.[\w-]*\.[\w-]*")
_DATES = frozenset({"iat", "exp", "nbf", "not_before", "not_after"})
_MAX_MEMBERS = 50  # of an array: a pack holds many keys
_MAX_LEVELS = 12


def is_token(text: str) -> bool:
    return text.startswith("ey") and _JWS.match(text) is not None


def describe_token(text: str) -> Outline:
    """Raises InvalidCredential: MALFORMED."""
    jws, *rest = text.split("~")
    outline = list(_jws("JWS" if not rest else "SD-JWT", jws))
    binding = rest.pop() if rest else ""
    for place, disclosure in enumerate(rest):
        outline.append((f"disclosure {place}", _value("", _json(disclosure), 0)))
    if binding:
        outline += _jws("key binding", binding)
    return outline


def _jws(kind: str, jws: str) -> Outline:
    if _JWS.fullmatch(jws) is None:
        raise InvalidCredential(Reason.MALFORMED, "not three parts")
    header, payload, signature = jws.split(".")
    return [
        (kind, f"{len(jws)} characters"),
        ("header", _value("", _json(header), 0)),
        ("payload", _value("", _json(payload), 0)),
        ("signature", f"{len(decode_base64url(signature))} bytes, not checked"),
    ]


def _json(part: str) -> object:
    try:
        return json.loads(decode_base64url(part))
    except (ValueError, RecursionError) as error:
        raise InvalidCredential(Reason.MALFORMED, "not JSON") from error


def _value(name: str, value: object, level: int) -> "str | Outline":
    if level > _MAX_LEVELS:
        return "…"
    match value:
        case Mapping():
            return [
                (shown_text(str(key)), _value(str(key), member, level + 1))
                for key, member in value.items()
            ]
        case list():
            shown = [
                (str(place), _value("", member, level + 1))
                for place, member in enumerate(value[:_MAX_MEMBERS])
            ]
            more = len(value) - _MAX_MEMBERS
            return [*shown, ("…", f"{more} more")] if more > 0 else shown
        case int() if name in _DATES:
            return shown_date(value)
        case str():
            return shown_text(value)
    return json.dumps(value)
