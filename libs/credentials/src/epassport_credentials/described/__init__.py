"""Any of our formats as lines that a person can read; nothing is checked or judged.

`describe` tells the format by its first bytes: the text of a card or mobile QR, COSE and CWT,
compact JWS and SD-JWT, machine-readable lines, files of a chip, certificates and lists of
revoked ones. What it shows may be forged: `verifier` says whether it may be relied on.
"""

from epassport_credentials.base45 import decode_base45
from epassport_credentials.card_qr import MAX_IDENTITY_CHARACTERS, MAX_MESSAGE_BYTES
from epassport_credentials.compression import inflate
from epassport_credentials.described.chip_files import describe_chip_file, is_chip_file
from epassport_credentials.described.cose_messages import describe_cose, is_cose
from epassport_credentials.described.outline import Outline
from epassport_credentials.described.tokens import describe_token, is_token
from epassport_credentials.described.travel_lines import describe_lines, is_travel_lines
from epassport_credentials.errors import InvalidCredential, Reason

_ZLIB_FIRST_BYTE = b"\x78"
_MAX_BYTES = 60_000_000


def describe(data: bytes) -> Outline:
    """Raises InvalidCredential: TOO_LONG, MALFORMED, UNKNOWN_FORMAT."""
    if len(data) > _MAX_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"more than {_MAX_BYTES} bytes")
    if is_cose(data):
        return describe_cose(data)
    if is_chip_file(data):
        return describe_chip_file(data)
    try:
        text = data.decode("ascii").strip("\r\n")
    except UnicodeDecodeError as error:
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, "bytes of no known format") from error
    if is_token(text):
        return describe_token(text)
    if is_travel_lines(text):
        return describe_lines(text)
    return _describe_code(text)


def _describe_code(text: str) -> Outline:
    data = decode_base45(text, at_most=MAX_IDENTITY_CHARACTERS)
    layers = [f"Base45, {len(text)} characters"]
    if data.startswith(_ZLIB_FIRST_BYTE):
        layers.append(f"zlib, {len(data)} bytes")
        data = inflate(data, at_most=MAX_MESSAGE_BYTES)
    if not is_cose(data):
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, "Base45 of no known format")
    return [("code", ", then ".join(layers)), *describe_cose(data)]
