"""A vendor's ABIS in our engine's place: MOSIP's ABIS operations (API 0.9, message version "1.1").

Messages are JSON in byte form, one request and one reply each, POSTed to one address; a platform
that has them on queues puts its bridge there. All codes and counts are texts. The vendor gets
opaque ids and minutiae records, no personal data; extraction and 1:1 stay with our own engine,
as an ABIS is for searches. Whether a score means a candidate is the vendor's to say, and only the
order of its scores means anything here: they are on a scale of their own.
"""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx
import structlog

from biometrics.engine import cbeff, iso19794_2
from biometrics.engine.abis_share import RecordShare
from biometrics.engine.minutiae import minutiae_of
from biometrics.engine.port import (
    Candidate,
    EngineUnavailable,
    FingerprintEngine,
    Fingers,
    Refill,
    SearchLimits,
    SearchResult,
    Template,
    TemplateRefused,
)

ENGINE = "mosip-abis-1.1"
MESSAGE_VERSION = "1.1"
SUCCESS = "1"
WITHIN_SECONDS = 60.0
MAX_REPLY_BYTES = 4 * 1024 * 1024  # some thousand candidates with all that a vendor may add

log = structlog.get_logger()


class Operation(StrEnum):
    INSERT = "mosip.abis.insert"
    IDENTIFY = "mosip.abis.identify"
    DELETE = "mosip.abis.delete"
    PING = "mosip.abis.ping"
    PENDING_JOBS = "mosip.abis.pendingJobs"
    REFERENCE_COUNT = "mosip.abis.referenceCount"


class FailureReason(StrEnum):
    INTERNAL = "1"
    ABORTED = "2"
    UNEXPECTED = "3"
    INVALID_REQUEST = "4"
    NO_REFERENCE_ID = "5"
    NO_REQUEST_ID = "6"
    CANNOT_FETCH = "7"
    NO_REFERENCE_URL = "8"
    NO_REQUEST_TIME = "9"
    REFERENCE_EXISTS = "10"
    NO_DATA = "11"
    REFERENCE_UNKNOWN = "12"
    INVALID_VERSION = "13"
    INVALID_ID = "14"
    INVALID_REQUEST_TIME = "15"
    INVALID_CBEFF = "16"
    URL_EXPIRED = "17"
    QUALITY_FAILED = "18"


_OUR_DATA = frozenset(
    {FailureReason.NO_DATA, FailureReason.INVALID_CBEFF, FailureReason.QUALITY_FAILED}
)


class AbisFailed(Exception):
    """An answer, though not the wished one."""

    def __init__(self, operation: Operation, reason: FailureReason) -> None:
        super().__init__(operation, reason)
        self.operation = operation
        self.reason = reason


class AbisClient:
    """One connection pool to one ABIS."""

    def __init__(self, url: str, *, within_seconds: float = WITHIN_SECONDS) -> None:
        self._url = url
        self._within_seconds = within_seconds
        self._http = httpx.AsyncClient(timeout=within_seconds)

    async def close(self) -> None:
        await self._http.aclose()

    async def insert(self, reference_id: str, url: str) -> None:
        """Raises AbisFailed, EngineUnavailable; so do the others."""
        await self._asked(Operation.INSERT, referenceId=reference_id, referenceURL=url)

    async def identify(self, url: str, *, at_most: int) -> list[Mapping[str, Any]]:
        """Candidates as they come: `referenceId`, `analytics`."""
        flags = {"maxResults": str(at_most)}
        reply = await self._asked(Operation.IDENTIFY, referenceId="", referenceURL=url, flags=flags)
        told = reply.get("candidateList") or {}
        found = (told.get("candidates") or []) if isinstance(told, dict) else None
        if not isinstance(found, list) or not all(map(_is_candidate, found)):
            raise EngineUnavailable("the ABIS sent candidates without ids")
        return found

    async def delete(self, reference_id: str) -> None:
        await self._asked(Operation.DELETE, referenceId=reference_id)

    async def ping(self) -> None:
        await self._asked(Operation.PING)

    async def pending_jobs(self) -> int:
        return _count(await self._asked(Operation.PENDING_JOBS), "jobscount")

    async def reference_count(self) -> int:
        return _count(await self._asked(Operation.REFERENCE_COUNT), "count")

    async def _asked(self, operation: Operation, **fields: Any) -> Mapping[str, Any]:
        request_id = str(uuid4())
        message = {
            "id": operation,
            "version": MESSAGE_VERSION,
            "requestId": request_id,
            "requesttime": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **fields,
        }
        try:
            async with asyncio.timeout(self._within_seconds):
                reply = json.loads(await self._answered(message))
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError) as away:
            raise EngineUnavailable(f"the ABIS did not answer {operation}") from away
        if not isinstance(reply, dict) or reply.get("requestId") != request_id:
            raise EngineUnavailable("the ABIS answered another request")
        if str(reply.get("returnValue")) != SUCCESS:
            raise AbisFailed(operation, _reason(reply))
        return reply

    async def _answered(self, message: Mapping[str, Any]) -> bytes:
        """Raises httpx.HTTPError, ValueError."""
        octets = bytearray()
        async with self._http.stream("POST", self._url, json=message) as answer:
            answer.raise_for_status()
            async for part in answer.aiter_bytes():
                octets += part
                if len(octets) > MAX_REPLY_BYTES:
                    raise ValueError("a reply without an end")
        return bytes(octets)


