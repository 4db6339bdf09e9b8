"""DG11, additional details of the holder, and DG12, of the document (Doc 9303-10 §4.7.11-12)."""

from dataclasses import asdict, dataclass, field
from functools import partial

from epassport_credentials.field_list import Item, Kind, build_fields, parse_fields
from epassport_credentials.lds import DATA_GROUP_TAGS
from epassport_credentials.leniency import Lenient

_hidden = partial(field, repr=False)


@dataclass(frozen=True)
class PersonalDetails:
    """DG11; what is empty is absent.

    full_name, other_names: in national characters, identifiers separated by `<<` and words
    by `<`, as in the MRZ; birth_date: CCYYMMDD
    birth_place, address: parts from the smallest to the largest; other_documents: numbers
    proof_of_citizenship: an image (ISO/IEC 10918)
    """

    full_name: str = _hidden(default="")
    other_names: tuple[str, ...] = _hidden(default=())
    personal_number: str = _hidden(default="")
    birth_date: str = _hidden(default="")
    birth_place: tuple[str, ...] = _hidden(default=())
    address: tuple[str, ...] = _hidden(default=())
    telephone: str = _hidden(default="")
    profession: str = _hidden(default="")
    title: str = _hidden(default="")
    summary: str = _hidden(default="")
    proof_of_citizenship: bytes = _hidden(default=b"")
    other_documents: tuple[str, ...] = _hidden(default=())
    custody: str = _hidden(default="")


@dataclass(frozen=True)
class DocumentDetails:
    """DG12; what is empty is absent.

    issue_date: CCYYMMDD; personalised_at: CCYYMMDDhhmmss, of no stated time zone
    front, rear: images of the printed faces (ISO/IEC 10918)
    """

    authority: str = ""
    issue_date: str = ""
    other_persons: tuple[str, ...] = _hidden(default=())
    endorsements: str = _hidden(default="")
    tax_or_exit: str = _hidden(default="")
    front: bytes = _hidden(default=b"")
    rear: bytes = _hidden(default=b"")
    personalised_at: str = ""
    system_serial: str = ""


_PERSONAL = (
    Item("full_name", 0x5F0E, Kind.TEXT),
    Item("other_names", 0x5F0F, Kind.NAMES),
    Item("personal_number", 0x5F10, Kind.TEXT),
    Item("birth_date", 0x5F2B, Kind.DATE),
    Item("birth_place", 0x5F11, Kind.PARTS),
    Item("address", 0x5F42, Kind.PARTS),
    Item("telephone", 0x5F12, Kind.TEXT),
    Item("profession", 0x5F13, Kind.TEXT),
    Item("title", 0x5F14, Kind.TEXT),
    Item("summary", 0x5F15, Kind.TEXT),
    Item("proof_of_citizenship", 0x5F16, Kind.OCTETS),
    Item("other_documents", 0x5F17, Kind.PARTS),
    Item("custody", 0x5F18, Kind.TEXT),
)
_DOCUMENT = (
    Item("authority", 0x5F19, Kind.TEXT),
    Item("issue_date", 0x5F26, Kind.DATE),
    Item("other_persons", 0x5F1A, Kind.NAMES),
    Item("endorsements", 0x5F1B, Kind.TEXT),
    Item("tax_or_exit", 0x5F1C, Kind.TEXT),
    Item("front", 0x5F1D, Kind.OCTETS),
    Item("rear", 0x5F1E, Kind.OCTETS),
    Item("personalised_at", 0x5F55, Kind.MOMENT),
    Item("system_serial", 0x5F56, Kind.TEXT),
)


def build_dg11(details: PersonalDetails) -> bytes:
    """Raises ValueError where a value has another form; InvalidCredential: TOO_LONG."""
    return build_fields(DATA_GROUP_TAGS[11], _PERSONAL, asdict(details))


def parse_dg11(data: bytes, lenient: Lenient | None = None) -> PersonalDetails:
    """Raises InvalidCredential: TOO_LONG, MALFORMED."""
    values = parse_fields(data, DATA_GROUP_TAGS[11], _PERSONAL, lenient)
    return PersonalDetails(**values)  # type: ignore[arg-type]  # the table fixes each type


def build_dg12(details: DocumentDetails) -> bytes:
    """Raises ValueError where a value has another form; InvalidCredential: TOO_LONG."""
    return build_fields(DATA_GROUP_TAGS[12], _DOCUMENT, asdict(details))


def parse_dg12(data: bytes, lenient: Lenient | None = None) -> DocumentDetails:
    """Raises InvalidCredential: TOO_LONG, MALFORMED."""
    values = parse_fields(data, DATA_GROUP_TAGS[12], _DOCUMENT, lenient)
    return DocumentDetails(**values)  # type: ignore[arg-type]  # the table fixes each type
