"""From what a desk sends to what the engine made of it: gate, extraction, gate again.

Of several captures of one finger the best is kept; the others leave no trace. The first
extraction is the last: the search and the gallery use its template. Decoding and measuring run
on a thread, as they would hold up the event loop.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from biometrics.engine.nfiq2 import Nfiq2
from biometrics.engine.port import FingerprintEngine, Template, TemplateRefused
from biometrics.engine.positions import FingerPosition
from biometrics.engine.quality import (
    Capture,
    CaptureFault,
    CaptureRejected,
    Quality,
    check_minutiae,
    examine,
    grade,
    read_capture,
)
from biometrics.faces import check_face
from epassport.blobs import MAX_BLOB_BYTES

SEAL_BYTES = 16  # the tag behind the ciphertext, which is what a blob's limit counts
OWN_GATE = "epassport-1"
MIN_NFIQ2 = 10  # below, the finger is as good as unusable; to be set anew on pilot data

PNG, JPEG = "image/png", "image/jpeg"


@dataclass(frozen=True)
class FingerImage:
    """One capture of one finger, as the desk sends it."""

    position: FingerPosition
    dpi: int
    png: bytes = field(repr=False)


@dataclass(frozen=True)
class FingerCapture:
    """A capture that passed. quality: 0 to 100 by the gate's own measure."""

    position: FingerPosition
    dpi: int
    quality: int
    template: Template
    png: bytes = field(repr=False)


@dataclass(frozen=True)
class Capturing:
    """What captures are judged with. nfiq2: None where its library does not load."""

    engine: FingerprintEngine
    nfiq2: Nfiq2 | None = None

    @property
    def gate(self) -> str:
        """Named in every record, so that nobody reads one gate's marks by the other's scale."""
        return OWN_GATE if self.nfiq2 is None else f"{OWN_GATE}+{self.nfiq2.name}"

    async def finger(self, image: FingerImage) -> FingerCapture:
        """Raises CaptureRejected, EngineUnavailable."""
        capture, measured = await asyncio.to_thread(_gate, image.png, image.dpi)
        quality = grade(measured)
        if self.nfiq2 is not None:
            quality = await self.nfiq2.score(image.png, dpi=image.dpi)
            if quality < MIN_NFIQ2:
                raise CaptureRejected(CaptureFault.POOR_QUALITY)
        try:
            template = await self.engine.extract(
                capture.gray.tobytes(), width=capture.width, height=capture.height, dpi=capture.dpi
            )
        except TemplateRefused:
            raise CaptureRejected(CaptureFault.POOR_QUALITY) from None
        check_minutiae(template.minutiae)
        return FingerCapture(image.position, image.dpi, quality, template, image.png)

    async def fingers(
        self, images: Sequence[FingerImage], *, same_from: Callable[[str], float]
    ) -> list[FingerCapture]:
        """The best capture of each finger, in the order in which fingers first came.

        same_from: of an engine, the score from which two slots hold one finger. Raises
        CaptureRejected with the fault of a finger's last capture where none of it passed, or
        SAME_FINGER_TWICE.
        """
        by_position: dict[FingerPosition, list[FingerImage]] = {}
        for image in images:
            by_position.setdefault(image.position, []).append(image)
        best = [await self._best(each) for each in by_position.values()]
        await self._refuse_same_finger(best, same_from)
        return best

    async def _best(self, images: Iterable[FingerImage]) -> FingerCapture:
        passed: list[FingerCapture] = []
        last_fault: CaptureRejected | None = None
        for image in images:
            try:
                passed.append(await self.finger(image))
            except CaptureRejected as rejected:
                last_fault = rejected
        if not passed:
            assert last_fault is not None, "a finger has a capture"
            raise last_fault
        return max(passed, key=lambda each: each.quality)

    async def _refuse_same_finger(
        self, fingers: Sequence[FingerCapture], same_from: Callable[[str], float]
    ) -> None:
        for one, other in combinations(fingers, 2):
            score = await self.engine.compare(
                probe=one.template.data, reference=other.template.data
            )
            if score >= same_from(one.template.engine):
                raise CaptureRejected(CaptureFault.SAME_FINGER_TWICE)


async def read_face(jpeg: bytes) -> None:
    """Raises FaceRejected."""
    await asyncio.to_thread(check_face, jpeg)


def _gate(png: bytes, dpi: int) -> tuple[Capture, Quality]:
    if len(png) > MAX_BLOB_BYTES - SEAL_BYTES:
        raise CaptureRejected(CaptureFault.TOO_MANY_BYTES)
    capture = read_capture(png, dpi=dpi)
    return capture, examine(capture)
