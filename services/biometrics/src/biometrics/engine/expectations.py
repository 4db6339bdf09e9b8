"""An engine that does what it is told, for other people's integration tests; sandbox only.

It looks at no ridge: the same picture is the same finger, any other picture another one. What
shall happen to a picture otherwise stands in a JSON file that is read anew at each call:

    {"<sha-256 of the gray pixels, hex>": {"same_as": "<sha-256 of another picture>",
                                           "error": "refused" | "unavailable",
                                           "delay_seconds": 2.5}}

So a test can force a duplicate, an error or a delay for one person, as with MOSIP's mock ABIS.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from biometrics.engine.port import (
    Candidate,
    EngineUnavailable,
    Fingers,
    Refill,
    SearchLimits,
    SearchResult,
    Template,
    TemplateRefused,
)
from biometrics.engine.positions import FingerPosition

ENGINE = "expectations-1"
SAME_FINGER = 1000.0
MINUTIAE = 40

_FIELD = "picture"


class Expectation(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    same_as: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    error: Literal["refused", "unavailable"] | None = None
    delay_seconds: float = Field(default=0.0, ge=0.0, le=60.0)


_EXPECTATIONS: TypeAdapter[dict[str, Expectation]] = TypeAdapter(dict[str, Expectation])


def picture_name(gray: bytes) -> str:
    return hashlib.sha256(gray).hexdigest()


@dataclass
class ExpectationsEngine:
    """A `FingerprintEngine`. expectations: the file; missing, everything goes well."""

    refill: Refill
    expectations: Path | None = None

    def __post_init__(self) -> None:
        self._gallery: dict[str, dict[FingerPosition, str]] = {}
        self._filled = asyncio.Lock()
        self._is_full = False

    def begin(self) -> None:
        """There is nothing to warm up."""

    async def begun(self) -> None:
        pass

    def check_ready(self) -> None:
        """Always ready: the gallery fills at the first call."""

    async def __aenter__(self) -> Self:
        async with self._filled:
            if not self._is_full:
                async for reference_id, fingers in self.refill():
                    self._gallery[reference_id] = _pictures(fingers)
                self._is_full = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gallery.clear()
        self._is_full = False

    @property
    def engine_pid(self) -> int | None:
        return None

    @property
    def keeps_gallery(self) -> bool:
        return False

    async def extract(self, gray: bytes, *, width: int, height: int, dpi: int) -> Template:
        """dpi: does not matter to a digest."""
        if len(gray) != width * height:
            raise ValueError(f"{len(gray)} bytes are not {width} x {height} pixels")
        name = picture_name(gray)
        del dpi
        await self._expected(name)
        data = json.dumps({"version": ENGINE, _FIELD: name}).encode()
        return Template(data, ENGINE, MINUTIAE)

    async def compare(self, *, probe: bytes, reference: bytes) -> float:
        taken, enrolled = _picture(probe), _picture(reference)
        await self._expected(taken)
        return self._score(taken, enrolled, self._told())

    async def search(self, probe: Fingers, limits: SearchLimits) -> SearchResult:
        await self.__aenter__()
        taken = _pictures(probe)
        for name in taken.values():
            await self._expected(name)
        told, found = self._told(), []
        for reference_id, enrolled in self._gallery.items():
            candidate = self._compared(reference_id, taken, enrolled, told)
            alike = len(taken) > 1 and candidate.fused >= limits.fused
            if candidate.score >= limits.threshold or alike:
                found.append(candidate)
        found.sort(key=lambda each: (-each.score, each.reference_id))
        size = len(self._gallery)
        return SearchResult(tuple(found[: limits.at_most]), size, size, ENGINE)

    async def insert(self, reference_id: str, fingers: Fingers) -> None:
        await self.__aenter__()
        self._gallery[reference_id] = _pictures(fingers)

    async def remove(self, reference_id: str) -> None:
        await self.__aenter__()
        self._gallery.pop(reference_id, None)

    async def size(self) -> int:
        await self.__aenter__()
        return len(self._gallery)

    def _told(self) -> Mapping[str, Expectation]:
        if self.expectations is None or not self.expectations.exists():
            return {}
        return _EXPECTATIONS.validate_json(self.expectations.read_bytes())

    async def _expected(self, name: str) -> None:
        expectation = self._told().get(name, Expectation())
        await asyncio.sleep(expectation.delay_seconds)
        match expectation.error:
            case "refused":
                raise TemplateRefused("as expected")
            case "unavailable":
                raise EngineUnavailable("as expected")

    @staticmethod
    def _score(taken: str, enrolled: str | None, told: Mapping[str, Expectation]) -> float:
        names = (taken, enrolled)
        real = {(told[n].same_as or n) if n is not None and n in told else n for n in names}
        return SAME_FINGER if len(real) == 1 else 0.0

    def _compared(
        self,
        reference_id: str,
        taken: Mapping[FingerPosition, str],
        enrolled: Mapping[FingerPosition, str],
        told: Mapping[str, Expectation],
    ) -> Candidate:
        like = [self._score(name, enrolled.get(at), told) for at, name in taken.items()]
        crossed = [self._score(name, enrolled.get(at.mirrored), told) for at, name in taken.items()]
        best = max(max(like), max(crossed))
        fused = max(sum(like), sum(crossed))
        return Candidate(reference_id, best, fused, mirrored=max(crossed) > max(like))


def _pictures(fingers: Fingers) -> dict[FingerPosition, str]:
    return {position: _picture(template) for position, template in fingers.items()}


def _picture(template: bytes) -> str:
    try:
        tree = json.loads(template)
        version, name = tree["version"], str(tree[_FIELD])
    except (ValueError, TypeError, KeyError, UnicodeDecodeError) as unreadable:
        raise TemplateRefused("not a template") from unreadable
    if version != ENGINE:
        raise TemplateRefused(f"template of version {version}")
    return name
