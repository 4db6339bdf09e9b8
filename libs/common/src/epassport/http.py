"""Commands and queries over HTTP: routes are declared here and bound to a service at start.

    routes = Routes(ACCESS)

    @routes.command("submit-application", "/v1/applications")
    async def submit(body: SubmitBody, call: Call[Enrollment]) -> Outcome: ...

    @routes.query("read-application", "/v1/applications/{application_id}", reads=("timeline",))
    async def read(application_id: UUID, view: View[Enrollment]) -> Timeline: ...

For each request, in this order: token, role, headers, size, shape; then the function.
"""

import asyncio
import hashlib
import hmac
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar, get_origin, get_type_hints
from uuid import UUID

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from epassport.access import ANYONE, AccessRow, AccessTable
from epassport.actor import Actor
from epassport.clock import Clock
from epassport.commands import (
    Accepted,
    Conflict,
    Envelope,
    Idempotency,
    Outcome,
    Rejected,
    Token,
)
from epassport.database import Database
from epassport.decider import StreamId
from epassport.errors import NotVisibleYet, Unsafe
from epassport.events import Origin
from epassport.keyring import SubjectKeyring
from epassport.oidc import TokenVerifier
from epassport.problems import Problem, Reason
from epassport.requests import (
    BodyReader,
    ParameterReader,
    read_after,
    read_channel,
    read_expected_version,
    read_idempotency_key,
    read_json,
)
from epassport.telemetry import correlation_id

VISIBLE_WITHIN_SECONDS = 2.0
NOBODY = Actor("anyone", "anyone")

A = TypeVar("A")
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
Execute = Callable[[Envelope], Awaitable[Outcome]]
Visible = Callable[[tuple[str, ...], Token], Awaitable[None]]
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Backing(Generic[A]):
    """What routes stand on in one running service.

    execute: the command bus; visible: returns when the named read models have reached a
    token; answers_key: 32 octets, keys the HMACs of idempotent commands; app: the service's own
    """

    tokens: TokenVerifier
    clock: Clock
    execute: Execute
    visible: Visible
    answers_key: bytes
    database: Database
    keyring: SubjectKeyring
    app: A


@dataclass
class Call(Generic[A]):
    """One command on its way in."""

    actor: Actor
    now: datetime
    correlation_id: UUID
    idempotency: Idempotency
    expected_version: int | None
    app: A
    _execute: Execute = field(repr=False)
    _answers_key: bytes = field(repr=False)
    _sent: bool = False

    def new_id(self, label: str) -> UUID:
        """An unguessable id that is the same when the same command is sent again."""
        named = _joined(self.idempotency.scope, self.idempotency.key, label)
        digest = hmac.digest(self._answers_key, b"id" + named, hashlib.sha256)
        return UUID(bytes=digest[:16], version=4)

    async def send(
        self,
        stream: StreamId,
        command: object,
        *,
        reads: Sequence[StreamId] = (),
        answer: Mapping[str, str] | None = None,
        actor: Actor | None = None,
    ) -> Outcome:
        """Once per request: a second command would get the first one's kept answer.

        actor: named on the event in the caller's place, where the event itself seals who called, or
        with what the order rests on
        """
        if self._sent:
            raise RuntimeError("a request sends one command")
        self._sent = True
        return await self._execute(
            Envelope(
                stream,
                command,
                Origin(actor or self.actor, self.correlation_id),
                reads=tuple(reads),
                idempotency=self.idempotency,
                expected_version=self.expected_version,
                answer=dict(answer or {}),
            )
        )


@dataclass(frozen=True)
class View(Generic[A]):
    """One query. `after` has been waited for where the route names its read models.

    accept: the media types wished, as sent (`requests.preferred`)
    """

    actor: Actor
    now: datetime
    correlation_id: UUID
    database: Database
    keyring: SubjectKeyring
    after: Token | None
    app: A
    accept: str = "*/*"