@dataclass
class AbisEngine:
    """A `FingerprintEngine`. local: extracts and compares 1:1.

    The vendor keeps its gallery itself: filling inserts what it does not know yet.
    """

    local: FingerprintEngine
    client: AbisClient
    share: RecordShare
    refill: Refill

    def begin(self) -> None:
        self.local.begin()

    async def begun(self) -> None:
        await self.local.begun()

    def check_ready(self) -> None:
        self.local.check_ready()

    async def __aenter__(self) -> Self:
        await self.local.__aenter__()
        await self.share.open()
        async for reference_id, fingers in self.refill():
            try:
                await self._insert(reference_id, fingers)
            except AbisFailed as failed:
                if failed.reason is not FailureReason.REFERENCE_EXISTS:
                    raise _told(failed) from failed
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.share.close()
        await self.client.close()
        await self.local.__aexit__(kind, error, trace)

    @property
    def engine_pid(self) -> int | None:
        return self.local.engine_pid

    @property
    def keeps_gallery(self) -> bool:
        return True

    async def extract(self, gray: bytes, *, width: int, height: int, dpi: int) -> Template:
        return await self.local.extract(gray, width=width, height=height, dpi=dpi)

    async def compare(self, *, probe: bytes, reference: bytes) -> float:
        return await self.local.compare(probe=probe, reference=reference)

    async def search(self, probe: Fingers, limits: SearchLimits) -> SearchResult:
        """Whom the vendor names reached its own threshold; that is all we know of how clearly."""
        try:
            async with self.share.shared(_record(probe)) as url:
                found = await self.client.identify(url, at_most=limits.at_most)
            searched = await self.client.reference_count()
        except AbisFailed as failed:
            raise _told(failed) from failed
        candidates = [
            Candidate(reference_id, limits.threshold, limits.threshold)
            for reference_id in _best_first(found)[: limits.at_most]
        ]
        return SearchResult(tuple(candidates), searched, searched, ENGINE)

    async def insert(self, reference_id: str, fingers: Fingers) -> None:
        try:
            await self._insert(reference_id, fingers)
        except AbisFailed as failed:
            if failed.reason is not FailureReason.REFERENCE_EXISTS:
                raise _told(failed) from failed
            await self.remove(reference_id)  # an ABIS does not replace
            await self._insert(reference_id, fingers)

    async def remove(self, reference_id: str) -> None:
        try:
            await self.client.delete(reference_id)
        except AbisFailed as failed:
            if failed.reason is not FailureReason.REFERENCE_UNKNOWN:
                raise _told(failed) from failed

    async def size(self) -> int:
        try:
            return await self.client.reference_count()
        except AbisFailed as failed:
            raise _told(failed) from failed

    async def _insert(self, reference_id: str, fingers: Fingers) -> None:
        """Searches wait for what the vendor refuses, so its name must be told."""
        async with self.share.shared(_record(fingers)) as url:
            try:
                await self.client.insert(reference_id, url)
            except AbisFailed as failed:
                if failed.reason in _OUR_DATA:
                    log.error("abis-refuses", reference=reference_id, reason=failed.reason.name)
                raise


def _record(fingers: Fingers) -> bytes:
    return cbeff.write(
        {
            position: iso19794_2.write(iso19794_2.record_of(minutiae_of(template), position))
            for position, template in fingers.items()
        }
    )


def _is_candidate(told: object) -> bool:
    return isinstance(told, dict) and isinstance(told.get("referenceId"), str)


def _best_first(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each id once, though a vendor may name it for every finger; those without a score last."""
    scores: dict[str, float] = {}
    for told in found:
        reference_id = told["referenceId"]
        scores[reference_id] = max(_score(told), scores.get(reference_id, -math.inf))
    return sorted(scores, key=lambda each: (-scores[each], each))


def _score(told: Mapping[str, Any]) -> float:
    try:
        score = float(told["analytics"]["score"])
    except (KeyError, TypeError, ValueError):
        return -math.inf
    return -math.inf if math.isnan(score) else score


def _reason(reply: Mapping[str, Any]) -> FailureReason:
    try:
        return FailureReason(str(reply.get("failureReason")))
    except ValueError:
        return FailureReason.UNEXPECTED


def _told(failed: AbisFailed) -> TemplateRefused | EngineUnavailable:
    kind = TemplateRefused if failed.reason in _OUR_DATA else EngineUnavailable
    return kind(f"{failed.operation} failed: {failed.reason.name}")


def _count(reply: Mapping[str, Any], name: str) -> int:
    try:
        return int(reply[name])
    except (KeyError, TypeError, ValueError, OverflowError) as missing:
        raise EngineUnavailable(f"the ABIS sent no {name}") from missing
