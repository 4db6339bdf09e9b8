"""From what a desk sends to what the engine made of it: gate, extraction, gate again.

Decoding and measuring run on a thread, as they would hold up the event loop.
"""

import asyncio

from biometrics.engine.port import FingerprintEngine, Template
from biometrics.engine.quality import (
    Capture,
    CaptureFault,
    CaptureRejected,
    check_minutiae,
    examine,
    read_capture,
)
from biometrics.faces import check_face
from epassport.blobs import MAX_BLOB_BYTES

SEAL_BYTES = 16  # the tag behind the ciphertext, which is what a blob's limit counts

PNG, JPEG = "image/png", "image/jpeg"


async def read_finger(engine: FingerprintEngine, png: bytes, *, dpi: int) -> Template:
    """Raises CaptureRejected, EngineUnavailable."""
    capture = await asyncio.to_thread(_gate, png, dpi)
    template = await engine.extract(
        capture.gray.tobytes(), width=capture.width, height=capture.height, dpi=capture.dpi
    )
    check_minutiae(template.minutiae)
    return template


async def read_face(jpeg: bytes) -> None:
    """Raises FaceRejected."""
    await asyncio.to_thread(check_face, jpeg)


def _gate(png: bytes, dpi: int) -> Capture:
    if len(png) > MAX_BLOB_BYTES - SEAL_BYTES:
        raise CaptureRejected(CaptureFault.TOO_MANY_BYTES)
    capture = read_capture(png, dpi=dpi)
    examine(capture)
    return capture