@dataclass(frozen=True)
class Declared:
    """One route before it is bound; `endpoint` is the service's function."""

    operation: str
    method: str
    path: str
    endpoint: Callable[..., Awaitable[Any]]
    body: type[BaseModel] | None
    parameters: Mapping[str, inspect.Parameter]
    given: str  # name of the parameter that takes the Call or the View
    reads: tuple[str, ...]
    result: Any
    read_body: BodyReader | None
    read_parameters: ParameterReader


class Routes:
    """The routes of one module. Each names its operation, which is a row of the table."""

    def __init__(self, access: AccessTable) -> None:
        self.access = access
        self.declared: list[Declared] = []

    def command(self, operation: str, path: str) -> Callable[[F], F]:
        """POST; the function takes path parameters, `body: Model` and a `Call`.

        It returns the outcome of the command it sends, or a model of its own.
        """
        return self._declare(operation, "POST", path, Call, ())

    def query(self, operation: str, path: str, *, reads: tuple[str, ...] = ()) -> Callable[[F], F]:
        """GET; the function takes path and query parameters and a `View`.

        reads: the read models it asks, which `?after=` waits for
        """
        return self._declare(operation, "GET", path, View, reads)

    def rows(self) -> list[AccessRow]:
        """Every route as the access table sees it."""
        return [
            AccessRow(
                route.operation, route.method, route.path, self.access.allowed(route.operation)
            )
            for route in self.declared
        ]

    def _declare(
        self, operation: str, method: str, path: str, given: type, reads: tuple[str, ...]
    ) -> Callable[[F], F]:
        if operation not in self.access:
            raise Unsafe(f"access table: no row for {operation}")
        if method == "POST" and self.access.allowed(operation) is ANYONE:
            # Kept answers belong to (issuer, subject); nobody would share them with everybody.
            raise Unsafe(f"{operation}: a command names its actor")
        if any(route.operation == operation for route in self.declared):
            raise Unsafe(f"two routes are named {operation}")

        def mark(endpoint: F) -> F:
            self.declared.append(_declared(operation, method, path, endpoint, given, reads))
            return endpoint

        return mark


def bind(route: Declared, access: AccessTable, backing: Backing[Any]) -> Handler:
    """The function that answers requests of one route."""
    handle = _command(route, backing) if route.method == "POST" else _query(route, backing)

    async def answer(request: Request) -> Response:
        request.scope["epassport.operation"] = route.operation
        return await handle(request, await _authorised(request, route, access, backing))

    return answer


async def _authorised(
    request: Request, route: Declared, access: AccessTable, backing: Backing[Any]
) -> Actor:
    if access.allowed(route.operation) is ANYONE:
        return NOBODY
    actor = await backing.tokens.actor_of(request.headers.get("authorization"))
    if not access.allows(route.operation, actor):
        raise Problem(Reason.ROLE_NOT_ALLOWED)
    return replace(actor, channel=read_channel(request, actor.roles))


def _command(
    route: Declared, backing: Backing[Any]
) -> Callable[[Request, Actor], Awaitable[Response]]:
    body, parameters = route.read_body, route.read_parameters

    async def handle(request: Request, actor: Actor) -> Response:
        key = read_idempotency_key(request)
        expected_version = read_expected_version(request)
        canonical = await read_json(request) if body is not None else b""
        arguments = parameters.read(request)
        if body is not None:
            arguments["body"] = body.read(canonical)
        scope = f"{actor.issuer}|{actor.subject}|{route.operation}"
        sent = _joined(request.scope["path"], canonical)
        digest = hmac.digest(backing.answers_key, b"body" + sent, hashlib.sha256)
        arguments[route.given] = Call(
            actor,
            backing.clock.now(),
            _correlation(),
            Idempotency(scope, key, digest),
            expected_version,
            backing.app,
            backing.execute,
            backing.answers_key,
        )
        result = await route.endpoint(**arguments)
        if isinstance(result, Response):
            return result
        return json_response(result) if isinstance(result, BaseModel) else _outcome_response(result)

    return handle


