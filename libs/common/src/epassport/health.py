"""/livez, /readyz and /metrics: what the platform asks, without a token.

Nothing here names a person or a value; keep the port away from the outside nevertheless.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from epassport.errors import NotReady
from epassport.telemetry import describe

log = structlog.get_logger(__name__)

CHECK_WITHIN_SECONDS = 2.0

Check = Callable[[], Awaitable[None]]


def health_routes(checks: Mapping[str, Check], sample: Check) -> list[Route]:
    """checks: by name, each returns when all is well and raises otherwise.

    sample: refreshes the gauges that only the database knows; without it the others are shown
    """

    async def livez(_request: Request) -> Response:
        return JSONResponse({"live": True})

    async def readyz(_request: Request) -> Response:
        failing = await failing_checks(checks)
        return JSONResponse(
            {"ready": not failing, "failing": failing}, status_code=503 if failing else 200
        )

    async def metrics(_request: Request) -> Response:
        await _passes("metrics-sample", sample)
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]


async def failing_checks(checks: Mapping[str, Check]) -> list[str]:
    """Names of the checks that raised or took longer than two seconds, sorted."""
    results = await asyncio.gather(*(_passes(name, check) for name, check in checks.items()))
    return sorted(name for name, passed in zip(checks, results, strict=True) if not passed)


async def _passes(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_WITHIN_SECONDS):
            await check()
    except NotReady as judged:
        log.warning("check-failed", name=name, refusal=str(judged))
        return False
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is "not ready"
        log.warning("check-failed", name=name, **describe(error))
        return False
    return True
