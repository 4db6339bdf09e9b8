"""What the service asks of a fingerprint engine, whoever makes it.

The gallery in an engine is a cache. The service's sealed templates are the truth: a template is
stored there first and inserted here afterwards, erased there first and removed here afterwards, so
that an engine which lost its memory can always be refilled.

    EngineError
    ├── TemplateRefused     not a template, or of another engine version
    └── EngineUnavailable   not installed, or died twice over one call
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from biometrics.engine.positions import FingerPosition

Fingers = Mapping[FingerPosition, bytes]
"""Templates of one person's fingers, at least one."""

Refill = Callable[[], AsyncIterator[tuple[str, Fingers]]]
"""All references that belong in the gallery, read anew at each call.

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
    """A reference is a candidate if one finger reaches `threshold`, or two and more together
    `fused`: who spoils one finger on purpose is found by the others."""

    threshold: float
    fused: float
    at_most: int = 10  # candidates, the best first
    exhaustive: bool = True  # False: only what the engine's filter lets through

    def share(self, candidate: "Candidate") -> float:
        """Of whichever threshold the candidate is further over."""
        return max(candidate.score / self.threshold, candidate.fused / self.fused)


@dataclass(frozen=True)
class Candidate:
    """score: of the best finger. fused: the sum over all fingers. mirrored: the best finger is
    enrolled as the other hand's, so left and right were mixed up then or now."""

    reference_id: str
    score: float
    fused: float
    mirrored: bool = False


@dataclass(frozen=True)
class SearchResult:
    candidates: tuple[Candidate, ...]
    searched: int  # references in the gallery at the search's place in the order
    compared: int  # of these, what the filter let through to the engine
    engine: str


class FingerprintEngine(Protocol):
    """Scores go from the probe (taken now) to the reference (enrolled): the other way round they
    differ, by up to 88 in SourceAFIS, so a threshold holds for one direction only.

    A search sees every reference whose insert was awaited before the search began, and none
    whose removal was.
    """

    def begin(self) -> None:
        """Get ready in the background, so that the first call does not wait for it."""
        ...

    async def begun(self) -> None:
        """`begin`, and its end, be it a good one or not."""
        ...

    def check_ready(self) -> None:
        """Raises EngineUnavailable until the engine has answered once and its gallery is full."""
        ...

    async def __aenter__(self) -> Self:
        """Returns when the engine has answered once and its gallery is full."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    @property
    def engine_pid(self) -> int | None:
        """The running process that holds the gallery; None where there is none of our own."""
        ...

    @property
    def keeps_gallery(self) -> bool:
        """Whether the gallery outlives this process: what left it meanwhile is still there, and
        must be removed once it was entered."""
        ...

    async def extract(self, gray: bytes, *, width: int, height: int, dpi: int) -> Template:
        """One byte per pixel, rows from the top, 0 is black."""
        ...

    async def compare(self, *, probe: bytes, reference: bytes) -> float:
        """1:1. Raises TemplateRefused."""
        ...

    async def search(self, probe: Fingers, limits: SearchLimits) -> SearchResult:
        """1:N: like finger with like, and with the other hand's. Raises TemplateRefused."""
        ...

    async def insert(self, reference_id: str, fingers: Fingers) -> None:
        """A known id gets the new templates. Raises TemplateRefused."""
        ...

    async def remove(self, reference_id: str) -> None:
        """An unknown id is already removed."""
        ...

    async def size(self) -> int:
        """References in the gallery."""
        ...
