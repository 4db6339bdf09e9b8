"""Fingers of one person as a CBEFF record in XML (ISO/IEC 19785-3), as MOSIP's ABIS takes them.

Each finger is a record of its own in format 2, minutiae by ISO/IEC 19794-2. Positions are
written as the schema's words, "Right IndexFinger".
"""

import base64
import binascii
from xml.etree import ElementTree

from biometrics.engine.positions import FingerPosition

NAMESPACE = "http://standards.iso.org/iso-iec/19785/-3/ed-2/"
MINUTIAE_FORMAT = "2"
MAX_BYTES = 1024 * 1024

_WORDS = {
    position: f"{side.title()} {finger.title()}{'' if finger == 'thumb' else 'Finger'}"
    for position in FingerPosition
    for side, finger in [position.split("-")]
}
_POSITIONS = {words: position for position, words in _WORDS.items()}


class InvalidCbeff(Exception):
    """Not a record of fingers that we could compare."""


def write(fingers: dict[FingerPosition, bytes]) -> bytes:
    """fingers: minutiae records."""
    root = ElementTree.Element("BIR", xmlns=NAMESPACE)
    for position, record in fingers.items():
        each = ElementTree.SubElement(root, "BIR")
        info = ElementTree.SubElement(each, "BDBInfo")
        _text(ElementTree.SubElement(info, "Format"), "Type", MINUTIAE_FORMAT)
        _text(info, "Type", "Finger")
        _text(info, "Subtype", _WORDS[position])
        _text(each, "BDB", base64.b64encode(record).decode())
    return ElementTree.tostring(root)


def read(octets: bytes) -> dict[FingerPosition, bytes]:
    """Raises InvalidCbeff."""
    if len(octets) > MAX_BYTES or b"<!" in octets:  # no document type: entities can explode
        raise InvalidCbeff
    try:
        root = ElementTree.fromstring(octets)  # noqa: S314 - without a document type
        named = {"c": NAMESPACE}
        return {
            _POSITIONS[each.findtext("c:BDBInfo/c:Subtype", "", named)]: base64.b64decode(
                each.findtext("c:BDB", "", named), validate=True
            )
            for each in root.findall("c:BIR", named)
        }
    except (ElementTree.ParseError, KeyError, binascii.Error) as unreadable:
        raise InvalidCbeff from unreadable


def _text(parent: ElementTree.Element, name: str, value: str) -> None:
    ElementTree.SubElement(parent, name).text = value
