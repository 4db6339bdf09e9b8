"""zlib (RFC 1950) with a ceiling, so that a small input cannot fill the memory."""

import zlib

from epassport_credentials.errors import InvalidCredential, Reason


def deflate(data: bytes) -> bytes:
    """One zlib stream, as small as zlib makes it."""
    return zlib.compress(data, level=9)


def inflate(data: bytes, *, at_most: int) -> bytes:
    """Exactly one whole stream of at most so many bytes.

    Raises InvalidCredential: TOO_LONG, MALFORMED (not zlib, cut, followed by bytes).
    """
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(data, at_most + 1)
    except zlib.error as error:
        raise InvalidCredential(Reason.MALFORMED, "not a zlib stream") from error
    if len(inflated) > at_most:
        raise InvalidCredential(Reason.TOO_LONG, f"inflates to more than {at_most} bytes")
    if not stream.eof or stream.unused_data:
        raise InvalidCredential(Reason.MALFORMED, "not exactly one whole zlib stream")
    return inflated
