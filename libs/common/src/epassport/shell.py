"""One service's HTTP application, and the server that runs it inside an existing event loop."""

import asyncio
import contextlib
import inspect
import os
import socket
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID, uuid4

import structlog
import uvicorn
from fastapi import FastAPI, Header, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from epassport import operations_http
from epassport.access import ANYONE, AccessTable, check_complete
from epassport.database import Database
from epassport.errors import Unsafe
from epassport.health import Check, health_routes
from epassport.http import Backing, Declared, Handler, Routes, bind
from epassport.metrics import sample
from epassport.operations import Operations
from epassport.problems import (
    MEDIA_TYPE,
    PROBLEM_SCHEMA,
    Problem,
    Reason,
    problem_of,
    problem_response,
)
from epassport.telemetry import correlated, describe

log = structlog.get_logger(__name__)

SHUTDOWN_SECONDS = 10

_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"strict-transport-security": b"max-age=31536000",
    b"cache-control": b"no-store",
}

# Its spans and logs carry texts of exceptions, which may quote what a caller sent.
_NO_TELEMETRY: Any = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}


class AcceptedAnswer(BaseModel):
    """What a command is answered: beside these its own ids.

    token: for `?after=` of queries; null where the command changed nothing
    """

    model_config = ConfigDict(extra="allow")

    version: int
    token: str | None


def build_app(
    title: str,
    routes: Sequence[Routes],
    backing: Backing[Any],
    *,
    checks: Mapping[str, Check],
    operations: Operations | None = None,
) -> FastAPI:
    """Bind every route. Raises Unsafe where routes and access table do not match.

    operations: where given, the operators' routes are bound to it
    """
    parts = [(module, backing) for module in routes]
    if operations is not None:
        parts.append((operations_http.routes, replace(backing, app=operations)))
    declared = [(route, module, back) for module, back in parts for route in module.declared]
    names = [route.operation for route, _, _ in declared]
    if len(set(names)) != len(names):
        raise Unsafe("two routes share an operation")
    check_complete([module.access for module, _ in parts], names)
    app = _Application(
        title=title,
        docs_url=None,  # its page loads scripts from a third party
        redoc_url=None,
        telemetry=_NO_TELEMETRY,
        exception_handlers={HTTPException: _answer_http_exception},
    )
    app.add_middleware(_Edge)
    for route, module, back in declared:
        handler = bind(route, module.access, back)
        app.router.routes.append(_Route(route, handler, module.access))
    app.router.routes += health_routes(checks, lambda: sample(backing.database))
    return app


def api_document(title: str, routes: Sequence[Routes]) -> dict[str, Any]:
    """The OpenAPI document of a service and of what operators may do there, without running it."""

    async def unserved(_request: Request) -> Response:
        raise AssertionError("a document answers no requests")

    app = _Application(title=title)
    for module in (*routes, operations_http.routes):
        app.router.routes += [_Route(route, unserved, module.access) for route in module.declared]
    return app.openapi()


def build_health_app(database: Database, *, checks: Mapping[str, Check]) -> Starlette:
    """For processes that answer nothing else: relay, consume, project, work, timers."""
    app = Starlette(
        routes=health_routes(checks, lambda: sample(database)),
        exception_handlers={HTTPException: _answer_http_exception},
    )
    app.add_middleware(_Edge)
    return app


async def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve until cancelled; requests in flight get ten seconds to end.

    The address is bound first. Raises Unsafe where it cannot be, as where the port is taken.
    """
    listening = _listen(host, port)
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="http server")
    log.info("listening", host=host, port=listening.getsockname()[1])
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise Unsafe(f"cannot listen on {host}:{port}: {reason}") from None


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the process, which runs more than this server."""
        yield


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
        return document


class _Route(APIRoute):
    """FastAPI's route and documentation, with our reading of the request in place of its own.

    FastAPI reads and parses a body before it asks who sent it, and answers errors with
    what was sent.
    """

    def __init__(self, route: Declared, handler: Handler, access: AccessTable) -> None:
        self._handler = handler
        allowed = access.allowed(route.operation)
        roles = ["anyone"] if allowed is ANYONE else sorted(str(role) for role in allowed)
        problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
        super().__init__(
            route.path,
            _documented(route),
            methods=[route.method],
            name=route.operation,
            operation_id=route.operation,
            summary=route.operation,
            response_model=_response_model(route),
            responses={"default": {"description": "Problem", "content": {MEDIA_TYPE: problem}}},
            dependencies=[] if allowed is ANYONE else [Security(HTTPBearer(bearerFormat="JWT"))],
            openapi_extra={"x-roles": roles},
        )

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = self._handler

        async def handle(request: Request) -> Response:
            return await handler(request)

        return handle


