"""What the service asks of a fingerprint engine, whoever makes it.

The gallery in an engine is a cache. The service's sealed templates are the truth: a template is
stored there first and inserted here afterwards, erased there first and removed here afterwards, so
that an engine which lost its memory can always be refilled.

    EngineError
    ├── TemplateRefused     not a template, or of another engine version
    └── EngineUnavailable   not installed, or died twice over one call
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

Refill = Callable[[], AsyncIterator[tuple[str, bytes]]]
"""All (reference id, template) pairs that belong in the gallery, read anew at each call.

The engine answers nothing while it is being refilled: reading must not wait for it."""


class EngineError(Exception):
    """Holds no personal data: the detail names versions and states, never a reference or bytes."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class TemplateRefused(EngineError):
    """Extract again from the stored image: templates of another version are never compared."""


class EngineUnavailable(EngineError):
    """The call had no effect that repeating it could double; try later."""


@dataclass(frozen=True)
class Template:
    """`data` is the engine's own serialisation and holds its version too."""

    data: bytes
    engine: str  # name and version, e.g. "sourceafis-3.18.1-java"
    minutiae: int


@dataclass(frozen=True)
class SearchLimits:
    threshold: float  # lowest score that makes a candidate
    at_most: int = 10  # candidates, the best first


@dataclass(frozen=True)
class Candidate:
    reference_id: str
    score: float


@dataclass(frozen=True)
class SearchResult:
    candidates: tuple[Candidate, ...]
    searched: int  # references in the gallery at the search's place in the order
    engine: str


class FingerprintEngine(Protocol):
    """Scores go from the probe (taken now) to the reference (enrolled): the other way round they
    differ, by up to 88 in SourceAFIS, so a threshold holds for one direction only.

    A search sees every reference whose insert was awaited before the search began, and none
    whose removal was.
    """

    async def extract(self, gray: bytes, *, width: int, height: int, dpi: int) -> Template:
        """One byte per pixel, rows from the top, 0 is black."""
        ...

    async def compare(self, *, probe: bytes, reference: bytes) -> float:
        """1:1. Raises TemplateRefused."""
        ...

    async def search(self, probe: bytes, limits: SearchLimits) -> SearchResult:
        """1:N over the whole gallery. Raises TemplateRefused."""
        ...

    async def insert(self, reference_id: str, template: bytes) -> None:
        """A known id gets the new template. Raises TemplateRefused."""
        ...

    async def remove(self, reference_id: str) -> None:
        """An unknown id is already removed."""
        ...

    async def size(self) -> int:
        """References in the gallery."""
        ...