def _query(
    route: Declared, backing: Backing[Any]
) -> Callable[[Request, Actor], Awaitable[Response]]:

    async def handle(request: Request, actor: Actor) -> Response:
        after = read_after(request)
        arguments = route.read_parameters.read(request)
        if after is not None:
            await _wait(backing.visible, route.reads, after)
        arguments[route.given] = View(
            actor,
            backing.clock.now(),
            _correlation(),
            backing.database,
            backing.keyring,
            after,
            backing.app,
            request.headers.get("accept", "*/*"),
        )
        result = await route.endpoint(**arguments)
        return result if isinstance(result, Response) else json_response(result)

    return handle


def json_response(content: object, status: int = 200) -> Response:
    """Models, mappings, sequences, sets (sorted), ids, times and texts as JSON."""
    octets = orjson.dumps(content, default=_jsonable)
    return Response(octets, status, media_type="application/json")


def _outcome_response(outcome: Outcome) -> Response:
    match outcome:
        case Accepted():
            token = str(outcome.token) if outcome.token is not None else None
            content = {**outcome.answer, "version": outcome.version, "token": token}
            response = json_response(content)
            response.headers["ETag"] = f'"{outcome.version}"'
            if outcome.replayed:
                response.headers["Idempotency-Replayed"] = "true"
            return response
        case Rejected(reason):
            raise Problem(reason)
        case Conflict(version):
            raise Problem(Reason.VERSION_CONFLICT, headers={"ETag": f'"{version}"'})


async def _wait(visible: Visible, reads: tuple[str, ...], after: Token) -> None:
    if not reads:
        raise Problem(Reason.INVALID_PARAMETER, fields=[("after", "not-supported")])
    try:
        async with asyncio.timeout(VISIBLE_WITHIN_SECONDS) as bound:
            await visible(reads, after)
    except TimeoutError:
        if bound.expired():
            raise NotVisibleYet from None
        raise


def _correlation() -> UUID:
    identifier = correlation_id()
    if identifier is None:
        raise RuntimeError("no correlation id: routes run inside the shell only")
    return identifier


def _joined(*parts: str | bytes) -> bytes:
    """Parts with their lengths, so that no two lists of parts are the same octets."""
    encoded = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join(len(part).to_bytes(8, "big") + part for part in encoded)


def _jsonable(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, UUID):  # asyncpg's own subclass, which orjson does not take
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON")


def _declared(
    operation: str,
    method: str,
    path: str,
    endpoint: Callable[..., Awaitable[Any]],
    given: type,
    reads: tuple[str, ...],
) -> Declared:
    hints = get_type_hints(endpoint, include_extras=True)
    signature = inspect.signature(endpoint)
    parameters = {
        name: parameter.replace(annotation=hints[name])
        for name, parameter in signature.parameters.items()
    }
    takes = [name for name in parameters if (get_origin(hints[name]) or hints[name]) is given]
    if len(takes) != 1:
        raise Unsafe(f"{operation}: the function takes one {given.__name__}")
    body = hints.get("body")
    others = {name: p for name, p in parameters.items() if name not in (takes[0], "body")}
    in_path = {part[1:-1].partition(":")[0] for part in path.split("/") if part.startswith("{")}
    if not in_path <= set(others) or "after" in others:
        raise Unsafe(f"{operation}: path and function do not name the same parameters")
    if method == "POST" and set(others) != in_path:
        raise Unsafe(f"{operation}: a command's values come in its body")
    return Declared(
        operation,
        method,
        path,
        endpoint,
        body,
        others,
        takes[0],
        reads,
        hints.get("return"),
        BodyReader(body) if body is not None else None,
        ParameterReader(operation, others),
    )