def _documented(route: Declared) -> Callable[..., None]:
    """Stands for the route in the OpenAPI document; it is never called."""

    def stand_in() -> None:
        raise AssertionError("requests go through the route's own handler")

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [parameter.replace(kind=kind) for parameter in route.parameters.values()]
    headers: dict[str, tuple[Any, Any]] = {
        "x_channel": (Annotated[str | None, Header()], None),
        "x_correlation_id": (Annotated[UUID | None, Header()], None),
    }
    if route.method == "POST":
        headers["idempotency_key"] = (
            Annotated[str, Header(min_length=1, max_length=200)],
            inspect.Parameter.empty,
        )
        headers["if_match"] = (Annotated[str | None, Header()], None)
    elif route.reads:
        parameters.append(
            inspect.Parameter("after", kind, default=None, annotation=str | None),
        )
    parameters += [
        inspect.Parameter(name, kind, default=default, annotation=annotation)
        for name, (annotation, default) in headers.items()
    ]
    if route.body is not None:
        parameters.append(inspect.Parameter("body", kind, annotation=route.body))
    stand_in.__doc__ = inspect.getdoc(route.endpoint)
    stand_in.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return stand_in


def _response_model(route: Declared) -> Any:
    if route.method == "POST":
        own = isinstance(route.result, type) and issubclass(route.result, BaseModel)
        return route.result if own else AcceptedAnswer
    is_response = isinstance(route.result, type) and issubclass(route.result, Response)
    return None if is_response else route.result


async def _answer_http_exception(_request: Request, error: Exception) -> Response:
    return problem_response(problem_of(error))


class _Edge:
    """Outermost: correlation id, headers, one line per request; no exception passes it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identifier = _correlation_of(scope)
        with correlated(identifier):
            await self._answer(scope, receive, _Sending(send, identifier))

    async def _answer(self, scope: Scope, receive: Receive, sending: "_Sending") -> None:
        started = time.perf_counter()
        reason: str | None = None
        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            reason = "client-gone"
        except asyncio.CancelledError:
            # Cancelled is what this request waited for, not the request: the bus is stopping.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            reason = await sending.problem(Problem(Reason.UNAVAILABLE), scope, receive)
        except Exception as error:  # noqa: BLE001 - the last place where it can be answered
            problem = problem_of(error)
            _log_fault(problem, error)
            reason = await sending.problem(problem, scope, receive)
        log.info(
            "request",
            method=scope["method"],
            operation=scope.get("epassport.operation"),
            status=sending.status,
            reason=reason,
            elapsed_ms=round((time.perf_counter() - started) * 1000, 1),
        )


class _Sending:
    """Adds the headers, and remembers whether an answer has begun."""

    def __init__(self, send: Send, identifier: UUID) -> None:
        self._send = send
        self._identifier = str(identifier).encode()
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *((name, value) for name, value in _HEADERS.items() if name not in given),
                (b"x-correlation-id", self._identifier),
            ]
        await self._send(message)

    async def problem(self, problem: Problem, scope: Scope, receive: Receive) -> str:
        """An answer that has begun cannot be taken back; the server then drops the connection."""
        if self.status is None:
            await problem_response(problem)(scope, receive, self)
        return problem.reason


def _correlation_of(scope: Scope) -> UUID:
    for name, value in scope["headers"]:
        if name == b"x-correlation-id":
            with contextlib.suppress(ValueError):
                return UUID(value.decode("latin-1"))
    return uuid4()


def _log_fault(problem: Problem, error: Exception) -> None:
    if problem.reason == Reason.INTERNAL_ERROR:
        log.error("internal-error", **describe(error))
    elif problem.reason == Reason.UNAVAILABLE and error is not problem:
        log.error("unavailable", **describe(error))
