"""Problem answers (RFC 9457): a closed list of reasons, and nothing of what the caller sent.

Every exception that can leave a route is turned into one here; what is not foreseen is
`internal-error`, told apart only by its correlation id.
"""

# ruff: noqa: S105 - codes that tell about tokens, no passwords

from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from epassport.errors import Erased, KeyPending, NotVisibleYet, RecordTooLarge
from epassport.faults import is_transient
from epassport.telemetry import correlation_id


class Reason(StrEnum):
    """Reasons of the shell; refusals of deciders have their own lists."""

    TOKEN_MISSING = "token-missing"
    TOKEN_MALFORMED = "token-malformed"
    TOKEN_EXPIRED = "token-expired"
    TOKEN_NOT_YET_VALID = "token-not-yet-valid"
    TOKEN_WRONG_AUDIENCE = "token-wrong-audience"
    TOKEN_WRONG_ISSUER = "token-wrong-issuer"
    TOKEN_UNKNOWN_KEY = "token-unknown-key"
    TOKEN_BAD_SIGNATURE = "token-bad-signature"
    ROLE_NOT_ALLOWED = "role-not-allowed"
    CHANNEL_NOT_ALLOWED = "channel-not-allowed"
    MALFORMED_JSON = "malformed-json"
    MEDIA_TYPE_NOT_JSON = "media-type-not-json"
    INVALID_BODY = "invalid-body"
    INVALID_PARAMETER = "invalid-parameter"
    INVALID_HEADER = "invalid-header"
    NOT_ACCEPTABLE = "not-acceptable"
    BODY_TOO_LARGE = "body-too-large"
    BODY_TOO_SLOW = "body-too-slow"
    RECORD_TOO_LARGE = "record-too-large"
    IDEMPOTENCY_KEY_MISSING = "idempotency-key-missing"
    IDEMPOTENCY_KEY_MALFORMED = "idempotency-key-malformed"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    VERSION_CONFLICT = "version-conflict"
    UNKNOWN_ROUTE = "unknown-route"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    UNKNOWN_ID = "unknown-id"
    ERASED = "erased"
    KEY_PENDING = "key-pending"
    NOT_VISIBLE_YET = "not-visible-yet"
    UNAVAILABLE = "unavailable"
    INTERNAL_ERROR = "internal-error"


STATUS: Mapping[str, int] = {
    **{reason: 401 for reason in Reason if reason.startswith("token-")},
    Reason.ROLE_NOT_ALLOWED: 403,
    Reason.CHANNEL_NOT_ALLOWED: 403,
    Reason.MALFORMED_JSON: 400,
    Reason.MEDIA_TYPE_NOT_JSON: 415,
    Reason.INVALID_BODY: 422,
    Reason.INVALID_PARAMETER: 422,
    Reason.INVALID_HEADER: 400,
    Reason.NOT_ACCEPTABLE: 406,
    Reason.BODY_TOO_LARGE: 413,
    Reason.BODY_TOO_SLOW: 408,
    Reason.RECORD_TOO_LARGE: 413,
    Reason.IDEMPOTENCY_KEY_MISSING: 400,
    Reason.IDEMPOTENCY_KEY_MALFORMED: 400,
    Reason.IDEMPOTENCY_KEY_REUSED: 422,
    Reason.VERSION_CONFLICT: 412,
    Reason.UNKNOWN_ROUTE: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.UNKNOWN_ID: 404,
    Reason.ERASED: 410,
    Reason.KEY_PENDING: 503,
    Reason.NOT_VISIBLE_YET: 503,
    Reason.UNAVAILABLE: 503,
    Reason.INTERNAL_ERROR: 500,
}

REFUSED = 409
MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer that is not the wished one. `reason` is a code; no value of the caller's.

    fields: (path, code) of what does not fit the schema; paths hold schema names only.
    """

    def __init__(
        self,
        reason: str,
        *,
        fields: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(str(reason))
        self.reason = str(reason)
        self.status = STATUS.get(reason, REFUSED)
        self.fields = tuple(fields)
        self.headers = dict(headers or {})
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.headers.setdefault("Retry-After", "1")
        if self.status == HTTPStatus.UNAUTHORIZED:
            # RFC 6750 §3.1: no error code where no token was sent.
            told = "" if reason == Reason.TOKEN_MISSING else ' error="invalid_token"'
            self.headers.setdefault("WWW-Authenticate", f"Bearer{told}")


class NotFound(Problem):
    """No such thing, or none that this actor may know of."""

    def __init__(self) -> None:
        super().__init__(Reason.UNKNOWN_ID)


def problem_of(error: Exception) -> Problem:
    """The one translation from exceptions to answers."""
    match error:
        case Problem():
            return error
        case HTTPException(status_code=404):
            return Problem(Reason.UNKNOWN_ROUTE)
        case HTTPException(status_code=405):
            return Problem(Reason.METHOD_NOT_ALLOWED, headers=error.headers)
        case KeyPending():
            return Problem(Reason.KEY_PENDING)
        case NotVisibleYet():
            return Problem(Reason.NOT_VISIBLE_YET)
        case Erased():
            return Problem(Reason.ERASED)
        case RecordTooLarge():
            return Problem(Reason.RECORD_TOO_LARGE)
    return Problem(Reason.UNAVAILABLE if is_transient(error) else Reason.INTERNAL_ERROR)


def problem_response(problem: Problem) -> Response:
    """`about:blank` (RFC 9457 §4.2.1): title is the status's; `reason` says the rest."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "reason": problem.reason,
        "correlation_id": correlation_id(),
    }
    if problem.fields:
        body["fields"] = [{"path": path, "code": code} for path, code in problem.fields]
    return Response(orjson.dumps(body), problem.status, problem.headers, MEDIA_TYPE)


PROBLEM_SCHEMA: Mapping[str, object] = {
    "title": "Problem",
    "description": "RFC 9457, with the reason code and the correlation id of the log lines",
    "type": "object",
    "required": ["type", "title", "status", "reason", "correlation_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "reason": {"type": "string"},
        "correlation_id": {"type": "string", "format": "uuid"},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "code"],
                "properties": {"path": {"type": "string"}, "code": {"type": "string"}},
            },
        },
    },
}
