"""What a reader of chip files may forgive, and that it always says so.

Strict reading is the default: a file that departs from Doc 9303-10 is MALFORMED. A reader
that is given a `Lenient` accepts the departures named in `Lapse`, each seen on chips in
circulation, and notes what and where. Signatures and hashes are never forgiven.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from epassport_credentials.errors import InvalidCredential, Reason


class Lapse(StrEnum):
    LENGTH_NOT_SHORTEST = "length-not-shortest"
    TRAILING_BYTES = "trailing-bytes"
    COUNT_DIFFERS = "count-differs"
    RECORD_LENGTH_DIFFERS = "record-length-differs"
    TAG_LIST_DIFFERS = "tag-list-differs"
    UNKNOWN_OBJECT = "unknown-object"
    NAME_NOT_IN_GROUP = "name-not-in-group"
    DATE_IN_BCD = "date-in-bcd"
    NOT_UTF8 = "not-utf-8"
    OTHER_LDS_VERSION = "other-lds-version"
    UNKNOWN_IMAGE_TYPE = "unknown-image-type"


@dataclass(frozen=True)
class Forgiven:
    """where: the file or the object, never its content."""

    lapse: Lapse
    where: str


@dataclass
class Lenient:
    """Collects what was forgiven; one per file or per chip, as the caller likes."""

    forgiven: list[Forgiven] = field(default_factory=list)


def forgive(lenient: Lenient | None, lapse: Lapse, where: str) -> None:
    """Note the lapse, or raise InvalidCredential: MALFORMED where reading is strict."""
    if lenient is None:
        raise InvalidCredential(Reason.MALFORMED, f"{where}: {lapse}")
    lenient.forgiven.append(Forgiven(lapse, where))
